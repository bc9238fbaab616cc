"""Subspaces."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key
from ._base import AbstractManifold
from ._matrix_functions import expm
from ._matrix_motions import Conjugating, commutator, purified
from ._spectral import leading_projector, symmetric
from ._sphere import sphere_volume

# t/(sin t cos t) in s = sin^2(t): below s = sin^2(pi/8) = 0.146, the first term left out is under 1e-17.
_ANGLE_COEFFICIENTS = tuple(4.0**k * math.factorial(k) ** 2 / math.factorial(2 * k + 1) for k in range(20))


class Grassmann(AbstractManifold):
    r"""Gr(n, p) = {P in R^(n x n) : P^T = P = P^2, tr P = p}, 1 <= p < n: p-dimensional subspaces, as their projectors.

    Tangent space {v = v^T : P v + v P = v}. Metric <v, w> = tr(v w)/2, so that d(P, Q)^2 is the sum of the squares of
    the p principal angles. Cut locus of P: the Q with a principal angle of pi/2; `log` takes one of the shortest ways.
    O(n) acts by isometries, P -> g P g^T. A basis of the subspace is `x` with P = x x^T.
    Bendokat, Zimmermann, Absil, *A Grassmann manifold handbook*, 2020.
    """

    n: int = eqx.field(static=True)
    p: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not 1 <= self.p < self.n:
            raise ValueError(
                f"`Grassmann(n, p)` is the p-dimensional subspaces of R^n, 1 <= p < n; received n = {self.n}, "
                f"p = {self.p}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return (self.n, self.n)

    @property
    def dim(self) -> int:
        """p (n - p)."""
        return self.p * (self.n - self.p)

    def project(self, x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """The projector onto the p eigenvectors of (x + x^T)/2 with the largest eigenvalues."""
        return leading_projector(symmetric(x), self.p)

    def to_tangent(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """x s + s x - 2 x s x with s = (v + v^T)/2."""
        mixed = x @ symmetric(v)
        mixed = mixed - mixed @ x
        return mixed + mixed.T

    def polish(self, x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """3 s^2 - 2 s^3 with s = (x + x^T)/2."""
        return purified(symmetric(x))

    def exp(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """exp(xi) x exp(-xi) with xi = [v, x]."""
        return self.motions.act(self.motions.lift(x, v), x)

    def log(self, x: Float[Array, "n n"], y: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """[xi, x] with xi = f((x - y)^2) [y, x], f(sin^2 t) = t/(sin t cos t); from a quarter of the way, times 4."""
        z = leading_projector(symmetric(x + self._midpoint(x, y)), self.p)
        s = (x - z) @ (x - z)
        identity = jnp.eye(self.n, dtype=x.dtype)
        series = _ANGLE_COEFFICIENTS[-1] * identity
        for c in reversed(_ANGLE_COEFFICIENTS[:-1]):
            series = series @ s + c * identity
        return self.to_tangent(x, 4 * commutator(series @ commutator(z, x), x))

    def _midpoint(self, x: Float[Array, "n n"], y: Float[Array, "n n"]) -> Float[Array, "n n"]:
        # x + y - 1 has eigenvalues +-cos of the principal angles. Where that is 0 to half of the digits, directions have
        # no bisector until someone says which of them belong together: a constant matrix does, and touches no others.
        S = symmetric(x + y) - jnp.eye(self.n, dtype=x.dtype)
        cosines, V = jnp.linalg.eigh(jax.lax.stop_gradient(S))
        right = (jnp.abs(cosines) < float(jnp.finfo(x.dtype).eps) ** 0.5).astype(x.dtype)
        E = (V * right[None, :]) @ V.T
        B = jnp.asarray(np.random.default_rng(0).normal(size=self.shape), x.dtype)
        pairs = E @ symmetric(x @ B @ y) @ E
        return leading_projector(S + jax.lax.stop_gradient(pairs), self.p)

    @property
    def constant_metric(self) -> bool:
        """True."""
        return True

    def inner(self, x: Float[Array, "n n"], v: Float[Array, "n n"], w: Float[Array, "n n"]) -> Float[Array, ""]:
        """tr(v^T w)/2."""
        del x
        return jnp.vdot(v, w) / 2

    def sharp(self, x: Float[Array, "n n"], p: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Twice the tangential part of p."""
        return 2 * self.to_tangent(x, p)

    def transport(self, x: Float[Array, "n n"], v: Float[Array, "n n"], w: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """exp(xi) w exp(-xi) with xi = [v, x]: Gr is a symmetric space, and exp(xi) the transvection along v."""
        e = expm(self.motions.lift(x, v))
        return symmetric(e @ w @ e.T)

    def random_tangent(self, x: Float[Array, "n n"], *, key: Key) -> Float[Array, "n n"]:
        """A standard normal vector of the metric."""
        return self.to_tangent(x, math.sqrt(2) * jax.random.normal(key, self.shape, x.dtype))

    @property
    def motions(self) -> Conjugating:
        """exp(xi) P exp(-xi) of SO(n)."""
        return Conjugating()

    @property
    def injectivity_radius(self) -> float:
        """pi/2."""
        return math.pi / 2

    @property
    def volume(self) -> float:
        """The product of the volumes of S^(n-1), ..., S^(n-p) over that of S^(p-1), ..., S^0."""
        large, small = range(self.n - self.p, self.n), range(self.p)
        return math.prod(map(sphere_volume, large)) / math.prod(map(sphere_volume, small))
