"""Another metric on a manifold: conformal, left-invariant, pulled back."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Point, Tangent
from ._base import AbstractManifold
from ._geodesics import geodesic, parallel
from ._lie_action import AbstractLieAction
from ._lie_group import AbstractLieGroup

Scalar = Float[Array, ""]


class AbstractMetricChange(AbstractManifold):
    """The points and the motions of `base`, with the metric that `inner` and `sharp` say.

    Unless a metric knows better, geodesics and parallel transport are solutions of their differential equations, by 32
    steps of order eight: good to 1e-12 for geodesics up to about the radius of curvature of the metric, and as expensive as
    that sounds. `log` shoots with them. `random_point` is that of `base`. The cut locus is not known.
    """

    base: eqx.AbstractVar[AbstractManifold]

    @abc.abstractmethod
    def inner(self, x: Point, v: Tangent, w: Tangent) -> Scalar:
        """<v, w>_x in the new metric."""

    @abc.abstractmethod
    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """p^# in the new metric."""

    @property
    def shape(self) -> tuple:
        """That of `base`."""
        return self.base.shape

    @property
    def dim(self) -> int:
        """That of `base`."""
        return self.base.dim

    def project(self, x: Point) -> Point:
        """That of `base`."""
        return self.base.project(x)

    def polish(self, x: Point) -> Point:
        """That of `base`."""
        return self.base.polish(x)

    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        """That of `base`."""
        return self.base.to_tangent(x, v)

    def residual(self, x: Point) -> Scalar:
        """That of `base`."""
        return self.base.residual(x)

    def exp(self, x: Point, v: Tangent) -> Point:
        """The end of the geodesic, a solution of x'' = spray(x, x')."""
        return geodesic(self, x, v)[0]

    def transport(self, x: Point, v: Tangent, w: Tangent) -> Tangent:
        """A solution of the equation of parallel fields along the geodesic."""
        return parallel(self, x, v, w)

    def first_order_retract(self, x: Point, v: Tangent) -> Point:
        """That of `base`: all metrics agree to first order."""
        return self.base.first_order_retract(x, v)

    def retract(self, x: Point, v: Tangent) -> Point:
        """exp_x(v): what is of second order in one metric is of first order in another."""
        return self.exp(x, v)

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """That of `base`; uniform in its metric, not in this."""
        return self.base.random_point(key=key, dtype=dtype)

    @property
    def motions(self) -> AbstractLieAction:
        """Those of `base`."""
        return self.base.motions


class Conformal(AbstractMetricChange):
    """`base` with the metric c(x) <v, w>_x, for a positive function c = `factor`: angles as before, lengths times sqrt(c).

    `Conformal(Euclidean(2), lambda x: 1 / x[1]**2)` is the hyperbolic plane, as the upper half plane.
    """

    base: AbstractManifold
    factor: Callable[[Point], Scalar]

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Scalar:
        """c(x) <v, w>_x."""
        return self.factor(x) * self.base.inner(x, v, w)

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """p^#/c(x)."""
        c = self.factor(x)
        return jax.tree.map(lambda a: a / c, self.base.sharp(x, p))

    def divergence(self, f: Callable[[Point], Tangent], x: Point) -> Scalar:
        """div f + n/2 df(log c), n the dimension: the volume is c^(n/2) times that of `base`."""
        change = jax.jvp(lambda y: jnp.log(self.factor(y)), (x,), (f(x),))[1]
        return self.base.divergence(f, x) + self.dim / 2 * change

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """That of `base`, over sqrt(c(x))."""
        scale = jnp.sqrt(self.factor(x))
        return jax.tree.map(lambda a: a / scale, self.base.random_tangent(x, key=key))


