"""All real irreps of any finite group, numerically: products of those already found are split until none is missing."""

import dataclasses
import functools
import heapq

import numpy as np
import scipy.linalg
from jaxtyping import Float

from .._types import AlgebraElement, Element, Matrices
from ._errors import GroupError
from ._finite_table import ElementTable, element_table, nearest
from ._group import AbstractGroup
from ._rep import AbstractRep, RepMatrix, xp
from ._split import split


@dataclasses.dataclass(frozen=True)
class FiniteIrrep(AbstractRep):
    r"""A real irreducible representation of a finite group, by its position in `irreps(group)`.

    Orthogonal matrices, found numerically once for each group (`finite_irreps`). An element that is not of the group is
    read as the nearest element that is.

    **Raises:** `GroupError` for a group that is not finite or too large, or for a position that is out of range.
    """

    of: AbstractGroup
    index: int

    def __post_init__(self):
        count = len(finite_irreps(self.of))
        if not isinstance(self.index, int) or not 0 <= self.index < count:
            raise GroupError(f"The {count} irreps of {self.of} are numbered 0 to {count - 1}, received {self.index!r}.")

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return finite_irreps(self.of)[self.index].shape[-1]

    def rho(self, g: Element) -> RepMatrix:
        library = xp(g)
        table = library.asarray(_table(self.of, self.index), dtype=g.dtype)
        return table[nearest(g, self.of.elements)]

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).zeros((self.dim, self.dim), dtype=xi.dtype)

    def __str__(self) -> str:
        return f"irrep {self.index}"


@functools.lru_cache(maxsize=1024)
def _table(group: AbstractGroup, index: int) -> Matrices:
    return element_table(group).extend(finite_irreps(group)[index])


@functools.lru_cache(maxsize=64)
def finite_irreps(group: AbstractGroup) -> tuple[Float[np.ndarray, "m d d"], ...]:
    r"""The orthogonal matrices of the generators in each real irrep: trivial first, then by dimension and character.

    The group's own matrices are a faithful representation, so that each irrep occurs in one of its tensor powers
    (Burnside, *Theory of Groups of Finite Order*, 1911, §226). Products of irreps that were found with those of the
    defining representation are split, smallest first, unless their characters say that nothing new is in them, until

    $$ \sum_i \frac{(\dim V_i)^2}{\dim \mathrm{End}_G(V_i)} = |G| . $$

    **Raises:** `GroupError` for a group that is not finite, or too large to be listed.
    """
    table = element_table(group)
    found = [np.ones((len(group.discrete_generators), 1, 1))]
    characters = [table.character(found[0])]
    change = scipy.linalg.cholesky(group.invariant_form)  # to coordinates in which the group is orthogonal
    defining = change @ group.discrete_generators @ np.linalg.inv(change)
    queue = [(group.d, 0, defining)]
    parts: list[Matrices] = []
    ticket = 0
    while _missing(table, characters):
        _, _, product = heapq.heappop(queue)
        before = len(found)
        if _hides_more(table, characters, table.character(product)):
            for piece in split(product):
                images = _orthogonalised(piece.T @ product @ piece)
                chi = table.character(images)
                if all(abs(table.inner(chi, psi)) < 0.5 for psi in characters):
                    found.append(images)
                    characters.append(chi)
        parts = parts or found[1:]  # what the defining representation consists of
        for new in found[before:]:
            for part in parts:
                ticket += 1
                heapq.heappush(queue, (new.shape[-1] * part.shape[-1], ticket, _kron(new, part)))
    order = sorted(range(1, len(found)), key=lambda i: (found[i].shape[-1], *np.round(-characters[i], 6)))
    return tuple(found[i] for i in [0, *order])


def _missing(table: ElementTable, characters: list) -> bool:
    """Whether irreps are still to be found: dim^2 / dim End add up to less than the order of the group."""
    return bool(sum(chi[0] ** 2 / table.inner(chi, chi) for chi in characters) < len(table.elements) - 0.5)


def _hides_more(table: ElementTable, characters: list, chi: Float[np.ndarray, " c"]) -> bool:
    """Whether a character is more than a sum of those that are known."""
    known = sum(table.inner(chi, psi) / table.inner(psi, psi) * psi[0] for psi in characters)
    return bool(known < chi[0] - 0.5)


def _orthogonalised(matrices: Matrices) -> Matrices:
    u, _, vt = np.linalg.svd(matrices)
    return u @ vt


def _kron(a: Float[np.ndarray, "m p p"], b: Float[np.ndarray, "m q q"]) -> Float[np.ndarray, "m pq pq"]:
    return np.stack([np.kron(x, y) for x, y in zip(a, b, strict=True)])
