"""A field whose flow never takes two signals further apart, whatever its weights are."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._types import Key, RealScalar, Signal
from ..geometry import PixelGrid
from ..symmetry import AbstractRep, GroupError, SignalAction
from ._bounds import operator_bound
from ._field import AbstractField
from ._intertwiner import Bias
from ._jets import GaussianJet
from ._knots import Knots
from ._monotone import Monotone
from ._steerable import SteerableOperator
from ._window import Disc


class _Moment(eqx.Module):
    """The field at one time: an operator, and a bias."""

    operator: SteerableOperator
    bias: Bias


class NonexpansiveField(AbstractField):
    r"""A gradient flow in which distances do not grow: a diffusion, with learned operators,

    $$ u_t = -\tfrac{1}{\beta_t^2}\, P_t^*\, s( P_t\, u + b_t ), \qquad \beta_t \ge |P_t|_2. $$

    $P = \chi P(\partial)\, \chi : \rho \to \rho_{hidden}$ is a steerable operator (with the window, if there is one), $P^*$ its
    exact adjoint on the grid, by transposing the program, $s$ the gradient of a convex invariant function with curvature
    up to 1 (`Monotone`), and $\beta$ the bound of `operator_bound`, computed from the weights each time. So the
    right-hand side is minus the gradient of a convex function with curvature up to 1, and cocoercive:

    $$ \langle F(u) - F(w), u - w \rangle \le -|F(u) - F(w)|^2. $$

    Any two solutions come closer, $|u(t) - w(t)| \le |u(0) - w(0)|$, and so do any two sequences of explicit Euler steps
    of size up to 2, in the Euclidean norm of all numbers, which is that of $L^2$ up to a factor. Equivariant for
    orthogonal representations, because adjoints of equivariant maps are equivariant.

    - `rep`, `hidden`: the fibres of the signal and between; `grid`, `order`, `sigma`, `reach`, `window`, `knots`, `t0`,
      `t1`: as for `DifferentialInvariantField`. - `function`: of `Monotone`.

    Celledoni, Ehrhardt, Etmann, McLachlan, Owren, Schönlieb, Sherry, *Structure-preserving deep learning*, European Journal
    of Applied Mathematics, 2021; Sherry, Celledoni, Ehrhardt, Murari, Owren, Schönlieb, *Designing stable neural networks
    using convex analysis and ODEs*, Physica D, 2024.

    **Raises:** `GroupError` for representations that are not orthogonal.
    """

    moments: Knots
    nonlinearity: Monotone
    rep: AbstractRep = eqx.field(static=True)
    grid: PixelGrid
    window: Disc | None

    def __init__(
        self,
        rep: AbstractRep,
        grid: PixelGrid,
        *,
        order: int,
        sigma: float,
        reach: float | None = None,
        hidden: AbstractRep | None = None,
        function: Callable[[Array], Array] = jnp.tanh,
        window: Disc | None = None,
        knots: int = 1,
        t0: float = 0.0,
        t1: float = 1.0,
        key: Key,
    ):
        between = rep if hidden is None else hidden
        if not rep.is_orthogonal:
            raise GroupError(f"A non-expansive field needs an orthogonal representation; {rep} is not orthogonal.")
        jet = GaussianJet(grid, grid, order, sigma, reach=reach)
        self.moments = Knots(
            lambda k: _Moment(SteerableOperator(rep, between, jet, key=k), Bias(between)), knots, t0, t1, key=key
        )
        self.nonlinearity = Monotone(between, function)
        self.rep, self.grid, self.window = rep, grid, window

    @property
    def action(self) -> SignalAction:
        """The action on signals with this fibre over the grid."""
        return SignalAction(self.rep, self.grid)

    def __call__(self, t: RealScalar, x: Signal, args: Any = None) -> Signal:
        moment = self.moments(t)
        chi = None if self.window is None else jnp.asarray(self.window(self.grid), x.dtype)

        def P(u: Signal) -> Signal:
            v = moment.operator(u if chi is None else chi * u)
            return v if chi is None else chi * v

        v, adjoint = jax.vjp(P, x)
        z = self.nonlinearity(v + jnp.broadcast_to(moment.bias(x.dtype), v.shape))
        beta = operator_bound(moment.operator).astype(x.dtype)
        return -adjoint(z)[0] / beta**2
