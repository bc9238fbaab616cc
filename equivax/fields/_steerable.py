"""Steerable differential operators: equivariant linear maps of jets."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Signal
from ..geometry import PixelGrid
from ..symmetry import AbstractRep, SignalAction
from ._blocks import assemble, initial_weights, jet_basis, widened
from ._intertwiner import Bias
from ._jets import GaussianJet
from ._nonlinear import AbstractNonlinearity, default_nonlinearity
from ._window import Disc


class SteerableOperator(eqx.Module):
    r"""An equivariant linear differential operator with constant coefficients,

    $$ (P(\partial)\, u)_o = \sum_{|\alpha| \le K} \sum_i A_{o i \alpha}\, \partial^\alpha u_i, \qquad
       A = \sum_r w_r B_r,\quad B_r \in (V_{out} \otimes V_{in}^* \otimes \mathrm{Sym}^k V)^G, $$

    discretised by Gaussian jets. The $B_r$ come from the null-space solver (`operator_basis`), block by block. A change
    of grid makes it a down- or up-sampling. `u` is `(source.size, rep_in.dim)`, the result `(target.size, rep_out.dim)`.

    Equivariance is exact for the elements of the group that map both grids to themselves, and holds for the others up to
    the error of discretisation. (Jenner, Weiler, *Steerable partial differential operators*, ICLR 2022.)
    """

    weights: tuple[Array, ...]
    rep_in: AbstractRep = eqx.field(static=True)
    rep_out: AbstractRep = eqx.field(static=True)
    jet: GaussianJet

    def __init__(self, rep_in: AbstractRep, rep_out: AbstractRep, jet: GaussianJet, *, key: Key):
        self.rep_in, self.rep_out, self.jet = rep_in, rep_out, jet
        self.weights = initial_weights(rep_in, rep_out, self.pair, key=key)

    def pair(self, block_in: AbstractRep, block_out: AbstractRep) -> Float[np.ndarray, "r out in jets"]:
        """The equivariant operators between two blocks, that the weights are coordinates in."""
        return jet_basis(block_in, block_out, tuple(range(self.jet.order + 1)))

    @property
    def symbol(self) -> Float[Array, "jets in out"]:
        """The coefficients $A$, `(jets, rep_in.dim, rep_out.dim)`."""
        return assemble(self.weights, self.rep_in, self.rep_out, self.pair)

    def __call__(self, u: Signal) -> Signal:
        if self.jet.target.size > self.jet.source.size:
            symbol = assemble(widened(self.weights, u.dtype), self.rep_in, self.rep_out, self.pair).astype(u.dtype)
            return self.jet.contract(jnp.einsum("pi,kio->kpo", u, symbol))
        return self.of_jets(self.jet(u))

    def of_jets(self, jets: Float[Array, "jets points channels"]) -> Signal:
        """The operator on jets that are known already, wherever they were taken."""
        symbol = assemble(widened(self.weights, jets.dtype), self.rep_in, self.rep_out, self.pair)
        return jnp.einsum("kpi,kio->po", jets, symbol.astype(jets.dtype))


class SteerableLayer(eqx.Module):
    r"""An equivariant map of signals, $u \mapsto \chi\, s(P(\partial)\, u + b)$: one operator, one bias, one nonlinearity.

    Lifting, down-sampling and read-out at a point are the cases of a trivial `rep_in`, a coarser target grid and a
    target of one pixel. With a `window` the result is confined to a disc by the cut-off $\chi$; without, $\chi = 1$.
    """

    operator: SteerableOperator
    bias: Bias
    nonlinearity: AbstractNonlinearity
    window: Disc | None

    def __init__(
        self,
        rep_in: AbstractRep,
        rep_out: AbstractRep,
        jet: GaussianJet,
        nonlinearity: AbstractNonlinearity | None = None,
        window: Disc | None = None,
        *,
        key: Key,
    ):
        self.nonlinearity = default_nonlinearity(rep_out) if nonlinearity is None else nonlinearity
        self.operator = SteerableOperator(rep_in, self.nonlinearity.rep_in, jet, key=key)
        self.bias = Bias(self.nonlinearity.rep_in)
        self.window = window

    @property
    def action_in(self) -> SignalAction:
        """The action on input signals."""
        return SignalAction(self.operator.rep_in, self.operator.jet.source)

    @property
    def action_out(self) -> SignalAction:
        """The action on output signals."""
        return SignalAction(self.nonlinearity.rep, self.target)

    @property
    def target(self) -> PixelGrid:
        """The grid of the output."""
        return self.operator.jet.target

    def __call__(self, u: Signal) -> Signal:
        return self._finish(self.operator(u))

    def of_jets(self, jets: Float[Array, "jets points channels"]) -> Signal:
        """The layer on jets that are known already, wherever they were taken."""
        return self._finish(self.operator.of_jets(jets))

    def _finish(self, v: Signal) -> Signal:
        v = self.nonlinearity(v + jnp.broadcast_to(self.bias(v.dtype), v.shape))
        return v if self.window is None else v * jnp.asarray(self.window(self.target), v.dtype)
