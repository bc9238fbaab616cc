"""Invariant read-out: from a signal to numbers that no group element changes."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._numerics import safe_norm
from .._types import Key, Signal
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


class Vote(eqx.Module):
    r"""Invariants by a vote of the elements of a finite group, $v \mapsto \log \tfrac1n \textstyle\sum_g \exp h(v_{\cdot g})$.

    The perceptron $h$ sees all copies at one element at a time, which a mean or a maximum over the group of each copy by
    itself takes apart. As logits of classes these are of one softmax over classes and elements together, summed over
    the elements: which way up a thing is, is a latent variable.

    - `rep`: copies of one permutation representation, such as `8 * regular(Cyclic(4))`. - `size`: the number of invariants.
    - `hidden`: the hidden units of $h$, which has one layer of them.

    `x` has channels last, `(..., rep.dim)`; the result `(..., size)`.

    **Raises:** `ValueError` for a representation of several blocks, or of one that does not permute coordinates.
    """

    perceptron: eqx.nn.MLP
    copies: int = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __init__(self, rep: AbstractRep, size: int, hidden: int, *, key: Key):
        (self.copies, block), *others = rep.blocks
        if others or not block.is_permutation:
            raise ValueError(
                f"Votes are those of elements that a group permutes; received {rep}, and not one regular block."
            )
        self.perceptron = eqx.nn.MLP(self.copies, size, hidden, 1, activation=jax.nn.silu, dtype=jnp.float32, key=key)
        self.size = size

    def __call__(self, x: Float[Array, "*batch dim"]) -> Float[Array, "*batch size"]:
        by_copy = x.reshape(*x.shape[:-1], self.copies, -1)
        n = by_copy.shape[-1]
        votes = jnp.vectorize(self.perceptron, signature="(c)->(k)")(jnp.swapaxes(by_copy, -1, -2))
        return jax.nn.logsumexp(votes, axis=-2) - math.log(n)


class InvariantReadout(eqx.Module):
    r"""Invariants of a signal about the centre of its grid: a layer to one point, pooled over the group.

    With a `GaussianJet` as wide as the grid, the layer takes the jet of the signal at the origin to features there,
    $u \mapsto s(P(\partial)\,u\,(0) + b)$. Invariant under the group acting about the centre. (It is not invariant under
    translations; the jet sees where things are.)

    - `pooling`: from features of the group to invariants; an `InvariantPooling` by default.

    **Raises:** `ValueError` for a layer whose target is more than one point.
    """

    layer: SteerableLayer | LeftInvariantLayer
    pooling: InvariantPooling | Vote

    def __init__(self, layer: SteerableLayer | LeftInvariantLayer, pooling: InvariantPooling | Vote | None = None):
        if layer.target.size != 1:
            raise ValueError(
                f"A read-out takes a layer to one point; received one to a grid of {layer.target.shape}. Make it with the "
                "target PixelGrid(1, 1, spacing), or pool its output with InvariantPooling yourself."
            )
        self.layer = layer
        self.pooling = InvariantPooling(layer.action_out.rep) if pooling is None else pooling

    @property
    def size(self) -> int:
        """The number of invariants."""
        return self.pooling.size

    def __call__(self, u: Signal) -> Float[Array, " size"]:
        return self.pooling(self.layer(u)[0])
