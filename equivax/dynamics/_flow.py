"""The flow of a field: from a point to where the field carries it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Point, RealScalar, Tangent
from ..fields import InducedField, summands
from ..geometry import AbstractManifold
from ..symmetry import AbstractAction, is_isometric, moves_origin
from ._backsolve import backsolve
from ._controller import InvariantController
from ._lie_solver import AbstractLieSolver
from ._lie_term import AlgebraTerm
from ._outcome import raise_if_failed
from ._projected import Projected
from ._rkmk import RKMK
from ._splitting import Splitting
from ._steps import Steps, interpolate
from ._tape_adjoint import TapeAdjoint


class Flow(eqx.Module):
    """Phi : M -> M, x0 -> x(t1), where dx/dt = f(t, x, args) and x(t0) = x0.

    - `field`: f, any callable (t, x, args) -> tangent at x. The floating-point arrays in it, an `equinox.Module`, are
      its weights: they are handed to Diffrax through `args`, where every adjoint, `diffrax.BacksolveAdjoint()`
      included, finds them. A plain function will do as well; weights that it closes over stay hidden.
    - `space`: M. The start is checked to be on it; solvers and controllers that want to know it are told.
    - `solver`: any solver of Diffrax that takes one term, or one of this shelf. By default `RKMK(diffrax.Tsit5())`, or
      `Projected(diffrax.Tsit5())` where no Lie group moves the points of M: both keep *every* point on M, at steps and
      between them. A plain solver of Diffrax leaves M by its error; what it returns is projected. With `Splitting` the
      field is a sum, solved summand by summand.
    - `controller`: `Steps(n)` for n unrolled steps, or any step size controller of Diffrax. The default adapts to
      rtol 1e-5, atol 1e-7 by the sizes of invariant blocks: an equivariant field has an equivariant flow.
    - `t0`, `t1`: times; t1 < t0 is allowed. `dt0`: the first step, or None to have an adaptive controller choose.
    - `adjoint`: how to differentiate, `TapeAdjoint()` unless given; `diffrax.ForwardMode()` for `jax.jvp` and
      `jax.jacfwd`, `diffrax.BacksolveAdjoint()` for the adjoint equation on T*M (see `backsolve`),
      `ReversibleAdjoint()` with a `Reversible` solver.
    - `max_steps`: more than that is an error.

    Points are unbatched (`jax.vmap` a flow over a batch) and may be float32 or float64: time follows the type of x0.
    If f is equivariant, so is Phi.

    **Raises:** `ValueError` for a point of the wrong shape or type or off M, a field that does not return tangents, times
    outside [t0, t1], and an adaptive `InvariantController` under an action that is not by isometries; `RuntimeError` when
    the solve stops early, naming where, why and what to do. Inside `jax.jit` values are not known: there a start off M is
    found when the program runs.
    """

    field: Callable[[Any, Any, Any], Tangent]
    space: AbstractManifold
    solver: diffrax.AbstractSolver | None = None
    controller: diffrax.AbstractStepSizeController | Steps = InvariantController(
        diffrax.PIDController(rtol=1e-5, atol=1e-7)
    )
    t0: RealScalar = 0.0
    t1: RealScalar = 1.0
    dt0: RealScalar | None = None
    adjoint: diffrax.AbstractAdjoint = TapeAdjoint()
    max_steps: int | None = eqx.field(static=True, default=4096)

    def __check_init__(self) -> None:
        if isinstance(self.controller, Steps) and self.dt0 is not None:
            raise ValueError(f"`{self.controller}` fixes the step already; leave out dt0 = {self.dt0}.")

    def __call__(self, x0: Point, args: Any = None) -> Point:
        """Phi(x0), a point of M."""
        return self._end(x0, args, reverse=False)

    def inverse(self, x1: Point, args: Any = None) -> Point:
        """Phi^-1(x1), by running time from t1 to t0: inverts the exact flow, to the solver's accuracy."""
        return self._end(x1, args, reverse=True)

    def path(
        self,
        x0: Point,
        ts: Float[Array, " times"],
        args: Any = None,
        quantity: Callable[[Any, Any, Any], Any] | None = None,
    ) -> Any:
        """The points x(ts) of M, stacked along a new first axis; ts in order, between t0 and t1.

        With a `quantity`, the values quantity(t, x, args) along the solution instead: an energy, a momentum, a distance.
        """
        ts = jnp.asarray(ts, dtype=self._check(x0, args))
        _check_times(ts, self.t0, self.t1)
        if isinstance(self.controller, Steps):
            solver = self._solver()
            knots, _, dense = self._march(self.controller, x0, args, reverse=False)
            xs = jax.vmap(lambda t: interpolate(solver, knots, dense, t))(ts)
        else:
            xs = self.solve(x0, args, saveat=diffrax.SaveAt(ts=ts)).ys
        xs = jax.vmap(self._land)(xs)
        return xs if quantity is None else jax.vmap(lambda t, x: quantity(t, x, args))(ts, xs)

    def solve(
        self,
        x0: Point,
        args: Any = None,
        *,
        saveat: diffrax.SaveAt | None = None,
        event: diffrax.Event | None = None,
        reverse: bool = False,
        throw: bool = True,
    ) -> diffrax.Solution:
        """The solution as Diffrax gives it: statistics, events, dense output. Not projected after a plain solver.

        `saveat` is the end point by default; a function in it, `SaveAt(fn=...)`, is given the pair (weights, args) for
        its `args`, and so is the condition of an `event`. `Steps(n)` take the same steps in Diffrax's own loop here.
        With `throw=False` a solve that stops early is returned with its code in `solution.result`; a start off M that
        is found only then has the code `nonfinite_input`, the nearest that Diffrax has.
        """
        dtype = self._check(x0, args)
        t0, t1 = (jnp.asarray(t, dtype) for t in ((self.t1, self.t0) if reverse else (self.t0, self.t1)))
        if saveat is not None:
            for ts in (s.ts for s in jax.tree.leaves(saveat.subs, is_leaf=_is_sub) if _is_sub(s) and s.ts is not None):
                _check_times(ts, self.t0, self.t1)
        if isinstance(self.controller, Steps):
            controller: Any = diffrax.ConstantStepSize()
            dt0: Array | None = (t1 - t0) / self.controller.n
        else:
            controller = _informed(self.controller, self.space, getattr(self.field, "action", None))
            dt0 = None if self.dt0 is None else jnp.asarray(self.dt0, dtype) * (-1 if reverse else 1)
        solver, (term, args) = self._solver(), self._term(args)
        solution = diffrax.diffeqsolve(
            term,
            solver,
            t0,
            t1,
            dt0,
            x0,
            args,
            saveat=diffrax.SaveAt(t1=True) if saveat is None else saveat,
            stepsize_controller=controller,
            adjoint=self._adjoint(),
            event=event,
            max_steps=self.max_steps,
            throw=False,
        )
        if isinstance(jax.tree.leaves(x0)[0], jax.core.Tracer):
            codes = diffrax.RESULTS
            result = codes.where(self.space.accepts(x0), solution.result, codes.nonfinite_input)
            solution = eqx.tree_at(lambda s: s.result, solution, result)
        return raise_if_failed(solution) if throw else solution

    def _end(self, x: Point, args: Any, reverse: bool) -> Point:
        if isinstance(self.controller, Steps):
            self._check(x, args)
            _, y, _ = self._march(self.controller, x, args, reverse)
        else:
            y = jax.tree.map(lambda a: a[-1], self.solve(x, args, reverse=reverse).ys)
        return self._land(y)

    def _land(self, x: Point) -> Point:
        # What a plain solver returns is near M; what the others return is on it.
        return x if hasattr(self._solver(), "on") else self.space.project(x)

    def _march(self, steps: Steps, x: Point, args: Any, reverse: bool) -> tuple[Array, Point, list[dict[str, Any]]]:
        x = jax.tree.map(jnp.asarray, x)
        start, stop = (self.t1, self.t0) if reverse else (self.t0, self.t1)
        knots = steps.knots(start, stop, jnp.result_type(*jax.tree.leaves(x)))
        term, args = self._term(args)
        return jnp.asarray(knots), *steps.march(term, self._solver(), knots, x, args)

    def _solver(self) -> Any:
        solver: Any = natural_solver(self.space) if self.solver is None else self.solver
        solver = solver.on(self.space) if hasattr(solver, "on") else solver
        if isinstance(solver, AbstractLieSolver) and isinstance(self.field, InducedField):
            lie: Any = solver
            return dataclasses.replace(lie, action=self.field.motions)
        return solver

    def _adjoint(self) -> diffrax.AbstractAdjoint:
        # Diffrax's own would hand the state of the adjoint equation to a solver that knows points of M only.
        if not isinstance(self.adjoint, diffrax.BacksolveAdjoint):
            return self.adjoint
        # The way back has nobody to hand a code to: it raises its own error.
        kwargs = {"throw": True, **self.adjoint.kwargs}
        if "solver" in kwargs or not hasattr(self._solver(), "on"):
            return diffrax.BacksolveAdjoint(**kwargs)
        return backsolve(self.space, **kwargs)

    def _term(self, args: Any) -> tuple[Any, tuple[Any, Any]]:
        field: Any = self.field
        kind: Any = diffrax.ODETerm
        if isinstance(field, InducedField) and isinstance(self._solver(), AbstractLieSolver):
            field, kind = field.xi, AlgebraTerm
        if isinstance(self.solver, Splitting):
            weights, rest = eqx.partition(summands(field), eqx.is_inexact_array)
            return diffrax.MultiTerm(*(diffrax.ODETerm(_Unpacked(f, i)) for i, f in enumerate(rest))), (weights, args)
        weights, rest = eqx.partition(field, eqx.is_inexact_array)
        return kind(_Unpacked(rest)), (weights, args)

    def _check(self, x: Point, args: Any) -> Any:
        # Returns the floating type of the point, which is that of time as well.
        self.space.check_point(x, "x0")
        x = jax.tree.map(jnp.asarray, x)
        dtype = jnp.result_type(*jax.tree.leaves(x))
        t = jnp.asarray(self.t0, dtype)
        received = eqx.filter_eval_shape(self.field, t, x, args)
        meant = jax.eval_shape(lambda: x)
        show = functools.partial(eqx.tree_pformat, struct_as_array=True)
        if not eqx.tree_equal(received, meant):
            raise ValueError(
                "The field should return a tangent at x, of the structure, shape and type of x: "
                f"{show(meant)}. It returned {show(received)}."
            )
        return dtype


