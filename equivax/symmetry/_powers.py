"""Symmetric and alternating powers of matrices, one degree from the degree below: never a full Kronecker power."""

import dataclasses
import functools
import itertools
import math

import numpy as np
from jaxtyping import Array, Float, Inexact, Int

# Real matrices of representations, or the complex ones that SU(2) is made of.
SquareMatrix = Inexact[Array | np.ndarray, "_n _n"]


@functools.lru_cache(maxsize=256)
def power_isometry(n: int, k: int, antisymmetric: bool = False) -> Float[np.ndarray, "full power"]:
    """The isometry from the (anti)symmetric power into the tensor power, `(n**k, dim)`."""
    choose = itertools.combinations if antisymmetric else itertools.combinations_with_replacement
    columns = []
    for indices in choose(range(n), k):
        column = np.zeros((n,) * k)
        for permutation in itertools.permutations(range(k)):
            sign = _sign(permutation) if antisymmetric else 1.0
            column[tuple(indices[p] for p in permutation)] += sign
        columns.append(column.reshape(-1) / np.linalg.norm(column))
    return np.stack(columns, axis=1) if columns else np.zeros((n**k, 0))


def _sign(permutation: tuple[int, ...]) -> float:
    inversions = sum(permutation[i] > permutation[j] for i, j in itertools.combinations(range(len(permutation)), 2))
    return -1.0 if inversions % 2 else 1.0


def power_dim(n: int, k: int, antisymmetric: bool) -> int:
    r"""The dimension of $\mathrm{Sym}^k \mathbb{R}^n$ or $\Lambda^k \mathbb{R}^n$."""
    return math.comb(n, k) if antisymmetric else math.comb(n + k - 1, k)


@dataclasses.dataclass(frozen=True, eq=False)
class _Step:
    r"""How basis vectors of degree $k$ are made of those of degree $k - 1$ and a factor $e_j$.

    In the orthonormal basis $|\beta\rangle$ of symmetrised monomials (bosons), or of wedge products (fermions),

    $$ \sqrt{k}\, |\beta\rangle = \sum_p w_{\beta p}\, |\beta - e_{j(\beta, p)}\rangle \otimes e_{j(\beta, p)}, \qquad
       w = \sqrt{\beta_j} \text{ or } \pm 1 . $$

    `factor`, `rest`, `weight` of shape `(dim, width)` are $j$, the position of what remains, and $w$; where a vector has
    fewer than `width` different factors the weight is zero. `row`, `above`, `scale` are the same for the one term that a
    row is expanded along, that of the largest weight.
    """

    factor: Int[np.ndarray, "dim width"]
    rest: Int[np.ndarray, "dim width"]
    weight: Float[np.ndarray, "dim width"]
    row: Int[np.ndarray, " dim"]
    above: Int[np.ndarray, " dim"]
    scale: Float[np.ndarray, " dim"]


@functools.lru_cache(maxsize=256)
def _step(n: int, k: int, antisymmetric: bool) -> _Step:
    choose = itertools.combinations if antisymmetric else itertools.combinations_with_replacement
    below = {indices: position for position, indices in enumerate(choose(range(n), k - 1))}
    vectors = list(choose(range(n), k))
    factor, rest = np.zeros((2, len(vectors), min(n, k)), int)
    weight = np.zeros(factor.shape)
    for row, indices in enumerate(vectors):
        for p, j in enumerate(dict.fromkeys(indices)):
            at = indices.index(j)
            factor[row, p], rest[row, p] = j, below[indices[:at] + indices[at + 1 :]]
            weight[row, p] = (-1.0) ** at if antisymmetric else math.sqrt(indices.count(j))
    lead = (np.arange(len(vectors)), np.abs(weight).argmax(axis=1) if len(vectors) else np.zeros(0, int))
    return _Step(factor, rest, weight, factor[lead], rest[lead], weight[lead])


def power_matrix(g: SquareMatrix, k: int, antisymmetric: bool) -> SquareMatrix:
    r"""The matrix of $\mathrm{Sym}^k g$ or $\Lambda^k g$ for a square matrix $g$.

    With $S$ the isometry of `power_isometry` it is $S^\top g^{\otimes k} S$, found by expanding along one factor (for
    $\Lambda^k$: Laplace's expansion of minors along a row),

    $$ w_{\alpha}\, \langle \alpha | g | \beta \rangle = \sum_q w_{\beta q}\, g_{i j}\,
       \langle \alpha - e_i | g | \beta - e_j \rangle, \qquad i = i(\alpha),\ j = j(\beta, q), $$

    at no more than $k$ products for each entry.
    """
    library = g.__array_namespace__()
    power = library.ones((1, 1), dtype=g.dtype)
    for degree in range(1, k + 1):
        step = _step(len(g), degree, antisymmetric)
        total = library.zeros((len(step.row), len(step.row)), dtype=g.dtype)
        for j, rest, weight in zip(step.factor.T, step.rest.T, step.weight.T, strict=True):
            ratio = library.asarray(np.outer(1 / step.scale, weight), dtype=g.dtype)
            total = total + ratio * power[step.above[:, None], rest] * g[step.row[:, None], j]
        power = total
    return power


def power_rate(xi: SquareMatrix, k: int, antisymmetric: bool) -> SquareMatrix:
    """The derivative of `power_matrix` at the identity along `xi`: the same expansion by the rule of Leibniz."""
    library = xi.__array_namespace__()
    rate = library.zeros((1, 1), dtype=xi.dtype)
    for degree in range(1, k + 1):
        step = _step(len(xi), degree, antisymmetric)
        total = library.zeros((len(step.row), len(step.row)), dtype=xi.dtype)
        for j, rest, weight in zip(step.factor.T, step.rest.T, step.weight.T, strict=True):
            ratio = np.outer(1 / step.scale, weight)
            here = library.asarray(ratio * (step.above[:, None] == rest), dtype=xi.dtype)
            below = library.asarray(ratio * (step.row[:, None] == j), dtype=xi.dtype)
            total = total + here * xi[step.row[:, None], j] + below * rate[step.above[:, None], rest]
        rate = total
    return rate
