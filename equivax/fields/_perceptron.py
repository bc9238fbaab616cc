"""A network of scalars, on which no symmetry acts."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key


class Perceptron(eqx.Module):
    r"""A plain multilayer perceptron of scalars, with smooth activations; weights in float32, computed as `x` is.

    - `size_in`, `size_out`: how many numbers go in and come out; `width`, `depth`: of the hidden layers.
    """

    mlp: eqx.nn.MLP

    def __init__(
        self,
        size_in: int,
        size_out: int,
        width: int,
        depth: int,
        *,
        activation: Callable[[Array], Array] = jax.nn.silu,
        key: Key,
    ):
        mlp = eqx.nn.MLP(size_in, size_out, width, depth, activation=activation, dtype=jnp.float32, key=key)
        # Equinox draws weights of variance 1/(3 fan-in); of three times that, deep networks start as large as shallow ones.
        self.mlp = eqx.tree_at(_matrices, mlp, [np.float32(np.sqrt(3)) * w for w in _matrices(mlp)])

    def __call__(self, x: Float[Array, " i"]) -> Float[Array, " o"]:
        return jax.tree.map(lambda w: w.astype(x.dtype) if eqx.is_inexact_array(w) else w, self.mlp)(x)


def _matrices(mlp: eqx.nn.MLP) -> list:
    return [layer.weight for layer in mlp.layers]
