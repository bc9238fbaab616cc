"""Discrete symmetries: elements of the orthogonal group outside the identity component, found from many starts."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Array, Float

from .._types import Key, Matrices

# An element is a symmetry when f(h x) - h f(x) is below this part of f; a start that ends above it has failed.
ACCEPTED = 1e-2
# And, if some symmetry holds far better than others, below this many times the best error.
COMPARABLE = 1e3
# Elements nearer to each other than this are one.
SAME = 0.05
STARTS = 24


def discrete_symmetries(
    f: Callable, points: Float[Array, "n d"], lie_algebra: Matrices, *, key: Key
) -> tuple[Matrices, Float[np.ndarray, " m"]]:
    r"""Orthogonal solutions $h$ of $f(h x) = h f(x)$, one for each coset of the identity component but the first.

    Gauss-Newton (SciPy's `least_squares`) over $h = h_0 (1 - \tfrac12 \Omega)^{-1} (1 + \tfrac12 \Omega)$ with $\Omega$
    skew (the Cayley transform), from random $h_0$ in both components of $O(d)$. A solution is brought as near to the
    identity as $\exp(\mathfrak g)$ allows, for $\mathfrak g$ the `lie_algebra`, and left out when it reaches it.

    **Returns:** the elements, `(m, d, d)`, and their errors relative to $|f|$, the best first.
    """
    d = points.shape[1]
    rows, columns = np.triu_indices(d, 1)
    chosen = points[: min(len(points), 20 * d)]
    values = jax.vmap(f)(chosen)
    scale = float(jnp.sqrt(jnp.mean(values**2)))

    @jax.jit
    def mismatch(omega, start):
        skew = jnp.zeros((d, d), chosen.dtype).at[rows, columns].set(omega)
        half, one = (skew - skew.T) / 2, jnp.eye(d, dtype=chosen.dtype)
        h = start @ jnp.linalg.solve(one - half, one + half)
        return ((jax.vmap(f)(chosen @ h.T) - values @ h.T) / scale).reshape(-1), h

    slope = jax.jit(jax.jacfwd(lambda omega, start: mismatch(omega, start)[0]))
    solutions: list[tuple[float, np.ndarray]] = []
    for i, one in enumerate(jax.random.split(key, STARTS)):
        start = jnp.asarray(_start(d, i, one), chosen.dtype)
        if d == 1:
            omega = np.zeros(0)
        else:
            omega = scipy.optimize.least_squares(
                lambda w, start=start: np.asarray(mismatch(jnp.asarray(w, chosen.dtype), start)[0], np.float64),
                np.zeros(len(rows)),
                lambda w, start=start: np.asarray(slope(jnp.asarray(w, chosen.dtype), start), np.float64),
                max_nfev=60,
            ).x
        rest, h = mismatch(jnp.asarray(omega, chosen.dtype), start)
        error = float(jnp.sqrt(jnp.mean(rest**2)))
        if error < ACCEPTED:
            solutions.append((error, _nearest(np.asarray(h, np.float64), lie_algebra)))
    solutions.sort(key=lambda pair: pair[0])
    kept: list[tuple[float, np.ndarray]] = []
    for error, h in solutions:
        known = [np.eye(d), *(k for _, k in kept)]
        worse = solutions[0][0] * COMPARABLE + 1e-12
        if error <= worse and all(np.linalg.norm(_nearest(h @ k.T, lie_algebra) - np.eye(d)) > SAME for k in known):
            kept.append((error, h))
    return np.array([h for _, h in kept]).reshape(-1, d, d), np.array([error for error, _ in kept])


def _start(d: int, i: int, key: Key) -> np.ndarray:
    """A random orthogonal matrix, of determinant 1 and -1 in turn."""
    q, r = np.linalg.qr(np.asarray(jax.random.normal(key, (d, d)), np.float64))
    q = q * np.sign(np.diagonal(r))
    if (np.linalg.det(q) > 0) == bool(i % 2):
        q[:, 0] *= -1
    return q


def _nearest(h: np.ndarray, lie_algebra: Matrices) -> np.ndarray:
    """The element $e^{A} h$ of the coset of `h` that is nearest to the identity, by descent from a few starts."""
    if len(lie_algebra) == 0:
        return h
    best = h
    for start in (0.0, 1.5, -1.5, 3.0):
        element = scipy.linalg.expm(np.tensordot(np.full(len(lie_algebra), start), lie_algebra, 1)) @ h
        for _ in range(50):
            # |e^A h - 1|^2 to first order in A: a linear least-squares problem in the coordinates of A.
            moved = (lie_algebra @ element).reshape(len(lie_algebra), -1).T
            step = np.linalg.lstsq(moved, (np.eye(len(h)) - element).reshape(-1), rcond=None)[0]
            step /= max(1.0, float(np.linalg.norm(step)))
            element = scipy.linalg.expm(np.tensordot(step, lie_algebra, 1)) @ element
            if np.linalg.norm(step) < 1e-10:
                break
        if np.linalg.norm(element - np.eye(len(h))) < np.linalg.norm(best - np.eye(len(h))) - 1e-9:
            best = element
    return best
