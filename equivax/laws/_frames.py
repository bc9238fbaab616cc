"""The axioms of moving frames."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Key
from ..fields import MovingFrame
from ._elements import chosen_elements, describe
from ._points import distance, dtype_of, size
from ._verdict import Verdict, VerdictTable, equality, rounding


def frame_axioms(frame: MovingFrame, *, key: Key, samples: int = 16, tolerance: float | None = None) -> VerdictTable:
    r"""A moving frame is equivariant, up to the stabiliser of the point that it carries to, and meets the orbits.

    $$ k(g \cdot x) = k(x), \quad h(x) \cdot k(x) = x, \quad w(x) > 0 $$

    At random points. The last verdict counts the points whose orbits the cross-section misses, those of weight 0, or at
    which the frame is no number; some are to be expected where orbits shrink, never a share of them.
    """
    action = frame.action
    points = [action.space.random_point(key=k) for k in jax.random.split(key, samples)]
    evaluate = eqx.filter_jit(lambda x: (frame.invariants(x), frame(x), frame.weight(x)))
    gaps: list[Any] = []
    returns, scales, missed, worst = [], [], 0, (0.0, "")
    elements = chosen_elements(action, elements=None, key=key)
    for x in points:
        k, h, w = _tried(evaluate, x)
        if k is None or not bool(w > 0) or not bool(jnp.all(jnp.isfinite(h))):
            missed += 1
            continue
        returns.append(distance(action.space, action(h, k), x))
        scales.append(size(x))
        for g in elements[:3]:
            moved, _, _ = _tried(evaluate, action(g, x))
            gaps.append(jnp.inf if moved is None else distance(action.space, moved, k) / max(1.0, size(x)))
            worst = max(worst, (float(gaps[-1]), describe(g)))
    limit = rounding(dtype_of(points[0]), tolerance)
    table = [
        equality("invariants", "k(g x) = k(x)", float(max(gaps, default=0.0)), 1.0, limit),
        equality("frame", "h(x) k(x) = x", returns or [0.0], scales or [1.0], limit),
    ]
    share = missed / samples
    reached = Verdict(
        "orbits meet the cross-section",
        "w(x) > 0",
        share,
        1.0,
        1 / 8,
        detail=f"{missed} of {samples} random orbits are missed",
    )
    return VerdictTable([*table, reached])


def _tried(evaluate: Any, x: Any) -> tuple[Any, Any, Any]:
    try:
        return evaluate(x)
    except (RuntimeError, eqx.EquinoxRuntimeError):
        return None, None, None
