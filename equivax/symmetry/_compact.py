"""Is a group compact? It is when it keeps an inner product, which a small convex problem finds or refutes."""

import numpy as np
import scipy.optimize
from jaxtyping import Float

from .._types import Matrices
from ._errors import GroupError
from ._nullspace import null_space
from ._schreier import orbit_of_basis

# A form counts as definite when its eigenvalues are within this factor of each other, as singular below SINGULAR.
DEFINITE = 1e-7
SINGULAR = 1e-8
# Eigenvalues this far off the unit circle (of generators of norm 1: off the imaginary axis) are off it, whatever rounding does.
GROWTH = 1e-3
# The smallest eigenvalue is smoothed over 1 / sharpness; each round sharpens, until one of the two certificates holds.
SHARPNESS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)


def invariant_forms(algebra: Matrices, discrete: Matrices) -> Matrices:
    r"""An orthonormal basis of the symmetric $S$ with $A_i^\top S + S A_i = 0$ and $h_j^\top S h_j = S$, `(r, d, d)`.

    **Raises:** `RankError` when the singular values do not say how many there are.
    """
    d = algebra.shape[-1]
    rows, columns = np.triu_indices(d)
    units = np.zeros((len(rows), d, d))
    units[np.arange(len(rows)), rows, columns] = units[np.arange(len(rows)), columns, rows] = 0.5**0.5
    units[rows == columns] *= 2**0.5
    changes = [A.T @ units + units @ A for A in algebra] + [h.T @ units @ h - units for h in discrete]
    blocks = [change.reshape(len(units), -1).T for change in changes]
    found = null_space(np.concatenate(blocks) if blocks else np.zeros((0, len(units)))).vectors
    return np.tensordot(found, units, 1)


def definite_form(algebra: Matrices, discrete: Matrices) -> Float[np.ndarray, "d d"] | None:
    r"""A positive definite invariant form, scaled to determinant 1, or None when there is none.

    Both answers come with a certificate. Either a form $S$ has positive eigenvalues, or some $Z \succeq 0$, $Z \ne 0$
    is orthogonal to all invariant forms, which no definite one would be (Boyd, Vandenberghe, *Convex Optimization*,
    2004, section 5.8). Both come from one convex problem, the largest smallest eigenvalue of a form of trace $d$.

    **Raises:** `GroupError` when neither certificate is found.
    """
    d = algebra.shape[-1]
    if _runs_away(algebra, discrete):
        return None
    forms = invariant_forms(algebra, discrete)
    traces = np.trace(forms, axis1=1, axis2=2)
    if np.abs(traces).max(initial=0.0) < SINGULAR:
        return None  # Z = 1: a definite form has a positive trace
    start = d * np.tensordot(traces, forms, 1) / (traces @ traces)
    flat = np.linalg.svd(traces[None], full_matrices=True)[2][1:]
    directions = np.tensordot(flat, forms, 1)  # forms of trace zero
    weights = np.zeros(len(directions))
    for sharpness in SHARPNESS:
        weights = _sharpen(start, directions, weights, sharpness)
        S = start + np.tensordot(weights, directions, 1)
        values = np.linalg.eigvalsh(S)
        if values[0] > DEFINITE * values[-1]:
            return S / np.exp(np.log(values).mean())
        if not len(directions) and values[0] < SINGULAR * np.abs(values).max():
            return None
        # The state Z of the smoothed problem; a multiple of the identity makes it orthogonal to the trace as well.
        Z = _softmin(S, sharpness)[1]
        Z = Z - np.sum(Z * start) / d * np.eye(d)
        if np.linalg.eigvalsh(Z)[0] > -SINGULAR and np.abs(np.tensordot(forms, Z, 2)).max() < SINGULAR * np.trace(Z):
            return None
    raise GroupError(
        f"Whether this group is compact is not decided: of its {len(forms)} independent invariant forms the best has "
        f"eigenvalues from {values[0]:.1e} to {values[-1]:.1e}. Give generators in which the coordinates are scaled alike."
    )


def _runs_away(algebra: Matrices, discrete: Matrices) -> bool:
    """Whether powers of a generator grow: compact groups have eigenvalues on the unit circle. The quick way to a no."""
    sizes = np.linalg.norm(algebra, axis=(1, 2))
    rates = np.abs(np.linalg.eigvals(algebra).real).max(axis=1, initial=0.0)
    return bool((rates > GROWTH * sizes).any() or (np.abs(np.abs(np.linalg.eigvals(discrete)) - 1) > GROWTH).any())


def finite_form(generators: Matrices) -> Float[np.ndarray, "d d"]:
    r"""The invariant form $\sum_p p\, p^\top$ of a finite group, over all images $p$ of basis vectors under $g^\top$."""
    points = orbit_of_basis(generators.transpose(0, 2, 1))
    S = points.T @ points
    return S / np.linalg.det(S) ** (1 / len(S))


def _sharpen(
    start: Float[np.ndarray, "d d"], directions: Matrices, weights: Float[np.ndarray, " r"], sharpness: float
) -> Float[np.ndarray, " r"]:
    """The weights that minimise minus the smoothed smallest eigenvalue."""
    if not len(directions):
        return weights

    def objective(w: Float[np.ndarray, " r"]):
        value, Z = _softmin(start + np.tensordot(w, directions, 1), sharpness)
        return -value, -np.tensordot(directions, Z, 2)

    return scipy.optimize.minimize(objective, weights, jac=True, method="BFGS", options={"gtol": 1e-12}).x


def _softmin(S: Float[np.ndarray, "d d"], sharpness: float) -> tuple[float, Float[np.ndarray, "d d"]]:
    r"""$-\frac1\mu \log \mathrm{tr}\, e^{-\mu S}$ and its gradient, a positive matrix of trace one."""
    values, vectors = np.linalg.eigh(S)
    weights = np.exp(-sharpness * (values - values[0]))
    smallest = values[0] - np.log(weights.sum()) / sharpness
    return float(smallest), (vectors * (weights / weights.sum())) @ vectors.T
