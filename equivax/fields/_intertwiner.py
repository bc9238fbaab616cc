"""Equivariant affine maps."""

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from .._types import Key
from ..symmetry import AbstractRep, invariants
from ._blocks import assemble, initial_weights, linear_basis, widened


class Bias(eqx.Module):
    r"""An invariant vector $b \in V^G$, learned: $\sum_r w_r b_r$ in each copy of each block of `rep`.

    Starts away from zero, so that a test of equivariance notices a bias that is not invariant.
    """

    weights: tuple[Array, ...]
    rep: AbstractRep = eqx.field(static=True)

    def __init__(self, rep: AbstractRep, *, scale: float = 0.05):
        self.rep = rep
        self.weights = tuple(jnp.full((m, len(invariants(block))), scale, jnp.float32) for m, block in rep.blocks)

    def __call__(self, dtype: DTypeLike = jnp.float32) -> Float[Array, " dim"]:
        """The vector, for data of a floating type."""
        parts = []
        for w, (_, block) in zip(widened(self.weights, dtype), self.rep.blocks, strict=True):
            vectors = invariants(block).vectors * block.dim**0.5
            parts.append((w @ jnp.asarray(vectors, w.dtype)).reshape(-1))
        return jnp.concatenate(parts).astype(dtype)


class Intertwiner(eqx.Module):
    r"""An equivariant linear map $A : V \to W$, $A \rho_V(g) = \rho_W(g) A$, with an invariant bias.

    $$ A = \sum_r w_r B_r, \qquad B_r \in \mathrm{Hom}_G(V, W) $$

    The weights $w$ are coordinates in the bases between blocks that `basis(V >> W)` gives: for a direct sum
    $m\,V_1 \to n\,V_2$ that is $m n \dim \mathrm{Hom}_G(V_1, V_2)$ numbers. `x` has channels last: `(..., V.dim)`.
    """

    weights: tuple[Array, ...]
    bias: Bias | None
    rep_in: AbstractRep = eqx.field(static=True)
    rep_out: AbstractRep = eqx.field(static=True)

    def __init__(self, rep_in: AbstractRep, rep_out: AbstractRep, *, use_bias: bool = True, key: Key):
        self.weights = initial_weights(rep_in, rep_out, linear_basis, key=key)
        self.bias = Bias(rep_out) if use_bias else None
        self.rep_in, self.rep_out = rep_in, rep_out

    @property
    def matrix(self) -> Float[Array, "in out"]:
        """The dense matrix, to be multiplied from the right."""
        return assemble(self.weights, self.rep_in, self.rep_out, linear_basis)[0]

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        weights = widened(self.weights, x.dtype)
        y = x @ assemble(weights, self.rep_in, self.rep_out, linear_basis)[0].astype(x.dtype)
        return y if self.bias is None else y + jnp.broadcast_to(self.bias(x.dtype), y.shape)
