"""The tangent and the cotangent bundle: points with a velocity or a momentum, and mechanics."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, Point, Tangent
from ._base import AbstractManifold, _dtype, _flat

Scalar = Float[Array, ""]


class TangentBundle(AbstractManifold):
    r"""TM = {(x, u) : u in T_x M}; a point is the pair of x and u, a tangent vector the pair of their derivatives.

    (a, b) at (x, u) splits into the velocity a of x and the covariant derivative w of u: b = w + (what parallel transport
    of u along a does to its coordinates). The metric is Sasaki's, <a, a'> + <w, w'>. Curves with constant (a, w),

        exp_(x, u)(a, b) = (exp_x(a), T (u + w)),  T the parallel transport along a,

    are the geodesics of the connection lifted from M. It keeps the metric but has torsion where M is curved: they are not
    the shortest curves there, and `dist` is the length of such a curve. Its cut locus is that of M.
    """

    base: AbstractManifold

    @property
    def shape(self) -> tuple:
        """The shape of x, twice."""
        return (self.base.shape, self.base.shape)

    @property
    def dim(self) -> int:
        """Twice the dimension of M."""
        return 2 * self.base.dim

    def project(self, x: Point) -> Point:
        """The point projected to M, the vector to the tangent space there."""
        at = self.base.project(x[0])
        return at, self.base.to_tangent(at, x[1])

    def polish(self, x: Point) -> Point:
        """As `project`, with M's `polish`."""
        at = self.base.polish(x[0])
        return at, self.base.to_tangent(at, x[1])

    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        """a and w projected to T_x M."""
        a = self.base.to_tangent(x[0], v[0])
        turn = self._turn(x, a)
        return a, _sum(turn, self.base.to_tangent(x[0], _difference(v[1], turn)))

    def split(self, x: Point, v: Tangent) -> tuple[Tangent, Tangent]:
        """(a, w) of (a, b): the horizontal part, and the vertical one, both vectors at the point of M."""
        return v[0], _difference(v[1], self._turn(x, self.base.to_tangent(x[0], v[0])))

    def join(self, x: Point, a: Tangent, w: Tangent) -> Tangent:
        """(a, b) of (a, w), the inverse of `split`."""
        return a, _sum(self._turn(x, a), w)

    def _turn(self, x: Point, a: Tangent) -> Tangent:
        # d/dt of u in coordinates while it is carried along exp_x(t a).
        zero, one = jnp.zeros((), _dtype(a)), jnp.ones((), _dtype(a))
        return jax.jvp(lambda t: self.base.transport(x[0], jax.tree.map(lambda c: t * c, a), x[1]), (zero,), (one,))[1]

    def exp(self, x: Point, v: Tangent) -> Point:
        """(exp_x(a), T (u + w))."""
        a, w = self.split(x, v)
        return self.base.exp(x[0], a), self.base.transport(x[0], a, _sum(x[1], w))

    def retract(self, x: Point, v: Tangent) -> Point:
        """exp_x(v)."""
        return self.exp(x, v)

    def first_order_retract(self, x: Point, v: Tangent) -> Point:
        """project(x + v), of first order here."""
        return self.project(_sum(x, v))

    def log(self, x: Point, y: Point) -> Tangent:
        """a = log_x(y), and w the difference of the vectors at x, the second one transported back."""
        a = self.base.log(x[0], y[0])
        back = jax.tree.map(jnp.negative, self.base.transport(x[0], a, a))
        return self.join(x, a, _difference(self.base.transport(y[0], back, y[1]), x[1]))

    def transport(self, x: Point, v: Tangent, w: Tangent) -> Tangent:
        """a and w of the vector carried along M."""
        along, _ = self.split(x, v)
        parts = (self.base.transport(x[0], along, part) for part in self.split(x, w))
        return self.join(self.exp(x, v), *parts)

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Scalar:
        """<a, a'> + <w, w'>."""
        (a, p), (b, q) = self.split(x, v), self.split(x, w)
        return self.base.inner(x[0], a, b) + self.base.inner(x[0], p, q)

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """What p does to horizontal and to vertical vectors, sharpened on M."""
        _, pull = jax.vjp(lambda a: self._turn(x, self.base.to_tangent(x[0], a)), p[0])
        horizontal = self.base.sharp(x[0], _sum(p[0], pull(p[1])[0]))
        return self.join(x, horizontal, self.base.sharp(x[0], p[1]))

    def residual(self, x: Point) -> Scalar:
        """The root of the sum of squares of M's residual and of the part of u that is not tangent."""
        miss = jnp.linalg.norm(_flat(self.base.to_tangent(*x)) - _flat(x[1]))
        return jnp.hypot(self.base.residual(x[0]), miss)

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """A random point of M with a standard normal vector."""
        keys = jax.random.split(key)
        x = self.base.random_point(key=keys[0], dtype=dtype)
        return x, self.base.random_tangent(x, key=keys[1])

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """A standard normal vector of the metric."""
        return self.join(x, *(self.base.random_tangent(x[0], key=k) for k in jax.random.split(key)))

    @property
    def injectivity_radius(self) -> float:
        """That of M."""
        return self.base.injectivity_radius


