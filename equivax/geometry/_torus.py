"""The flat torus, in angles."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import Key
from ._base import AbstractManifold, _default
from ._translation import Translation


class Torus(AbstractManifold):
    """T^n = (R / 2 pi Z)^n; a point is an array (n,) of angles in [-pi, pi).

    Tangent space R^n, in radians; metric sum v_i w_i: flat, each circle of length 2 pi, diameter pi sqrt(n).
    Cut locus of x: the points of which some angle differs by pi. `log` takes the way through smaller angles there.
    A field on the torus must be 2 pi-periodic in each angle. Between steps an angle may leave the interval: `project`
    winds it back, with derivative 1 everywhere.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`Torus(n)` is a product of n circles, n >= 1; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,)."""
        return (self.n,)

    @property
    def dim(self) -> int:
        """The dimension n."""
        return self.n

    def project(self, x: Float[Array, " n"]) -> Float[Array, " n"]:
        """x + 2 pi k in [-pi, pi)."""
        wound = x - 2 * math.pi * jnp.round(x / (2 * math.pi))
        # Rounding leaves the seam at either end: it is one point, and called -pi. The shift carries no derivative.
        seam = jnp.where(wound >= math.pi, -2 * math.pi, jnp.maximum(-math.pi - wound, 0))
        return wound + jax.lax.stop_gradient(seam)

    def to_tangent(self, x: Float[Array, " n"], v: Float[Array, " n"]) -> Float[Array, " n"]:
        """v itself."""
        del x
        return v

    def exp(self, x: Float[Array, " n"], v: Float[Array, " n"]) -> Float[Array, " n"]:
        """x + v, wound back into [-pi, pi)."""
        return self.project(x + v)

    def log(self, x: Float[Array, " n"], y: Float[Array, " n"]) -> Float[Array, " n"]:
        """y - x, wound back into [-pi, pi)."""
        return self.project(y - x)

    def transport(self, x: Float[Array, " n"], v: Float[Array, " n"], w: Float[Array, " n"]) -> Float[Array, " n"]:
        """w itself."""
        del x, v
        return w

    def random_point(self, *, key: Key, dtype: Any = None) -> Float[Array, " n"]:
        """A uniform point."""
        return jax.random.uniform(key, self.shape, _default(dtype), -math.pi, math.pi)

    def accepts(self, x: Float[Array, " n"]) -> Bool[Array, ""]:
        """Always: angles outside of the interval name points inside."""
        del x
        return jnp.asarray(True)

    @property
    def motions(self) -> Translation:
        """x + xi."""
        return Translation(self)

    @property
    def injectivity_radius(self) -> float:
        """pi."""
        return math.pi

    @property
    def volume(self) -> float:
        """(2 pi)^n."""
        return (2 * math.pi) ** self.n
