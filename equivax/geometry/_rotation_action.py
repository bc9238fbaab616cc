"""The rotations of R^3, as motions of the vectors of one sphere."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._rotations import compose_vectors, cross, cross_dexpinv, rotate
from .._types import Point, Tangent
from ._lie_action import AbstractLieAction, Algebra


class RotationAction(AbstractLieAction):
    """x -> exp(omega x) x on S^2 in R^3: so(3) is R^3 with the cross product, omega (3,) in radians.

    Everything is closed: `dexpinv` is exact for |omega| < 2 pi, and of the omega that move x with velocity v the lift
    takes the shortest, x x v, which is orthogonal to x. Equivariant under O(3): lift(gx, gv) = Ad_g lift(x, v).
    """

    def act(self, xi: Algebra, x: Point) -> Point:
        """exp(xi x) x."""
        return rotate(xi, x)

    def lift(self, x: Point, v: Tangent) -> Algebra:
        """x x v."""
        return cross(x, v)

    def bracket(self, xi: Algebra, eta: Algebra) -> Algebra:
        """xi x eta."""
        return cross(xi, eta)

    def generator(self, xi: Algebra, x: Point) -> Tangent:
        """xi x x."""
        return cross(xi, x)

    def dexpinv(self, u: Algebra, w: Algebra, order: int) -> Algebra:
        """w - u x w/2 + (1 - r/2 cot(r/2))/r^2 u x (u x w), r = |u|."""
        del order
        return cross_dexpinv(u, w)

    def compose(self, u: Algebra, v: Algebra) -> Algebra:
        """The rotation vector of exp(u) exp(v), of length at most pi."""
        return compose_vectors(u, v)

    def ad_norm(self, u: Algebra) -> Float[Array, ""]:
        """|u|, exactly."""
        return jnp.sqrt(jnp.dot(u, u))