class CotangentBundle(AbstractManifold):
    r"""T*M = {(x, p) : p in T*_x M}, the phase space of M; a point is the pair of x and p.

    A momentum p is an array of the shape of x that acts on velocities by the sum of products, p(v) = p . v; of the many
    that act alike on T_x M it is the one that annihilates what `to_tangent` does. In the metric of R^N that is a tangent
    vector itself. The Riemannian metric and `exp` are those of `TangentBundle`, carried over by (x, p) -> (x, p^#).

    theta = p . dx and omega = dx ^ dp are canonical: no metric enters. Arnold, *Mathematical Methods of Classical
    Mechanics*, section 37.
    """

    base: AbstractManifold

    @property
    def shape(self) -> tuple:
        """The shape of x, twice."""
        return (self.base.shape, self.base.shape)

    @property
    def dim(self) -> int:
        """Twice the dimension of M."""
        return 2 * self.base.dim

    @property
    def tangent_bundle(self) -> TangentBundle:
        """TM, to which the metric identifies T*M."""
        return TangentBundle(self.base)

    # Mechanics.

    def one_form(self, z: Point, a: Tangent) -> Scalar:
        """theta_z(a) = p . dx(a), Liouville's form."""
        return jnp.vdot(_flat(z[1]), _flat(a[0]))

    def symplectic(self, z: Point, a: Tangent, b: Tangent) -> Scalar:
        """omega_z(a, b) = dx(a) . dp(b) - dx(b) . dp(a) = -d theta(a, b), closed and nondegenerate."""
        del z
        return jnp.vdot(_flat(a[0]), _flat(b[1])) - jnp.vdot(_flat(b[0]), _flat(a[1]))

    def hamiltonian_vector(self, H: Callable[[Point], Scalar], z: Point) -> Tangent:
        """X_H with omega(X_H, .) = dH: (dH/dp, -dH/dx) on T*R^n, tangent to T*M for the H((x, p)) of any M.

        The canonical equations of H(x, P_x^T p), which is H on T*M and does not feel momenta that do no work.
        """
        x_dot, p_dot = jax.grad(lambda z: H((z[0], self.covector(*z))))(z)[::-1]
        return self.to_tangent(z, (x_dot, jax.tree.map(jnp.negative, p_dot)))

    def covector(self, x: Point, p: Tangent) -> Tangent:
        """P_x^T p, which acts on T_x M as p does, and annihilates the directions that `to_tangent` does; linear in p."""
        return jax.linear_transpose(lambda v: self.base.to_tangent(x, v), p)(p)[0]

    def sharp_point(self, z: Point) -> Point:
        """(x, p^#) in TM."""
        return z[0], self.base.sharp(*z)

    def flat_point(self, z: Point) -> Point:
        """(x, u^b) in T*M, u^b(v) = <u, v>: the inverse of `sharp_point`."""
        x, u = z
        return x, self.covector(x, jax.grad(lambda v: self.base.inner(x, u, v))(jax.tree.map(jnp.zeros_like, u)))

    # The manifold.

    def project(self, x: Point) -> Point:
        """The point projected to M, the momentum by `covector`."""
        at = self.base.project(x[0])
        return at, self.covector(at, x[1])

    def polish(self, x: Point) -> Point:
        """As `project`, with M's `polish`."""
        at = self.base.polish(x[0])
        return at, self.covector(at, x[1])

    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        """The velocity projected to T_x M; the momentum's derivative by `covector`, and as P_x^T p = p prescribes."""
        a = self.base.to_tangent(x[0], v[0])
        turn = jax.jvp(lambda y: self.covector(y, x[1]), (x[0],), (a,))[1]
        return a, _sum(self.covector(x[0], v[1]), turn)

    def exp(self, x: Point, v: Tangent) -> Point:
        """That of TM."""
        return self.flat_point(self.tangent_bundle.exp(*jax.jvp(self.sharp_point, (x,), (v,))))

    def retract(self, x: Point, v: Tangent) -> Point:
        """exp_x(v)."""
        return self.exp(x, v)

    def first_order_retract(self, x: Point, v: Tangent) -> Point:
        """project(x + v), of first order here."""
        return self.project(_sum(x, v))

    def log(self, x: Point, y: Point) -> Tangent:
        """That of TM."""
        u = self.sharp_point(x)
        return jax.jvp(self.flat_point, (u,), (self.tangent_bundle.log(u, self.sharp_point(y)),))[1]

    def transport(self, x: Point, v: Tangent, w: Tangent) -> Tangent:
        """That of TM."""
        u, velocity = jax.jvp(self.sharp_point, (x,), (v,))
        _, vector = jax.jvp(self.sharp_point, (x,), (w,))
        end = self.tangent_bundle.exp(u, velocity)
        return jax.jvp(self.flat_point, (end,), (self.tangent_bundle.transport(u, velocity, vector),))[1]

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Scalar:
        """That of TM, of the tangential parts."""
        u, push = jax.linearize(self.sharp_point, x)
        return self.tangent_bundle.inner(u, *(push(self.to_tangent(x, a)) for a in (v, w)))

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """That of TM."""
        u = self.sharp_point(x)
        _, pull = jax.vjp(self.flat_point, u)
        return jax.jvp(self.flat_point, (u,), (self.tangent_bundle.sharp(u, pull(p)[0]),))[1]

    def residual(self, x: Point) -> Scalar:
        """The root of the sum of squares of M's residual and of |P_x^T p - p|."""
        miss = jnp.linalg.norm(_flat(self.covector(*x)) - _flat(x[1]))
        return jnp.hypot(self.base.residual(x[0]), miss)

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """A random point of M with a standard normal momentum."""
        return self.flat_point(self.tangent_bundle.random_point(key=key, dtype=dtype))

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """A standard normal vector of the metric."""
        u = self.sharp_point(x)
        return jax.jvp(self.flat_point, (u,), (self.tangent_bundle.random_tangent(u, key=key),))[1]

    @property
    def injectivity_radius(self) -> float:
        """That of M."""
        return self.base.injectivity_radius


def _sum(v: Tangent, w: Tangent) -> Tangent:
    return jax.tree.map(jnp.add, v, w)


def _difference(v: Tangent, w: Tangent) -> Tangent:
    return jax.tree.map(jnp.subtract, v, w)
