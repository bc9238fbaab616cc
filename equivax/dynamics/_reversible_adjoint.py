"""Backpropagation through a reversible solver: the way back is recomputed, so no step needs to be remembered."""

from typing import Any

import diffrax
import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp

from ._backpropagation import (
    SaveState,
    of_saves,
    only_transpose_ys,
    plus,
    pullback,
    saves_points,
    through_dense,
    zeros,
)
from ._reversible import Reversible


class ReversibleAdjoint(diffrax.AbstractAdjoint):
    r"""Exact gradients of the discrete solution, in memory independent of the number of steps: for `Reversible` solvers.

    On the way back each step is undone, $(y_{n+1}, z_{n+1}) \mapsto (y_n, z_n)$, and then differentiated. What is kept of
    the way there is its end and the times of its steps, one number for each of the `max_steps` there may be. The
    gradient is that of the solution as it was computed (discretise, then optimise), up to the rounding that reversing
    gathers: see `Reversible.coupling`. Costs about one more solve than `diffrax.RecursiveCheckpointAdjoint` with a
    checkpoint for every step, and no recomputation that grows with depth.

    Takes `SaveAt(t0=, t1=, ts=)` or `SaveAt(t0=, steps=True)`; no `fn`, `dense` or events, forward mode or second
    derivatives. Gradients are with respect to y0, args and arrays in the terms; times are constants.

    Raises a ValueError for other solvers, other ways of saving, and without `max_steps`.
    McCallum, Foster, *Efficient, accurate and stable gradients for neural ODEs*, 2024.
    """

    def loop(
        self,
        *,
        terms: Any,
        args: Any,
        solver: Any,
        saveat: Any,
        init_state: Any,
        max_steps: Any,
        throw: Any,
        event: Any,
        passed_solver_state: bool,
        passed_controller_state: bool,
        **kwargs: Any,
    ) -> Any:
        """As `diffrax.AbstractAdjoint.loop`."""
        del throw
        _refuse(solver, saveat, event, max_steps, passed_solver_state or passed_controller_state)
        init_state = jax.lax.stop_gradient(init_state), init_state.y
        init_state = eqx.tree_at(lambda s: s.y, init_state[0], init_state[1])
        y, rest = init_state.y, eqx.tree_at(lambda s: (s.y, s.solver_state), init_state, (None, None))
        final_state, stats = _loop(
            (y, args, terms),
            self=self,
            solver=solver,
            saveat=saveat,
            rest=rest,
            max_steps=max_steps,
            event=event,
            **kwargs,
        )
        return only_transpose_ys(final_state), stats


def _refuse(solver: Any, saveat: Any, event: Any, max_steps: Any, passed: bool) -> None:
    sub = saveat.subs
    if not isinstance(solver, Reversible):
        problem, remedy = f"undoes the steps of a `Reversible` solver; received {solver}", "`Reversible(RKMK(...))`"
    elif event is not None or passed or max_steps is None:
        problem, remedy = "takes no events and no states from outside, and needs `max_steps`", "another adjoint"
    elif not saves_points(saveat):
        problem, remedy = "takes a plain `SaveAt(t0=, t1=, ts=, steps=)`", "a function of `solution.ys` afterwards"
    elif sub.steps > 1 or (sub.steps and (sub.t1 or sub.ts is not None)):
        problem, remedy = "saves every step and nothing else, or none", "`SaveAt(steps=True)`"
    else:
        return
    raise ValueError(f"`ReversibleAdjoint` {problem}. Use {remedy}, or `diffrax.RecursiveCheckpointAdjoint()`.")


def _nothing(t: Any, y: Any, args: Any) -> None:
    # What is saved at each step beside its time.
    del t, y, args


@eqx.filter_custom_vjp
def _loop(y_args_terms, *, self, solver, saveat, rest, max_steps, t0, t1, dt0, **kwargs):
    return _forward(y_args_terms, self, solver, saveat, rest, max_steps, t0, t1, dt0, kwargs)[0]


