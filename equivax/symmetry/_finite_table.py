"""A finite group as a table: which element a matrix is, words in the generators, conjugacy classes."""

import dataclasses
import functools

import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int

from .._types import Element, Matrices
from ._errors import GroupError
from ._group import AbstractGroup

# Matrices nearer to each other than this are one element: rounding is below it, and different elements are far above.
SAME_ELEMENT = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class ElementTable:
    r"""The elements $g_0 = 1, \dots, g_{n-1}$ of a finite group, in the order of `group.elements`.

    - `left`: `(m, n)`, $h_j\, g_i = g_{\text{left}[j, i]}$ for the discrete generators $h_j$.
    - `order`, `parent`, `letter`: words, $g_i = h_{\text{letter}[i]}\, g_{\text{parent}[i]}$; `order` lists parents before
      children, from the identity on.
    - `classes`: `(n,)`, the conjugacy class of each element; `representatives` and `sizes`: `(c,)`, by first appearance.
    """

    elements: Matrices
    left: Int[np.ndarray, "m n"]
    order: Int[np.ndarray, " n"]
    parent: Int[np.ndarray, " n"]
    letter: Int[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]
    representatives: Int[np.ndarray, " c"]
    sizes: Int[np.ndarray, " c"]

    def extend(self, images: Float[np.ndarray, "m p p"]) -> Float[np.ndarray, "n p p"]:
        """The matrices of all elements from those of the generators."""
        table = np.zeros((len(self.elements), *images.shape[1:]))
        table[0] = np.eye(images.shape[1])
        for i in self.order[1:]:
            table[i] = images[self.letter[i]] @ table[self.parent[i]]
        return table

    def evaluate(self, images: Float[np.ndarray, "m p p"], i: int) -> Float[np.ndarray, "p p"]:
        """The matrix of one element from those of the generators, along its word."""
        matrix = np.eye(images.shape[1])
        while i:
            matrix, i = matrix @ images[self.letter[i]], self.parent[i]
        return matrix

    def character(self, images: Float[np.ndarray, "m p p"]) -> Float[np.ndarray, " c"]:
        """The trace on each conjugacy class."""
        return np.array([np.trace(self.evaluate(images, int(i))) for i in self.representatives])

    def inner(self, chi: Float[np.ndarray, " c"], psi: Float[np.ndarray, " c"]) -> float:
        r"""The inner product of real characters, $\frac{1}{|G|} \sum_g \chi(g)\, \psi(g)$: the dimension of Hom."""
        return float(np.sum(self.sizes * chi * psi) / len(self.elements))


@functools.lru_cache(maxsize=64)
def element_table(group: AbstractGroup) -> ElementTable:
    """The table of a finite group.

    **Raises:** `GroupError` for a group that is not finite, or too large to be listed.
    """
    elements, generators = group.elements, group.discrete_generators
    n = len(elements)
    left = np.stack([find(elements, h @ elements) for h in generators]) if len(generators) else np.zeros((0, n), int)
    parent, letter, order = np.full(n, -1), np.zeros(n, int), [0]
    parent[0] = 0
    for i in order:
        for j, child in enumerate(left[:, i]):
            if parent[child] < 0:
                parent[child], letter[child] = i, j
                order.append(child)
    conjugates = [find(elements, h @ elements @ np.linalg.inv(h)) for h in generators]
    rows, columns = np.tile(np.arange(n), len(conjugates)), np.concatenate([np.zeros(0, int), *conjugates])
    links = scipy.sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    count, labels = scipy.sparse.csgraph.connected_components(links, directed=False)
    first = np.array([np.argmax(labels == c) for c in range(count)])
    ranks = np.argsort(np.argsort(first))  # classes by the first of their elements
    classes, representatives = ranks[labels], np.sort(first)
    return ElementTable(elements, left, np.array(order), parent, letter, classes, representatives, np.bincount(classes))


def find(elements: Matrices, matrices: Matrices) -> Int[np.ndarray, " k"]:
    """The positions of matrices in a list of elements.

    **Raises:** `GroupError` when a matrix is not among them.
    """
    # Elements are told apart by one generic linear function of their entries; the match is then checked entry by entry.
    functional = np.random.default_rng(0).standard_normal(elements[0].size)
    values, wanted = elements.reshape(len(elements), -1) @ functional, matrices.reshape(len(matrices), -1) @ functional
    order = np.argsort(values)
    after = np.searchsorted(values[order], wanted).clip(1, max(1, len(values) - 1))
    candidates = order[np.stack([after - 1, after.clip(0, len(values) - 1)])]
    nearest = np.argmin(np.abs(values[candidates] - wanted), axis=0)
    found = candidates[nearest, np.arange(len(wanted))]
    if (missing := np.abs(elements[found] - matrices).max(axis=(1, 2)) > SAME_ELEMENT).any():
        raise GroupError(f"This matrix is not an element of the group:\n{matrices[int(np.argmax(missing))].round(6)}")
    return found


def nearest(g: Element, elements: Matrices) -> Int[Array | np.ndarray, ""]:
    """The position of the element nearest to `g`, traceable."""
    library = g.__array_namespace__()
    flat = library.asarray(elements.reshape(len(elements), -1), dtype=g.dtype)
    return library.asarray(library.argmin(library.sum(flat * flat, axis=1) - 2 * flat @ g.reshape(-1)))


def one_hot(
    position: Int[Array | np.ndarray, "*dims"], size: int, like: Element
) -> Bool[Array | np.ndarray, "*dims n"]:
    """Which of `size` positions each entry names, in the array library of `like`."""
    return like.__array_namespace__().arange(size).reshape(position.ndim * (1,) + (size,)) == position[..., None]
