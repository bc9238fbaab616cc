"""Actions on products of manifolds, factor by factor."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Algebra, Point, Tangent
from ._lie_action import AbstractLieAction


class ProductLieAction(AbstractLieAction):
    """exp(xi_1, ..., xi_k) . (x_1, ..., x_k) = (exp(xi_1) . x_1, ..., exp(xi_k) . x_k); elements of g are tuples."""

    factors: tuple[AbstractLieAction, ...]

    def _each(self, method: str, *args: tuple) -> tuple:
        return tuple(getattr(A, method)(*parts) for A, *parts in zip(self.factors, *args, strict=True))

    def act(self, xi: Algebra, x: Point) -> Point:
        """Factor by factor."""
        return self._each("act", xi, x)

    def lift(self, x: Point, v: Tangent) -> Algebra:
        """Factor by factor."""
        return self._each("lift", x, v)

    def bracket(self, xi: Algebra, eta: Algebra) -> Algebra:
        """Factor by factor."""
        return self._each("bracket", xi, eta)

    def generator(self, xi: Algebra, x: Point) -> Tangent:
        """Factor by factor."""
        return self._each("generator", xi, x)

    def dexpinv(self, u: Algebra, w: Algebra, order: int) -> Algebra:
        """Factor by factor."""
        return self._each("dexpinv", u, w, (order,) * len(self.factors))

    def compose(self, u: Algebra, v: Algebra) -> Algebra:
        """Factor by factor."""
        return self._each("compose", u, v)

    def ad_norm(self, u: Algebra) -> Float[Array, ""]:
        """The largest of the factors' bounds."""
        return jnp.max(jnp.stack(self._each("ad_norm", u)))


class PowerLieAction(AbstractLieAction):
    """n points moved each by its own element: `jax.vmap` of the `base` action; xi has a leading axis of length n."""

    base: AbstractLieAction

    def act(self, xi: Algebra, x: Point) -> Point:
        """Point by point."""
        return jax.vmap(self.base.act)(xi, x)

    def lift(self, x: Point, v: Tangent) -> Algebra:
        """Point by point."""
        return jax.vmap(self.base.lift)(x, v)

    def bracket(self, xi: Algebra, eta: Algebra) -> Algebra:
        """Point by point."""
        return jax.vmap(self.base.bracket)(xi, eta)

    def generator(self, xi: Algebra, x: Point) -> Tangent:
        """Point by point."""
        return jax.vmap(self.base.generator)(xi, x)

    def dexpinv(self, u: Algebra, w: Algebra, order: int) -> Algebra:
        """Point by point."""
        return jax.vmap(lambda a, b: self.base.dexpinv(a, b, order))(u, w)

    def compose(self, u: Algebra, v: Algebra) -> Algebra:
        """Point by point."""
        return jax.vmap(self.base.compose)(u, v)

    def ad_norm(self, u: Algebra) -> Float[Array, ""]:
        """The largest of the points' bounds."""
        return jnp.max(jax.vmap(self.base.ad_norm)(u))
