"""Equivariant networks, and fields made of them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, RealScalar
from ..symmetry import AbstractRep, LinearAction, trivial
from ._field import AbstractField
from ._intertwiner import Intertwiner
from ._nonlinear import AbstractNonlinearity, Gated, split_blocks


class EquivariantMLP(eqx.Module):
    r"""Intertwiners with gated nonlinearities between them: an equivariant map $V_{in} \to V_{out}$ of vectors.

    $$ x \mapsto A_n \circ s \circ A_{n-1} \circ \cdots \circ s \circ A_0, \qquad A_i \text{ acts on } (x, |x_1|^2, \dots) $$

    Each intertwiner is also given the norms of the blocks of its input, squared and squeezed into $[0, 1)$: between
    irreducible representations there would otherwise be no way from vectors to the scalars that open the gates, and the
    whole network would be linear. Inner products are norms of sums, so two hidden layers reach every invariant of
    several vectors under $O(n)$.

    - `hidden`: the representation of the hidden features, for example `8 * trivial(G) + 8 * defining(G)`.
    - `depth`: the number of hidden layers.

    Blocks that are not orthogonal have no invariant norm and are left without; there, give `hidden` features that the
    input maps to.
    """

    layers: tuple[Intertwiner, ...]
    nonlinearity: AbstractNonlinearity
    rep_in: AbstractRep = eqx.field(static=True)

    def __init__(self, rep_in: AbstractRep, rep_out: AbstractRep, hidden: AbstractRep, depth: int = 2, *, key: Key):
        self.nonlinearity, self.rep_in = Gated(hidden), rep_in
        keys = jax.random.split(key, depth + 1)
        inputs = [_with_norms(rep_in), *[_with_norms(hidden)] * depth]
        outputs = [*[self.nonlinearity.rep_in] * depth, rep_out]
        self.layers = tuple(Intertwiner(a, b, key=k) for a, b, k in zip(inputs, outputs, keys, strict=True))

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        rep = self.rep_in
        for layer in self.layers[:-1]:
            x, rep = self.nonlinearity(layer(_append_norms(x, rep))), self.nonlinearity.rep
        return self.layers[-1](_append_norms(x, rep))


def _has_norm(block: AbstractRep) -> bool:
    return block.is_orthogonal and not block.is_permutation


def _with_norms(rep: AbstractRep) -> AbstractRep:
    count = sum(m for m, block in rep.blocks if _has_norm(block))
    return rep + count * trivial(rep.group) if count else rep


def _append_norms(x: Float[Array, " in"], rep: AbstractRep) -> Float[Array, " more"]:
    parts = [x]
    for v, (_, block) in zip(split_blocks(x, rep), rep.blocks, strict=True):
        if _has_norm(block):
            square = jnp.sum(v**2, axis=-1)
            parts.append(square / (1 + square))
    return jnp.concatenate(parts)


class NetworkField(AbstractField):
    r"""An equivariant network as a vector field, $f(t, x) = P_x\, N(x, t)$.

    The network maps `rep + trivial` (the point, and the time as a scalar) to `rep`; $P_x$ projects on the tangent space
    at $x$, which is equivariant because the action is by isometries of the ambient space.

    - `action`: a `LinearAction` of an orthogonal representation on $\mathbb{R}^n$, a sphere, ...
    """

    network: EquivariantMLP
    action: LinearAction

    def __init__(self, action: LinearAction, hidden: AbstractRep, depth: int = 2, *, key: Key):
        rep = action.rep
        self.network = EquivariantMLP(rep + trivial(rep.group), rep, hidden, depth, key=key)
        self.action = action

    def __call__(self, t: RealScalar, x: Float[Array, " n"], args: Any = None) -> Float[Array, " n"]:
        v = self.network(jnp.concatenate([x, jnp.asarray(t, x.dtype)[None]]))
        return self.action.space.to_tangent(x, v)
