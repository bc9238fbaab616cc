"""Symmetry broken on purpose: by a vector, the spurion, that the group would have to move as well."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._types import Element, Matrices, Point, RealScalar, Tangent
from ..symmetry import (
    AbstractAction,
    AbstractGroup,
    AbstractRep,
    GroupError,
    LinearAction,
    MatrixGroup,
    ProductAction,
    SubgroupAction,
    invariants,
    restricted,
    stabiliser,
)
from ._field import AbstractField


class SpurionField(AbstractField):
    r"""$f(t, x) = F(t, (x, s))_1$ for an equivariant field F on $M \times W$ and a fixed vector s of W.

    $$ F(t, (g x, \rho(g) s))_1 = g_* F(t, (x, s))_1: $$

    all of G is a symmetry if it moves the spurion s along, and what is left while s stays is its stabiliser
    $H = \{ g : \rho(g) s = s \}$. A direction of gravity in W = V leaves rotations about it; s = 0 leaves all of G.
    s is a weight: training moves it within $\mathrm{Fix}(H)$, so that H remains a symmetry.

    - `field`: F, under a `ProductAction` whose second factor is linear, as `AugmentedField` is.
    - `spurion`: s. `group`: H, where it should be another subgroup that keeps s than the one `stabiliser` finds:
      `Trivial(d)` lets all of s be learned.

    **Raises:** `GroupError` for a field without a second, linear factor, and for a `group` that does not keep s;
    `ValueError` for a spurion of another size.
    """

    field: AbstractField
    spurion: Float[Array, " dim"]
    group: AbstractGroup = eqx.field(static=True)

    def __init__(self, field: AbstractField, spurion: Float[ArrayLike, " dim"], group: AbstractGroup | None = None):
        rep = parts_of(field)[1]
        s = np.asarray(jax.device_get(spurion), np.float64)
        if s.shape != (rep.dim,):
            raise ValueError(f"A spurion in {rep} has shape ({rep.dim},); received {s.shape}.")
        self.field, self.spurion = field, jnp.asarray(s, jnp.float32)
        self.group = stabiliser(rep, np.asarray(self.spurion)) if group is None else group
        outside = np.abs(_fixed(rep, self.group) @ s - s).max(initial=0.0)
        if outside > 1e-5 * max(1.0, np.abs(s).max(initial=0.0)):
            raise GroupError(f"{self.group} does not keep the spurion {s}: it moves it by up to {outside:.1e}.")

    @property
    def action(self) -> AbstractAction:
        """The action that is left, of the stabiliser."""
        base = parts_of(self.field)[0]
        return base if self.group == base.group else SubgroupAction(base, self.group)

    @property
    def remaining_algebra(self) -> Matrices:
        """A basis of the Lie algebra of what is left, `(k, d, d)`."""
        return self.group.lie_algebra

    def moved(self, g: Element) -> "SpurionField":
        r"""The field of the spurion $\rho(g) s$: `field.moved(g)(t, g x)` is the push-forward of `field(t, x)`."""
        rep = parts_of(self.field)[1]
        s = np.asarray(rep.rho(np.asarray(g, np.float64))) @ np.asarray(self.spurion, np.float64)
        return SpurionField(self.field, s, _conjugate(self.group, np.asarray(g, np.float64)))

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        dtype = jnp.result_type(*jax.tree.leaves(x))
        s = jnp.asarray(_fixed(parts_of(self.field)[1], self.group), dtype) @ self.spurion.astype(dtype)
        return self.field(t, (x, s), args)[0]


def parts_of(field: AbstractField) -> tuple[AbstractAction, AbstractRep]:
    """The action on M and the representation on W, of a field on M x W.

    **Raises:** `GroupError` for a field that is not of this kind.
    """
    match field.action:
        case ProductAction(actions=(base, LinearAction(rep=rep))):
            return base, rep
        case other:
            raise GroupError(
                f"A field that takes a vector besides the point carries ProductAction(action, LinearAction(rep)); this one "
                f"carries {type(other).__name__}. `Augmentation(action, rep).action` is of that kind."
            )


def _fixed(rep: AbstractRep, group: AbstractGroup) -> Float[np.ndarray, "dim dim"]:
    """The orthogonal projection on the vectors that a subgroup keeps."""
    if len(group.lie_algebra) + len(group.discrete_generators) == 0:
        return np.eye(rep.dim)
    vectors = invariants(rep if group == rep.group else restricted(rep, group)).vectors
    return vectors.T @ vectors


def _conjugate(group: AbstractGroup, g: Float[np.ndarray, "d d"]) -> AbstractGroup:
    """g H g^-1."""
    if len(group.lie_algebra) + len(group.discrete_generators) == 0:
        return group
    h = np.linalg.inv(g)
    return MatrixGroup(g @ group.lie_algebra @ h, g @ group.discrete_generators @ h)
