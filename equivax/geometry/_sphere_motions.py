"""The rotations of the circle by an angle, and of the sphere in R^4 by a pair of unit quaternions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._rotations import cross, cross_dexpinv, quaternion_product, quaternion_vector, vector_quaternion
from ._lie_action import AbstractLieAction


class PlaneRotationAction(AbstractLieAction):
    """x -> exp(xi J) x on S^1 in R^2, J = [[0, -1], [1, 0]]; xi (1,) is an angle in radians, counterclockwise."""

    def act(self, xi: Float[Array, "1"], x: Float[Array, "2"]) -> Float[Array, "2"]:
        """cos(xi) x + sin(xi) J x."""
        return jnp.cos(xi) * x + jnp.sin(xi) * _quarter(x)

    def lift(self, x: Float[Array, "2"], v: Float[Array, "2"]) -> Float[Array, "1"]:
        """<J x, v>."""
        return jnp.dot(_quarter(x), v)[None]

    def bracket(self, xi: Float[Array, "1"], eta: Float[Array, "1"]) -> Float[Array, "1"]:
        """0."""
        del eta
        return jnp.zeros_like(xi)

    def generator(self, xi: Float[Array, "1"], x: Float[Array, "2"]) -> Float[Array, "2"]:
        """xi J x."""
        return xi * _quarter(x)

    def dexpinv(self, u: Float[Array, "1"], w: Float[Array, "1"], order: int) -> Float[Array, "1"]:
        """w itself."""
        del u, order
        return w

    def compose(self, u: Float[Array, "1"], v: Float[Array, "1"]) -> Float[Array, "1"]:
        """u + v."""
        return u + v

    def ad_norm(self, u: Float[Array, "1"]) -> Float[Array, ""]:
        """0."""
        return jnp.zeros((), u.dtype)


class QuaternionPairAction(AbstractLieAction):
    """x -> p x q* on S^3, the unit quaternions x = (w, x, y, z), with p = exp(a/2), q = exp(b/2), xi = (a, b) (2, 3).

    so(4) is so(3) + so(3): a and b are rotation vectors, and do not see one another, so that everything is closed.
    lift(x, v) = (v x*, -x* v) is the matrix v x^T - x v^T, shortest of all, and O(4) carries it along.
    """

    def act(self, xi: Float[Array, "2 3"], x: Float[Array, "4"]) -> Float[Array, "4"]:
        """exp(a/2) x exp(-b/2), of unit length once more."""
        y = quaternion_product(quaternion_product(vector_quaternion(xi[0]), x), vector_quaternion(-xi[1]))
        return y * ((3 - jnp.dot(y, y)) / 2)

    def lift(self, x: Float[Array, "4"], v: Float[Array, "4"]) -> Float[Array, "2 3"]:
        """(v x*, -x* v), whose real parts are 0."""
        conjugate = -x.at[0].multiply(-1)
        return jnp.stack([quaternion_product(v, conjugate)[1:], -quaternion_product(conjugate, v)[1:]])

    def bracket(self, xi: Float[Array, "2 3"], eta: Float[Array, "2 3"]) -> Float[Array, "2 3"]:
        """(a x a', b x b')."""
        return jax.vmap(cross)(xi, eta)

    def generator(self, xi: Float[Array, "2 3"], x: Float[Array, "4"]) -> Float[Array, "4"]:
        """(a x - x b)/2."""
        a, b = (jnp.concatenate([jnp.zeros(1, x.dtype), w]) for w in xi)
        return (quaternion_product(a, x) - quaternion_product(x, b)) / 2

    def dexpinv(self, u: Float[Array, "2 3"], w: Float[Array, "2 3"], order: int) -> Float[Array, "2 3"]:
        """That of rotation vectors, for a and for b."""
        del order
        return jax.vmap(cross_dexpinv)(u, w)

    def compose(self, u: Float[Array, "2 3"], v: Float[Array, "2 3"]) -> Float[Array, "2 3"]:
        """2 log(exp(u/2) exp(v/2)) in quaternions, vectors of length at most 2 pi."""
        p = jax.vmap(vector_quaternion)(u)
        q = jax.vmap(vector_quaternion)(v)
        return jax.vmap(quaternion_vector)(jax.vmap(quaternion_product)(p, q))

    def ad_norm(self, u: Float[Array, "2 3"]) -> Float[Array, ""]:
        """The larger of |a| and |b|, exactly."""
        return jnp.sqrt(jnp.max(jnp.sum(u * u, axis=1)))


def _quarter(x: Float[Array, "2"]) -> Float[Array, "2"]:
    return jnp.stack([-x[1], x[0]])
