"""Equivariance of maps: element by element, infinitesimally, and refuted for the wrong group."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._types import Key, Matrices, Point
from ..symmetry import AbstractAction
from ._elements import chosen_elements, describe
from ._points import direction, distance, dtype_of, evaluate, gap, generators, same_group, size
from ._verdict import Verdict, VerdictTable, equality, refuted, rounding


def equivariance_by_element(
    f: Callable[[Point], Point],
    action_in: AbstractAction,
    action_out: AbstractAction,
    x: Point,
    *,
    elements: Matrices | None = None,
    key: Key | None = None,
    tolerance: float | None = None,
) -> VerdictTable:
    r"""One verdict on $f(g \cdot x) = g \cdot f(x)$ for each group element, named after it.

    - `f`: any map of points that JAX can compile; modules of one structure share the compilation.
    - `action_in`, `action_out`: how the group acts on `x` and on `f(x)`. An invariant map has `TrivialAction(group,
      space)` on its output side.
    - `elements`: `(n, d, d)`. If not given: the elements that are exact on the grid for a `SignalAction` (quarter turns
      and flips, if the group has them), and `probe_elements` drawn with `key` for others.

    Errors are distances in the space of `action_out`, relative to the largest $|f|$ seen. Vacuous are elements that do
    not move `x`, and all of them when `f` gives the same value at `x` and at another, random point.

    **Raises:** `GroupError` unless one group acts on both sides; `ValueError` for points of the wrong shape.
    """
    same_group(action_in, action_out)
    action_in.space.check(x)
    elements = chosen_elements(action_in, action_out, elements=elements, key=key)
    y = evaluate(f, x)
    action_out.space.check(y, "f(x)")
    limit = rounding(dtype_of(y), tolerance)
    elsewhere = evaluate(f, action_in.space.retract(x, direction(action_in.space, x)))
    constant = gap(y, elsewhere) <= limit * size(y)
    moved = [action_in(g, x) for g in elements]
    left, right = [evaluate(f, m) for m in moved], [action_out(g, y) for g in elements]
    scale = max(map(size, [y, *left, *right]))
    return VerdictTable(
        equality(
            describe(g),
            "f(g x) = f(x)" if _same(b, y) else "f(g x) = g f(x)",
            distance(action_out.space, a, b),
            scale,
            limit,
            vacuous=constant or distance(action_in.space, m, x) <= limit * size(x),
        )
        for g, m, a, b in zip(elements, moved, left, right, strict=True)
    )


def equivariance(
    f: Callable[[Point], Point],
    action_in: AbstractAction,
    action_out: AbstractAction,
    x: Point,
    *,
    name: str = "equivariance",
    elements: Matrices | None = None,
    key: Key | None = None,
    tolerance: float | None = None,
) -> Verdict:
    r"""The verdict on $f(g \cdot x) = g \cdot f(x)$ at the worst of several group elements, which `detail` names.

    Arguments as for `equivariance_by_element`.
    """
    table = equivariance_by_element(f, action_in, action_out, x, elements=elements, key=key, tolerance=tolerance)
    return _worst_of(table, name, "f(g x) = g f(x)")


def _worst_of(table: VerdictTable, name: str, statement: str) -> Verdict:
    v = table.worst
    detail = f"worst of {len(table)} elements: {v.name}"
    return Verdict(name, statement, v.error, v.scale, v.tolerance, v.vacuous, detail)


def infinitesimal_equivariance(
    f: Callable[[Point], Point],
    action_in: AbstractAction,
    action_out: AbstractAction,
    x: Point,
    *,
    tolerance: float | None = None,
) -> VerdictTable:
    r"""Equivariance without sampling: one `jvp` for each generator, plus the discrete generators as they are.

    $$ Df(x)\, \xi_M(x) = \xi_N(f(x)), \qquad f(h \cdot x) = h \cdot f(x) $$

    At one point, this is the whole law to first order; at all points it is equivariance. Errors are relative to the
    largest of both sides, of $|f(x)|$ and of $|Df(x)\, v|$ for a random $v$ as long as $\xi_M(x)$. Vacuous where $x$ is
    a fixed point, or where $Df(x) v = 0$. Not for `SignalAction`s, whose generators pixels only approximate.
    """
    same_group(action_in, action_out)
    action_in.space.check(x)
    verdicts = []
    y = evaluate(f, x)
    action_out.space.check(y, "f(x)")
    limit = rounding(dtype_of(y), tolerance)
    if len(action_in.group.lie_algebra):
        along, expected = generators(action_in, x), generators(action_out, y)
        v = direction(action_in.space, x)
        left, sideways = _derivatives(f, x, along), _derivatives(f, x, jax.tree.map(lambda a: a[None], v))
        counts = range(len(action_in.group.lie_algebra))
        lefts, rights, moves = (_unstack(z, counts) for z in (left, expected, along))
        stretch = size(sideways) / max(size(v), np.finfo(np.float64).tiny)
        scales = [
            max(size(a), size(b), size(y), stretch * size(m)) for a, b, m in zip(lefts, rights, moves, strict=True)
        ]
        still = max(map(size, moves)) <= limit * size(x) or size(sideways) <= limit * size(y)
        gaps = [gap(a, b) for a, b in zip(lefts, rights, strict=True)]
        worst = int(np.argmax(np.nan_to_num(gaps, nan=np.inf)))
        verdicts.append(
            equality(
                "infinitesimal equivariance",
                "Df(x) xi_M(x) = xi_N(f(x))",
                gaps,
                scales,
                limit,
                vacuous=still,
                detail=f"worst of {len(counts)} generators: number {worst}",
            )
        )
    if len(action_in.group.discrete_generators):
        generating = action_in.group.discrete_generators
        finite = equivariance_by_element(f, action_in, action_out, x, elements=generating, tolerance=tolerance)
        verdicts.append(_worst_of(finite, "discrete generators", "f(h x) = h f(x)"))
    return VerdictTable(verdicts)


@eqx.filter_jit
def _derivatives(f: Callable[[Point], Point], x: Point, vs: Any) -> Any:
    return jax.vmap(lambda v: jax.jvp(f, (x,), (v,))[1])(vs)


def _unstack(z: Any, indices: range) -> list:
    return [jax.tree.map(lambda a, i=i: a[i], z) for i in indices]


def _same(x: Point, y: Point) -> bool:
    return all(a is b for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True))


def rejects(
    f: Callable[[Point], Point],
    action_in: AbstractAction,
    action_out: AbstractAction,
    x: Point,
    *,
    elements: Matrices | None = None,
    key: Key | None = None,
    tolerance: float | None = None,
) -> Verdict:
    r"""That `f` is *not* equivariant under these actions, by a clear margin: what the wrong group ought to get.

    The same question as `equivariance`, with the answer turned round (`refuted`). A check that cannot fail proves
    nothing: an audit asks its maps about a group that is too large, and passes when that is refused.
    """
    return refuted(equivariance(f, action_in, action_out, x, elements=elements, key=key, tolerance=tolerance))
