"""A second copy of the state makes any one-step method algebraically reversible."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from .._types import Point, Tangent
from ..geometry import AbstractManifold
from ._lie_interpolation import LieInterpolation
from ._lie_solver import LieStep, Velocity, verdict
from ._rkmk import RKMK


class Reversible(diffrax.AbstractAdaptiveSolver):
    r"""Two states x = y = z at the start, moved in turn by the increments u_h of `solver`, y by those of z and back:

    $$ y_{n+1} = \exp(u_h(t_n, z_n)) \cdot c(z_n, y_n), \qquad z_{n+1} = \exp(-u_{-h}(t_{n+1}, y_{n+1})) \cdot z_n, $$

    where u_h(t, x) is the element of the Lie algebra that a step of `solver` from (t, x) moves x by, and c(z, y) the
    point at the fraction `coupling` of the geodesic from z to y. In R^n this is
    y' = lambda y + (1 - lambda) z + Psi_h(z), z' = z - Psi_{-h}(y'). `undo` inverts a step in closed form, which is what
    `ReversibleAdjoint` differentiates through without remembering states. The order is that of `solver`, the cost of a
    step twice its.

    - `solver`: an `RKMK` method, or an explicit Runge-Kutta method of Diffrax, which stands for `RKMK(solver)`.
    - `coupling`: lambda in (0, 1]. A field that contracts at the rate m is stable only for steps h m < 1 - lambda, and for
      none with lambda = 1: reversible methods are for fields that turn, not for those that damp. Where y and z part, the
      error estimate sees it, so that adaptive steps shrink and the solve fails instead of being wrong. Towards 0 what
      rounding adds on the way back grows by 1/lambda a step: .999 keeps seven digits of sixteen over 20,000 steps.
    - `space`: M; a `Flow` fills it in.

    Commutes with all that `solver` commutes with. McCallum, Foster, *Efficient, accurate and stable gradients for neural
    ODEs*, 2024, section 3; on manifolds: ours.
    """

    solver: RKMK
    coupling: float
    term_structure = diffrax.AbstractTerm
    interpolation_cls = LieInterpolation

    def __init__(self, solver: diffrax.AbstractSolver, space: AbstractManifold | None = None, coupling: float = 0.999):
        if not 0 < coupling <= 1:
            raise ValueError(f"`coupling` should lie in (0, 1]; received {coupling}.")
        lie = solver if isinstance(solver, RKMK) else RKMK(solver)
        self.solver, self.coupling = lie if space is None else lie.on(space), coupling

    def on(self, space: AbstractManifold) -> "Reversible":
        """This solver on `space`, unless it has been told another one already."""
        return Reversible(self.solver.on(space), coupling=self.coupling)

    def order(self, terms: Any) -> int | None:
        """That of `solver`."""
        return self.solver.order(terms)

    def error_order(self, terms: Any) -> Any:
        """That of `solver`."""
        return self.solver.error_order(terms)

    def func(self, terms: Any, t0: Any, y0: Point, args: Any) -> Any:
        """The vector field at y0."""
        return self.solver.func(terms, t0, y0, args)

    def init(self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any) -> Point:
        """z0 = y0."""
        self.solver.init(terms, t0, t1, y0, args)
        return y0

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Point, Tangent | None, dict[str, Any], Any, diffrax.RESULTS]:
        """As `diffrax.AbstractSolver.step`; the state is z."""
        del made_jump
        space, action = self.solver.home()
        z0 = solver_state
        there = self._increment(terms, args, t0, t1, z0)
        start = y0 if self.coupling == 1 else space.exp(z0, _scaled(self.coupling, space.log(z0, y0)))
        y1 = space.polish(action.act(there.motion.u1, start))
        back = self._increment(terms, args, t1, t0, y1)
        z1 = space.polish(action.act(_scaled(-1.0, back.motion.u1), z0))
        error, result = verdict(there._replace(y1=y1), action)
        if error is not None and self.coupling < 1:
            # Where the two states part, the method is unstable: what the coupling has to make up for is an error, too.
            gap = space.to_tangent(y1, jax.tree.map(jnp.subtract, z1, y1))
            error = jax.tree.map(lambda a, b: a + (1 - self.coupling) * b, error, gap)
        return y1, error, {"y0": start, "motion": there.motion, "action": action, "space": space}, z1, result

    def undo(self, terms: Any, t0: Any, t1: Any, y1: Point, args: Any, z1: Point) -> tuple[Point, Point]:
        """(y0, z0), from which `step` came to (y1, z1)."""
        space, action = self.solver.home()
        z0 = space.polish(action.act(self._increment(terms, args, t1, t0, y1).motion.u1, z1))
        there = self._increment(terms, args, t0, t1, z0)
        start = action.act(_scaled(-1.0, there.motion.u1), y1)
        if self.coupling == 1:
            return space.polish(start), z0
        return space.exp(z0, _scaled(1 / self.coupling, space.log(z0, start))), z0

    def _increment(self, terms: Any, args: Any, t0: Any, t1: Any, x: Point) -> LieStep:
        velocity = Velocity(terms, args, self.solver.home()[1])
        return self.solver.march(velocity, t0, t1, x, velocity(t0, x))


def _scaled(c: float, v: Any) -> Any:
    return jax.tree.map(lambda a: c * a, v)
