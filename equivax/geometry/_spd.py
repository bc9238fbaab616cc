"""Symmetric positive definite matrices."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

from .._types import Key
from ._base import AbstractManifold, _default
from ._matrix_functions import expm
from ._matrix_motions import Congruence
from ._spectral import symmetric, symmetric_log


class SPD(AbstractManifold):
    r"""SPD(n) = {x in R^(n x n) : x^T = x, all eigenvalues > 0}, for n >= 1; a point is an array (n, n).

    Tangent space: the symmetric matrices. The metric is the affine-invariant one, <v, w>_x = tr(x^-1 v x^-1 w), in which
    every x -> g x g^T, g in GL(n), and x -> x^-1 are isometries: curvature between -1/2 and 0, complete, no cut locus.
    Everything is done in the Cholesky coordinates x = L L^T, s = L^-1 v L^-T, to a relative error of eps times the
    condition number of x. Pennec, Fillard, Ayache, *A Riemannian framework for tensor computing*, IJCV 66, 2006.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`SPD(n)` is the positive n x n matrices, n >= 1; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return (self.n, self.n)

    @property
    def dim(self) -> int:
        """n (n + 1)/2."""
        return self.n * (self.n + 1) // 2

    def project(self, x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """(x + x^T)/2, eigenvalues that are not positive raised to n eps |x|: M is open, others have no nearest point."""
        s = symmetric(x)
        eigenvalues, V = jnp.linalg.eigh(jax.lax.stop_gradient(s))
        eps = float(jnp.finfo(s.dtype).eps)
        least = self.n * eps * jnp.maximum(jnp.max(jnp.abs(eigenvalues)), eps)
        lift = jnp.where(eigenvalues > 0, 0, least - eigenvalues)
        return s + symmetric((V * lift[None, :]) @ V.T)

    def to_tangent(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """(v + v^T)/2."""
        del x
        return symmetric(v)

    def polish(self, x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """(x + x^T)/2."""
        return symmetric(x)

    def exp(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """L exp(s) L^T."""
        L, s = _whitened(x, v)
        return symmetric(L @ expm(s) @ L.T)

    def log(self, x: Float[Array, "n n"], y: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """L log(L^-1 y L^-T) L^T."""
        L, s = _whitened(x, y)
        return symmetric(L @ symmetric_log(s) @ L.T)

    def inner(self, x: Float[Array, "n n"], v: Float[Array, "n n"], w: Float[Array, "n n"]) -> Float[Array, ""]:
        """tr((x^-1 v)^T x^-1 w): also for v that are not symmetric."""
        L = jnp.linalg.cholesky(x)
        return jnp.vdot(_solve(L, _solve(L, v).T), _solve(L, _solve(L, w).T))

    def sharp(self, x: Float[Array, "n n"], p: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """x (p + p^T)/2 x."""
        return symmetric(x @ symmetric(p) @ x)

    def retract(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """x + v + v x^-1 v/2 = (x + (x + v) x^-1 (x + v))/2, positive however long v is."""
        root = _solve(jnp.linalg.cholesky(x), v)
        return symmetric(x + v + root.T @ root / 2)

    def transport(self, x: Float[Array, "n n"], v: Float[Array, "n n"], w: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """L exp(s/2) L^-1 w L^-T exp(s/2) L^T."""
        L, s = _whitened(x, v)
        e = L @ expm(s / 2)
        return symmetric(e @ _solve(L, _solve(L, w).T) @ e.T)

    def frame(self, x: Float[Array, "n n"]) -> Float[Array, "d n n"]:
        """L e_ij L^T for the orthonormal symmetric matrices e_ij."""
        L = jnp.linalg.cholesky(x)
        rows, columns = jnp.triu_indices(self.n)
        units = jnp.zeros((self.dim, self.n, self.n), x.dtype).at[jnp.arange(self.dim), rows, columns].set(1)
        scale = jnp.where(rows == columns, 1 / 2, math.sqrt(1 / 2)).astype(x.dtype)
        return L @ (scale[:, None, None] * (units + jnp.swapaxes(units, 1, 2))) @ L.T

    def belongs(self, x: Float[Array, "n n"]) -> Bool[Array, ""]:
        """Whether x is symmetric to 1000 units in the last place, and has a Cholesky factor."""
        asymmetry = jnp.linalg.norm(x - x.T) <= 1000 * float(jnp.finfo(x.dtype).eps) * jnp.linalg.norm(x)
        return asymmetry & jnp.all(jnp.isfinite(jnp.linalg.cholesky(symmetric(x))))

    def random_point(self, *, key: Key, dtype: Any = None) -> Float[Array, "n n"]:
        """exp(u/2) of a standard normal u at the identity: M is not compact, and has no uniform points."""
        identity = jnp.eye(self.n, dtype=_default(dtype))
        return self.exp(identity, self.random_tangent(identity, key=key) / 2)

    def random_tangent(self, x: Float[Array, "n n"], *, key: Key) -> Float[Array, "n n"]:
        """L u L^T, u a standard normal symmetric matrix."""
        L = jnp.linalg.cholesky(x)
        return symmetric(L @ symmetric(jax.random.normal(key, self.shape, x.dtype)) @ L.T)

    @property
    def motions(self) -> Congruence:
        """exp(xi) x exp(xi)^T of GL(n)."""
        return Congruence()

    @property
    def injectivity_radius(self) -> float:
        """Infinite."""
        return math.inf

    @property
    def volume(self) -> float:
        """Infinite."""
        return math.inf


def _solve(L: Float[Array, "n n"], b: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return solve_triangular(L, b, lower=True)


def _whitened(x: Float[Array, "n n"], v: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    L = jnp.linalg.cholesky(x)
    return L, symmetric(_solve(L, _solve(L, v).T))
