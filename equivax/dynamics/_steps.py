"""A fixed number of equal steps, written out one after another instead of in a loop."""

import operator
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Point, RealScalar
from ._tableau import is_plain_tableau, tableau_step


class Steps(eqx.Module):
    """n equal steps of size (t1 - t0)/n, unrolled: a `controller` for `Flow` that compiles to no `while` loop.

    The same numbers, to rounding, as `diffrax.ConstantStepSize()` with dt0 = (t1 - t0)/n. When XLA compiles for a CPU,
    convolutions and matrix products inside a loop are several times slower than the same ones in straight-line code,
    which can also be fused, and differentiated in either mode. Compile time and memory grow with n: for a few steps of
    a costly field, not for a thousand of a cheap one. `Flow.adjoint` and `Flow.max_steps` have nothing to act on.

    Raises a ValueError unless n >= 1.
    """

    n: int = eqx.field(static=True, converter=operator.index)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`Steps(n)` takes n >= 1 steps; received n = {self.n}.")

    def knots(self, t0: RealScalar, t1: RealScalar, dtype: Any) -> Float[Array | np.ndarray, " knots"]:
        """The n + 1 times from t0 to t1, computed in NumPy where t0 and t1 are Python numbers."""
        if isinstance(t0, int | float) and isinstance(t1, int | float):
            return np.linspace(t0, t1, self.n + 1).astype(dtype)
        return jnp.linspace(jnp.asarray(t0, dtype), jnp.asarray(t1, dtype), self.n + 1)

    def march(
        self, term: diffrax.AbstractTerm, solver: diffrax.AbstractSolver, knots: Any, y: Point, args: Any
    ) -> tuple[Point, list[dict[str, Any]]]:
        """The state at the last knot, and for each step what the solver's `interpolation_cls` needs."""
        ts = [jnp.asarray(t) for t in knots]
        step = _tableau_step if is_plain_tableau(solver) else _solver_step
        state, dense = None, []
        for i in range(self.n):
            y, info, state = step(solver, term, ts[i], ts[i + 1], y, args, state)
            dense.append(info)
        return y, dense


def interpolate(
    solver: diffrax.AbstractSolver, knots: Float[Array, " knots"], dense: list[dict[str, Any]], t: Float[Array, ""]
) -> Point:
    """The solver's own interpolation between the knots, at time t."""
    forwards = knots[-1] >= knots[0]
    key = jnp.where(forwards, knots, -knots)
    i = jnp.clip(jnp.searchsorted(key, jnp.where(forwards, t, -t), side="left") - 1, 0, len(dense) - 1)
    info = jax.tree.map(lambda *a: jnp.stack(a)[i], *dense)
    return solver.interpolation_cls(t0=knots[i], t1=knots[i + 1], **info).evaluate(t)


def _tableau_step(solver, term, t0, t1, y0, args, f):
    y1, ks, f1 = tableau_step(solver.tableau, term, t0, t1, y0, args, f)
    return y1, {"y0": y0, "y1": y1, "k": jax.tree.map(lambda *a: jnp.stack(a), *ks)}, f1


def _solver_step(solver, term, t0, t1, y0, args, state):
    if state is None:
        state = solver.init(term, t0, t1, y0, args)
    y1, _, info, state, result = solver.step(term, t0, t1, y0, args, state, False)
    # An implicit solver's root finder may fail: there is no smaller step to retry with, so that is an error.
    y1 = result.error_if(y1, jnp.logical_not(diffrax.is_okay(result)))
    return y1, info, state
