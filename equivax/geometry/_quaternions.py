"""The unit quaternions."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._rotations import cross, cross_dexp, cross_dexpinv, quaternion_product
from .._types import Key
from ._lie_group import AbstractLieGroup
from ._sphere import Sphere

Quaternion = Float[Array, "4"]
Imaginary = Float[Array, "3"]

_S3 = Sphere(3)


class UnitQuaternions(AbstractLieGroup):
    """Sp(1) = {q = w + x i + y j + z k : |q| = 1}, isomorphic to SU(2); a point is (w, x, y, z), scalar first.

    Metric that of the unit sphere S^3, invariant on both sides. Algebra coordinates are the imaginary part (x, y, z).
    q turns R^3 by v -> q v q^-1, by *twice* its distance from 1: expm(xi) is the rotation by the vector 2 xi, q and -q
    are the same rotation. Cut locus of q: the antipode -q, at distance pi, where `log` is as in `Sphere(3)`.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(4,)."""
        return (4,)

    @property
    def dim(self) -> int:
        """3."""
        return 3

    @property
    def identity(self) -> Float[np.ndarray, "4"]:
        """1."""
        return np.array([1.0, 0.0, 0.0, 0.0])

    def compose(self, x: Quaternion, y: Quaternion) -> Quaternion:
        """Hamilton's product x y: first y, then x, as rotations."""
        return quaternion_product(x, y)

    def inverse(self, x: Quaternion) -> Quaternion:
        """The conjugate."""
        return jnp.concatenate([x[:1], -x[1:]])

    def rotation(self, x: Quaternion) -> Float[Array, "3 3"]:
        """The matrix in SO(3) of v -> x v x^-1."""
        w, (a, b, c) = x[0], x[1:]
        rows = [
            (w * w + a * a - b * b - c * c, 2 * (a * b - w * c), 2 * (a * c + w * b)),
            (2 * (a * b + w * c), w * w - a * a + b * b - c * c, 2 * (b * c - w * a)),
            (2 * (a * c - w * b), 2 * (b * c + w * a), w * w - a * a - b * b + c * c),
        ]
        return jnp.stack([jnp.stack(row) for row in rows])

    def hat(self, xi: Imaginary) -> Quaternion:
        """(0, xi)."""
        return jnp.concatenate([jnp.zeros_like(xi[:1]), xi])

    def vee(self, v: Quaternion) -> Imaginary:
        """The imaginary part."""
        return v[1:]

    def left_invariant(self, x: Quaternion, xi: Imaginary) -> Quaternion:
        """The product x xi."""
        return quaternion_product(x, self.hat(xi))

    def right_invariant(self, x: Quaternion, xi: Imaginary) -> Quaternion:
        """The product xi x."""
        return quaternion_product(self.hat(xi), x)

    def left_trivialise(self, x: Quaternion, v: Quaternion) -> Imaginary:
        """The imaginary part of x^-1 v."""
        return quaternion_product(self.inverse(x), v)[1:]

    def right_trivialise(self, x: Quaternion, v: Quaternion) -> Imaginary:
        """The imaginary part of v x^-1."""
        return quaternion_product(v, self.inverse(x))[1:]

    def bracket(self, xi: Imaginary, eta: Imaginary) -> Imaginary:
        """2 xi x eta."""
        return 2 * cross(xi, eta)

    def dexp(self, u: Imaginary, w: Imaginary) -> Imaginary:
        """That of the rotation vector 2u."""
        return cross_dexp(2 * u, w)

    def dexpinv(self, u: Imaginary, w: Imaginary) -> Imaginary:
        """That of the rotation vector 2u."""
        return cross_dexpinv(2 * u, w)

    @property
    def has_closed_dexpinv(self) -> bool:
        """Always."""
        return True

    def ad_norm(self, u: Imaginary) -> Float[Array, ""]:
        """2 |u|, exactly."""
        return 2 * jnp.sqrt(jnp.dot(u, u))

    # The sphere.

    def project(self, x: Quaternion) -> Quaternion:
        """x/|x|."""
        return _S3.project(x)

    def to_tangent(self, x: Quaternion, v: Quaternion) -> Quaternion:
        """v - <x, v> x."""
        return _S3.to_tangent(x, v)

    @property
    def constant_metric(self) -> bool:
        """True: translations do not change it."""
        return True

    def inner(self, x: Quaternion, v: Quaternion, w: Quaternion) -> Float[Array, ""]:
        """<v, w>, the inner product of R^4."""
        return _S3.inner(x, v, w)

    def sharp(self, x: Quaternion, p: Quaternion) -> Quaternion:
        """The tangential part of p."""
        return _S3.sharp(x, p)

    def exp(self, x: Quaternion, v: Quaternion) -> Quaternion:
        """That of the sphere: cos(r) x + sin(r)/r v with r = |v|."""
        return _S3.exp(x, v)

    def log(self, x: Quaternion, y: Quaternion) -> Quaternion:
        """That of the sphere."""
        return _S3.log(x, y)

    def dist(self, x: Quaternion, y: Quaternion) -> Float[Array, ""]:
        """The angle between x and y in R^4, in [0, pi]: half of the angle of the rotation x^-1 y, or pi less that."""
        return _S3.dist(x, y)

    def transport(self, x: Quaternion, v: Quaternion, w: Quaternion) -> Quaternion:
        """That of the sphere."""
        return _S3.transport(x, v, w)

    def random_point(self, *, key: Key, dtype: Any = None) -> Quaternion:
        """Uniform on the sphere, hence a uniform rotation."""
        return _S3.random_point(key=key, dtype=dtype)

    @property
    def injectivity_radius(self) -> float:
        """Pi, to the antipode."""
        return math.pi

    @property
    def volume(self) -> float:
        """2 pi^2."""
        return 2 * math.pi**2
