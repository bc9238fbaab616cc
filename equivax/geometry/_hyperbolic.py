"""Hyperbolic space."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._numerics import cosh_sqrt, length_over_sinh, safe_sqrt, sinhc_sqrt
from .._types import Key
from ._base import AbstractManifold, _default
from ._matrix_motions import Boosting, minkowski


class Hyperbolic(AbstractManifold):
    r"""H^n = {x in R^(n+1) : <x, x> = -1, x_0 > 0}, for n >= 1, the hyperboloid; a point is an array (n+1,), time first.

    <x, y> = -x_0 y_0 + x_1 y_1 + ... + x_n y_n is Minkowski's form, positive on the tangent space {v : <x, v> = 0},
    where it is the metric: curvature -1, no cut locus. The Lorentz group SO(1, n) moves points isometrically.

    What is computed from x - y loses a digit whenever the distance from the origin (1, 0, ..., 0) grows by 1.15:
    coordinates are as large as cosh(d). Parallel fields, `exp` and `transport` are exact throughout.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`Hyperbolic(n)` is a hyperboloid in R^(n+1), n >= 1; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(n+1,)."""
        return (self.n + 1,)

    @property
    def dim(self) -> int:
        """The dimension n."""
        return self.n

    def project(self, x: Float[Array, " m"]) -> Float[Array, " m"]:
        """x / sqrt(-<x, x>) inside the future cone, which commutes with boosts; outside, `polish(x)`."""
        q = -_form(x, x)
        inside = (q > 0) & (x[0] > 0)
        return self.polish(jnp.where(inside, x / jnp.sqrt(jnp.where(inside, q, 1)), x))

    def to_tangent(self, x: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, " m"]:
        """v + <x, v> x, orthogonal in Minkowski's form."""
        return v + _form(x, v) * x

    def polish(self, x: Float[Array, " m"]) -> Float[Array, " m"]:
        """The point with the same place (x_1, ..., x_n) and time sqrt(1 + x_1^2 + ... + x_n^2)."""
        return x.at[0].set(_time(x))

    def exp(self, x: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, " m"]:
        """cosh(r) x + sinh(r)/r v with r = |v|."""
        s = self._square(x, v)
        return self.polish(cosh_sqrt(s) * x + sinhc_sqrt(s) * v)

    def log(self, x: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, " m"]:
        """a/sinh(a) (y - cosh(a) x) with a = d(x, y)."""
        return length_over_sinh(_chord(x, y)) * self.to_tangent(x, y - x)

    def dist(self, x: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, ""]:
        """2 arsinh(sqrt(<x - y, x - y>)/2)."""
        return 2 * jnp.arcsinh(safe_sqrt(_chord(x, y)) / 2)

    def inner(self, x: Float[Array, " m"], v: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, ""]:
        """-v_0 w_0 + v_1 w_1 + ... + v_n w_n."""
        del x
        return _form(v, w)

    def sharp(self, x: Float[Array, " m"], p: Float[Array, " m"]) -> Float[Array, " m"]:
        """The tangential part of (-p_0, p_1, ..., p_n)."""
        return self.to_tangent(x, minkowski(p))

    def retract(self, x: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, " m"]:
        """sqrt(1 + |v|^2) x + v, which is on M however long v is, and commutes with boosts."""
        return self.polish(jnp.sqrt(1 + self._square(x, v)) * x + v)

    def transport(self, x: Float[Array, " m"], v: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, " m"]:
        """w + <v, w> (sinh(r)/r x + (cosh(r) - 1)/r^2 v) with r = |v|: boosts the plane of x and v, keeps the rest."""
        s = self._square(x, v)
        # (cosh r - 1)/r^2 = (sinh(r/2)/(r/2))^2 / 2, without the cancellation.
        return w + _form(v, w) * (sinhc_sqrt(s) * x + sinhc_sqrt(s / 4) ** 2 / 2 * v)

    def frame(self, x: Float[Array, " m"]) -> Float[Array, "n m"]:
        """The standard basis at the origin, transported to x."""
        return jax.vmap(lambda u: _from_origin(x, u))(jnp.eye(self.n, dtype=x.dtype))

    def residual(self, x: Float[Array, " m"]) -> Float[Array, ""]:
        """|x_0 - sqrt(1 + x_1^2 + ... + x_n^2)|."""
        return jnp.abs(x[0] - _time(x))

    def random_point(self, *, key: Key, dtype: Any = None) -> Float[Array, " m"]:
        """exp(u) of a standard normal u at the origin: M is not compact, and has no uniform points."""
        origin = jnp.zeros(self.shape, _default(dtype)).at[0].set(1)
        return self.exp(origin, self.random_tangent(origin, key=key))

    def random_tangent(self, x: Float[Array, " m"], *, key: Key) -> Float[Array, " m"]:
        """A standard normal vector at the origin, transported to x."""
        return _from_origin(x, jax.random.normal(key, (self.n,), x.dtype))

    def _square(self, x: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, ""]:
        # |v|^2 in coordinates at the origin, where it is a sum of squares: v boosted back.
        u = v[1:] - v[0] / (1 + x[0]) * x[1:]
        return jnp.dot(u, u)

    @property
    def motions(self) -> Boosting:
        """exp(xi) x of SO(1, n)."""
        return Boosting(self)

    @property
    def injectivity_radius(self) -> float:
        """Infinite."""
        return math.inf

    @property
    def volume(self) -> float:
        """Infinite."""
        return math.inf


def _form(v: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, ""]:
    return jnp.dot(v[1:], w[1:]) - v[0] * w[0]


def _time(x: Float[Array, " m"]) -> Float[Array, ""]:
    return jnp.sqrt(1 + jnp.dot(x[1:], x[1:]))


def _chord(x: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, ""]:
    # <x - y, x - y> >= 0, with x_0 - y_0 from the places: their times agree to more digits than they have.
    step = x[1:] - y[1:]
    time = jnp.dot(step, x[1:] + y[1:]) / (x[0] + y[0])
    return jnp.maximum(jnp.dot(step, step) - time * time, 0)


def _from_origin(x: Float[Array, " m"], u: Float[Array, " n"]) -> Float[Array, " m"]:
    along = jnp.dot(x[1:], u)
    return jnp.concatenate([along[None], u + along / (1 + x[0]) * x[1:]])
