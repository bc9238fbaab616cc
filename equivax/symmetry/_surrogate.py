"""A smooth field through measurements, so that its derivatives can be asked for."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._group import GroupError

# More points than this are thinned out: the solve costs their number cubed.
MOST_POINTS = 1500


class KernelField(eqx.Module):
    r"""Kernel ridge regression of a vector field, $f(x) = \sum_i c_i\, k(|x - x_i|) + A x + b$ with a Gaussian $k$.

    $k$ depends on distances only, so that for symmetric data the fit has all orthogonal symmetries of the data. The width
    of $k$ and the ridge are chosen by the leave-one-out error, which has a closed form (Rasmussen, Williams, *Gaussian
    processes for machine learning*, 5.4.2).
    """

    centres: Float[Array, "n d"]
    coefficients: Float[Array, "n d"]
    linear: Float[Array, "d_plus_one d"]
    width: float = eqx.field(static=True)
    error: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        near = jnp.exp(-jnp.sum((self.centres - x[None]) ** 2, axis=1) / (2 * self.width**2))
        return near @ self.coefficients + x @ self.linear[:-1] + self.linear[-1]

    @staticmethod
    def fit(x: Float[np.ndarray, "..."], v: Float[np.ndarray, "..."]) -> "KernelField":
        """The field through values `v` at points `x`.

        **Raises:** `GroupError` for arrays of other shapes, for numbers that are not finite, and for too few points.
        """
        if x.ndim != 2 or x.shape != v.shape or not (np.isfinite(x).all() and np.isfinite(v).all()):
            raise GroupError(f"Data (x, v) are finite arrays of one shape (n, d), received {x.shape} and {v.shape}.")
        n, d = x.shape
        if n < 10 * d:
            raise GroupError(f"{n} points are too few to fit a field in {d} dimensions; give at least {10 * d}.")
        if n > MOST_POINTS:
            chosen = np.linspace(0, n - 1, MOST_POINTS).astype(int)
            x, v, n = x[chosen], v[chosen], MOST_POINTS
        design = np.concatenate([x, np.ones((n, 1))], axis=1)
        linear = np.linalg.lstsq(design, v, rcond=None)[0]
        rest = v - design @ linear
        squares = np.maximum(((x[:, None] - x[None]) ** 2).sum(-1), 0)
        typical = float(np.sqrt(np.median(squares)))
        best: tuple[float, float, np.ndarray] | None = None
        for width in typical * np.array([0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8]):
            values, vectors = np.linalg.eigh(np.exp(-squares / (2 * width**2)))
            turned = vectors.T @ rest
            for ridge in 10.0 ** np.arange(-12, 1):
                inverse = 1 / (np.maximum(values, 0) + ridge)
                coefficients = vectors @ (inverse[:, None] * turned)
                left_out = coefficients / ((vectors**2) @ inverse)[:, None]
                error = float(np.sqrt((left_out**2).mean() / (v**2).mean()))
                if best is None or error < best[0]:
                    best = (error, width, coefficients)
        error, width, coefficients = best  # type: ignore[misc]
        return KernelField(jnp.asarray(x), jnp.asarray(coefficients), jnp.asarray(linear), float(width), error)
