"""The rotations of R^n, and with the reflections all its isometries that fix the origin."""

import functools
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._numerics import product
from .._rotations import (
    cross,
    cross_dexp,
    cross_dexpinv,
    cross_matrix,
    cross_vector,
    rotation_matrix,
    rotation_vector,
)
from ._compact_group import AbstractCompactGroup
from ._matrix_functions import near_polar, polar, unitary_log
from ._sphere import sphere_volume


@functools.cache
def rotation_generators(n: int) -> Float[np.ndarray, "k n n"]:
    """A basis of so(n), orthonormal in tr(v^T w)/2: E_x, E_y, E_z for n = 3, else e_i e_j^T - e_j e_i^T for i > j."""
    pairs = [(2, 1), (0, 2), (1, 0)] if n == 3 else [(i, j) for i in range(n) for j in range(i)]
    basis = np.zeros((len(pairs), n, n))
    for matrix, (i, j) in zip(basis, pairs, strict=True):
        matrix[i, j], matrix[j, i] = 1, -1
    basis.setflags(write=False)
    return basis


class SpecialOrthogonal(AbstractCompactGroup):
    """SO(n) = {x in R^(n x n) : x^T x = 1, det x = 1}, n >= 2; a point is a matrix (n, n).

    Metric <v, w> = tr(v^T w)/2, invariant on both sides: for n = 2 and 3 the distance is the angle of the rotation in
    radians, and SO(n) acts on the unit spheres by isometries. Algebra coordinates: the angle for n = 2, the rotation
    vector for n = 3, otherwise xi_1 = xi(2,1), xi(3,1), xi(3,2), ... by rows below the diagonal. Cut locus of x: the y
    for which x^-1 y turns some plane by pi; there `log` is one of the shortest vectors.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"`SpecialOrthogonal(n)` is the group of rotations of R^n, n >= 2; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, n)."""
        return (self.n, self.n)

    @property
    def dim(self) -> int:
        """n(n-1)/2."""
        return self.n * (self.n - 1) // 2

    @property
    def lie_algebra(self) -> Float[np.ndarray, "k n n"]:
        """See `rotation_generators`."""
        return rotation_generators(self.n)

    def project(self, x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """The nearest rotation: u v^T of the singular value decomposition u s v^T, the smallest s negated if need be."""
        return polar(x, special=True)

    def nearby(self, x: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], Float[Array, ""]]:
        """By steps of Newton and Schulz: see `near_polar`. Infinitely far from a reflection."""
        y, square = near_polar(x)
        return y, jnp.where(jnp.linalg.det(x) > 0, square, jnp.inf)

    def hat(self, xi: Float[Array, " k"]) -> Float[Array, "n n"]:
        """The skew matrix; for n = 3 that of the cross product, hat(xi) y = xi x y."""
        return cross_matrix(xi) if self.n == 3 else super().hat(xi)

    def vee(self, v: Float[Array, "n n"]) -> Float[Array, " k"]:
        """The coordinates of (v - v^T)/2."""
        return cross_vector(v) if self.n == 3 else super().vee(v)

    def to_tangent(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """x (a - a^T)/2 with a = x^T v."""
        a = product(x.T, v)
        return product(x, a - a.T) / 2

    def expm(self, xi: Float[Array, " k"]) -> Float[Array, "n n"]:
        """The exponential; closed for n = 2 and n = 3 (Rodrigues)."""
        if self.n == 2:
            c, s = jnp.cos(xi[0]), jnp.sin(xi[0])
            return jnp.stack([c, -s, s, c]).reshape(2, 2)
        return rotation_matrix(xi) if self.n == 3 else super().expm(xi)

    def logm(self, x: Float[Array, "n n"]) -> Float[Array, " k"]:
        """The shortest xi with expm(xi) = x: the angle in (-pi, pi], the rotation vector of length <= pi."""
        if self.n == 2:
            return jnp.arctan2(x[1, 0] - x[0, 1], x[0, 0] + x[1, 1])[None]
        if self.n == 3:
            return rotation_vector(x)
        return self.vee(unitary_log(x, self._generic(x.dtype)))

    def bracket(self, xi: Float[Array, " k"], eta: Float[Array, " k"]) -> Float[Array, " k"]:
        """The commutator; for n = 3 the cross product."""
        if self.n == 2:
            return jnp.zeros_like(xi)
        return cross(xi, eta) if self.n == 3 else super().bracket(xi, eta)

    def dexp(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Closed for n = 2 and n = 3."""
        if self.n == 2:
            return w
        return cross_dexp(u, w) if self.n == 3 else super().dexp(u, w)

    def dexpinv(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Closed for n = 2 and n = 3."""
        if self.n == 2:
            return w
        return cross_dexpinv(u, w) if self.n == 3 else super().dexpinv(u, w)

    @property
    def has_closed_dexpinv(self) -> bool:
        """For n = 2 and n = 3."""
        return self.n <= 3

    def ad_norm(self, u: Float[Array, " k"]) -> Float[Array, ""]:
        """0 for n = 2, |u| for n = 3, exactly; else sqrt(2) |u|, a bound of the largest sum of two angles."""
        factor = {2: 0.0, 3: 1.0}.get(self.n, math.sqrt(2))
        return factor * jnp.sqrt(jnp.dot(u, u))

    @property
    def injectivity_radius(self) -> float:
        """The angle pi."""
        return math.pi

    @property
    def volume(self) -> float:
        """The product of the volumes of S^1, ..., S^(n-1): 2 pi for n = 2, 8 pi^2 for n = 3."""
        return math.prod(map(sphere_volume, range(1, self.n)))


class Orthogonal(AbstractCompactGroup):
    """O(n) = {x in R^(n x n) : x^T x = 1}, n >= 2: SO(n) and its mirror image; a point is a matrix (n, n).

    Metric, coordinates of the algebra and cut locus are those of `SpecialOrthogonal(n)`. No path joins the two
    components: between points of different ones `log` and `dist` are NaN.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"`Orthogonal(n)` is the group of isometries of R^n, n >= 2; received n = {self.n}.")

    @property
    def rotations(self) -> SpecialOrthogonal:
        """SO(n), the component of the identity."""
        return SpecialOrthogonal(self.n)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, n)."""
        return (self.n, self.n)

    @property
    def dim(self) -> int:
        """n(n-1)/2."""
        return self.rotations.dim

    @property
    def lie_algebra(self) -> Float[np.ndarray, "k n n"]:
        """See `rotation_generators`."""
        return rotation_generators(self.n)

    def project(self, x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """The nearest orthogonal matrix, u v^T of the singular value decomposition u s v^T."""
        return polar(x)

    def nearby(self, x: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], Float[Array, ""]]:
        """By steps of Newton and Schulz: see `near_polar`."""
        return near_polar(x)

    def hat(self, xi: Float[Array, " k"]) -> Float[Array, "n n"]:
        """That of SO(n)."""
        return self.rotations.hat(xi)

    def vee(self, v: Float[Array, "n n"]) -> Float[Array, " k"]:
        """That of SO(n)."""
        return self.rotations.vee(v)

    def expm(self, xi: Float[Array, " k"]) -> Float[Array, "n n"]:
        """That of SO(n)."""
        return self.rotations.expm(xi)

    def logm(self, x: Float[Array, "n n"]) -> Float[Array, " k"]:
        """That of SO(n); NaN for a reflection, which has none."""
        proper = jnp.linalg.det(x) > 0
        turned = jnp.where(proper, x, jnp.eye(self.n, dtype=x.dtype))
        return jnp.where(proper, self.rotations.logm(turned), jnp.nan)

    def bracket(self, xi: Float[Array, " k"], eta: Float[Array, " k"]) -> Float[Array, " k"]:
        """That of SO(n)."""
        return self.rotations.bracket(xi, eta)

    def dexp(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """That of SO(n)."""
        return self.rotations.dexp(u, w)

    def dexpinv(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """That of SO(n)."""
        return self.rotations.dexpinv(u, w)

    @property
    def has_closed_dexpinv(self) -> bool:
        """For n = 2 and n = 3."""
        return self.rotations.has_closed_dexpinv

    def ad_norm(self, u: Float[Array, " k"]) -> Float[Array, ""]:
        """That of SO(n)."""
        return self.rotations.ad_norm(u)

    @property
    def injectivity_radius(self) -> float:
        """The angle pi."""
        return math.pi

    @property
    def volume(self) -> float:
        """Twice that of SO(n)."""
        return 2 * self.rotations.volume
