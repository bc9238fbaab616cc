"""Equivariant networks, and fields made of them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, RealScalar
from ..symmetry import AbstractAction, AbstractRep, AngleAction, DirectSum, GroupError, PermutingAction, trivial
from ._bilinear import Bilinear
from ._coordinates import coordinates_of
from ._field import AbstractField
from ._intertwiner import Intertwiner
from ._isometric import keeps_projection
from ._nonlinear import AbstractNonlinearity, Gated, split_blocks


class EquivariantMLP(eqx.Module):
    r"""Intertwiners with gated nonlinearities between them: an equivariant map $V_{in} \to V_{out}$ of vectors.

    $$ x \mapsto A_n \circ s \circ A_{n-1} \circ \cdots \circ s \circ A_0, \qquad A_i \text{ acts on } (x, |x_1|^2, \dots) $$

    Each intertwiner is also given the norms of the blocks of its input, squared and squeezed into $[0, 1)$: between
    irreducible representations there would otherwise be no way from vectors to the scalars that open the gates, and the
    whole network would be linear. Inner products are norms of sums, so two hidden layers reach every invariant of
    several vectors under $O(n)$.

    Blocks that are not orthogonal have no invariant norm. Where there are any, $A_i$ is followed by a product of its
    result with itself, $y \mapsto y + \beta(y, y)$ (`Bilinear`), which takes Lorentz vectors to their Minkowski products.

    - `hidden`: the representation of the hidden features, for example `8 * trivial(G) + 8 * defining(G)`.
    - `depth`: the number of hidden layers.
    - `bilinear`: whether to have the products; None for "where a block is not orthogonal". They cost more, and reach
      invariants that norms do not, such as the square of each vector in a block of several.
    """

    layers: tuple[Intertwiner, ...]
    nonlinearity: AbstractNonlinearity
    rep_in: AbstractRep = eqx.field(static=True)
    products: tuple[Bilinear, ...]

    def __init__(
        self,
        rep_in: AbstractRep,
        rep_out: AbstractRep,
        hidden: AbstractRep,
        depth: int = 2,
        *,
        bilinear: bool | None = None,
        key: Key,
    ):
        self.nonlinearity, self.rep_in = Gated(hidden), rep_in
        keys = jax.random.split(key, depth + 1)
        inputs = [_with_norms(rep_in), *[_with_norms(hidden)] * depth]
        between = self.nonlinearity.rep_in
        outputs = [*[between] * depth, rep_out]
        self.layers = tuple(Intertwiner(a, b, key=k) for a, b, k in zip(inputs, outputs, keys, strict=True))
        if bilinear is None:
            bilinear = not all(block.is_orthogonal for rep in (rep_in, hidden) for _, block in rep.blocks)
        # Keys of their own, so that a network without products has the weights that it always had.
        more = [jax.random.fold_in(key, i) for i in range(depth * bilinear)]
        self.products = tuple(Bilinear(between, between, key=k) for k in more)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        rep = self.rep_in
        for i, layer in enumerate(self.layers[:-1]):
            y = layer(_append_norms(x, rep))
            if self.products:
                y = y + self.products[i](y)
            x, rep = self.nonlinearity(y), self.nonlinearity.rep
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
    at $x$, which is equivariant where the group keeps that projection: on $\mathbb{R}^n$, on symmetric matrices under
    congruence, on spheres under rotations, on hyperbolic space under boosts.

    - `action`: a `LinearAction` on points of any shape, isometric or not; an `AffineAction` of several points, which are
      seen from their mean; a `PowerAction` or a `PermutingAction` of one of these; or an `AngleAction`.
    - `hidden`: the representation of the hidden features, of the group of `features(action)`, which is without
      translations, and for points without names times their permutations; or n for n scalars and n copies of each block.
    - `bilinear`: as for `EquivariantMLP`; by default also where points are permuted, and for angles.

    **Raises:** `GroupError` for another action, hidden features of another group, and a space whose projection the group
    does not keep.
    """

    network: EquivariantMLP
    action: AbstractAction

    def __init__(
        self,
        action: AbstractAction,
        hidden: AbstractRep | int,
        depth: int = 2,
        *,
        bilinear: bool | None = None,
        key: Key,
    ):
        self.action = action
        view = coordinates_of(action, "NetworkField")
        scalar = trivial(view.rep.group)
        if isinstance(hidden, int):
            blocks = dict.fromkeys([scalar, *(block for _, block in view.rep.blocks)])
            hidden = DirectSum(tuple((hidden, block) for block in blocks))
        if hidden.group != view.rep.group:
            raise GroupError(
                f"Points of {action} are features of {view.rep.group}, without translations and with permutations; the "
                f"hidden features are of {hidden.group}. Make them of features(action).group, or give their number."
            )
        if not keeps_projection(action):
            raise GroupError(
                f"A NetworkField on {action.space} is projected on tangent vectors, and {action.group} does not keep that "
                "projection. Use the group of isometries, or `InvariantField`, which projects nothing."
            )
        if bilinear is None and isinstance(action, AngleAction | PermutingAction):
            bilinear = True
        self.network = EquivariantMLP(view.rep + scalar, view.rep_out, hidden, depth, bilinear=bilinear, key=key)

    def __call__(self, t: RealScalar, x: Float[Array, "..."], args: Any = None) -> Float[Array, "..."]:
        view = coordinates_of(self.action, "NetworkField")
        v = self.network(jnp.concatenate([view.flat(x), jnp.asarray(t, x.dtype)[None]]))
        return self.action.space.to_tangent(x, view.tangent(v).reshape(x.shape))


def features(action: AbstractAction) -> AbstractRep:
    r"""The representation that a `NetworkField` sees the points of an action by.

    That of a `LinearAction`; m of them for a `PowerAction`; $P \otimes V$ of the product of two groups for a
    `PermutingAction`; of the linear part of a group of affine maps; cosines and sines of angles.

    **Raises:** `GroupError` for other actions.
    """
    return coordinates_of(action, "NetworkField").rep
