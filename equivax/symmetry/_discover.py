"""The symmetries that a trained network, or a set of measurements, turns out to have."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._types import Key, Matrices
from ._cosets import discrete_symmetries
from ._group import AbstractGroup, GroupError
from ._matrix import MatrixGroup
from ._nullspace import RankError
from ._recognise import finite_name, recognise
from ._surrogate import KernelField

# Singular values above this part of the largest are no symmetry, whatever the gaps below them.
BROKEN = 0.1
# How many times the smallest broken singular value must exceed the largest that counts as a symmetry.
DECISIVE = 5.0

VectorField = Callable[[Float[Array, " n"]], Float[Array, " n"]]


@dataclasses.dataclass(frozen=True, eq=False)
class Discovery:
    """What `discover` found.

    - `name`: the group, where it has a well-known name; else the Lie algebra (`recognise`) and the finite group beside it.
    - `lie_algebra`: a basis of the continuous generators, `(k, d, d)`, orthonormal; with `affine`, homogeneous matrices.
    - `discrete_generators`: one element of each other component that was found, `(m, d, d)`.
    - `singular_values`: of the determining equations, descending, relative to the largest; the last k are symmetries.
    - `gap`: the smallest of the others over the largest of these.
    - `errors`: of the discrete generators, |f(h x) - h f(x)| relative to |f|.
    - `group`: the group that these generate, or None where they are not exact enough to close.
    """

    name: str
    lie_algebra: Matrices
    discrete_generators: Matrices
    singular_values: Float[np.ndarray, " n"]
    gap: float
    errors: Float[np.ndarray, " m"]
    group: AbstractGroup | None

    def __str__(self) -> str:
        values = ", ".join(f"{s:.1e}" for s in self.singular_values[-len(self.lie_algebra) - 2 :])
        return (
            f"{self.name}: {len(self.lie_algebra)} continuous and {len(self.discrete_generators)} discrete generators "
            f"(smallest singular values {values}; gap {self.gap:.1e})"
        )


def discover(
    field: VectorField | tuple[ArrayLike, ArrayLike],
    points: ArrayLike | None = None,
    *,
    affine: bool = False,
    discrete: bool = True,
    tolerance: float | None = None,
    key: Key,
) -> Discovery:
    r"""The linear (or affine) symmetries of a vector field, from the field itself or from data.

    A matrix $A$ generates a symmetry of $\dot x = f(x)$ exactly when the bracket $[A x, f]$ vanishes,

    $$ Df(x)\, A x - A f(x) = 0 \quad \text{at all } x, $$

    which is linear in $A$: the symmetries are the null space of these *determining equations* at many points (Olver,
    *Applications of Lie groups to differential equations*, chapter 2), and their singular values say how well each holds.
    Discrete symmetries solve $f(h x) = h f(x)$; they are searched among orthogonal matrices, from many starts, and found
    with certainty only as far as these starts reach.

    - `field`: $f$, traceable by JAX, on points `(d,)`; or data `(x, v)`, both `(n, d)`, to which a smooth field is fitted
      first (kernel ridge regression, its width by leave-one-out error).
    - `points`: where to ask, `(n, d)`; for data, the data. They should fill the space that the symmetry moves.
    - `affine`: look for $x \mapsto A x + b$.
    - `discrete`: search for discrete generators, too. They are linear.
    - `tolerance`: singular values up to this, relative to the largest, are symmetries. By default the widest gap decides.

    **Raises:** `RankError` when no gap is wide enough to decide; `GroupError` for points of the wrong shape.
    """
    if isinstance(field, tuple):
        x, v = (np.asarray(a, np.float64) for a in field)
        f: VectorField = KernelField.fit(x, v)
        points = x if points is None else points
    else:
        f = field
    if points is None or np.ndim(points) != 2 or not np.isfinite(np.asarray(points)).all():
        shape = None if points is None else np.shape(points)
        raise GroupError(f"discover needs `points`, finite numbers of shape (n, d), received {shape}.")
    points = jnp.asarray(points)
    values, slopes = jax.vmap(lambda x: (f(x), jax.jacfwd(f)(x)))(points)
    if values.shape != points.shape:
        raise GroupError(f"A vector field maps (d,) to (d,); here {points.shape[1:]} went to {values.shape[1:]}.")
    x, v, jacobians = (np.asarray(a, np.float64) for a in (points, values, slopes))
    algebra, s, gap = _continuous(x, v, jacobians, affine, tolerance)
    d = points.shape[1]
    found, errors = np.zeros((0, d, d)), np.zeros(0)
    if discrete:
        linear = algebra[np.abs(algebra[:, :, -1]).max(axis=1) < 1e-6, :d, :d] if affine else algebra
        found, errors = discrete_symmetries(f, points, linear, key=key)
    if affine:
        found = np.stack([_homogeneous(h) for h in found]) if len(found) else np.zeros((0, d + 1, d + 1))
    return Discovery(_name(algebra, found, s, discrete), algebra, found, s, gap, errors, _group(algebra, found))


def _continuous(x, v, jacobians, affine: bool, tolerance: float | None) -> tuple[Matrices, np.ndarray, float]:
    """The null space of the determining equations: generators, relative singular values, gap."""
    n, d = x.shape
    one = np.eye(d)
    # Rows (point, i), columns (j, k) of A: J_ij x_k - delta_ij f_k; then b_j: J_ij.
    equations = np.einsum("nij,nk->nijk", jacobians, x) - np.einsum("ij,nk->nijk", one, v)
    equations = equations.reshape(n * d, d * d)
    if affine:
        equations = np.concatenate([equations, jacobians.reshape(n * d, d)], axis=1)
    _, s, vt = np.linalg.svd(equations, full_matrices=True)
    size = vt.shape[0]
    s = np.concatenate([s, np.zeros(size - len(s))])
    if s[0] == 0:
        raise RankError("The field is zero at all points: every transformation is a symmetry of it.")
    s = s / s[0]
    count, gap = _decide(s, tolerance)
    kernel = vt[size - count :]
    algebra = kernel[:, : d * d].reshape(count, d, d)
    if affine:
        algebra = np.stack([_homogeneous(A, b, corner=0.0) for A, b in zip(algebra, kernel[:, d * d :], strict=True)])
    return algebra, s, gap


def _decide(s: Float[np.ndarray, " n"], tolerance: float | None) -> tuple[int, float]:
    """How many of the singular values (descending, relative) are symmetries, and the gap above them."""
    floor = np.finfo(np.float64).eps * 10
    if tolerance is not None:
        count = int((s <= tolerance).sum())
        return count, _gap(s, count, floor)
    candidates = [c for c in range(1, len(s)) if s[len(s) - c] < BROKEN]
    best = max(candidates, key=lambda c: _gap(s, c, floor), default=0)
    gap = _gap(s, best, floor)
    if best and gap < DECISIVE:
        if s[-1] > BROKEN / 3:  # nothing comes near to a symmetry
            return 0, np.inf
        raise RankError(
            f"The singular values do not decide how many symmetries there are: the smallest are "
            f"{', '.join(f'{value:.1e}' for value in s[-min(6, len(s)) :])}, and no gap exceeds a factor {DECISIVE:g}. "
            "Give more points or cleaner data, or say with `tolerance` what counts as zero."
        )
    return best, gap


def _gap(s: Float[np.ndarray, " n"], count: int, floor: float) -> float:
    if count in (0, len(s)):
        return np.inf
    return float(s[len(s) - count - 1] / max(s[len(s) - count], floor))


def _homogeneous(matrix: np.ndarray, shift: np.ndarray | None = None, corner: float = 1.0) -> np.ndarray:
    d = len(matrix)
    full = np.zeros((d + 1, d + 1))
    full[:d, :d], full[d, d] = matrix, corner
    if shift is not None:
        full[:d, d] = shift
    return full


def _group(algebra: Matrices, discrete: Matrices) -> AbstractGroup | None:
    if len(algebra) + len(discrete) == 0:
        d = algebra.shape[-1]
        return MatrixGroup(discrete_generators=[np.eye(d)])
    try:
        return MatrixGroup(algebra, discrete)
    except GroupError:
        return None


def _name(algebra: Matrices, discrete: Matrices, s: Float[np.ndarray, " n"], searched: bool) -> str:
    accuracy = 10 * float(s[-len(algebra) :].max(initial=0.0)) if len(algebra) else 0.0
    try:
        name = recognise(algebra, tolerance=min(max(1e-6, accuracy), 0.2))
    except GroupError:
        name = f"{len(algebra)} generators that do not close"
    d = algebra.shape[-1]
    if searched and name == f"so({d})":  # on vectors of length d: rotations, and with a reflection all isometries
        return f"O({d})" if len(discrete) == 1 and np.linalg.det(discrete[0]) < 0 else f"SO({d})"
    if len(discrete) == 0:
        return name
    try:
        beside = finite_name(MatrixGroup(discrete_generators=discrete))
    except GroupError:
        beside = f"{len(discrete)} discrete elements"
    return beside if name == "0" else f"{name} and {beside}"
