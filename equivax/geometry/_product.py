"""Products of manifolds: a few different ones as a tuple, many equal ones as an array."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import Key, Point, Tangent
from ._base import AbstractManifold
from ._lie_products import PowerLieAction, ProductLieAction


class Product(AbstractManifold):
    """M_1 x ... x M_k; a point is a tuple (x_1, ..., x_k), a tangent a tuple of tangents.

    The metric is the sum of the factors' metrics, unweighted, so d(x, y)^2 = sum d(x_i, y_i)^2. The cut locus of x is
    the set of points some factor of which is a cut point of x_i. All factors hold points of one floating type.
    """

    factors: tuple[AbstractManifold, ...]

    def __init__(self, *factors: AbstractManifold):
        if not factors:
            raise ValueError("`Product` needs at least one factor: `Product(Sphere(2), Euclidean(3))`.")
        self.factors = factors

    @property
    def shape(self) -> tuple:
        """The tuple of the factors' shapes."""
        return tuple(M.shape for M in self.factors)

    @property
    def dim(self) -> int:
        """The sum of the factors' dimensions."""
        return sum(M.dim for M in self.factors)

    def _each(self, method: str, *points: tuple) -> tuple:
        return tuple(getattr(M, method)(*args) for M, *args in zip(self.factors, *points, strict=True))

    def project(self, x: Point) -> Point:
        """Factor by factor."""
        return self._each("project", x)

    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        """Factor by factor."""
        return self._each("to_tangent", x, v)

    def exp(self, x: Point, v: Tangent) -> Point:
        """Factor by factor."""
        return self._each("exp", x, v)

    @property
    def constant_metric(self) -> bool:
        """Whether those of all factors are."""
        return all(M.constant_metric for M in self.factors)

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Float[Array, ""]:
        """The sum of the factors' inner products."""
        return sum(self._each("inner", x, v, w))

    def log(self, x: Point, y: Point) -> Tangent:
        """Factor by factor."""
        return self._each("log", x, y)

    def transport(self, x: Point, v: Tangent, w: Tangent) -> Tangent:
        """Factor by factor."""
        return self._each("transport", x, v, w)

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """Factor by factor."""
        return self._each("sharp", x, p)

    def retract(self, x: Point, v: Tangent) -> Point:
        """Factor by factor."""
        return self._each("retract", x, v)

    def first_order_retract(self, x: Point, v: Tangent) -> Point:
        """Factor by factor."""
        return self._each("first_order_retract", x, v)

    def residual(self, x: Point) -> Float[Array, ""]:
        """The root of the sum of squares of the factors' residuals."""
        return jnp.linalg.norm(jnp.stack(self._each("residual", x)))

    def belongs(self, x: Point) -> Bool[Array, ""]:
        """Whether every factor's point does."""
        return jnp.all(jnp.stack(self._each("belongs", x)))

    def accepts(self, x: Point) -> Bool[Array, ""]:
        """Whether every factor does."""
        return jnp.all(jnp.stack(self._each("accepts", x)))

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """Independent tangents of the factors."""
        keys = jax.random.split(key, len(self.factors))
        return tuple(M.random_tangent(a, key=k) for M, a, k in zip(self.factors, x, keys, strict=True))

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """Independent points of the factors."""
        keys = jax.random.split(key, len(self.factors))
        return tuple(M.random_point(key=k, dtype=dtype) for M, k in zip(self.factors, keys, strict=True))

    def polish(self, x: Point) -> Point:
        """Factor by factor."""
        return self._each("polish", x)

    def nearby(self, x: Point) -> tuple[Point, Float[Array, ""] | None]:
        """Factor by factor, and the largest gap."""
        points, squares = zip(*self._each("nearby", x), strict=True)
        known = [square for square in squares if square is not None]
        return points, jnp.max(jnp.stack(known)) if known else None

    @property
    def motions(self) -> ProductLieAction:
        """The product of the factors' actions."""
        return ProductLieAction(tuple(M.motions for M in self.factors))

    @property
    def injectivity_radius(self) -> float:
        """The smallest of the factors' radii."""
        return min(M.injectivity_radius for M in self.factors)

    @property
    def volume(self) -> float:
        """The product of the factors' volumes."""
        return math.prod(M.volume for M in self.factors)


