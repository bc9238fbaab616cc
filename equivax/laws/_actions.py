"""The axioms of actions."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Key, Matrices, Point
from ..symmetry import AbstractAction, SignalAction
from ._elements import chosen_elements, describe
from ._points import direction, distance, dtype_of, gap, generators, size
from ._verdict import Verdict, VerdictTable, equality, rounding


def action_axioms(
    action: AbstractAction,
    *,
    key: Key,
    x: Point | None = None,
    elements: Matrices | None = None,
    dtype: Any = None,
    tolerance: float | None = None,
) -> VerdictTable:
    r"""A left action on its space, with the generators and the push-forward that belong to it.

    $$ g \cdot (h \cdot x) = (gh) \cdot x, \quad 1 \cdot x = x, \quad g \cdot x \in M, \quad
       \xi_M(x) = \tfrac{d}{dt} e^{t\xi} \cdot x|_0, \quad (L_g)_* v \in T_{gx} M, \quad
       (L_g)_* \xi_M (x) = (g \xi g^{-1})_M (g \cdot x) $$

    At `x`, or at a random point of the space. A `SignalAction` is asked about the elements that are exact on its grid,
    and its generators, which pixels only approximate, are left out. Vacuous where no element moves `x`.
    """
    x = action.space.random_point(key=key, dtype=dtype) if x is None else x
    action.space.check(x)
    g = chosen_elements(action, elements=elements, key=key)
    h = np.roll(g, 1, axis=0)
    limit, space = rounding(dtype_of(x), tolerance), action.space
    moved = [action(a, x) for a in g]
    still = max(distance(space, y, x) for y in moved) <= limit * max(size(x), 1.0)

    def law(name: str, statement: str, gaps: list, scales: list):
        return equality(name, statement, gaps, scales, limit, vacuous=still)

    stretch = [np.linalg.cond(a) for a in g]
    scales = [s * np.roll(stretch, 1)[i] * size(x) for i, s in enumerate(stretch)]
    composed = [
        distance(space, action(a, action(b, x)), action(action.group.compose(a, b), x))
        for a, b in zip(g, h, strict=True)
    ]
    v = direction(space, x)
    pushed = [action.push(a, x, v) for a in g]
    derived = [jax.jvp(lambda y, a=a: action(a, y), (x,), (v,))[1] for a in g]
    return VerdictTable(
        [
            _with_elements(law("composition", "g (h x) = (g h) x", composed, scales), composed, scales, g, h),
            equality("unit", "1 x = x", distance(space, action(action.group.identity, x), x), size(x), limit),
            law("space", "g x in M", [gap(space.project(y), y) for y in moved], [size(y) for y in moved]),
            law(
                "push-forward",
                "push(g, x, v) = d/dt g (x + t v)",
                [gap(p, d) for p, d in zip(pushed, derived, strict=True)],
                [size(d) for d in derived],
            ),
            law(
                "push-forward is tangent",
                "push(g, x, v) in T_gx M",
                [gap(space.to_tangent(y, p), p) for y, p in zip(moved, pushed, strict=True)],
                [size(p) for p in pushed],
            ),
            *_generator_laws(action, g, x, moved, limit),
        ]
    )


def _with_elements(verdict: Verdict, gaps: list, scales: list, g: Matrices, h: Matrices) -> Verdict:
    # The verdict, which names the elements for which the error is largest.
    i = int(np.argmax(np.asarray(gaps) / np.maximum(np.asarray(scales), 1e-300)))
    return dataclasses.replace(verdict, detail=f"worst for g = {describe(g[i])}, h = {describe(h[i])}")


@eqx.filter_jit
def _velocities(action: AbstractAction, algebra: Any, x: Point) -> Any:
    one = jnp.eye(action.group.d, dtype=algebra.dtype)
    return jax.vmap(lambda xi: jax.jvp(lambda g: action(g, x), (one,), (xi,))[1])(algebra)


@eqx.filter_jit
def _adjoint(action: AbstractAction, algebra: Any, g: Any, x: Point) -> Any:
    def sides(xi):
        turned = g @ xi @ jnp.linalg.inv(g)
        return action.push(g, x, action.generator(xi, x)), action.generator(turned, action(g, x))

    return jax.vmap(sides)(algebra)


def _generator_laws(action: AbstractAction, g: Matrices, x: Point, moved: list, limit: float) -> list[Verdict]:
    if not len(action.group.lie_algebra) or isinstance(action, SignalAction):
        return []
    space = action.space
    algebra = jnp.asarray(action.group.lie_algebra)
    given, derived = generators(action, x), _velocities(action, algebra, x)
    still = size(given) <= limit * max(size(x), 1.0)
    scale = max(size(given), size(x))
    tangent = jax.vmap(lambda v: space.to_tangent(x, v))(given)
    gaps, scales = [], []
    for a, y in zip(g, moved, strict=True):
        left, right = _adjoint(action, algebra, jnp.asarray(a), x)
        gaps.append(gap(left, right))
        scales.append(max(size(left), size(y)) * np.linalg.cond(a))
    return [
        equality("generator", "xi_M(x) = d/dt exp(t xi) x", gap(given, derived), scale, limit, vacuous=still),
        equality("generator is tangent", "xi_M(x) in T_x M", gap(tangent, given), scale, limit, vacuous=still),
        equality("adjoint", "push(g, x, xi_M(x)) = (g xi g^-1)_M(g x)", gaps, scales, limit, vacuous=still),
    ]
