"""Backpropagation along a tape: every accepted step is written down as it is taken, and differentiated once."""

import functools
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp

from ._backpropagation import (
    SaveState,
    apart,
    clip_to_end,
    of_saves,
    only_transpose_ys,
    plus,
    pullback,
    saves_points,
    through_dense,
    zeros,
)
from ._tape import Tape

_OK = diffrax.RESULTS.successful


class TapeAdjoint(diffrax.AbstractAdjoint):
    r"""Exact gradients of the discrete solution, by one vector-Jacobian product for each accepted step.

    On the way there the state before each accepted step is written on a tape, in its loop; on the way back the steps are
    differentiated in reverse, $\bar y_n = (\partial y_{n+1} / \partial y_n)^T \bar y_{n+1}$. Nothing is recomputed but the
    inside of a step, and of steps that were rejected nothing is kept: a gradient takes four times as long as a solve
    where evaluations are what costs. What it returns is what `diffrax.RecursiveCheckpointAdjoint` returns, to rounding.

    - `checkpoints`: the number of states on the tape. A solve of more steps than that keeps every 2nd, 4th, 8th, ... of
      them, and takes the steps between two that are kept once more on the way back: one more solve, however long. By
      default as many as fit in a quarter of a MiB, but at least 64 and at most 1024. Beside them the times of the steps
      are kept, two numbers for each of the `max_steps` there may be, and a second tape for the steps between two states.

    Step sizes are constants of differentiation, as for Diffrax: gradients with respect to t0 and t1 move the ends of
    the first and of the last step. Saves at t0, t1 and ts; a solve with `SaveAt(fn=, steps=, dense=)`, events, a progress
    meter, or without `max_steps` is left to `diffrax.RecursiveCheckpointAdjoint()`. No forward mode, no second
    derivatives: see `diffrax.DirectAdjoint()`.
    """

    checkpoints: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if self.checkpoints is not None and self.checkpoints < 1:
            raise ValueError(f"`TapeAdjoint(checkpoints)` keeps one state or more; received {self.checkpoints}.")

    def loop(
        self,
        *,
        terms: Any,
        args: Any,
        solver: Any,
        stepsize_controller: Any,
        saveat: Any,
        t0: Any,
        t1: Any,
        max_steps: Any,
        init_state: Any,
        **kwargs: Any,
    ) -> Any:
        """As `diffrax.AbstractAdjoint.loop`."""
        plain = saves_points(saveat) and saveat.subs.steps == 0 and kwargs["event"] is None and max_steps is not None
        if not plain or not isinstance(kwargs["progress_meter"], diffrax.NoProgressMeter):
            everything = {"terms": terms, "args": args, "solver": solver, "stepsize_controller": stepsize_controller}
            everything |= {"saveat": saveat, "t0": t0, "t1": t1, "max_steps": max_steps, "init_state": init_state}
            return diffrax.RecursiveCheckpointAdjoint().loop(**everything, **kwargs)
        y, state = init_state.y, init_state.solver_state

        def take(start: Any, stop: Any, jump: Any, y: Any, state: Any) -> Any:
            return solver.step(terms, start, stop, y, args, state, jump)

        times = init_state.tprev, init_state.tnext
        control, args_seen = jax.lax.stop_gradient(_arrays((init_state.controller_state, args)))
        problem = _Problem(
            solver, stepsize_controller, solver.error_order(terms), args_seen, saveat, max_steps, init_state.save_state
        )
        jump = _jump(init_state.made_jump, take, problem, control, times, y, state)
        step = eqx.filter_closure_convert(take, *times, jump, y, state)
        # What is known already stays out of the loops' arguments.
        step, known = eqx.partition(step, lambda a: isinstance(a, jax.core.Tracer))
        whole = lambda step: eqx.combine(step, known)  # noqa: E731
        tape = Tape.of((y, state), times, jump, self.checkpoints, max_steps)
        first = jax.lax.stop_gradient(init_state.tnext)
        final, save_state = _solve(
            (y, state, step, t0, t1), whole=whole, problem=problem, control=control, tnext=first, jump=jump, tape=tape
        )
        names = ["tprev", "tnext", "made_jump", "y", "solver_state", "controller_state", "result"]
        names += ["num_steps", "num_accepted_steps", "num_rejected_steps"]
        filled = eqx.tree_at(
            lambda s: [getattr(s, n) for n in names] + [s.save_state],
            init_state,
            [*final, save_state],
            is_leaf=lambda a: a is None,
        )
        return only_transpose_ys(filled), {}


class _Problem(NamedTuple):
    # What a solve is made of beside the arrays that it is differentiated by.
    solver: Any
    controller: Any
    order: Any
    args: Any
    saveat: Any
    max_steps: int
    save_state: Any


