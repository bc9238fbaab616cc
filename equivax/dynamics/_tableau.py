"""One step of an explicit Runge-Kutta method, read off its tableau in straight-line code."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from .._types import Point, Tangent


def is_plain_tableau(solver: diffrax.AbstractSolver) -> bool:
    """Whether the solver is an explicit Runge-Kutta method of Diffrax and nothing more: whoever overrides `step` means it."""
    return isinstance(solver, diffrax.AbstractERK) and type(solver).step is diffrax.AbstractERK.step


def tableau_step(
    tableau: diffrax.ButcherTableau,
    term: diffrax.AbstractTerm,
    t0: Any,
    t1: Any,
    y0: Point,
    args: Any,
    f: Tangent | None,
    finish: Callable[[Point], Point] = lambda y: y,
) -> tuple[Point, list[Tangent], Tangent | None]:
    r"""$k_i = h f(t_0 + c_i h, y_0 + \sum_j a_{ij} k_j)$, $y_1 = y_0 + \sum_i b_i k_i$: returns (y1, [k_1, ...], f(t1, y1)).

    `f` is f(t0, y0) where the step before has left it, else None. `finish` moves y1 to where it should be (onto a
    manifold) before anything is evaluated there. The last of what is returned is None unless the first evaluation of the
    next step is the last one of this (FSAL). Diffrax's own step loops over the stages: less to compile, and several
    times slower when stages are cheap, or hold matrix products, which XLA compiles badly for a CPU inside a loop.
    """
    control, last = term.contr(t0, t1), tableau.num_stages - 1
    y1: Any = None
    fs: list[Any] = []
    for i in range(tableau.num_stages):
        # One product with h for each sum, not for each of its terms: prod is linear.
        yi = y0 if i == 0 else added(y0, term.prod(weighted(tableau.a_lower[i - 1], fs), control))
        if i == last and tableau.ssal:
            yi = y1 = finish(yi)
        if i > 0 or f is None:
            f = term.vf(time_at(float(tableau.c[i - 1] if i else tableau.c1), t0, t1), yi, args)
        fs.append(f)
    if not tableau.ssal:
        y1 = finish(added(y0, term.prod(weighted(tableau.b_sol, fs), control)))
    return y1, [term.prod(f, control) for f in fs], f if tableau.fsal else None


def weighted(coefficients: Iterable[Any], ks: Sequence[Any]) -> Any:
    """sum_j c_j k_j, without the terms whose coefficient is 0."""
    pairs = [(float(c), k) for c, k in zip(coefficients, ks, strict=False) if c != 0]
    if not pairs:
        return jax.tree.map(jnp.zeros_like, ks[0])
    numbers, terms = zip(*pairs, strict=True)

    def total(first: Any, *others: Any) -> Any:
        return sum((c * k for c, k in zip(numbers[1:], others, strict=True)), numbers[0] * first)

    return jax.tree.map(total, *terms)


def added(y: Point, k: Tangent) -> Point:
    """y + k."""
    return jax.tree.map(jnp.add, y, k)


def time_at(c: float | int, t0: Any, t1: Any) -> Any:
    """t0 + c (t1 - t0), and t1 itself for c = 1."""
    return t1 if c == 1 else t0 + c * (t1 - t0) if c else t0


def after_jump(made_jump: Any, evaluate: Callable[[], Any], f0: Any) -> Any:
    """f0, the derivative that the last step has left, or `evaluate()` where the field has jumped since; None stays None."""
    if f0 is None or made_jump is False:
        return f0
    return jax.lax.cond(made_jump, evaluate, lambda: f0)
