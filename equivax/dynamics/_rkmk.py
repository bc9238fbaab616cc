"""Runge-Kutta methods in the Lie algebra."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from .._types import Point
from ..geometry import AbstractLieAction, AbstractManifold
from ._lie_interpolation import HermiteMotion, StageMotion
from ._lie_solver import AbstractLieSolver, LieStep, Velocity
from ._tableau import is_plain_tableau, time_at, weighted


class RKMK(AbstractLieSolver):
    r"""Runge-Kutta-Munthe-Kaas: $y = \exp(u) \cdot y_0$, where `base` solves $\dot u = \mathrm{dexp}_u^{-1}\, \xi(t, y)$.

    With h the step and (a, b, c) the tableau of `base`,

        u_i = sum_j a_ij k_j,    Y_i = exp(u_i) . y0,    k_i = dexp_{u_i}^-1 (h xi(t0 + c_i h, Y_i)),

    and y1 = exp(sum_i b_i k_i) . y0: of the order of `base`, and with its error estimate. One exponential for each
    stage after the first; the velocity at y1 is always passed on to the next step.

    - `base`: any explicit Runge-Kutta method of Diffrax: `Euler()`, `Heun()`, `Midpoint()`, `Ralston()`, `Bosh3()`,
      `Tsit5()`, `Dopri5()`, `Dopri8()`. (`Euler()` has no error estimate, and takes constant steps only.)
    - `space`: M, filled in by `Flow`; `action`: the motions to use, `space.motions` unless given.

    dexp^-1 is its Bernoulli series up to the brackets that `base` can see: none for order 2, one for order 3, two for
    order 4 and 5. A step turns by less than a full circle: where some u_i has ad-norm 2 pi or more, dexp^-1 may be
    singular. An adaptive controller is told to reject such a step; a constant step that long fails with
    `diffrax.RESULTS.dt_min_reached`.

    Dense output is exp(u(t)) . y0: u(t) by the interpolation of `base` if its last stage is at the new point (`Bosh3`,
    `Tsit5`, `Dopri5`, `Dopri8`), else by cubic Hermite interpolation.

    Raises a ValueError if `base` is no explicit Runge-Kutta method.
    Munthe-Kaas, *High order Runge-Kutta methods on manifolds*, Appl. Numer. Math. 29, 1999.
    """

    base: diffrax.AbstractSolver
    space: AbstractManifold | None = None
    action: AbstractLieAction | None = None

    def __check_init__(self) -> None:
        if not is_plain_tableau(self.base) and not isinstance(self.base, diffrax.Euler):
            raise ValueError(
                f"`RKMK(base)` builds on an explicit Runge-Kutta method of Diffrax; received {self.base}. "
                "Pass for example `RKMK(diffrax.Tsit5())`."
            )

    def order(self, terms: Any) -> int | None:
        """The order of `base`."""
        return self.base.order(terms)

    def error_order(self, terms: Any) -> Any:
        """That of `base`."""
        return self.base.error_order(terms)

    def march(self, velocity: Velocity, t0: Any, t1: Any, y0: Point, xi0: Any) -> LieStep:
        """One step, from the tableau."""
        space, action = self.home()
        order, times_h = int(self.order(velocity.terms) or 1), velocity.times(t0, t1)
        a, b, c, b_error, fsal = _tableau(self.base)
        ks, regular = [times_h(xi0)], jnp.asarray(True)
        for a_i, c_i in zip(a, c, strict=True):
            u = weighted(a_i, ks)
            k = times_h(velocity(time_at(c_i, t0, t1), action.act(u, y0)))
            ks.append(action.dexpinv(u, k, order))
            regular = regular & action.within_radius(u)
        u1 = weighted(b, ks)
        y1 = space.polish(action.act(u1, y0))
        xi1 = velocity(t1, y1)
        end = action.dexpinv(u1, times_h(xi1), order)
        regular = regular & action.within_radius(u1)
        error = None if b_error is None else weighted(b_error, [*ks, end])
        if fsal:
            stages = jax.tree.map(lambda *k: jnp.stack(k), *ks, end)
            motion: Any = StageMotion(self.base.interpolation_cls, u1, stages)
        else:
            motion = HermiteMotion(u1, ks[0], end)
        return LieStep(y1, xi1, motion, error, regular)


def _tableau(base: Any) -> tuple[list, list[float], list[float], list[float] | None, bool]:
    # Rows of a, b, c and b - b^ without the stage that is the first of the next step, in Python's numbers.
    if isinstance(base, diffrax.Euler):
        return [], [1.0], [], None, False
    tableau = base.tableau
    a, b, c = ([np.asarray(r).tolist() for r in tableau.a_lower], tableau.b_sol.tolist(), tableau.c.tolist())
    if tableau.fsal:
        a, b, c = a[:-1], b[:-1], c[:-1]
    return a, b, c, tableau.b_error.tolist(), tableau.fsal