class _Carry(NamedTuple):
    t: Any
    tnext: Any
    jump: Any
    y: Any
    state: Any
    control: Any
    result: Any
    steps: Any
    accepted: Any
    index: Any
    ys: Any
    tape: Any


def _arrays(tree: Any) -> Any:
    return jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, float | int | complex | bool) else a, tree)


def _jump(jump: Any, take: Any, problem: _Problem, control: Any, times: Any, y: Any, state: Any) -> Any:
    # False where no controller ever announces a jump, so that steps need not ask; else an array.
    def announces(control: Any, times: Any, y: Any, state: Any) -> bool:
        return (
            type(_move(take, problem, control, times[0], times[1], jump, y, state, times[1], times[1])[0][2])
            is not bool
        )

    traced = eqx.filter_eval_shape(announces, control, times, y, state)
    return jnp.asarray(jump) if traced or type(jump) is not bool else jump


def _move(
    step: Any, problem: _Problem, control: Any, t: Any, tnext: Any, jump: Any, y: Any, state: Any, t1: Any, floor: Any
) -> Any:
    # One attempt: where it leads, what it was worth, and the dense output, all as Diffrax's own loop has it.
    y1, error, dense, state1, result = step(t, tnext, jump, y, state)
    error = jax.tree.map(lambda e: jnp.where(jnp.isnan(e), jnp.inf, e), error)
    kept, t_new, tnext_new, jump_new, control, code = problem.controller.adapt_step_size(
        t, tnext, y, y1, problem.args, error, problem.order, control
    )
    t_new = jnp.minimum(t_new, t1)
    tnext_new = clip_to_end(t_new, tnext_new, t1, floor, kept)
    y1, state1 = jax.tree.map(lambda new, old: jnp.where(kept, new, old), (y1, state1), (y, state))
    if type(jump_new) is not bool or type(jump) is not bool:
        jump_new = jnp.where(kept, jump_new, jump)
    result = diffrax.RESULTS.where(kept, result, _OK)
    result = diffrax.RESULTS.where(result == _OK, code, result)
    if problem.saveat.subs.ts is None:
        dense = None
    return (t_new, tnext_new, jump_new, y1, state1, control, result), kept, dense


def _forward(given: Any, whole: Any, problem: _Problem, control: Any, tnext: Any, jump: Any, tape: Any) -> Any:
    y, state, step, t0, t1 = given
    step = whole(step)
    sub, saved = problem.saveat.subs, problem.save_state
    ts, ys, index = sub.ts, saved.ys, int(sub.t0)
    if sub.t0:
        ys = jax.tree.map(lambda all_, a: all_.at[0].set(a), ys, y)
    if ts is not None:
        # Where there is nothing to solve every time is the start; anything else is overwritten.
        ys = jax.tree.map(lambda all_, a: all_.at[index : index + len(ts)].set(jnp.where(t0 == t1, a, all_[0])), ys, y)

    # As Diffrax has it: a step that would end within 100 units in the last place of t1 ends there.
    floor = t1
    for _ in range(100):
        floor = eqxi.prevbefore(floor)

    def unfinished(c: _Carry) -> Any:
        return (c.t < t1) & (c.result == _OK)

    def body(c: _Carry) -> _Carry:
        jumped = jump if c.jump is None else c.jump
        move = _move if c.tape is None else functools.partial(apart, _move, c.t < t1)
        attempt = move(step, problem, c.control, c.t, c.tnext, jumped, c.y, c.state, t1, floor)
        (t, tnext, jump_new, y, state, control, result), kept, dense = attempt
        index, ys = c.index, c.ys
        if ts is not None:
            index, ys = _save(problem.solver, ts, c.t, c.tnext, dense, kept, int(sub.t0), index, ys)
        tape = None if c.tape is None else c.tape.write(c.accepted, (c.y, c.state), (c.t, c.tnext), c.jump)
        jump_new = None if c.jump is None else jump_new
        accepted = c.accepted + jnp.where(kept, 1, 0)
        return _Carry(t, tnext, jump_new, y, state, control, result, c.steps + 1, accepted, index, ys, tape)

    zero, ok = jnp.asarray(0), diffrax.RESULTS.where(jnp.asarray(True), _OK, _OK)
    moving = None if type(jump) is bool else jump
    start = _Carry(t0, tnext, moving, y, state, control, ok, zero, zero, zero, ys, tape)
    buffers = lambda c: (c.ys, None if c.tape is None else c.tape.buffers)  # noqa: E731
    c = eqxi.while_loop(unfinished, body, start, max_steps=problem.max_steps, buffers=buffers, kind="lax")
    result = diffrax.RESULTS.where(unfinished(c), diffrax.RESULTS.max_steps_reached, c.result)
    ys, count = c.ys, index + c.index
    times = saved.ts if ts is None else saved.ts.at[index : index + len(ts)].set(ts)
    times = jnp.where(jnp.arange(len(times)) < count, times, jnp.inf)
    if sub.t0:
        times = times.at[0].set(t0)
    if sub.t1:
        ys = jax.tree.map(lambda all_, a: all_.at[-1].set(a), ys, c.y)
        times = times.at[-1].set(c.t)
    save_state = SaveState(c.index, times, ys, count + int(sub.t1))
    jump = jump if c.jump is None else c.jump
    counts = c.steps, c.accepted, c.steps - c.accepted
    return ((c.t, c.tnext, jump, c.y, c.state, c.control, result, *counts), save_state), (c.tape, c.accepted)