def _forward(y_args_terms, self, solver, saveat, rest, max_steps, t0, t1, dt0, kwargs):
    y, args, terms = y_args_terms
    state = solver.init(terms, t0, rest.tnext, y, args)
    # Beside what is asked for, the times of the steps are saved.
    times = SaveState(0, jnp.full(max_steps, jnp.inf, jnp.result_type(t0)), None, 0)
    state = eqx.tree_at(
        lambda s: (s.y, s.solver_state, s.save_state),
        rest,
        (y, state, (rest.save_state, times)),
        is_leaf=lambda a: a is None,
    )
    recorded = eqx.tree_at(lambda s: s.subs, saveat, (saveat.subs, diffrax.SubSaveAt(steps=True, fn=_nothing)))
    final, stats = self._loop(
        terms=terms,
        args=args,
        solver=solver,
        saveat=recorded,
        init_state=state,
        max_steps=max_steps,
        t0=t0,
        t1=t1,
        dt0=dt0,
        inner_while_loop=eqx.Partial(eqxi.while_loop, kind="lax"),
        outer_while_loop=eqx.Partial(eqxi.while_loop, kind="lax"),
        **kwargs,
    )
    wanted, times = final.save_state
    residuals = final.y, final.solver_state, times.ts, final.num_accepted_steps, wanted.ts
    return (eqx.tree_at(lambda s: s.save_state, final, wanted), stats), residuals


@_loop.def_fwd
def _loop_fwd(perturbed, y_args_terms, *, self, solver, saveat, rest, max_steps, t0, t1, dt0, **kwargs):
    del perturbed
    return _forward(y_args_terms, self, solver, saveat, rest, max_steps, t0, t1, dt0, kwargs)


@_loop.def_bwd
def _loop_bwd(residuals, cotangents, perturbed, y_args_terms, *, solver, saveat, t0, **kwargs):
    del perturbed, kwargs
    y1, z1, knots, n, _ = residuals
    y0, args, terms = y_args_terms
    sub = saveat.subs
    saved = of_saves(y0, cotangents[0].save_state.ys)
    weights, rest = eqx.partition((args, terms), eqx.is_inexact_array)

    def take(i):
        return jax.tree.map(lambda a: a[i], saved)

    def step(y, z, weights, start, stop):
        args, terms = eqx.combine(weights, rest)
        y, _, dense, z, _ = solver.step(terms, start, stop, y, args, z, False)
        return y, z, dense

    def body(carry):
        i, j, y1, z1, bar_y, bar_z, bar_w = carry
        start, stop = jnp.where(i > 0, knots[i - 1], t0), knots[i]
        y, z = solver.undo(terms, start, stop, y1, args, z1)
        if sub.steps:
            bar_y = plus(bar_y, take(i + int(sub.t0)))
        (_, _, dense), pull = pullback(lambda y, z, w: step(y, z, w, start, stop), y, z, weights)
        bars = zeros((dense, start, stop))
        if sub.ts is not None:
            j, bars = through_dense(solver, sub.ts, start, stop, dense, take, int(sub.t0), j, i, bars)
        bar_y, bar_z, more = pull((bar_y, bar_z, bars[0]))
        return i - 1, j, y, z, bar_y, bar_z, plus(bar_w, more)

    bar_y, last = zeros(y0), 0 if sub.ts is None else len(sub.ts) - 1
    if sub.t1:
        bar_y = take(-1)
    carry = (n - 1, jnp.asarray(last, n.dtype), y1, z1, bar_y, zeros(z1), zeros(weights))
    *_, bar_y, bar_z, bar_w = jax.lax.while_loop(lambda c: c[0] >= 0, body, carry)
    if sub.t0:
        bar_y = plus(bar_y, take(0))
    # z starts as a copy of y.
    return (plus(bar_y, bar_z), *bar_w)
