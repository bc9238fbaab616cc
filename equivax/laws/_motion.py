"""Equivariance of fields and of whole flows."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Key, Matrices, Point, RealScalar
from ..dynamics import Flow
from ..fields import AbstractField
from ..symmetry import AbstractAction, SignalAction
from ._elements import chosen_elements, describe
from ._equivariance import equivariance
from ._points import direction, distance, dtype_of, evaluate, gap, generators, size
from ._verdict import Verdict, VerdictTable, equality, rounding


def field_equivariance(
    field: AbstractField,
    x: Point,
    *,
    t: RealScalar = 0.0,
    args: Any = None,
    action: AbstractAction | None = None,
    elements: Matrices | None = None,
    key: Key | None = None,
    tolerance: float | None = None,
) -> VerdictTable:
    r"""A field commutes with its action, in finite steps and infinitesimally, and is tangent to its space.

    $$ f(t, g \cdot x) = (L_g)_* f(t, x), \quad [\xi_M, f](x) = Df\, \xi_M - D\xi_M\, f = 0, \quad f(t, x) \in T_x M $$

    The action is the one that the field carries, unless another `action` is given to be judged by. `elements` and `key`
    as for `equivariance`. Fields of signals are asked about exact elements, and not infinitesimally: on pixels that is
    a statement about convergence. Vacuous for a field that is constant, and for elements that do not move `x`.
    """
    action = field.action if action is None else action
    action.space.check(x)
    elements = chosen_elements(action, elements=elements, key=key)
    dtype = dtype_of(x)
    limit, time = rounding(dtype, tolerance), jnp.asarray(t, dtype)
    v = evaluate(field, time, x, args)
    elsewhere = evaluate(field, time, action.space.retract(x, direction(action.space, x)), args)
    constant = gap(v, elsewhere) <= limit * size(v)
    moved = [action(g, x) for g in elements]
    left = [evaluate(field, time, y, args) for y in moved]
    right = [action.push(g, x, v) for g in elements]
    scale = max(map(size, [v, *left, *right]))
    by_element = VerdictTable(
        equality(
            describe(g),
            "",
            gap(a, b),
            scale,
            limit,
            vacuous=constant or distance(action.space, y, x) <= limit * size(x),
        )
        for g, y, a, b in zip(elements, moved, left, right, strict=True)
    )
    worst = by_element.worst
    finite = Verdict(
        "field equivariance",
        "f(t, g x) = (L_g)_* f(t, x)",
        worst.error,
        worst.scale,
        limit,
        worst.vacuous,
        f"worst of {len(elements)} elements: {worst.name}",
    )
    tangent = equality("field is tangent", "f(t, x) in T_x M", gap(action.space.to_tangent(x, v), v), size(v), limit)
    brackets: tuple[Verdict, ...] = ()
    if len(action.group.lie_algebra) and not isinstance(action, SignalAction):
        brackets = (_brackets(field, action, time, x, args, limit, constant),)
    return VerdictTable((finite, *brackets, tangent))


def _brackets(field, action: AbstractAction, t: Any, x: Point, args: Any, limit: float, constant: bool) -> Verdict:
    first, second, value = _lie_bracket(field, action, t, x, args)
    parts = [
        [jax.tree.map(lambda a, i=i: a[i], z) for i in range(len(action.group.lie_algebra))] for z in (first, second)
    ]
    gaps = [gap(a, b) for a, b in zip(*parts, strict=True)]
    scales = [max(size(a), size(b), size(value)) for a, b in zip(*parts, strict=True)]
    still = size(generators(action, x)) <= limit * size(x)
    return equality("bracket", "[xi_M, f] = 0", gaps, scales, limit, vacuous=constant or still)


@eqx.filter_jit
def _lie_bracket(field, action: AbstractAction, t: Any, x: Point, args: Any) -> Any:
    value = field(t, x, args)

    def sides(xi):
        along = action.generator(xi, x)
        first = jax.jvp(lambda y: field(t, y, args), (x,), (along,))[1]
        second = jax.jvp(lambda y: action.generator(xi, y), (x,), (value,))[1]
        return first, second

    return *jax.vmap(sides)(jnp.asarray(action.group.lie_algebra)), value


class _Run(eqx.Module):
    # A flow in one direction, as a map of points.
    flow: Flow
    args: Any
    backwards: bool = eqx.field(static=True)

    def __call__(self, x: Point) -> Point:
        return self.flow.inverse(x, self.args) if self.backwards else self.flow(x, self.args)


def flow_equivariance(
    flow: Flow,
    x: Point,
    *,
    args: Any = None,
    action: AbstractAction | None = None,
    elements: Matrices | None = None,
    key: Key | None = None,
    tolerance: float | None = None,
) -> VerdictTable:
    r"""The whole flow, solver included, commutes with the action: $\Phi(g x) = g \Phi(x)$, and so does its inverse.

    To rounding, not to the accuracy of the solver: fixed steps and `InvariantController` keep the symmetry exactly.
    The action is the one that the flow's field carries, unless another `action` is given. Vacuous for a flow that
    leaves `x` where it is.
    """
    if action is None:
        if not hasattr(flow.field, "action"):
            raise ValueError(
                f"The field of this flow is a {type(flow.field).__name__} and carries no action. Say under which one "
                "it should be equivariant: `flow_equivariance(flow, x, action=LinearAction(rep), key=key)`."
            )
        action = flow.field.action
    if elements is None:  # drawn once, so that both directions are asked about the same elements
        elements = chosen_elements(action, elements=None, key=key)
    verdicts = []
    for name, statement, backwards in (
        ("flow equivariance", "Phi(g x) = g Phi(x)", False),
        ("inverse flow equivariance", "Phi^-1(g x) = g Phi^-1(x)", True),
    ):
        run = _Run(flow, args, backwards)
        v = equivariance(run, action, action, x, name=name, elements=elements, tolerance=tolerance)
        still = distance(action.space, evaluate(run, x), x) <= v.tolerance * size(x)
        verdicts.append(Verdict(name, statement, v.error, v.scale, v.tolerance, v.vacuous or still, v.detail))
    return VerdictTable(verdicts)
