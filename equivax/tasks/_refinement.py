"""The same weights on finer grids: what sampling costs falls at an order, what a group lacks does not."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..laws import Verdict
from ..symmetry import AbstractGroup
from ._named import turns_of
from ._weights import split

Model = TypeVar("Model")
# Errors by angle: `degrees`, and for each refinement a list, `error` (of the grid of training), `error_2x`, ...
Angles = dict[str, list[float]]


def with_weights_of(model: Any, build: Callable[..., Model]) -> Model:
    """What `build(key=)` makes, with the weights of `model`; none are drawn, only their places are asked for."""

    def places(key: PRNGKeyArray) -> Model:
        return build(key=key)

    given = iter(jax.tree.leaves(split(model)[0]))
    found = eqx.filter_eval_shape(places, jax.random.key(0))
    return jax.tree.map(lambda leaf: next(given) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, found)


def name_of(factor: int) -> str:
    """The list of errors on a grid finer by `factor`."""
    return "error" if factor == 1 else f"error_{factor}x"


def convergence(
    angles: Angles, group: AbstractGroup, size: int, refinements: tuple[int, ...], floor: float = 0.0
) -> dict[str, Any]:
    """Errors against resolution at the angle of the group that the pixels cannot represent, and their order.

    **Arguments:** `size`: points across the grid of training; `floor`: errors on finer grids that are no
    larger are rounding, and say nothing about the order.

    **Returns:** `sizes`, `error`, `order` and `degrees`, or None where the pixels represent the whole group; and the
    largest `algebraic_error` on the finest grid, at angles that are not in the group.
    """
    n = turns_of(group)
    degrees = angles["degrees"]
    between = [i for i, d in enumerate(degrees) if d % 90]
    inside = [i for i in between if n is None or abs(degrees[i] * n / 360 - round(degrees[i] * n / 360)) < 1e-9]
    finest = angles[name_of(refinements[-1])]
    algebraic = max((finest[i] for i in between if i not in inside), default=0.0)
    if not inside or len(refinements) < 2:
        return {"sizes": [], "error": [], "order": None, "degrees": None, "algebraic_error": algebraic}
    at = max(inside, key=lambda i: angles["error"][i])
    errors = [angles[name_of(f)][at] for f in refinements]
    used = [(f, e) for f, e in zip(refinements, errors, strict=True) if e > floor or f == 1]
    if len(used) < 2:
        used = list(zip(refinements, errors, strict=True))[:2]
    order = -float(np.polyfit(np.log([f for f, _ in used]), np.log([max(e, 1e-12) for _, e in used]), 1)[0])
    sizes = [f * size for f in refinements]
    return {"sizes": sizes, "error": errors, "order": order, "degrees": degrees[at], "algebraic_error": algebraic}


def convergence_verdict(found: dict[str, Any], statement: str) -> tuple[Verdict, ...]:
    """Whether the error of `convergence` falls with an order of 2 or more; no verdict where there is none to fall."""
    if found["order"] is None:
        return ()
    name, detail = f"rotation by {found['degrees']:g} degrees converges", f"observed order {found['order']:.1f}"
    return (Verdict(name, statement, 2 / max(found["order"], 1e-9), found["order"], 1.0, detail=detail),)
