"""The matrix-free null-space solver: random vectors, projected on the null space by conjugate gradients."""

import dataclasses
import functools
import math

import numpy as np
import scipy.linalg
from jaxtyping import Float

from ._expression import generator_matrices, tensor_factors
from ._memory import refuse_beyond_memory
from ._nullspace import DECISIVE, NEGLIGIBLE, RankError, canonical
from ._rep import AbstractRep

# Neighbouring factors are multiplied out up to this dimension: matrix products run faster than short strides.
MERGED = 48
# The first block of random vectors, and how many steps of conjugate gradients a block gets.
FIRST_BLOCK, STEPS = 16, 600
# Conjugate gradients stop at this relative residual, then start again from where they are until nothing improves.
CONVERGED, PASSES = 1e-14, 4
# Violated constraints of unit vectors, relative to the largest singular value: what rounding leaves.
VIOLATION = 1e-11
# Columns are projected a few at a time, so many that they stay in the processor's cache: this many numbers.
CHUNK = 2**17
# Arrays of the size of the block of vectors that are alive at once.
WORKING_ARRAYS = 4

Block = Float[np.ndarray, "n b"]


@dataclasses.dataclass(frozen=True)
class Constraints:
    r"""The constraints $d\rho(A_i)$, $\rho(h_j) - 1$ of a tensor product of factors, as maps of vectors.

    - `rates`: for each factor, $d\rho_f(A_i)$, `(k, d_f, d_f)`; - `turns`: $\rho_f(h_j)$, `(m, d_f, d_f)`.
    """

    rates: tuple[Float[np.ndarray, "_k _d _d"], ...]
    turns: tuple[Float[np.ndarray, "_m _d _d"], ...]

    @functools.cached_property
    def dims(self) -> tuple[int, ...]:
        """The dimensions of the factors."""
        return tuple(r.shape[1] for r in self.rates)

    @functools.cached_property
    def before(self) -> tuple[int, ...]:
        """The dimension of all factors to the left of each."""
        return tuple(math.prod(self.dims[:f]) for f in range(len(self.dims)))

    def apply(self, i: int, x: Block, transposed: bool = False) -> Block:
        """The `i`-th constraint, or its transpose, on each column; Lie algebra first."""
        k = len(self.rates[0])
        if i < k:
            total = self._along(0, self.rates[0][i], x, transposed)
            for f, rate in enumerate(self.rates[1:], start=1):
                total += self._along(f, rate[i], x, transposed)
            return total
        y = x
        for f, turn in enumerate(self.turns):
            y = self._along(f, turn[i - k], y, transposed)
        y -= x
        return y

    def _along(self, f: int, matrix: Float[np.ndarray, "_d _d"], x: Block, transposed: bool) -> Block:
        return ((matrix.T if transposed else matrix) @ x.reshape(self.before[f], len(matrix), -1)).reshape(x.shape)

    def __len__(self) -> int:
        return len(self.rates[0]) + len(self.turns[0])

    def normal(self, x: Block) -> Block:
        r"""$C^\top C\, x$: for the Lie algebra of a compact group, its Casimir operator."""
        y = np.zeros_like(x)
        for i in range(len(self)):
            y += self.apply(i, self.apply(i, x), transposed=True)
        return y

    def violation(self, x: Block) -> tuple[float, float]:
        """The largest $|C x|$ over the columns, and the largest entry of $C x$."""
        squares, entry = np.zeros(x.shape[1]), 0.0
        for i in range(len(self)):
            y = self.apply(i, x)
            squares += np.einsum("nb,nb->b", y, y)
            entry = max(entry, float(np.abs(y).max(initial=0.0)))
        return float(np.sqrt(squares.max(initial=0.0))), entry


@dataclasses.dataclass(frozen=True)
class Projection:
    """The null space as `project` found it: `vectors` `(r, n)`, `gap` and `residual` as in `NullSpace`."""

    vectors: Float[np.ndarray, "r n"]
    gap: float
    residual: float


