"""Orthonormal frames."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key
from ._base import AbstractManifold
from ._matrix_functions import expm, newton_schulz
from ._matrix_motions import Rotating, commutator
from ._spectral import orthonormalised, symmetric
from ._sphere import sphere_volume

# The transport's exponential, in this many steps of a series of this many terms: 1e-16 for geodesics up to 2 pi.
_TRANSPORT_STEPS = 8
_TRANSPORT_TERMS = 16


class Stiefel(AbstractManifold):
    r"""St(n, p) = {x in R^(n x p) : x^T x = I}, for 1 <= p < n; a point is an array (n, p), p orthonormal columns.

    Tangent space {v : x^T v + v^T x = 0}. The metric is the canonical one, of the quotient SO(n)/SO(n-p):

        <v, w> = tr(v^T (I - x x^T / 2) w),

    so that Stiefel(n, 1) is the unit sphere, and geodesics are orbits: exp_x(v) = exp(lift(x, v)) x. (The Euclidean
    metric tr(v^T w) counts turns inside the span of x twice as much.) O(n) from the left and O(p) from the right are
    isometries. The cut locus has no closed form; `log` is right at least within the injectivity radius of `Stiefel`.
    Edelman, Arias, Smith, *The geometry of algorithms with orthogonality constraints*, SIMAX 20, 1998, section 2.4.
    """

    n: int = eqx.field(static=True)
    p: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not 1 <= self.p < self.n:
            raise ValueError(
                f"`Stiefel(n, p)` is p orthonormal vectors in R^n, 1 <= p < n; received n = {self.n}, p = {self.p}. "
                "For p = n use `Orthogonal(n)` or `SpecialOrthogonal(n)`."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        return (self.n, self.p)

    @property
    def dim(self) -> int:
        """n p - p (p + 1)/2."""
        return self.n * self.p - self.p * (self.p + 1) // 2

    def project(self, x: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """x (x^T x)^(-1/2), the polar factor: nearest in R^(n x p), for x of full rank."""
        return orthonormalised(x)

    def to_tangent(self, x: Float[Array, "n p"], v: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """v - x sym(x^T v), orthogonal in both metrics."""
        return v - x @ symmetric(x.T @ v)

    def polish(self, x: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """x (3 - x^T x)/2."""
        return newton_schulz(x)

    def exp(self, x: Float[Array, "n p"], v: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """exp(lift(x, v)) x."""
        return self.motions.act(self.motions.lift(x, v), x)

    def inner(self, x: Float[Array, "n p"], v: Float[Array, "n p"], w: Float[Array, "n p"]) -> Float[Array, ""]:
        """tr(v^T (I - x x^T/2) w)."""
        return jnp.vdot(v, w) - jnp.vdot(x.T @ v, x.T @ w) / 2

    def sharp(self, x: Float[Array, "n p"], p: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """p - x p^T x."""
        return p - x @ (p.T @ x)

    def retract(self, x: Float[Array, "n p"], v: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """(I - xi/2)^-1 (I + xi/2) x with xi = lift(x, v): Cayley's transform in the place of exp."""
        half = self.motions.lift(x, v) / 2
        identity = jnp.eye(self.n, dtype=x.dtype)
        return newton_schulz(jnp.linalg.solve(identity - half, x + half @ x))

    def first_order_retract(self, x: Float[Array, "n p"], v: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """project(x + v); of second order in the Euclidean metric, of first order in this one."""
        return self.project(x + v)

    def transport(self, x: Float[Array, "n p"], v: Float[Array, "n p"], w: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """exp(xi) T x with xi = lift(x, v) and T' = -[xi, T]_m / 2 from T = lift(x, w), m the horizontal matrices.

        The connection of a naturally reductive space. The exponential of T -> -[xi, T]_m / 2 is a series in steps.
        Kobayashi, Nomizu, *Foundations of Differential Geometry II*, theorem X.3.3.
        """
        xi = self.motions.lift(x, v)

        def slope(T):
            return self.motions.lift(x, commutator(xi, T) @ x) * (-0.5 / _TRANSPORT_STEPS)

        def power(carry, k):
            term, total = carry
            term = slope(term) / k
            return (term, total + term), None

        def step(T, _):
            (_, total), _ = jax.lax.scan(power, (T, T), jnp.arange(1, _TRANSPORT_TERMS + 1, dtype=x.dtype))
            return total, None

        T, _ = jax.lax.scan(step, self.motions.lift(x, w), length=_TRANSPORT_STEPS)
        y = self.exp(x, v)
        turned = expm(xi) @ (T @ x)
        return self.to_tangent(y, turned)

    def random_tangent(self, x: Float[Array, "n p"], *, key: Key) -> Float[Array, "n p"]:
        """A standard normal vector of the metric: the Euclidean one with turns inside the span of x sqrt(2) as long."""
        v = self.to_tangent(x, jax.random.normal(key, x.shape, x.dtype))
        return v + (math.sqrt(2) - 1) * x @ (x.T @ v)

    @property
    def motions(self) -> Rotating:
        """exp(xi) x of SO(n)."""
        return Rotating()

    @property
    def injectivity_radius(self) -> float:
        """A lower bound, pi sqrt(4/5), from sectional curvatures of at most 5/4 (Rentmeesters, 2013); pi for p = 1.

        The radius itself is at most 0.9133 pi for 1 < p < n - 1 (Absil, Mataigne, 2024).
        """
        return math.pi if self.p == 1 else math.pi * math.sqrt(4 / 5)

    @property
    def volume(self) -> float:
        """prod of the volumes of the spheres S^(n-1), ..., S^(n-p)."""
        return math.prod(map(sphere_volume, range(self.n - self.p, self.n)))
