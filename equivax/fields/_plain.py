"""A network that knows nothing of any symmetry."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._types import Key, Point, RealScalar
from ..geometry import AbstractManifold, Power, Product, TangentBundle, Torus
from ._average import in_precision


class PlainMLP(eqx.Module):
    r"""$N(t, x) = \mathrm{MLP}(t, x_1, \dots, x_n)$, of the shape of `x`: no symmetry, and tangent to nothing.

    What averages over a group make equivariant, and what equivariant fields are compared with. Angles of a `Torus` enter
    by their cosines and sines, so that N is a function on it.

    - `space`: where `x` lives. `width`, `depth`: of the hidden layers; `activation` is smooth, as flows like it.
    """

    mlp: eqx.nn.MLP
    space: AbstractManifold

    def __init__(
        self, space: AbstractManifold, width: int = 32, depth: int = 2, activation: Any = jax.nn.softplus, *, key: Key
    ):
        x = space.random_point(key=jax.random.key(0), dtype=jnp.float32)
        inputs, outputs = _coordinates(space, x).size + 1, ravel_pytree(x)[0].size
        self.mlp = eqx.nn.MLP(inputs, outputs, width, depth, activation=activation, dtype=jnp.float32, key=key)
        self.space = space

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Any:
        flat, unravel = ravel_pytree(x)
        features = jnp.concatenate([jnp.asarray(t, flat.dtype)[None], _coordinates(self.space, x)])
        return unravel(in_precision(self.mlp, flat.dtype)(features))


def _coordinates(space: AbstractManifold, x: Point) -> Float[Array, " n"]:
    match space:
        case Torus():
            return jnp.concatenate([jnp.cos(x), jnp.sin(x)])
        case TangentBundle(base=base):
            return jnp.concatenate([_coordinates(base, x[0]), ravel_pytree(x[1])[0]])
        case Power(base=base):
            return jax.vmap(lambda part: _coordinates(base, part))(x).reshape(-1)
        case Product(factors=factors):
            return jnp.concatenate([_coordinates(M, part) for M, part in zip(factors, x, strict=True)])
        case _:
            return ravel_pytree(x)[0]