def _save(
    solver: Any, ts: Any, start: Any, stop: Any, dense: Any, kept: Any, offset: int, index: Any, ys: Any
) -> tuple[Any, Any]:
    # The points at all the times that lie within the step.
    def inside(carry: Any) -> Any:
        index, _ = carry
        return kept & (index < len(ts)) & (ts[jnp.minimum(index, len(ts) - 1)] <= stop)

    def body(carry: Any) -> Any:
        index, ys = carry
        y = solver.interpolation_cls(t0=start, t1=stop, **dense).evaluate(ts[index])
        return index + 1, jax.tree.map(lambda a, all_: all_.at[index + offset].set(a), y, ys)

    return eqxi.while_loop(inside, body, (index, ys), max_steps=len(ts), buffers=lambda carry: carry[1], kind="lax")


@eqx.filter_custom_vjp
def _solve(given, *, tape, **kwargs):
    del tape
    return _forward(given, tape=None, **kwargs)[0]


@_solve.def_fwd
def _solve_fwd(perturbed, given, *, tape, **kwargs):
    del perturbed
    return _forward(given, tape=tape, **kwargs)


@_solve.def_bwd
def _solve_bwd(residuals, cotangents, perturbed, given, *, whole, problem, jump, **kwargs):
    del kwargs
    tape, n = residuals
    y0, state0, step, t0, t1 = given
    sub = problem.saveat.subs
    saved = of_saves(y0, cotangents[1].ys)
    moving, rest = eqx.partition(step, perturbed[2])
    of_times = perturbed[3] or perturbed[4]

    def take(i):
        return jax.tree.map(lambda a: a[i], saved)

    def again(record, start, stop, jumped):
        y, state = record
        return whole(step)(start, stop, jumped, y, state)[0::3]

    def back(record, start, stop, jumped, weights, j, i, bar_y, bar_state):
        def one(y, state, weights, start, stop):
            y, _, dense, state, _ = whole(eqx.combine(weights, rest))(start, stop, jumped, y, state)
            return y, state, None if sub.ts is None else dense

        ends = (start, stop) if of_times else jax.lax.stop_gradient((start, stop))
        (_, _, dense), pull = pullback(one, *record, weights, *ends)
        bars = zeros((dense, start, stop))
        if sub.ts is not None:
            j, bars = through_dense(problem.solver, sub.ts, start, stop, dense, take, int(sub.t0), j, i, bars)
        *pulled, bar_start, bar_stop = pull((bar_y, bar_state, bars[0]))
        return j, (*pulled, bar_start + bars[1], bar_stop + bars[2])

    def body(carry):
        i, j, tape, bar_y, bar_state, bar_w, _, bar_t1 = carry
        tape = tape.replay(i, n, again, jump)
        record, start, stop, jumped = tape.read(i, jump)
        j, pulled = apart(back, i >= 0, record, start, stop, jumped, moving, j, i, bar_y, bar_state)
        bar_y, bar_state, more, bar_start, bar_stop = pulled
        bar_t1 = jnp.where(i == n - 1, bar_stop, bar_t1)
        return i - 1, j, tape, bar_y, bar_state, plus(bar_w, more), bar_start, bar_t1

    bar_y, last, none = zeros(y0), 0 if sub.ts is None else len(sub.ts) - 1, jnp.zeros_like(t0)
    if sub.t1:
        bar_y = take(-1)
    carry = (n - 1, jnp.asarray(last, n.dtype), tape, bar_y, zeros(state0), zeros(moving), none, none)
    buffers = lambda c: c[2].replayed  # noqa: E731
    carry = eqxi.while_loop(lambda c: c[0] >= 0, body, carry, buffers=buffers, kind="lax")
    *_, bar_y, bar_state, bar_w, bar_t0, bar_t1 = carry
    if sub.ts is not None:
        first = int(sub.t0)
        nothing = jax.tree.map(lambda a: jnp.sum(a[first : first + len(sub.ts)], axis=0), saved)
        bar_y = jax.tree.map(lambda a, b: jnp.where(t0 == t1, a + b, a), bar_y, nothing)
    if sub.t0:
        bar_y = plus(bar_y, take(0))
    return bar_y, bar_state, bar_w, bar_t0, bar_t1
