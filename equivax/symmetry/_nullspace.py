"""The dense null-space solver: float64, with a rank that the singular values decide and a basis that does not wobble."""

import dataclasses

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int

# Relative to the largest singular value (or 1): below NEGLIGIBLE a singular value counts as zero, and the values on the
# two sides of the cut must be at least DECISIVE apart. Generators are good to about 1e-15, so honest gaps are ~1e12.
NEGLIGIBLE = 1e-9
DECISIVE = 1e4
# Pivots whose lengths agree to this much are equal but for rounding, and the first of them is taken.
SAME_LENGTH = 1e-6
# Entries of unit vectors below this are what rounding leaves of zeros.
ROUNDING = 1e-13


class RankError(ValueError):
    """The singular values do not say what the rank is."""


@dataclasses.dataclass(frozen=True)
class NullSpace:
    r"""An orthonormal basis of $\{ v : C v = 0 \}$.

    - `vectors`: `(r, n)`, orthonormal rows, deterministic (see `null_space`).
    - `singular_values`: of $C$, descending.
    - `gap`: the smallest non-zero singular value over the largest that counts as zero; at least 1e4, usually 1e12.
    - `residual`: $\max |C v|$ over the basis.
    """

    vectors: Float[np.ndarray, "r n"]
    singular_values: Float[np.ndarray, " s"]
    gap: float
    residual: float


def null_space(constraints: Float[np.ndarray, "m n"]) -> NullSpace:
    r"""Solves $C v = 0$ by a singular value decomposition.

    The null space is a subspace; which basis of it the SVD returns depends on the machine. Weights are coordinates with
    respect to the basis, so we make it canonical (`canonical`). For permutation representations this finds the orbit
    indicators.

    **Raises:** `RankError` when non-zero and zero singular values are less than a factor 1e4 apart, or when the smallest
    that counts as non-zero is below 1e-5 of the largest, as it is for generators that were rounded to float32.
    """
    m, n = constraints.shape
    if m == 0:
        return NullSpace(np.eye(n), np.zeros(0), np.inf, 0.0)
    # The triangle of C has its singular values and its null space, without the (m, m) factor of a tall decomposition.
    triangle = np.linalg.qr(constraints, mode="r") if m > n else constraints
    _, s, vt = scipy.linalg.svd(triangle, full_matrices=True)
    scale = max(1.0, float(s.max(initial=0.0)))
    rank = int(np.sum(s > NEGLIGIBLE * scale))
    zero = float(s[rank:].max(initial=0.0))
    gap = float(s[rank - 1] / max(zero, np.finfo(np.float64).eps * scale)) if rank else np.inf
    # A value just above the cut is no better than one just below it: 1e-8 is what rounding to float32 makes of zero.
    if gap < DECISIVE or (rank and s[rank - 1] < DECISIVE * NEGLIGIBLE * scale):
        raise RankError(
            f"The singular values do not decide the rank: {s[rank - 1]:.2e} counts as non-zero and {zero:.2e} as zero, "
            f"of a largest of {s[0]:.2e}. A clear answer has none between {NEGLIGIBLE:.0e} and {DECISIVE * NEGLIGIBLE:.0e} "
            "of it. The generators carry too few correct digits: give them in float64, exact to rounding."
        )
    vectors = canonical(vt[rank:])
    return NullSpace(vectors, s, gap, float(np.abs(constraints @ vectors.T).max(initial=0.0)))


def canonical(orthonormal_rows: Float[np.ndarray, "r n"]) -> Float[np.ndarray, "r n"]:
    r"""The canonical orthonormal basis of a row space, a function of the subspace alone, `(r, n)`.

    Gram-Schmidt on the columns of the projector $P = V^\top V$, each time taking the first column among the longest.
    $P$ itself is not formed: its columns are $V^\top V_{\cdot j}$, so this is a QR decomposition of $V$ with pivots.
    """
    V = orthonormal_rows
    r, n = V.shape
    basis = np.zeros((r, n))
    lengths = np.einsum("ij,ij->j", V, V)
    for i in range(r):
        pivot = int(np.argmax(lengths > lengths.max() * (1 - SAME_LENGTH)))
        column = V[:, pivot] @ V - basis[:i, pivot] @ basis[:i]
        basis[i] = column / np.sqrt(column[pivot])
        lengths = lengths - basis[i] ** 2
    # One pass of re-orthogonalisation that does not change the pivots' order, then rounding noise is noise no more.
    q, triangle = np.linalg.qr(basis.T)
    basis = (q * np.sign(np.diagonal(triangle))).T
    return np.where(np.abs(basis) < ROUNDING, 0.0, basis)


def canonical_order(leading: Float[np.ndarray, " r"], pivots: Int[np.ndarray, " r"]) -> Int[np.ndarray, " r"]:
    """The order in which `canonical` finds vectors: by the largest entry, descending, and by its coordinate.

    Of a canonical basis the pivot is the first of a row's largest entries, and its square is the length that the column
    had when it was chosen. The basis of a block-diagonal projector is therefore the union of its blocks' bases, sorted.
    """
    by_length = np.argsort(-leading, kind="stable")
    lengths = leading[by_length] ** 2
    # Lengths that differ by rounding alone form one class.
    steps = lengths[1:] < lengths[:-1] * (1 - SAME_LENGTH)
    classes = np.concatenate([[0], np.cumsum(steps)]) if len(lengths) else np.zeros(0)
    return by_length[np.lexsort((pivots[by_length], classes))]