class Power(AbstractManifold):
    """M^n, n points of one manifold M = `base`; a point is an array (n, *base.shape), or a pytree of them.

    The metric is the sum of the n metrics, unweighted; cut locus as for `Product`. Permutations of the n points are
    isometries.
    """

    base: AbstractManifold
    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`Power(base, n)` is a product of n >= 1 equal factors; received n = {self.n}.")

    @property
    def shape(self) -> tuple:
        """(n, *base.shape), for each array of a point."""
        return _stack(self.base.shape, self.n)

    @property
    def dim(self) -> int:
        """n times the dimension of the base."""
        return self.n * self.base.dim

    def project(self, x: Point) -> Point:
        """Point by point."""
        return jax.vmap(self.base.project)(x)

    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        """Point by point."""
        return jax.vmap(self.base.to_tangent)(x, v)

    def exp(self, x: Point, v: Tangent) -> Point:
        """Point by point."""
        return jax.vmap(self.base.exp)(x, v)

    @property
    def constant_metric(self) -> bool:
        """Whether that of the base is."""
        return self.base.constant_metric

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Float[Array, ""]:
        """The sum of the n inner products."""
        return jnp.sum(jax.vmap(self.base.inner)(x, v, w))

    def log(self, x: Point, y: Point) -> Tangent:
        """Point by point."""
        return jax.vmap(self.base.log)(x, y)

    def transport(self, x: Point, v: Tangent, w: Tangent) -> Tangent:
        """Point by point."""
        return jax.vmap(self.base.transport)(x, v, w)

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """Point by point."""
        return jax.vmap(self.base.sharp)(x, p)

    def retract(self, x: Point, v: Tangent) -> Point:
        """Point by point."""
        return jax.vmap(self.base.retract)(x, v)

    def first_order_retract(self, x: Point, v: Tangent) -> Point:
        """Point by point."""
        return jax.vmap(self.base.first_order_retract)(x, v)

    def residual(self, x: Point) -> Float[Array, ""]:
        """The root of the sum of squares of the points' residuals."""
        return jnp.linalg.norm(jax.vmap(self.base.residual)(x))

    def belongs(self, x: Point) -> Bool[Array, ""]:
        """Whether all of the n points do."""
        return jnp.all(jax.vmap(self.base.belongs)(x))

    def accepts(self, x: Point) -> Bool[Array, ""]:
        """Whether the base accepts all of the n points."""
        return jnp.all(jax.vmap(self.base.accepts)(x))

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """n independent tangents of the base."""
        return jax.vmap(lambda a, k: self.base.random_tangent(a, key=k))(x, jax.random.split(key, self.n))

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """n independent points of the base."""
        return jax.vmap(lambda k: self.base.random_point(key=k, dtype=dtype))(jax.random.split(key, self.n))

    def polish(self, x: Point) -> Point:
        """Point by point."""
        return jax.vmap(self.base.polish)(x)

    def nearby(self, x: Point) -> tuple[Point, Float[Array, ""] | None]:
        """Point by point, and the largest gap."""
        points, squares = jax.vmap(self.base.nearby)(x)
        return points, None if squares is None else jnp.max(squares)

    @property
    def motions(self) -> PowerLieAction:
        """The action of the base on each point."""
        return PowerLieAction(self.base.motions)

    @property
    def injectivity_radius(self) -> float:
        """That of the base."""
        return self.base.injectivity_radius

    @property
    def volume(self) -> float:
        """The n-th power of the volume of the base."""
        return self.base.volume**self.n


def _stack(shape: tuple, n: int) -> tuple:
    if any(isinstance(s, tuple) for s in shape):
        return tuple(_stack(s, n) for s in shape)
    return (n, *shape)
