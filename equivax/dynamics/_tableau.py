"""One step of an explicit Runge-Kutta method, read off its tableau in straight-line code."""

from collections.abc import Callable
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
) -> tuple[Point, Tangent, Tangent | None]:
    r"""$k_i = h f(t_0 + c_i h, y_0 + \sum_j a_{ij} k_j)$, $y_1 = y_0 + \sum_i b_i k_i$: returns (y1, stacked k, f(t1, y1)).

    `f` is f(t0, y0) where the step before has left it, else None. `finish` moves y1 to where it should be (onto a
    manifold) before anything is evaluated there. The last of what is returned is None unless the first evaluation of the
    next step is the last one of this (FSAL). Diffrax's own step loops over the stages: less to compile, and several
    times slower when stages are cheap, or hold matrix products, which XLA compiles badly for a CPU inside a loop.
    """
    control, last = term.contr(t0, t1), tableau.num_stages - 1
    yi: Any = y0
    ks: list[Any] = []
    for i in range(tableau.num_stages):
        if i > 0:
            c = float(tableau.c[i - 1])
            ti, yi = t1 if c == 1 else t0 + c * (t1 - t0), combine(y0, tableau.a_lower[i - 1], ks)
            if i == last and tableau.ssal:
                yi = finish(yi)
        else:
            ti = t0 + float(tableau.c1) * (t1 - t0)
        if i > 0 or f is None:
            f = term.vf(ti, yi, args)
        ks.append(term.prod(f, control))
    y1 = yi if tableau.ssal else finish(combine(y0, tableau.b_sol, ks))
    return y1, jax.tree.map(lambda *a: jnp.stack(a), *ks), f if tableau.fsal else None


def combine(y: Point, coefficients: Any, ks: list[Tangent]) -> Point:
    """y + sum_j c_j k_j, without the terms whose coefficient is 0."""
    terms = [(float(c), k) for c, k in zip(coefficients, ks, strict=True) if c != 0]
    return jax.tree.map(
        lambda a, *b: a + sum(c * k for (c, _), k in zip(terms, b, strict=True)), y, *(k for _, k in terms)
    )
