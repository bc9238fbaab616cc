"""Representations of finite groups that permute coordinates: functions on points, on cosets, on the group itself."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Array, Float, Int

from .._types import AlgebraElement, Element
from ._errors import GroupError
from ._finite_table import SAME_ELEMENT, element_table, find, nearest, one_hot
from ._group import AbstractGroup
from ._rep import AbstractRep, RepMatrix, xp


@dataclasses.dataclass(frozen=True)
class PermutationRep(AbstractRep):
    r"""Functions on a finite set on which a finite group acts: $\rho(g)\, e_i = e_{g \cdot i}$.

    `images` says where each discrete generator $h_j$ sends each point, $h_j \cdot i = \text{images}[j][i]$. Coordinates are
    permuted, so that any pointwise function is equivariant. An element that is not of the group is read as the nearest
    element that is.

    **Raises:** `GroupError` when the images are not permutations, one for each generator, or not those of an action.
    """

    of: AbstractGroup
    size: int
    images: tuple[tuple[int, ...], ...]
    name: str = "permutation"

    def __post_init__(self):
        generators = len(self.of.discrete_generators)
        if len(self.images) != generators:
            raise GroupError(
                f"{self.of} has {generators} discrete generators, and {len(self.images)} permutations were given; it "
                "takes one for each."
            )
        for j, image in enumerate(self.images):
            if sorted(image) != list(range(self.size)):
                raise GroupError(f"images[{j}] = {image} is no permutation of the points 0 to {self.size - 1}.")
        points, table = _orbits(self), element_table(self.of)
        for j, image in enumerate(self.images):
            wrong = (points[table.left[j]] != np.array(image)[points]).any(axis=1)
            if wrong.any():
                raise GroupError(
                    f"The permutations are no action of {self.of}: images[{j}] breaks a relation among the generators "
                    f"(seen at {int(wrong.sum())} of {len(points)} elements). Give the points' images under the same "
                    "generators, in the same order, as `group.discrete_generators`."
                )

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return self.size

    def rho(self, g: Element) -> RepMatrix:
        points = xp(g).asarray(_orbits(self))[nearest(g, self.of.elements)]
        return one_hot(points, self.dim, g).T.astype(g.dtype)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).zeros((self.dim, self.dim), dtype=xi.dtype)

    def __str__(self) -> str:
        return f"{self.name}({self.dim})"


@functools.lru_cache(maxsize=256)
def _orbits(rep: PermutationRep) -> Int[np.ndarray, "order points"]:
    """Where each element sends each point."""
    table = element_table(rep.of)
    points = np.tile(np.arange(rep.size), (len(table.elements), 1))
    for i in table.order[1:]:
        points[i] = np.array(rep.images[table.letter[i]])[points[table.parent[i]]]
    return points


@dataclasses.dataclass(frozen=True)
class RegularRep(AbstractRep):
    r"""The regular representation of a finite group: $\rho(g)\, e_h = e_{gh}$, coordinates in the order of `group.elements`.

    It contains each irreducible representation; it permutes coordinates, so that any pointwise function of a regular
    feature is equivariant. An element that is not of the group is read as the nearest element that is.
    """

    of: AbstractGroup

    def __post_init__(self):
        if not self.of.is_finite:
            raise GroupError(f"The regular representation of {self.of} is infinite; use a finite subgroup, or irreps.")

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return self.group.order

    def rho(self, g: Element) -> RepMatrix:
        library = xp(g)
        elements = library.asarray(self.group.elements, dtype=g.dtype)
        flat, products = (m.reshape(self.dim, -1) for m in (elements, library.einsum("ij,njk->nik", g, elements)))
        distances = library.sum(flat * flat, axis=1)[:, None] - 2 * flat @ products.T
        return one_hot(library.argmin(distances, axis=0), self.dim, g).T.astype(g.dtype)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).zeros((self.dim, self.dim), dtype=xi.dtype)

    def __str__(self) -> str:
        return "regular"


def regular(group: AbstractGroup) -> RegularRep:
    """The regular representation of a finite group, of dimension `group.order`.

    **Raises:** `GroupError` for a group that is not finite.
    """
    return RegularRep(group)


def permutation(group: AbstractGroup, images: Int[Array | np.ndarray, "m n"] | list[list[int]]) -> PermutationRep:
    r"""Functions on $n$ points that a finite group permutes, `images[j][i]` the image of point $i$ under generator $h_j$.

    One row for each of `group.discrete_generators`, in their order. For points of space, see `functions_on`.

    **Raises:** `GroupError` when the rows are not permutations, or not those of an action of the group.
    """
    return _permuting(group, len(images[0]) if len(images) else 1, images, "permutation")


def functions_on(group: AbstractGroup, points: Float[Array | np.ndarray, "n d"]) -> PermutationRep:
    r"""Functions on a finite set of points of $\mathbb{R}^d$, $(g \cdot f)(p) = f(g^{-1} p)$: values at vertices, atoms.

    The group's matrices map the points to each other; `points` is `(n, d)`.

    **Raises:** `GroupError` naming a generator that moves a point to where there is none.
    """
    given = np.asarray(points, np.float64)
    if given.ndim != 2 or given.shape[1] != group.d:
        raise GroupError(f"{group} moves points of R^{group.d}, shape (n, {group.d}); received shape {given.shape}.")
    images = [_moved(given, h, j) for j, h in enumerate(group.discrete_generators)]
    return _permuting(group, len(given), images, "functions")


def _moved(points: Float[np.ndarray, "n d"], h: Float[np.ndarray, "d d"], j: int) -> Int[np.ndarray, " n"]:
    distances = np.linalg.norm(points[:, None] - points @ h.T, axis=2)  # [k, i]: from point k to the image of point i
    if (lost := distances.min(axis=0) > SAME_ELEMENT).any():
        i = int(np.argmax(lost))
        raise GroupError(
            f"discrete_generators[{j}] moves point {i}, {points[i].round(4)}, to {(h @ points[i]).round(4)}, where there is "
            "no point. Give a set that the group maps to itself, such as the orbit of a point."
        )
    return np.argmin(distances, axis=0)


def quotient(group: AbstractGroup, subgroup: AbstractGroup) -> PermutationRep:
    r"""Functions on the cosets $G/H$ of a finite group, of dimension $|G| / |H|$: $\rho(g)\, e_{tH} = e_{gtH}$.

    Cosets are in the order in which `group.elements` meets them, so the first is $H$ itself. It is the trivial
    representation of $H$, induced.

    **Raises:** `GroupError` when H is no subgroup of G, or G is not finite.
    """
    labels, representatives = cosets(group, subgroup)
    images = labels[element_table(group).left[:, representatives]]
    return _permuting(group, len(representatives), images, f"{group}/{subgroup}")


def _permuting(group: AbstractGroup, size: int, images, name: str) -> PermutationRep:
    return PermutationRep(group, size, tuple(tuple(map(int, row)) for row in images), name)


@functools.lru_cache(maxsize=256)
def cosets(
    group: AbstractGroup, subgroup: AbstractGroup
) -> tuple[Int[np.ndarray, " order"], Int[np.ndarray, " index"]]:
    """The left coset $tH$ of each element of a finite group, and the first element $t$ of each coset.

    **Raises:** `GroupError` when the second group is not a subgroup of the first.
    """
    if group.d != subgroup.d:
        raise GroupError(f"{subgroup} has matrices of size {subgroup.d}, {group} of size {group.d}: it is no subgroup.")
    elements = element_table(group).elements
    try:
        find(elements, np.concatenate([subgroup.identity[None], subgroup.discrete_generators]))
    except GroupError as error:
        raise GroupError(f"{subgroup} is no subgroup of {group}: one of its generators is not in it. {error}") from None
    labels = np.full(len(elements), -1)
    representatives: list[int] = []
    for i, t in enumerate(elements):
        if labels[i] < 0:
            labels[find(elements, t @ subgroup.elements)] = len(representatives)
            representatives.append(i)
    return labels, np.array(representatives)
