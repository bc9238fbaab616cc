"""Invariant read-out: from a signal to numbers that no group element changes."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._numerics import safe_norm
from .._types import Signal
from ..symmetry import AbstractRep
from ._left_invariant import LeftInvariantLayer
from ._nonlinear import split_blocks
from ._steerable import SteerableLayer


class InvariantPooling(eqx.Module):
    r"""Invariants of a feature vector: the mean and the maximum over the coordinates of permutation blocks, the norm of others.

    $$ v \mapsto \bigl( \tfrac1n \textstyle\sum_i v_i,\ \max_i v_i \bigr) \quad\text{or}\quad |v| $$

    `x` has channels last, `(..., rep.dim)`; the result `(..., size)`. One-dimensional trivial blocks are passed on.
    """

    rep: AbstractRep = eqx.field(static=True)

    @property
    def size(self) -> int:
        """The number of invariants."""
        return sum(m * (2 if block.is_permutation and block.dim > 1 else 1) for m, block in self.rep.blocks)

    def __call__(self, x: Float[Array, "*batch dim"]) -> Float[Array, "*batch size"]:
        parts = []
        for v, (_, block) in zip(split_blocks(x, self.rep), self.rep.blocks, strict=True):
            if not block.is_permutation:
                parts.append(safe_norm(v, axis=-1))
            elif block.dim == 1:
                parts.append(v[..., 0])
            else:
                parts += [jnp.mean(v, axis=-1), jnp.max(v, axis=-1)]
        return jnp.concatenate(parts, axis=-1)


class InvariantReadout(eqx.Module):
    r"""Invariants of a signal about the centre of its grid: a layer to one point, pooled over the group.

    With a `GaussianJet` as wide as the grid, the layer takes the jet of the signal at the origin to features there,
    $u \mapsto s(P(\partial)\,u\,(0) + b)$. Invariant under the group acting about the centre. (It is not invariant under
    translations; the jet sees where things are.)

    **Raises:** `ValueError` for a layer whose target is more than one point.
    """

    layer: SteerableLayer | LeftInvariantLayer
    pooling: InvariantPooling

    def __init__(self, layer: SteerableLayer | LeftInvariantLayer):
        if layer.target.size != 1:
            raise ValueError(
                f"A read-out takes a layer to one point; received one to a grid of {layer.target.shape}. Make it with the "
                "target PixelGrid(1, 1, spacing), or pool its output with InvariantPooling yourself."
            )
        self.layer, self.pooling = layer, InvariantPooling(layer.action_out.rep)

    @property
    def size(self) -> int:
        """The number of invariants."""
        return self.pooling.size

    def __call__(self, u: Signal) -> Float[Array, " size"]:
        return self.pooling(self.layer(u)[0])
