"""Groups of orthogonal matrices with the metric that left and right translations keep."""

import abc
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._lie_group import AbstractLieGroup
from ._matrix_functions import expm, newton_schulz


class AbstractCompactGroup(AbstractLieGroup):
    """G, a compact group of real orthogonal d x d matrices; metric <v, w> = c tr(v^T w), invariant on both sides.

    Geodesics are the cosets of one-parameter subgroups, exp(x, v) = x expm(x^-1 v), the same as expm(v x^-1) x. The
    scale c is whatever makes `lie_algebra` orthonormal. Two members beside those of a manifold: `lie_algebra`, `logm`.
    """

    @property
    @abc.abstractmethod
    def lie_algebra(self) -> Float[np.ndarray, "k d d"]:
        """An orthonormal basis of the algebra, skew matrices in NumPy float64."""

    @abc.abstractmethod
    def logm(self, x: Float[Array, "d d"]) -> Float[Array, " k"]:
        """The shortest xi with expm(xi) = x."""

    @property
    def _scale(self) -> float:
        return 1 / float(np.sum(self.lie_algebra[0] ** 2))

    def _generic(self, dtype: Any) -> Float[Array, "d d"]:
        """An element of the algebra without symmetries (golden-section angles): chooses where a logarithm has a choice."""
        return self.hat(jnp.cos(jnp.arange(1, self.dim + 1, dtype=dtype) ** 2 * ((1 + math.sqrt(5)) / 2)))

    @property
    def identity(self) -> Float[np.ndarray, "d d"]:
        """The unit matrix."""
        return np.eye(self.shape[0])

    def compose(self, x: Float[Array, "d d"], y: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """The matrix product."""
        return x @ y

    def inverse(self, x: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x^T."""
        return x.T

    def hat(self, xi: Float[Array, " k"]) -> Float[Array, "d d"]:
        """sum_i xi_i E_i, a skew matrix."""
        return jnp.tensordot(xi, jnp.asarray(self.lie_algebra, xi.dtype), 1)

    def vee(self, v: Float[Array, "d d"]) -> Float[Array, " k"]:
        """The numbers c tr(E_i^T v)."""
        return self._scale * jnp.tensordot(jnp.asarray(self.lie_algebra, v.dtype), v, 2)

    def left_invariant(self, x: Float[Array, "d d"], xi: Float[Array, " k"]) -> Float[Array, "d d"]:
        """x hat(xi)."""
        return x @ self.hat(xi)

    def right_invariant(self, x: Float[Array, "d d"], xi: Float[Array, " k"]) -> Float[Array, "d d"]:
        """hat(xi) x."""
        return self.hat(xi) @ x

    def left_trivialise(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, " k"]:
        """vee(x^T v)."""
        return self.vee(x.T @ v)

    def right_trivialise(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, " k"]:
        """vee(v x^T)."""
        return self.vee(v @ x.T)

    def expm(self, xi: Float[Array, " k"]) -> Float[Array, "d d"]:
        """The exponential of the matrix hat(xi)."""
        return expm(self.hat(xi))

    def bracket(self, xi: Float[Array, " k"], eta: Float[Array, " k"]) -> Float[Array, " k"]:
        """The commutator of matrices: for skew ones, twice the skew part of their product."""
        return 2 * self.vee(self.hat(xi) @ self.hat(eta))

    # The metric.

    def to_tangent(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x P(x^T v), P the orthogonal projection onto the algebra."""
        return x @ self.hat(self.vee(x.T @ v))

    @property
    def constant_metric(self) -> bool:
        """True: translations do not change it."""
        return True

    def inner(self, x: Float[Array, "d d"], v: Float[Array, "d d"], w: Float[Array, "d d"]) -> Float[Array, ""]:
        """c tr(v^T w)."""
        del x
        return self._scale * jnp.vdot(v, w)

    def sharp(self, x: Float[Array, "d d"], p: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """to_tangent(x, p)/c."""
        return self.to_tangent(x, p) / self._scale

    def exp(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x expm(x^-1 v)."""
        return x @ self.expm(self.left_trivialise(x, v))

    def log(self, x: Float[Array, "d d"], y: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x logm(x^-1 y)."""
        return self.left_invariant(x, self.logm(x.T @ y))

    def transport(self, x: Float[Array, "d d"], v: Float[Array, "d d"], w: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x h (x^-1 w) h with h = expm(x^-1 v/2): half of the translation from the left, half from the right."""
        h = self.expm(self.left_trivialise(x, v) / 2)
        return x @ h @ (x.T @ w) @ h

    def retract(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x (1 - a/2)^-1 (1 + a/2) with a = x^-1 v, the transform of Cayley: no singular values, second order."""
        eye, half = jnp.eye(x.shape[0], dtype=x.dtype), self.hat(self.left_trivialise(x, v)) / 2
        return x @ jnp.linalg.solve(eye - half, eye + half)

    # For solvers.

    def polish(self, x: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x (3 - x^T x)/2, a step of Newton and Schulz: squares the distance of x to the orthogonal matrices."""
        return newton_schulz(x)
