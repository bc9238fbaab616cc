"""Invariants of (signed) permutation representations: the indicators of orbits, found without arithmetic."""

import functools
from collections.abc import Iterable, Iterator

import numpy as np
import scipy.sparse
from jaxtyping import Int
from scipy.sparse.csgraph import connected_components

from ._expression import generator_matrices, tensor_factors
from ._rep import AbstractRep, DirectSum

# Generators are good to about 1e-15; an entry of a permutation matrix is 0, 1 or -1.
ROUNDING = 1e-12
# The images of coordinates under a generator, and the signs they come with; or under all generators, row by row.
SignedPermutation = tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]
SignedPermutations = tuple[Int[np.ndarray, "m n"], Int[np.ndarray, "m n"]]


def permutes(rep: AbstractRep) -> bool:
    """Whether every element permutes the coordinates up to sign, asked of the tensor factors one by one."""
    return all(_of_factor(f) is not None for f in tensor_factors(rep))


def signed_permutations(rep: AbstractRep) -> Iterator[SignedPermutation]:
    r"""How each generator permutes coordinates up to sign, $\rho(h)\, e_j = s_j\, e_{p(j)}$: pairs `(p, s)`, each `(dim,)`.

    Products are put together from their factors, one generator at a time. Ask `permutes` first.
    """
    factors = [action for action in map(_of_factor, tensor_factors(rep)) if action is not None]
    for i in range(_count(rep)):
        images, signs = np.zeros(1, np.int64), np.ones(1, np.int8)
        for p, s in factors:
            images = (images[:, None] * p.shape[1] + p[i]).reshape(-1)
            signs = (signs[:, None] * s[i]).reshape(-1)
        yield images, signs


def _count(rep: AbstractRep) -> int:
    return len(rep.group.discrete_generators)


@functools.lru_cache(maxsize=1024)
def _of_factor(factor: AbstractRep) -> SignedPermutations | None:
    if not isinstance(factor, DirectSum):
        return _of_matrices(factor)
    images, signs, start = [np.zeros((_count(factor), 0), np.int64)], [np.zeros((_count(factor), 0), np.int8)], 0
    for m, block in factor.summands:
        if not permutes(block):
            return None
        moves = list(signed_permutations(block))
        for _ in range(m if moves else 0):
            images.append(np.stack([p for p, _ in moves]) + start)
            signs.append(np.stack([s for _, s in moves]))
            start += block.dim
    return np.concatenate(images, axis=1), np.concatenate(signs, axis=1)


def _of_matrices(rep: AbstractRep) -> SignedPermutations | None:
    rates, turns = generator_matrices(rep)
    sizes = np.abs(turns)
    if np.abs(rates).max(initial=0.0) > ROUNDING or np.abs(sizes - np.round(sizes)).max(initial=0.0) > ROUNDING:
        return None
    if rep.dim == 0:
        return np.zeros((len(turns), 0), np.int64), np.zeros((len(turns), 0), np.int8)
    filled = np.round(sizes)
    if not ((filled.sum(1) == 1).all() and (filled.sum(2) == 1).all()):
        return None
    images = filled.argmax(axis=1)
    return images, np.sign(np.take_along_axis(turns, images[:, None, :], axis=1)[:, 0, :]).astype(np.int8)


def orbit_vectors(moves: Iterable[SignedPermutation], n: int) -> scipy.sparse.csr_array:
    r"""The invariant vectors of signed permutations of $n$ coordinates, one for each orbit on which signs agree, `(r, n)`.

    $$ v_O = |O|^{-1/2} \sum_{j \in O} \pm e_j $$

    Points $(j, +)$ and $(j, -)$ are joined with their images; an orbit that joins $(j, +)$ to $(j, -)$ carries no
    invariant vector. Orbits come with the smallest first, then by their first coordinate, which counts positive.
    """
    if n == 0:
        return scipy.sparse.csr_array((0, 0))
    label, flip = _orbits(moves, n)
    size = np.bincount(label)
    first = np.full(len(size), n)
    np.minimum.at(first, label, np.arange(n))
    sound = np.ones(len(size), bool)
    sound[label[flip == 0]] = False
    order = np.flatnonzero(sound)
    order = order[np.lexsort((first[order], size[order]))]
    row_of = np.full(len(size), -1)
    row_of[order] = np.arange(len(order))
    columns = np.flatnonzero(sound[label])
    found = label[columns]
    values = size[found] ** -0.5 * flip[columns] * flip[first[found]]
    return scipy.sparse.csr_array((values, (row_of[found], columns)), shape=(len(order), n))


def _orbits(moves: Iterable[SignedPermutation], n: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The orbit of each coordinate, and its sign within the orbit: 0 where signs contradict each other."""
    label: Int[np.ndarray, " _l"] = np.arange(n)
    doubled = False
    for images, signs in moves:
        if not doubled and (signs < 0).any():
            # From here on nodes j and n + j are (j, +) and (j, -).
            label, doubled = np.concatenate([label, label + n]), True
        if doubled:
            negative = n * (signs < 0)
            images = np.concatenate([images + negative, images + n - negative])
        label = _joined(label, label[images])
    if not doubled:
        return label, np.ones(n, np.int64)
    # Both sheets of an orbit have a component each, or share one; the one with the lower number is called positive.
    plus, minus = label[:n], label[n:]
    return np.unique(np.minimum(plus, minus), return_inverse=True)[1].reshape(-1), np.sign(minus - plus)


def _joined(label: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Labels after classes were joined with classes."""
    size = int(label.max()) + 1
    edges = scipy.sparse.coo_array((np.ones(len(label), bool), (label, other)), shape=(size, size))
    return connected_components(edges.tocsr(), directed=False)[1].astype(np.int64)[label]
