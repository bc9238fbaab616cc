"""The Heisenberg group: the simplest that is neither commutative nor compact."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._numerics import cos_defect, sin_defect, sinc_sqrt
from .._types import Key
from ._lie_group import AbstractLieGroup
from ._matrix_functions import expm

Vector = Float[Array, " k"]


class Heisenberg(AbstractLieGroup):
    """H_n = R^(2n+1) with the product (x, y, z)(x', y', z') = (x + x', y + y', z + z' + (x.y' - y.x')/2), n >= 1; a
    point is an array (2n+1,), with x and y in R^n and z in R.

    These coordinates are those of the algebra too: `expm`, `logm`, `hat`, `vee` leave the numbers as they are. Metric
    |x|^2 + |y|^2 + z^2 at the identity, carried by left translations (not invariant on both sides: no metric is). Its
    geodesics are helices: (x, y) runs on a circle of curvature c = the constant vertical velocity, and the area it
    sweeps lifts z. Cut locus of the identity: (0, 0, z), |z| >= 2 pi; there `log`
    is a shortest vector's limit, of length near 2 pi or more.
    Biggs, Nagy, *On the sub-Riemannian and Riemannian structures on the Heisenberg groups*, J. Dyn. Control Syst. 2016.
    """

    n: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`Heisenberg(n)` is a group on R^(2n+1), n >= 1; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(2n+1,)."""
        return (2 * self.n + 1,)

    @property
    def dim(self) -> int:
        """2n+1."""
        return 2 * self.n + 1

    def _area(self, a: Vector, b: Vector) -> Float[Array, "1"]:
        n = self.n
        return (jnp.dot(a[:n], b[n : 2 * n]) - jnp.dot(a[n : 2 * n], b[:n]))[None]

    def _lifted(self, a: Vector, b: Vector, factor: float) -> Vector:
        """b + factor (0, 0, area of a and b)."""
        return jnp.concatenate([b[:-1], b[-1:] + factor * self._area(a, b)])

    def _turned(self, p: Float[Array, ""], q: Float[Array, ""], v: Vector) -> Float[Array, " m"]:
        """(p + i q)(x + i y): the horizontal part of v turned and stretched."""
        x, y = v[: self.n], v[self.n : 2 * self.n]
        return jnp.concatenate([p * x - q * y, q * x + p * y])

    # The group.

    @property
    def identity(self) -> Float[np.ndarray, " k"]:
        """0."""
        return np.zeros(self.dim)

    def compose(self, x: Vector, y: Vector) -> Vector:
        """x + y + (0, 0, (x.y' - y.x')/2)."""
        return self._lifted(x, x + y, 0.5)

    def inverse(self, x: Vector) -> Vector:
        """-x."""
        return -x

    def hat(self, xi: Vector) -> Vector:
        """The same numbers."""
        return xi

    def vee(self, v: Vector) -> Vector:
        """The same numbers."""
        return v

    def left_invariant(self, x: Vector, xi: Vector) -> Vector:
        """xi + (0, 0, [x, xi]/2)."""
        return self._lifted(x, xi, 0.5)

    def right_invariant(self, x: Vector, xi: Vector) -> Vector:
        """xi - (0, 0, [x, xi]/2)."""
        return self._lifted(x, xi, -0.5)

    def left_trivialise(self, x: Vector, v: Vector) -> Vector:
        """v - (0, 0, [x, v]/2)."""
        return self._lifted(x, v, -0.5)

    def right_trivialise(self, x: Vector, v: Vector) -> Vector:
        """v + (0, 0, [x, v]/2)."""
        return self._lifted(x, v, 0.5)

    def expm(self, xi: Vector) -> Vector:
        """The same numbers."""
        return xi

    def logm(self, x: Vector) -> Vector:
        """The same numbers."""
        return x

    def Ad(self, x: Vector, xi: Vector) -> Vector:
        """xi + [x, xi]."""
        return self._lifted(x, xi, 1.0)

    def bracket(self, xi: Vector, eta: Vector) -> Vector:
        """(0, 0, x.y' - y.x'); brackets of brackets vanish."""
        return jnp.concatenate([jnp.zeros_like(xi[:-1]), self._area(xi, eta)])

    def dexp(self, u: Vector, w: Vector) -> Vector:
        """w + [u, w]/2."""
        return self._lifted(u, w, 0.5)

    def dexpinv(self, u: Vector, w: Vector) -> Vector:
        """w - [u, w]/2."""
        return self._lifted(u, w, -0.5)

    @property
    def has_closed_dexpinv(self) -> bool:
        """Always."""
        return True

    def ad_norm(self, u: Vector) -> Float[Array, ""]:
        """0: ad_u is nilpotent, and dexpinv_u regular everywhere."""
        return jnp.sum(u * 0)

    # The metric.

    def project(self, x: Vector) -> Vector:
        """x itself."""
        return x

    def to_tangent(self, x: Vector, v: Vector) -> Vector:
        """v itself."""
        del x
        return v

    def exp(self, x: Vector, v: Vector) -> Vector:
        """x times the helix of xi = x^-1 v, h + i c: horizontally h (e^(i c) - 1)/(i c), vertically
        c + |h|^2 (c - sin(c))/(2 c^2)."""
        xi = self.left_trivialise(x, v)
        c = xi[-1]
        flat = self._turned(sinc_sqrt(c**2), c * cos_defect(c**2), xi)
        rise = c * (1 + jnp.dot(xi[:-1], xi[:-1]) * sin_defect(c**2) / 2)
        return self.compose(x, jnp.concatenate([flat, rise[None]]))

    def log(self, x: Vector, y: Vector) -> Vector:
        """x times the xi whose helix ends at (h, z) = x^-1 y: one equation for its vertical part c in (-2 pi, 2 pi)."""
        end = self.compose(-x, y)
        c = _vertical(jnp.dot(end[:-1], end[:-1]), end[-1])
        p, q, size = sinc_sqrt(c**2), c * cos_defect(c**2), 2 * cos_defect(c**2)
        return self.left_invariant(x, jnp.concatenate([self._turned(p / size, -q / size, end), c[None]]))

    def retract(self, x: Vector, v: Vector) -> Vector:
        """x (h (1 + i c/2), c) with (h, c) = x^-1 v: the Taylor polynomial of the helix, of second order."""
        xi = self.left_trivialise(x, v)
        return self.compose(x, jnp.concatenate([self._turned(jnp.ones_like(xi[-1]), xi[-1] / 2, xi), xi[-1:]]))

    def first_order_retract(self, x: Vector, v: Vector) -> Vector:
        """x + v."""
        return x + v

    def transport(self, x: Vector, v: Vector, w: Vector) -> Vector:
        """In the frame that turns along with the helix the equation has constant coefficients: one exponential of a
        skew matrix, then the turn by c. The connection is nabla_a b = ([a, b] - ad_a^T b - ad_b^T a)/2 (Koszul)."""
        a, b = self.left_trivialise(x, v), self.left_trivialise(x, w)
        c = a[-1]

        def ad_transposed(a, b):
            """The vector with <ad_a^T b, d> = <b, [a, d]>: the horizontal part of a turned by a quarter, times b_z."""
            return jnp.concatenate([self._turned(jnp.zeros_like(c), b[-1], a), jnp.zeros_like(a[:1])])

        def rate(b):
            nabla = (self.bracket(a, b) - ad_transposed(a, b) - ad_transposed(b, a)) / 2
            return -nabla - jnp.concatenate([self._turned(jnp.zeros_like(c), c, b), jnp.zeros_like(b[:1])])

        moved = expm(jax.vmap(rate, out_axes=1)(jnp.eye(self.dim, dtype=a.dtype))) @ b
        turned = jnp.concatenate([self._turned(jnp.cos(c), jnp.sin(c), moved), moved[-1:]])
        return self.left_invariant(self.exp(x, v), turned)

    def random_point(self, *, key: Key, dtype: Any = None) -> Vector:
        """Standard normal coordinates: the group has no uniform probability."""
        return jax.random.normal(key, self.shape, jnp.result_type(float) if dtype is None else dtype)

    @property
    def injectivity_radius(self) -> float:
        """2 pi: the first conjugate point of the vertical line."""
        return 2 * math.pi

    @property
    def volume(self) -> float:
        """Infinite."""
        return math.inf


