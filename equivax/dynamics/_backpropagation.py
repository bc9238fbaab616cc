"""What the adjoints of this shelf share: cotangents of trees, of a step's dense output, and Diffrax's own loop."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

# The one place of this shelf that reaches below Diffrax's public names: an adjoint is handed the state of its loop.
from diffrax._adjoint import _only_transpose_ys as only_transpose_ys
from diffrax._integrate import SaveState as SaveState
from diffrax._integrate import _clip_to_end as clip_to_end

__all__ = [
    "SaveState",
    "apart",
    "clip_to_end",
    "of_saves",
    "only_transpose_ys",
    "plus",
    "pullback",
    "saves_points",
    "through_dense",
    "zeros",
]


def apart(f: Any, always: Any, *operands: Any) -> Any:
    """f(*operands), where `always` is true: a loop's work, on a CPU in a program of its own.

    XLA runs a program on several threads, and hands over between them at every kernel, as soon as one of its arrays is large.
    A branch of a conditional is a program: with small arrays its kernels run one after the other, whatever the loop around
    them reads and writes.
    """
    f = eqx.filter_closure_convert(f, *operands)
    arrays, rest = eqx.partition(operands, eqx.is_array)
    shapes, static = eqx.filter_eval_shape(lambda a: eqx.partition(f(*eqx.combine(a, rest)), eqx.is_array), arrays)

    def run(arrays: Any) -> Any:
        return eqx.filter(f(*eqx.combine(arrays, rest)), eqx.is_array)

    def nothing(arrays: Any) -> Any:
        del arrays
        return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)

    found = jax.lax.platform_dependent(arrays, cpu=lambda a: jax.lax.cond(always, run, nothing, a), default=run)
    return eqx.combine(found, static)


def saves_points(saveat: Any) -> bool:
    """Whether points are saved as they are, and in one place: no function of them, no dense output."""
    sub = saveat.subs
    return isinstance(sub, diffrax.SubSaveAt) and sub.fn is diffrax.SubSaveAt(t1=True).fn and not saveat.dense


def pullback(f: Any, *args: Any) -> Any:
    """`jax.vjp` of the floating-point arrays in args; cotangents of outputs are trees of floating-point arrays as well."""
    differentiable, other = eqx.partition(args, eqx.is_inexact_array)

    def g(differentiable: Any) -> Any:
        out = f(*eqx.combine(differentiable, other))
        return eqx.partition(out, eqx.is_inexact_array)

    out, pull, aux = jax.vjp(g, differentiable, has_aux=True)
    return eqx.combine(out, aux), lambda bar: pull(eqx.filter(bar, eqx.is_inexact_array))[0]


def through_dense(
    solver: Any, ts: Any, start: Any, stop: Any, dense: Any, take: Any, offset: int, j: Any, i: Any, bars: Any
) -> tuple[Any, Any]:
    """Cotangents of (dense output, start, stop) of step i, from all the times ts[j], ts[j - 1], ... saved within the step."""

    def value(dense: Any, start: Any, stop: Any, t: Any) -> Any:
        return solver.interpolation_cls(t0=start, t1=stop, **dense).evaluate(t)

    def body(carry: Any) -> Any:
        j, bar = carry
        _, pull = pullback(lambda d, a, b: value(d, a, b, ts[j]), dense, start, stop)
        return j - 1, plus(bar, pull(take(j + offset)))

    def inside(carry: Any) -> Any:
        j, _ = carry
        return (j >= 0) & ((ts[jnp.maximum(j, 0)] > start) | (i == 0))

    return jax.lax.while_loop(inside, body, (j, bars))


def zeros(tree: Any) -> Any:
    """Zeros of the shape of the floating-point arrays in the tree."""
    return jax.tree.map(jnp.zeros_like, eqx.filter(tree, eqx.is_inexact_array))


def plus(a: Any, b: Any) -> Any:
    """a + b."""
    return jax.tree.map(jnp.add, a, b)


def of_saves(like: Any, bars: Any) -> Any:
    """Cotangents of all saved points, stacked, with zeros for those parts of a point that nothing depends on (None)."""
    saves = max((len(bar) for bar in jax.tree.leaves(bars)), default=1)
    return jax.tree.map(
        lambda a, bar: jnp.zeros((saves, *a.shape), a.dtype) if bar is None else bar,
        like,
        bars,
        is_leaf=lambda a: a is None,
    )
