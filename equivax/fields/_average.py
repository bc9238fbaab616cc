"""A network averaged over elements of a group: what frames and Reynolds averages have in common."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Point, RealScalar, Tangent
from ..symmetry import AbstractAction

# Any map (t, x, args) -> array of the shape of x, of which no symmetry is asked.
Network = Callable[[Any, Any, Any], Any]
Stack = Float[Array, "K d d"]


def averaged(
    network: Network,
    action: AbstractAction,
    elements: Stack,
    inverses: Stack,
    weights: Float[Array, " K"],
    t: RealScalar,
    x: Point,
    args: Any,
) -> Tangent:
    r"""$\sum_k w_k\, (g_k)_*\, P\, N(t, g_k^{-1} x)$, with P the projection on tangent vectors at $g_k^{-1} x$.

    **Raises:** `ValueError` when N returns anything but one array of the shape of x (for products: a tuple of them).
    """
    dtype = jnp.result_type(*jax.tree.leaves(x))
    t = jnp.asarray(t, dtype)
    network = in_precision(network, dtype)

    def term(g: Float[Array, "d d"], h: Float[Array, "d d"], w: Float[Array, ""]) -> Tangent:
        y = action(h, x)
        v = network(t, y, args)
        _check_output(v, y)
        v = action.space.to_tangent(y, v)
        return jax.tree.map(lambda a: w * a, action.push(g, y, v))

    return jax.tree.map(lambda a: jnp.sum(a, axis=0), jax.vmap(term)(elements, inverses, weights))


def in_precision(network: Any, dtype: Any) -> Any:
    """The network with the floating-point arrays in it cast to a type; plain functions are returned as they are."""
    return jax.tree.map(lambda w: w.astype(dtype) if eqx.is_inexact_array(w) else w, network)


def _check_output(v: Any, x: Point) -> None:
    received, meant = (jax.tree.map(lambda a: (jnp.shape(a), jnp.result_type(a)), part) for part in (v, x))
    if received != meant:
        raise ValueError(
            "A network in an average over a group should map (t, x, args) to an array like x: for x of "
            f"{_show(x)} it should return {_show(x)}, and returned {_show(v)}. Change the size of its last layer, "
            "reshape what it returns, or cast it by `.astype(x.dtype)`."
        )


def _show(tree: Any) -> str:
    return eqx.tree_pformat(tree, struct_as_array=True, short_arrays=True)
