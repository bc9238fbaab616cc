"""Invariants block by block, each product of blocks solved once; and Schur's lemma, where blocks are known irreps."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import scipy.sparse
from jaxtyping import Int

from ._expression import product_of, summands, tensor_factors
from ._irreps_finite import FiniteIrrep
from ._irreps_planar import PlanarIrrep
from ._irreps_rotations import HarmonicIrrep, SpinIrrep
from ._memory import refuse_beyond_memory
from ._nullspace import SAME_LENGTH, canonical_order
from ._rep import AbstractRep

# Irreps that are known as such, orthogonal, and inequivalent when their names differ.
NAMED = (HarmonicIrrep, SpinIrrep, PlanarIrrep, FiniteIrrep)
# What a non-zero entry takes while it is put in its place.
BYTES = 64.0
BETWEEN_BLOCKS = "Copies of a block share one basis: ask for `basis(block_in >> block_out)`."
# What solves a product of blocks: its invariant vectors, sparse, with their gap and residual.
Solved = tuple[scipy.sparse.csr_array, float, float]


def by_schur(rep: AbstractRep) -> scipy.sparse.csr_array | None:
    r"""The invariants of $V$ or $V \otimes W$ for irreps known by name, `(r, rep.dim)`; `None` where the lemma does not say.

    An irrep other than the trivial one has no invariants; different irreps have no intertwiners; those of an irrep of
    real type with itself are the multiples of the identity. (Real irreps with equal names are equal, with different names
    inequivalent, and they are orthogonal, so that $V^* = V$.)
    """
    factors = tensor_factors(rep)
    if len(factors) > 2 or not all(isinstance(f, NAMED) and f.dim > 1 for f in factors):
        return None
    if len(factors) == 1 or (type(factors[0]) is type(factors[1]) and factors[0] != factors[1]):
        return scipy.sparse.csr_array((0, rep.dim))
    n = factors[0].dim
    if factors[0] != factors[1] or n % 2 == 0:  # irreps of odd dimension are of real type
        return None
    return scipy.sparse.csr_array((np.full(n, n**-0.5), (np.zeros(n, int), (n + 1) * np.arange(n))), shape=(1, n * n))


def is_split(rep: AbstractRep) -> bool:
    """Whether some tensor factor of a representation is a direct sum."""
    return any(len(blocks) != 1 or blocks[0][0] != 1 for blocks in map(summands, tensor_factors(rep)))


def assemble_blocks(rep: AbstractRep, solve: Callable[[AbstractRep], Solved]) -> Solved:
    r"""The invariants of $\bigotimes_f \bigoplus_b m_{fb} V_{fb}$, as those of the products $\bigotimes_f V_{f b_f}$.

    `solve` is called once for each product of different blocks; copies of it are placed at their coordinates. Vectors
    come in the order of `canonical`, so that the result is that of a solver which does not see the blocks.

    **Raises:** `GroupError` when the vectors would not fit in memory; whatever `solve` raises.
    """
    factors = [_opened(f) for f in tensor_factors(rep)]
    strides = _strides([f.dim for f in tensor_factors(rep)])
    rows, columns, values, leading, pivots = [], [], [], [], []
    gap, residual, count, filled = np.inf, 0.0, 0, 0
    for choice in itertools.product(*factors):
        found, found_gap, found_residual = solve(product_of(tuple(block for block, _ in choice), rep.group))
        gap, residual = min(gap, found_gap), max(residual, found_residual)
        r = found.shape[0]
        if r == 0:
            continue
        filled += found.nnz * math.prod(len(offsets) for _, offsets in choice)
        refuse_beyond_memory(BYTES * filled, f"The basis of {rep}, of {filled} non-zero entries,", BETWEEN_BLOCKS)
        # Where each copy of the product begins, and where its coordinates lie from there.
        starts = _sums([stride * offsets for stride, (_, offsets) in zip(strides, choice, strict=True)])
        within = _sums([stride * np.arange(block.dim) for stride, (block, _) in zip(strides, choice, strict=True)])
        entries = found.tocoo()
        rows.append((entries.row + r * np.arange(len(starts))[:, None]).reshape(-1) + count)
        columns.append((within[entries.col] + starts[:, None]).reshape(-1))
        values.append(np.tile(entries.data, len(starts)))
        largest, first = _pivots(found)
        leading.append(np.tile(largest, len(starts)))
        pivots.append((within[first] + starts[:, None]).reshape(-1))
        count += r * len(starts)
    return _sorted(rows, columns, values, leading, pivots, (count, rep.dim)), gap, residual


def _opened(factor: AbstractRep) -> list[tuple[AbstractRep, Int[np.ndarray, " m"]]]:
    """The different blocks of a factor, each with the coordinates at which its copies begin."""
    offsets: dict[AbstractRep, list[int]] = {}
    start = 0
    for m, block in summands(factor):
        offsets.setdefault(block, []).extend(start + block.dim * copy for copy in range(m))
        start += m * block.dim
    return [(block, np.array(starts)) for block, starts in offsets.items()]


def _strides(dims: list[int]) -> list[int]:
    return [int(np.prod(dims[f + 1 :])) for f in range(len(dims))]


def _sums(parts: list[Int[np.ndarray, " _n"]]) -> Int[np.ndarray, " _m"]:
    """All sums of one number from each list, the last running fastest."""
    total = np.zeros(1, np.int64)
    for part in parts:
        total = (total[:, None] + part[None, :]).reshape(-1)
    return total


def _pivots(found: scipy.sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """The largest entry of each row, and the first coordinate at which it is taken."""
    sizes = abs(found)
    largest = sizes.max(axis=1).toarray().reshape(-1)
    entries = sizes.tocoo()
    taken = entries.data >= largest[entries.row] * (1 - SAME_LENGTH)
    first = np.full(found.shape[0], found.shape[1])
    np.minimum.at(first, entries.row[taken], entries.col[taken])
    return largest, first


def _sorted(rows, columns, values, leading, pivots, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    if not rows:
        return scipy.sparse.csr_array(shape)
    order = canonical_order(np.concatenate(leading), np.concatenate(pivots))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    entries = np.concatenate(values), (place[np.concatenate(rows)], np.concatenate(columns))
    return scipy.sparse.csr_array(entries, shape=shape)