def constraints_of(rep: AbstractRep) -> Constraints:
    """The constraints of the generators on the tensor factors of a representation, neighbours merged while small."""
    merged: list[tuple[np.ndarray, np.ndarray]] = []
    for rates, turns in map(generator_matrices, tensor_factors(rep)):
        if merged and merged[-1][0].shape[1] * rates.shape[1] <= MERGED:
            left_rates, left_turns = merged.pop()
            one_left, one_right = np.eye(left_rates.shape[1])[None], np.eye(rates.shape[1])[None]
            rates = _kron(left_rates, one_right) + _kron(one_left, rates)
            turns = _kron(left_turns, turns)
        merged.append((rates, turns))
    return Constraints(tuple(r for r, _ in merged), tuple(t for _, t in merged))


def _kron(a: Float[np.ndarray, "_a p p"], b: Float[np.ndarray, "_b q q"]) -> Float[np.ndarray, "_c n n"]:
    n = a.shape[1] * b.shape[1]
    return np.einsum("...ij,...kl->...ikjl", a, b).reshape(-1, n, n)


def project(constraints: Constraints, name: str) -> Projection:
    r"""The null space of constraints that are known by their products with vectors only.

    Random vectors $w$ are projected, $P w = w - C^+ C w$, by conjugate gradients on $C^\top C$. A first small block tells
    how many there will be, $\mathrm{E} |P w|^2 = r$; blocks grow until they hold more vectors than they have rank, so that
    nothing is left to find. The basis is made canonical: it does not depend on the random vectors.

    **Raises:** `GroupError` when the block would not fit in memory; `RankError` when conjugate gradients do not converge,
    as when non-zero singular values come close to zero.
    """
    n = math.prod(constraints.dims)
    rng = np.random.default_rng(0)
    V, spectrum = np.zeros((n, 0)), (np.inf, 0.0)
    wanted = min(FIRST_BLOCK, n)
    while True:
        what = f"The matrix-free solver of {name} (dimension {n}, about {wanted} vectors)"
        refuse_beyond_memory(8.0 * n * wanted * WORKING_ARRAYS, what, "Split the representation into smaller blocks.")
        fresh, found = _projected(constraints, rng.standard_normal((n, wanted - V.shape[1])))
        spectrum = (min(spectrum[0], found[0]), max(spectrum[1], found[1]))
        V = np.concatenate([V, fresh], axis=1)
        q, triangle = np.linalg.qr(V)
        u, s, _ = scipy.linalg.svd(triangle)
        rank = int(np.sum(s > 1e-6))
        if rank < wanted or wanted == n:
            break
        estimate = float(np.sum(V**2)) / V.shape[1]
        wanted = min(n, max(2 * wanted, int(1.1 * estimate * (1 + 4 / (estimate * wanted) ** 0.5)) + FIRST_BLOCK))
    return _decided(constraints, q @ u[:, :rank], spectrum, name)


def _decided(constraints: Constraints, vectors: Block, spectrum: tuple[float, float], name: str) -> Projection:
    """Polished, made canonical, and judged."""
    smallest, largest = spectrum
    scale = max(1.0, largest)
    if vectors.shape[1]:
        vectors = np.linalg.qr(_projected(constraints, vectors)[0])[0]
    zero = constraints.violation(vectors)[0]
    if zero > VIOLATION * scale or smallest < DECISIVE * NEGLIGIBLE * scale:
        raise RankError(
            f"Conjugate gradients do not decide the null space of {name}: the smallest singular value that counts as "
            f"non-zero is {smallest:.1e}, and vectors that count as invariant violate constraints by {zero:.1e}, of a "
            f"largest of {largest:.1e}. Generators with too few correct digits, or far from normal, do that: give them in "
            "float64, or split the representation into blocks that the dense solver can take."
        )
    rows = canonical(vectors.T)
    gap = smallest / max(zero, float(np.finfo(np.float64).eps) * scale)
    return Projection(rows, gap, constraints.violation(np.ascontiguousarray(rows.T))[1])


