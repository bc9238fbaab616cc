"""Flat space."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import Key
from ._base import AbstractManifold, _default
from ._translation import Translation


class Euclidean(AbstractManifold):
    """R^n, as vectors `Euclidean(n)` or as arrays of any shape `Euclidean((h, w, c))`.

    Tangent space R^n; metric sum v_i w_i, no scaling; exp_x(v) = x + v; no cut locus; infinite volume.
    """

    n: int | tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if any(k < 0 for k in self.shape):
            raise ValueError(f"`Euclidean(n)` takes a dimension or a shape, none negative; received {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,), or the shape given."""
        return (self.n,) if isinstance(self.n, int) else self.n

    @property
    def dim(self) -> int:
        """n, the number of entries of a point."""
        return math.prod(self.shape)

    def project(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """x itself."""
        return x

    def to_tangent(self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """v itself."""
        del x
        return v

    def exp(self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """x + v."""
        return x + v

    def log(self, x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """y - x."""
        return y - x

    def transport(
        self, x: Float[Array, "*shape"], v: Float[Array, "*shape"], w: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """w itself."""
        del x, v
        return w

    def frame(self, x: Float[Array, "*shape"]) -> Float[Array, "n *shape"]:
        """The standard basis."""
        return jnp.eye(self.dim, dtype=x.dtype).reshape(self.dim, *self.shape)

    def random_point(self, *, key: Key, dtype: Any = None) -> Float[Array, "*shape"]:
        """A standard normal vector."""
        return jax.random.normal(key, self.shape, _default(dtype))

    def accepts(self, x: Float[Array, "*shape"]) -> Bool[Array, ""]:
        """Always: every array of the right shape is a point."""
        del x
        return jnp.asarray(True)

    @property
    def motions(self) -> Translation:
        """x + xi."""
        return Translation(self)

    @property
    def injectivity_radius(self) -> float:
        """Infinite."""
        return math.inf

    @property
    def volume(self) -> float:
        """Infinite."""
        return math.inf
