"""The unit sphere."""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._numerics import angle_between, angle_over_sine, cos_sqrt, safe_norm, sinc_sqrt
from ._base import AbstractManifold
from ._lie_action import AbstractLieAction
from ._matrix_motions import Rotating
from ._rotation_action import RotationAction
from ._sphere_motions import PlaneRotationAction, QuaternionPairAction


class Sphere(AbstractManifold):
    """S^n = {x in R^(n+1) : |x| = 1}, for n >= 1; a point is an array (n+1,).

    Tangent space {v : <x, v> = 0}. The metric is that of R^(n+1): radius 1, curvature 1, diameter pi (scale the field,
    not the sphere). Cut locus of x: the antipode -x, at distance pi. There `log` has no right answer: it returns a
    finite vector that means nothing, and `dist` returns pi.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`Sphere(n)` is the n-sphere in R^(n+1), n >= 1; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(n+1,)."""
        return (self.n + 1,)

    @property
    def dim(self) -> int:
        """The dimension n."""
        return self.n

    def project(self, x: Float[Array, " m"]) -> Float[Array, " m"]:
        """x/|x|. The origin has no nearest point: it is left where it is, and does not belong."""
        r = safe_norm(x)
        return x / jnp.where(r > 0, r, 1)

    def to_tangent(self, x: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, " m"]:
        """v - <x, v> x."""
        return v - jnp.dot(x, v) * x

    def polish(self, x: Float[Array, " m"]) -> Float[Array, " m"]:
        """x (3 - <x, x>)/2, one step of Newton's method for 1/|x|."""
        return x * ((3 - jnp.dot(x, x)) / 2)

    def exp(self, x: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, " m"]:
        """cos(r) x + sin(r)/r v with r = |v|."""
        s = jnp.dot(v, v)
        return cos_sqrt(s) * x + sinc_sqrt(s) * v

    def log(self, x: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, " m"]:
        """a/sin(a) (y - cos(a) x) with a = d(x, y)."""
        return angle_over_sine(*_chords(x, y)) * self.to_tangent(x, y - x)

    def dist(self, x: Float[Array, " m"], y: Float[Array, " m"]) -> Float[Array, ""]:
        """The angle between x and y, in [0, pi]."""
        return angle_between(*_chords(x, y))

    def transport(self, x: Float[Array, " m"], v: Float[Array, " m"], w: Float[Array, " m"]) -> Float[Array, " m"]:
        """w - <v, w> (sin(r)/r x + (1 - cos(r))/r^2 v) with r = |v|: turns the plane of x and v, keeps the rest."""
        s = jnp.dot(v, v)
        # (1 - cos r)/r^2 = (sin(r/2)/(r/2))^2 / 2, without the cancellation.
        return w - jnp.dot(v, w) * (sinc_sqrt(s) * x + sinc_sqrt(s / 4) ** 2 / 2 * v)

    @property
    def motions(self) -> AbstractLieAction:
        """The rotations of R^(n+1): by an angle, by a vector, by two quaternions, and from n = 4 on by skew matrices."""
        closed = {1: PlaneRotationAction(), 2: RotationAction(), 3: QuaternionPairAction()}
        return closed.get(self.n, Rotating())

    @property
    def injectivity_radius(self) -> float:
        """pi."""
        return math.pi

    @property
    def volume(self) -> float:
        """2 pi^((n+1)/2) / Gamma((n+1)/2)."""
        return sphere_volume(self.n)


def sphere_volume(n: int) -> float:
    """The volume of the unit sphere S^n in R^(n+1), n >= 0: 2 (two points), 2 pi, 4 pi, 2 pi^2, ..."""
    return 2 * math.pi ** ((n + 1) / 2) / math.gamma((n + 1) / 2)


def _chords(x: Float[Array, " m"], y: Float[Array, " m"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    return jnp.sum((x - y) ** 2), jnp.sum((x + y) ** 2)
