"""The flow of a field: from a point to where the field carries it."""

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
from ..geometry import AbstractManifold
from ._controller import InvariantController
from ._steps import Steps, interpolate


class Flow(eqx.Module):
    """Phi : M -> M, x0 -> x(t1), where dx/dt = f(t, x, args) and x(t0) = x0.

    - `field`: f, any callable (t, x, args) -> tangent at x. The floating-point arrays in it, an `equinox.Module`, are
      its weights: they are handed to Diffrax through `args`, where every adjoint, `diffrax.BacksolveAdjoint()`
      included, finds them. A plain function will do as well; weights that it closes over stay hidden.
    - `space`: M. Points are checked against its shape, and results are projected onto it.
    - `solver`: any solver of Diffrax that takes one `diffrax.ODETerm`.
    - `controller`: `Steps(n)` for n unrolled steps, or any step size controller of Diffrax. The default adapts to
      rtol 1e-5, atol 1e-7 by the sizes of invariant blocks: an equivariant field has an equivariant flow.
    - `t0`, `t1`: times; t1 < t0 is allowed. `dt0`: the first step, or None to have an adaptive controller choose.
    - `adjoint`: how to differentiate; `diffrax.ForwardMode()` for `jax.jvp` and `jax.jacfwd`.
    - `max_steps`: more than that is an error.

    Points are unbatched (`jax.vmap` a flow over a batch) and may be float32 or float64: time follows the type of x0.
    If f is equivariant, so is Phi; if f is tangent to M, states between leave M by no more than the solver's error.

    Calls raise a ValueError for a point of the wrong shape or type, and for a field that does not return a tangent.
    """

    field: Callable[[Any, Any, Any], Tangent]
    space: AbstractManifold
    solver: diffrax.AbstractSolver = diffrax.Tsit5()
    controller: diffrax.AbstractStepSizeController | Steps = InvariantController(
        diffrax.PIDController(rtol=1e-5, atol=1e-7)
    )
    t0: RealScalar = 0.0
    t1: RealScalar = 1.0
    dt0: RealScalar | None = None
    adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint()
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

    def path(self, x0: Point, ts: Float[Array, " times"], args: Any = None) -> Point:
        """The points x(ts) of M, stacked along a new first axis; ts in order, between t0 and t1.

        Between the steps the solver interpolates, and its interpolant leaves M: the points are projected after that.
        """
        ts = jnp.asarray(ts, dtype=self._check(x0, args))
        if isinstance(self.controller, Steps):
            _check_times(ts, self.t0, self.t1)
            knots, _, dense = self._march(self.controller, x0, args, reverse=False)
            xs = jax.vmap(lambda t: interpolate(self.solver, knots, dense, t))(ts)
        else:
            xs = self.solve(x0, args, saveat=diffrax.SaveAt(ts=ts)).ys
        return jax.vmap(self.space.project)(xs)

    def solve(
        self,
        x0: Point,
        args: Any = None,
        *,
        saveat: diffrax.SaveAt | None = None,
        reverse: bool = False,
        throw: bool = True,
    ) -> diffrax.Solution:
        """The solution as Diffrax gives it, not projected: statistics, events of the solve, dense output.

        `saveat` is the end point by default; a function in it, `SaveAt(fn=...)`, is given the pair (weights, args) for
        its `args`. `Steps(n)` take the same steps in Diffrax's own loop here.
        """
        dtype = self._check(x0, args)
        t0, t1 = (jnp.asarray(t, dtype) for t in ((self.t1, self.t0) if reverse else (self.t0, self.t1)))
        if isinstance(self.controller, Steps):
            controller: Any = diffrax.ConstantStepSize()
            dt0: Array | None = (t1 - t0) / self.controller.n
        else:
            controller = _informed(self.controller, self.space)
            dt0 = None if self.dt0 is None else jnp.asarray(self.dt0, dtype) * (-1 if reverse else 1)
        term, args = self._term(args)
        return diffrax.diffeqsolve(
            term,
            self.solver,
            t0,
            t1,
            dt0,
            x0,
            args,
            saveat=diffrax.SaveAt(t1=True) if saveat is None else saveat,
            stepsize_controller=controller,
            adjoint=self.adjoint,
            max_steps=self.max_steps,
            throw=throw,
        )

    def _end(self, x: Point, args: Any, reverse: bool) -> Point:
        if isinstance(self.controller, Steps):
            self._check(x, args)
            _, y, _ = self._march(self.controller, x, args, reverse)
        else:
            y = jax.tree.map(lambda a: a[-1], self.solve(x, args, reverse=reverse).ys)
        return self.space.project(y)

    def _march(self, steps: Steps, x: Point, args: Any, reverse: bool) -> tuple[Array, Point, list[dict[str, Any]]]:
        x = jax.tree.map(jnp.asarray, x)
        start, stop = (self.t1, self.t0) if reverse else (self.t0, self.t1)
        knots = steps.knots(start, stop, jnp.result_type(*jax.tree.leaves(x)))
        term, args = self._term(args)
        return jnp.asarray(knots), *steps.march(term, self.solver, knots, x, args)

    def _term(self, args: Any) -> tuple[diffrax.ODETerm, tuple[Any, Any]]:
        weights, rest = eqx.partition(self.field, eqx.is_inexact_array)
        return diffrax.ODETerm(_Unpacked(rest)), (weights, args)

    def _check(self, x: Point, args: Any) -> Any:
        # Returns the floating type of the point, which is that of time as well.
        self.space.check(x)
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
    rest: Any

    def __call__(self, t: Any, y: Any, args: tuple[Any, Any]) -> Any:
        weights, user = args
        return eqx.combine(weights, self.rest)(t, y, user)


def _informed(controller: Any, space: AbstractManifold) -> Any:
    # Tell an InvariantController, wherever it stands among wrapped controllers, which space its points are in.
    def is_invariant(c):
        return isinstance(c, InvariantController)

    return jax.tree.map(lambda c: c.on(space) if is_invariant(c) else c, controller, is_leaf=is_invariant)
