"""The differential-invariant field: the right-hand side of an equivariant partial differential equation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, RealScalar, Signal
from ..geometry import PixelGrid
from ..symmetry import AbstractRep, SignalAction
from ._field import AbstractField
from ._intertwiner import Intertwiner
from ._jets import GaussianJet
from ._knots import Knots
from ._steerable import SteerableLayer
from ._window import Disc


class _Term(eqx.Module):
    """What a field looks like at one moment: an operator with its nonlinearity, then the reaction."""

    layer: SteerableLayer
    reaction: Intertwiner


class DifferentialInvariantField(AbstractField):
    r"""The right-hand side of an equivariant evolution equation for signals,

    $$ u_t = F(t, j^K u) = R_t\; s\bigl( P_t(\partial)\, u + b_t \bigr). $$

    Equivariant evolution equations are those whose right-hand side is a function of the differential invariants (or
    covariants) of the action on jets of $u$. Here these are the components of steerable operators
    $P(\partial) : \rho \to \rho_{hidden}$ of order up to $K$; $s$ is an equivariant nonlinearity and $R$ an intertwiner
    $\rho_{hidden} \to \rho$, together the pointwise reaction. The coefficients are piecewise linear in $t$ (`Knots`).
    One explicit Euler step is a residual layer of a group or steerable CNN.

    - `rep`: the fibre of the features; `hidden`: the fibre between, `rep` if not given.
    - `grid`, `order`, `sigma`, `reach`: the discretisation (`GaussianJet`); order 0 gives a pure reaction.
    - `window`: confines the evolution to a disc; `None` for the whole plane.
    - `mirror`: what the signal is outside the grid, its mirror image or zero.
    - `knots`, `t0`, `t1`: the sampling of the coefficients in time.
    - `dropout`: the probability that a copy of a hidden block is left out. It needs a key, which travels through
      `args`: `field(t, u, key)` is one random equivariant field, continuous in $t$; `field(t, u, None)` the full one.
    """

    terms: Knots
    rep: AbstractRep = eqx.field(static=True)
    grid: PixelGrid
    dropout: float = eqx.field(static=True)

    def __init__(
        self,
        rep: AbstractRep,
        grid: PixelGrid,
        *,
        order: int,
        sigma: float,
        reach: float | None = None,
        hidden: AbstractRep | None = None,
        window: Disc | None = None,
        mirror: bool = False,
        knots: int = 1,
        t0: float = 0.0,
        t1: float = 1.0,
        dropout: float = 0.0,
        key: Key,
    ):
        jet = GaussianJet(grid, grid, order, sigma, mirror, reach)
        between = rep if hidden is None else hidden

        def make(key: Key) -> _Term:
            layer_key, reaction_key = jax.random.split(key)
            layer = SteerableLayer(rep, between, jet, window=window, key=layer_key)
            return _Term(layer, Intertwiner(between, rep, use_bias=False, key=reaction_key))

        self.terms = Knots(make, knots, t0, t1, key=key)
        self.rep, self.grid, self.dropout = rep, grid, dropout

    @property
    def action(self) -> SignalAction:
        """The action on signals with this fibre over the grid."""
        return SignalAction(self.rep, self.grid)

    def __call__(self, t: RealScalar, x: Signal, args: Any = None) -> Signal:
        term = self.terms(t)
        z = term.layer(x)
        if args is not None and self.dropout > 0:
            z = z * self._mask(t, term.layer.nonlinearity.rep, args).astype(z.dtype)[None, :]
        return term.reaction(z)

    def _mask(self, t: RealScalar, hidden: AbstractRep, key: Key) -> Float[Array, " channels"]:
        """Zero for the copies left out, 1 / (1 - p) for the others; one draw for each knot, interpolated in time."""
        kept = []
        for i, (m, block) in enumerate(hidden.blocks):
            keep = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - self.dropout, (self.terms.count, m))
            kept.append(jnp.repeat(keep, block.dim, axis=1))
        draws = jnp.concatenate(kept, axis=1).astype(jnp.float32) / (1 - self.dropout)
        return self.terms.hats(t) @ draws