def _vertical(area: Float[Array, ""], z: Float[Array, ""]) -> Float[Array, ""]:
    """The c in (-2 pi, 2 pi) with c + area (c - sin(c))/(4 (1 - cos(c))) = z; area = |h|^2. The left side increases.

    Bisection, not differentiated, then two Newton steps, each of which makes one derivative or more exact. Kept a
    distance sqrt(eps) from +-2 pi, where the left side is infinite.
    """

    def rise(c, area):
        return c + area * c * sin_defect(c**2) / (4 * cos_defect(c**2))

    dtype = z.dtype
    last = jnp.asarray(2 * math.pi - math.sqrt(float(jnp.finfo(dtype).eps)), dtype)
    fixed_area, fixed = jax.lax.stop_gradient((area, z))

    def halve(_, interval):
        low, high = interval
        middle = (low + high) / 2
        above = rise(middle, fixed_area) > jnp.abs(fixed)
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, _ = jax.lax.fori_loop(0, jnp.finfo(dtype).nmant, halve, (jnp.zeros_like(z), jnp.minimum(jnp.abs(fixed), last)))
    c = low * jnp.sign(fixed)
    for _ in range(2):
        value, slope = jax.jvp(lambda c: rise(c, area), (c,), (jnp.ones_like(c),))
        c = c - jnp.where(jnp.abs(c) < 0.999 * last, value - z, 0) / slope
    return c