class LeftInvariant(AbstractMetricChange):
    """A Lie group `base` with the metric xi . B eta of left-trivialised vectors v = x xi: invariant under x -> g x.

    `inertia` = B is a symmetric positive matrix (k, k), k = `dim`, in the algebra's coordinates, which are orthonormal in
    the metric that the group has itself: B = I gives that back. On SO(3) it is the tensor of inertia of a rigid body, whose
    free motions are the geodesics (Euler; Arnold, *Mathematical Methods of Classical Mechanics*, appendix 2).
    """

    base: AbstractLieGroup
    inertia: Float[Array | np.ndarray, "k k"]

    def __check_init__(self) -> None:
        if np.shape(self.inertia) != (self.base.dim, self.base.dim):
            raise ValueError(
                f"`inertia` is a symmetric positive matrix on the algebra of {self.base}, of shape "
                f"({self.base.dim}, {self.base.dim}); received shape {np.shape(self.inertia)}."
            )

    def _inertia(self, xi: Float[Array, " k"]) -> Float[Array, "k k"]:
        return jnp.asarray(self.inertia, xi.dtype)

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Scalar:
        """x^-1 v . B x^-1 w."""
        xi = self.base.left_trivialise(x, v)
        return jnp.dot(xi, self._inertia(xi) @ self.base.left_trivialise(x, w))

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """x B^-1 (p in coordinates)."""
        momentum = self.base.left_trivialise(x, self.base.sharp(x, p))
        return self.base.left_invariant(x, jnp.linalg.solve(self._inertia(momentum), momentum))

    def divergence(self, f: Callable[[Point], Tangent], x: Point) -> Scalar:
        """That of `base`: the volumes differ by the constant sqrt(det B)."""
        return self.base.divergence(f, x)

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """x C^-T z with B = C C^T and z standard normal."""
        z = self.base.left_trivialise(x, self.base.random_tangent(x, key=key))
        C = jnp.linalg.cholesky(self._inertia(z))
        return self.base.left_invariant(x, jax.scipy.linalg.solve_triangular(C, z, lower=True, trans="T"))


class PullBack(AbstractMetricChange):
    """`base` with the metric <D f v, D f w> of `target`, pulled back by a diffeomorphism f = `map`, `inverse` = f^-1.

    An isometry onto `target`: everything is done there and brought back, in closed form where it is closed there. Cut locus
    and injectivity radius are those of `target`. The motions are those of `base`.
    """

    base: AbstractManifold
    target: AbstractManifold
    map: Callable[[Point], Point]
    inverse: Callable[[Point], Point]

    def _push(self, x: Point, v: Tangent) -> tuple[Point, Tangent]:
        return jax.jvp(self.map, (x,), (v,))

    def _pull(self, y: Point, w: Tangent) -> Tangent:
        return jax.jvp(self.inverse, (y,), (w,))[1]

    def exp(self, x: Point, v: Tangent) -> Point:
        """f^-1(exp_f(x)(Df v))."""
        return self.inverse(self.target.exp(*self._push(x, v)))

    def log(self, x: Point, y: Point) -> Tangent:
        """Df^-1 log_f(x)(f(y))."""
        at = self.map(x)
        return self._pull(at, self.target.log(at, self.map(y)))

    def dist(self, x: Point, y: Point) -> Scalar:
        """d(f(x), f(y))."""
        return self.target.dist(self.map(x), self.map(y))

    def transport(self, x: Point, v: Tangent, w: Tangent) -> Tangent:
        """Df^-1 T Df w, T the transport along Df v."""
        at, velocity = self._push(x, v)
        end = self.target.exp(at, velocity)
        return self._pull(end, self.target.transport(at, velocity, self._push(x, w)[1]))

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Scalar:
        """<Df v, Df w> of the tangential parts."""
        at, a = self._push(x, self.to_tangent(x, v))
        return self.target.inner(at, a, self._push(x, self.to_tangent(x, w))[1])

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """Df^-1 (Df^-T p)^#."""
        at = self.map(x)
        _, pull = jax.vjp(self.inverse, at)
        return self.to_tangent(x, self._pull(at, self.target.sharp(at, pull(p)[0])))

    def retract(self, x: Point, v: Tangent) -> Point:
        """f^-1 of the target's retraction."""
        return self.inverse(self.target.retract(*self._push(x, v)))

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """f^-1 of a random point of the target."""
        return self.inverse(self.target.random_point(key=key, dtype=dtype))

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """Df^-1 of a standard normal vector."""
        at = self.map(x)
        return self._pull(at, self.target.random_tangent(at, key=key))

    @property
    def injectivity_radius(self) -> float:
        """That of the target."""
        return self.target.injectivity_radius

    @property
    def volume(self) -> float:
        """That of the target."""
        return self.target.volume
