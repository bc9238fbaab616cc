"""Motion by addition: the action of R^n on itself, and on every space whose geodesics are straight."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import Algebra, Point, Tangent
from ._base import AbstractManifold
from ._lie_action import AbstractLieAction


class Translation(AbstractLieAction):
    """x -> exp_x(xi) = x + xi, the commuting motions of a flat `space`: Lie group methods become the classical ones."""

    space: AbstractManifold

    def act(self, xi: Algebra, x: Point) -> Point:
        """exp_x(xi)."""
        return self.space.exp(x, xi)

    def lift(self, x: Point, v: Tangent) -> Algebra:
        """v itself."""
        del x
        return v

    def bracket(self, xi: Algebra, eta: Algebra) -> Algebra:
        """0."""
        del eta
        return jax.tree.map(jnp.zeros_like, xi)

    def generator(self, xi: Algebra, x: Point) -> Tangent:
        """xi itself."""
        del x
        return xi

    def dexpinv(self, u: Algebra, w: Algebra, order: int) -> Algebra:
        """w itself."""
        del u, order
        return w

    def compose(self, u: Algebra, v: Algebra) -> Algebra:
        """u + v."""
        return jax.tree.map(jnp.add, u, v)

    def ad_norm(self, u: Algebra) -> Float[Array, ""]:
        """0."""
        return jnp.zeros((), jnp.result_type(*jax.tree.leaves(u)))

    def within_radius(self, u: Algebra) -> Bool[Array, ""]:
        """Always."""
        del u
        return jnp.asarray(True)
