"""Weights that change in time."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._types import Key, RealScalar


class Knots(eqx.Module):
    r"""A module whose weights are piecewise linear in time, $\theta(t) = \sum_j \varphi_j(t)\, \theta_j$.

    The hat functions $\varphi_j$ have their tops at the knots $t_j = t_0 + j (t_1 - t_0) / n$, $j = 0 \dots n - 1$, and
    the last value is kept until $t_1$. With $n$ equal Euler steps, step $j$ uses just $\theta_j$: depth is time, sampled.

    - `stack`: the module with an extra leading axis of length $n$ on each array.
    """

    stack: PyTree
    count: int = eqx.field(static=True)
    t0: float = eqx.field(static=True)
    t1: float = eqx.field(static=True)

    def __init__(self, make: Callable[[Key], PyTree], count: int, t0: float = 0.0, t1: float = 1.0, *, key: Key):
        modules = [make(k) for k in jax.random.split(key, count)]
        arrays = [eqx.filter(m, eqx.is_inexact_array) for m in modules]
        static = eqx.filter(modules[0], eqx.is_inexact_array, inverse=True)
        self.stack = eqx.combine(jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays), static)
        self.count, self.t0, self.t1 = count, t0, t1

    def hats(self, t: RealScalar, dtype=jnp.float32) -> Float[Array, " n"]:
        r"""The hat functions at $t$; they sum to one."""
        position = (jnp.asarray(t, dtype) - jnp.asarray(self.t0, dtype)) * (self.count / (self.t1 - self.t0))
        position = jnp.clip(position, 0, self.count - 1)
        return jnp.maximum(0, 1 - jnp.abs(position - jnp.arange(self.count, dtype=dtype)))

    def __call__(self, t: RealScalar) -> PyTree:
        """The module with its weights at time `t`."""

        def at(leaf):
            if not eqx.is_inexact_array(leaf):
                return leaf
            return jnp.tensordot(self.hats(t, leaf.dtype), leaf, 1)

        return jax.tree.map(at, self.stack)
