"""Equivariant nonlinearities: pointwise where the group permutes, by invariants of a block elsewhere; smooth at 0."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..symmetry import AbstractRep, GroupError, trivial


class AbstractNonlinearity(eqx.Module):
    r"""An equivariant map $s : V_{in} \to V$ that is not linear. `x` has channels last: `(..., rep_in.dim)`."""

    rep: eqx.AbstractVar[AbstractRep]

    @property
    @abc.abstractmethod
    def rep_in(self) -> AbstractRep:
        """What the nonlinearity expects on its input."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        """The map."""


class Pointwise(AbstractNonlinearity):
    r"""A function of each coordinate, $s(x)_i = \sigma(x_i)$, on permutation representations (regular, trivial, $S_n$).

    **Raises:** `GroupError` when the group does more than permute coordinates.
    """

    rep: AbstractRep = eqx.field(static=True)
    function: Callable[[Array], Array] = eqx.field(static=True, default=jax.nn.silu)

    def __check_init__(self):
        for _, block in self.rep.blocks:
            if not block.is_permutation:
                raise GroupError(
                    f"A pointwise nonlinearity is not equivariant on {block} of {block.group}, which does not permute "
                    "coordinates. Use NormGate(rep), Gated(rep), or regular features of a finite subgroup."
                )

    @property
    def rep_in(self) -> AbstractRep:
        """The same representation."""
        return self.rep

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        return self.function(x)


class NormGate(AbstractNonlinearity):
    r"""Each copy of a block times a function of its own invariant norm; permutation blocks pointwise.

    $$ s(v) = v \;\sigma\!\left( a\, \tfrac{|v|^2}{1 + |v|^2} + b \right) $$

    Smooth at $v = 0$ with finite derivatives of all orders, because only $|v|^2$ enters. The representation must be
    orthogonal. `slope` and `offset` hold $a$ and $b$ for each copy.
    """

    slope: tuple[Array, ...]
    offset: tuple[Array, ...]
    rep: AbstractRep = eqx.field(static=True)
    function: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(self, rep: AbstractRep, function: Callable[[Array], Array] = jax.nn.silu):
        if not rep.is_orthogonal:
            raise GroupError(f"NormGate needs an orthogonal representation: |v| is not invariant under {rep}.")
        self.slope = tuple(jnp.full((m, 1), 2.0, jnp.float32) for m, _ in rep.blocks)
        self.offset = tuple(jnp.full((m, 1), -0.5, jnp.float32) for m, _ in rep.blocks)
        self.rep, self.function = rep, function

    @property
    def rep_in(self) -> AbstractRep:
        """The same representation."""
        return self.rep

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        parts = []
        for v, a, b, (_, block) in zip(
            split_blocks(x, self.rep), self.slope, self.offset, self.rep.blocks, strict=True
        ):
            if block.is_permutation:
                parts.append(self.function(v))
            else:
                square = jnp.sum(v**2, axis=-1, keepdims=True)
                a, b = (jnp.broadcast_to(w.astype(x.dtype), square.shape) for w in (a, b))
                parts.append(v * jax.nn.sigmoid(a * square / (1 + square) + b))
        return join_blocks(parts)


class Gated(AbstractNonlinearity):
    r"""Blocks gated by extra scalars, $s(v, \gamma) = v\,\sigma(\gamma)$; permutation blocks pointwise.

    The input carries one scalar $\gamma$ more for each copy that needs a gate: `rep_in = rep + n * trivial`
    (Weiler et al., *3D steerable CNNs*, NeurIPS 2018).
    """

    rep: AbstractRep = eqx.field(static=True)
    function: Callable[[Array], Array] = eqx.field(static=True, default=jax.nn.silu)

    @property
    def gates(self) -> int:
        """The number of gating scalars."""
        return sum(m for m, block in self.rep.blocks if not block.is_permutation)

    @property
    def rep_in(self) -> AbstractRep:
        """The representation with its gates."""
        return self.rep + self.gates * trivial(self.rep.group) if self.gates else self.rep

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        features, gates = x[..., : self.rep.dim], jax.nn.sigmoid(x[..., self.rep.dim :])
        parts, used = [], 0
        for v, (m, block) in zip(split_blocks(features, self.rep), self.rep.blocks, strict=True):
            if block.is_permutation:
                parts.append(self.function(v))
            else:
                parts.append(v * gates[..., used : used + m, None])
                used += m
        return join_blocks(parts)


def split_blocks(x: Float[Array, "*batch dim"], rep: AbstractRep) -> list[Float[Array, "*batch _copies _size"]]:
    """The blocks of a feature vector, each as `(..., copies, block.dim)`."""
    parts, start = [], 0
    for m, block in rep.blocks:
        parts.append(x[..., start : start + m * block.dim].reshape(*x.shape[:-1], m, block.dim))
        start += m * block.dim
    return parts


def join_blocks(parts: list[Float[Array, "*batch _copies _size"]]) -> Float[Array, "*batch dim"]:
    """The inverse of `split_blocks`."""
    flat = [p.reshape(*p.shape[:-2], -1) for p in parts]
    return flat[0] if len(flat) == 1 else jnp.concatenate(flat, axis=-1)


def default_nonlinearity(rep: AbstractRep) -> AbstractNonlinearity:
    """Pointwise where every block permutes coordinates, gated by norms elsewhere."""
    return Pointwise(rep) if all(block.is_permutation for _, block in rep.blocks) else NormGate(rep)