def _projected(constraints: Constraints, vectors: Block) -> tuple[Block, tuple[float, float]]:
    """The projections of columns on the null space; the smallest non-zero and the largest singular value that were met."""
    n, b = vectors.shape
    projected, smallest, largest = np.empty((n, b)), np.inf, 0.0
    width = max(FIRST_BLOCK, CHUNK // n)
    for start in range(0, b, width):
        part = np.ascontiguousarray(vectors[:, start : start + width])
        projected[:, start : start + width], met = _projected_chunk(constraints, part)
        smallest, largest = min(smallest, met[0]), max(largest, met[1])
    return projected, (smallest, largest)


def _projected_chunk(constraints: Constraints, v: Block) -> tuple[Block, tuple[float, float]]:
    """Passes of conjugate gradients, until constraints are violated by rounding only or nothing improves."""
    spectrum, norm = (np.inf, 0.0), float(np.sqrt((v**2).sum(0).max()))
    before = constraints.violation(v)[0] / norm
    for _ in range(PASSES):
        v, (smallest, largest) = _conjugate_gradients(constraints, v)
        # What is violated by more than rounding belongs to singular values that are small, not zero: they count.
        if before > VIOLATION * max(1.0, largest, spectrum[1]):
            spectrum = (min(spectrum[0], smallest), max(spectrum[1], largest))
        violated = constraints.violation(v)[0] / norm
        if violated > before / 4 or violated <= CONVERGED * spectrum[1]:
            break
        before = violated
    return v, spectrum


def _conjugate_gradients(constraints: Constraints, v: Block) -> tuple[Block, tuple[float, float]]:
    r"""One run from $v$ down to $C^\top C v = 0$, each column by itself; and the extreme Ritz values of the first ones."""
    r = -constraints.normal(v)
    p, square = r.copy(), np.einsum("nb,nb->b", r, r)
    goal = CONVERGED**2 * square
    alphas, betas, squares = [], [], [square]
    for _ in range(STEPS):
        if (square <= goal).all():
            break
        q = constraints.normal(p)
        curvature = np.einsum("nb,nb->b", p, q)
        moving = (square > goal) & (curvature > 0)
        alpha = np.where(moving, square / np.where(moving, curvature, 1.0), 0.0)
        v = v + alpha * p
        r -= alpha * q
        before, square = square, np.einsum("nb,nb->b", r, r)
        beta = np.where(moving, square / np.where(moving, before, 1.0), 0.0)
        p *= beta
        p += r
        alphas.append(alpha)
        betas.append(beta)
        squares.append(square)
    if not alphas:
        return v, (np.inf, 0.0)
    return v, _ritz_values(np.array(alphas), np.array(betas), np.array(squares))


def _ritz_values(
    alphas: Float[np.ndarray, "steps b"], betas: Float[np.ndarray, "steps b"], squares: Float[np.ndarray, "more b"]
) -> tuple[float, float]:
    r"""The smallest and the largest singular value of $C$ that the first columns have met (Lanczos, from the steps of CG)."""
    smallest, largest = np.inf, 0.0
    for column in range(min(4, alphas.shape[1])):
        # Beyond this the residual is rounding, which has components in the null space too.
        steps = int(np.sum(squares[:-1, column] > 1e-20 * squares[0, column]))
        if steps == 0:
            continue
        alpha, beta = alphas[:steps, column], betas[:steps, column]
        diagonal = 1 / alpha
        diagonal[1:] += beta[:-1] / alpha[:-1]
        values = scipy.linalg.eigvalsh_tridiagonal(diagonal, np.sqrt(beta[:-1]) / alpha[:-1])
        smallest, largest = min(smallest, values[0]), max(largest, values[-1])
    return float(np.sqrt(max(smallest, 0.0))), float(np.sqrt(largest))
