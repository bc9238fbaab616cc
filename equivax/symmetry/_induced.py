"""Between a group and its subgroups: restriction and induction."""

import dataclasses

import numpy as np
from jaxtyping import Float

from .._types import AlgebraElement, Element
from ._errors import GroupError
from ._finite_table import nearest, one_hot
from ._group import AbstractGroup
from ._invariants import invariants
from ._permuting import cosets
from ._rep import AbstractRep, DirectSum, Dual, Hom, RepMatrix, TensorProduct, xp
from ._standard import DefiningRep, DeterminantRep

# How far an element may be from what the larger group keeps before it counts as outside.
OUTSIDE = 1e-6


@dataclasses.dataclass(frozen=True)
class RestrictedRep(AbstractRep):
    r"""The same matrices, of a subgroup only: $\mathrm{Res}^G_H \rho = \rho|_H$."""

    of: AbstractRep
    subgroup: AbstractGroup

    @property
    def group(self) -> AbstractGroup:
        return self.subgroup

    @property
    def dim(self) -> int:
        return self.of.dim

    @property
    def is_permutation(self) -> bool:
        """As of the larger group: a layer that told blocks apart by it goes on doing the same to them."""
        return self.of.is_permutation

    def rho(self, g: Element) -> RepMatrix:
        return self.of.rho(g)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return self.of.drho(xi)

    def __str__(self) -> str:
        return f"{self.of}|"


def restricted(rep: AbstractRep, subgroup: AbstractGroup) -> AbstractRep:
    r"""A representation of a group as one of its subgroup $H \subset G$, whose elements are matrices of the same size.

    A sum is restricted block by block. That H lies in G is checked where that can be done: its Lie algebra in that of G,
    its elements among those of a finite G, and in any case that H keeps the bilinear forms, the linear maps and the
    volume that G keeps.

    **Raises:** `GroupError` naming the generator that is not in the group of `rep`.
    """
    if rep.group == subgroup:
        return rep
    _check_subgroup(rep.group, subgroup)
    if rep.blocks == ((1, rep),):
        return RestrictedRep(rep, subgroup)
    return DirectSum(tuple((m, RestrictedRep(block, subgroup)) for m, block in rep.blocks))


def _check_subgroup(group: AbstractGroup, subgroup: AbstractGroup) -> None:
    name = f"so {subgroup} is no subgroup of {group} and representations cannot be restricted to it."
    if group.d != subgroup.d:
        raise GroupError(
            f"Elements of {subgroup} are matrices of size {subgroup.d} and those of {group} of size {group.d}, {name}"
        )
    span = np.linalg.qr(group.lie_algebra.reshape(-1, group.d**2).T)[0]
    for i, A in enumerate(subgroup.lie_algebra):
        vector = A.reshape(-1)
        if np.linalg.norm(vector - span @ (span.T @ vector)) > OUTSIDE * np.linalg.norm(vector):
            raise GroupError(f"lie_algebra[{i}] of {subgroup} is outside the Lie algebra of {group}, {name}")
    for j, h in enumerate(subgroup.discrete_generators):
        if not _may_contain(group, h):
            raise GroupError(f"discrete_generators[{j}] of {subgroup} is not an element of {group}, {name}")


def _may_contain(group: AbstractGroup, h: Float[np.ndarray, "d d"]) -> bool:
    """Whether an element is in a finite group; in another, whether it keeps the tensors of degree 2 and the volume."""
    if group.is_finite:
        return group.contains(h)
    V = DefiningRep(group)
    for rep in (TensorProduct(V, V), Hom(V, V), TensorProduct(Dual(V), Dual(V)), DeterminantRep(group)):
        kept = invariants(rep).vectors
        if np.abs(kept @ rep.rho(h).T - kept).max(initial=0.0) > OUTSIDE:
            return False
    return True


@dataclasses.dataclass(frozen=True)
class InducedRep(AbstractRep):
    r"""The representation of a finite group induced from a subgroup, $\mathrm{Ind}_H^G V$, of dimension $|G|/|H| \dim V$.

    For coset representatives $t_i$ (the first elements of $G/H$ in the order of `group.elements`),

    $$ \rho(g)_{ij} = \rho_H(t_i^{-1} g\, t_j) \text{ if } t_i^{-1} g\, t_j \in H, \text{ else } 0, $$

    blocks of size `of.dim`. It is the space of fields on $G/H$ with values in $V$. By Frobenius
    $\mathrm{Hom}_G(\mathrm{Ind}\, V, W) = \mathrm{Hom}_H(V, W)$.

    **Raises:** `GroupError` when G is not finite, or the group of `of` is not its subgroup.
    """

    of: AbstractRep
    larger: AbstractGroup

    def __post_init__(self):
        if not self.larger.is_finite:
            raise GroupError(f"Representations are induced to finite groups; {self.larger} is not finite.")
        cosets(self.larger, self.of.group)

    @property
    def group(self) -> AbstractGroup:
        return self.larger

    @property
    def dim(self) -> int:
        return self.larger.order // self.of.group.order * self.of.dim

    def rho(self, g: Element) -> RepMatrix:
        library = xp(g)
        labels, representatives = cosets(self.larger, self.of.group)
        steps = self.larger.elements[representatives]
        starts, ends = (library.asarray(m, dtype=g.dtype) for m in (steps, np.linalg.inv(steps)))
        columns = []
        for j in range(len(steps)):
            i = library.asarray(labels)[nearest(g @ starts[j], self.larger.elements)]
            block = self.of.rho(ends[i] @ g @ starts[j])
            place = one_hot(library.asarray(i), len(steps), g).astype(g.dtype)
            columns.append(library.kron(place[:, None], block))
        return library.concatenate(columns, axis=1)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).zeros((self.dim, self.dim), dtype=xi.dtype)

    def __str__(self) -> str:
        return f"Ind({self.of})"


def induced(rep: AbstractRep, group: AbstractGroup) -> InducedRep:
    r"""The representation of a finite group induced from one of its subgroup, $\mathrm{Ind}_H^G$.

    **Raises:** `GroupError` when the group is not finite, or the group of `rep` is not its subgroup.
    """
    return InducedRep(rep, group)