def natural_solver(space: AbstractManifold) -> diffrax.AbstractSolver:
    """Fifth order, on M at every time: `RKMK(diffrax.Tsit5())`, or `Projected(diffrax.Tsit5())` where M has no motions."""
    try:
        motions = space.motions
    except NotImplementedError:
        return Projected(diffrax.Tsit5(), space)
    return RKMK(diffrax.Tsit5(), space, motions)


def _is_sub(x: Any) -> bool:
    return isinstance(x, diffrax.SubSaveAt)


def _check_times(ts: Any, t0: Any, t1: Any) -> None:
    # Known times only: a check at run time is a call back to Python, and such programs are not kept in JAX's disk cache.
    if any(isinstance(t, jax.core.Tracer) for t in (ts, t0, t1)):
        return
    known = np.asarray(ts, dtype=float)
    slack = 1e-6 * abs(float(t1) - float(t0))
    if np.any((known < min(t0, t1) - slack) | (known > max(t0, t1) + slack)):
        raise ValueError(f"The times `ts` should lie between t0 = {t0} and t1 = {t1}; received {known}.")


class _Unpacked(eqx.Module):
    # The field as Diffrax calls it: the weights arrive in `args`, whatever is no weight is carried along here.
    # Of several fields that are solved one after another it is the one in place `index`.
    rest: Any
    index: int | None = eqx.field(static=True, default=None)

    def __call__(self, t: Any, y: Any, args: tuple[Any, Any]) -> Any:
        weights, user = args
        return eqx.combine(weights if self.index is None else weights[self.index], self.rest)(t, y, user)


def _informed(controller: Any, space: AbstractManifold, action: Any) -> Any:
    # Tell an InvariantController, wherever it stands among wrapped controllers, which space its points are in.
    def is_invariant(c):
        return isinstance(c, InvariantController)

    def tell(c):
        if not is_invariant(c):
            return c
        if c.norms is None and not c.isometries_only and isinstance(action, AbstractAction):
            _refuse_unless_isometric(action, c.space)
        return c.on(space, origin=not (isinstance(action, AbstractAction) and moves_origin(action)))

    return jax.tree.map(tell, controller, is_leaf=is_invariant)


def _refuse_unless_isometric(action: AbstractAction, space: AbstractManifold | None) -> None:
    if is_isometric(action, space) is False:
        raise ValueError(
            f"{action.group} does not act on {space or action.space} by isometries, so no size of a tangent vector is "
            "invariant, and adaptive steps would break the symmetry of the field. Take constant steps (`Steps(n)`), or "
            "give a metric that the group keeps, `InvariantController(controller, InvariantMetric(frame))`, or functions "
            "that are invariant, `InvariantController(controller, norms=...)`, or keep the symmetry of those elements "
            "that are isometries only: `InvariantController(controller, isometries_only=True)`."
        )
