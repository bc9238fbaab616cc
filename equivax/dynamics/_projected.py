"""Any solver of Diffrax, brought back to the manifold after each step, and between the steps."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Point, Tangent
from ..geometry import AbstractManifold
from ._tableau import after_jump, is_plain_tableau, tableau_step, weighted


class Projected(diffrax.AbstractAdaptiveSolver):
    r"""$y_1 = P(\tilde y_1)$: a step of `solver` in the surrounding $\mathbb R^N$, then the nearest point of M = `space`.

    For any manifold, of any solver's order: y is as far from P(y) as the step's error is long, and P is smooth. Right in
    the places where projecting by hand goes wrong:

    - the derivative that an FSAL method passes on to its next step is that at $P(\tilde y_1)$, at no extra cost;
    - dense output (`SaveAt(ts=)`, `dense=`, events) is projected too: M contains every interpolated point;
    - the error estimate is the part of it that is tangent to M: what was projected away is no error any more.

    Commutes with every isometry of R^N that M shares. The order and tableau are those of `solver`; explicit Runge-Kutta
    methods are taken in straight-line code and can be differentiated in either mode. As the `solver` of a `Flow`, `space`
    may be left out. If `tangent` is False the field need not be tangent to M, as the adjoint equation in R^N is not: then
    the derivative at P(y1) cannot stand in for that at y1 in the error estimate, and is one more evaluation.
    Hairer, Lubich, Wanner, *Geometric Numerical Integration*, IV.4.
    """

    solver: Any
    space: AbstractManifold | None = None
    tangent: bool = eqx.field(static=True, default=True)

    @property
    def term_structure(self) -> Any:
        """That of the wrapped solver."""
        return self.solver.term_structure

    @property
    def interpolation_cls(self) -> Callable[..., diffrax.AbstractLocalInterpolation]:  # type: ignore[override]
        """The wrapped solver's interpolation, followed by the projection."""
        return ProjectedInterpolation

    @property
    def term_compatible_contr_kwargs(self) -> Any:
        """Those of the wrapped solver."""
        return self.solver.term_compatible_contr_kwargs

    def on(self, space: AbstractManifold) -> "Projected":
        """This solver on `space`, unless it has been told another one already."""
        return self if self.space is not None else Projected(self.solver, space, self.tangent)

    def order(self, terms: Any) -> int | None:
        """That of the wrapped solver."""
        return self.solver.order(terms)

    def error_order(self, terms: Any) -> Any:
        """That of the wrapped solver."""
        return self.solver.error_order(terms)

    def func(self, terms: Any, t0: Any, y0: Point, args: Any) -> Any:
        """The vector field at y0."""
        return self.solver.func(terms, t0, y0, args)

    def init(self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any) -> Any:
        """The vector field at y0 for FSAL methods, else the wrapped solver's own state."""
        if self.space is None:
            raise ValueError(
                f"`Projected({self.solver})` has not been told the manifold to project onto. Say which one, as in "
                f"`Projected({self.solver}, Sphere(2))`, or use it as the solver of a `Flow`, which knows its space."
            )
        finder = getattr(self.solver, "root_finder", None)
        if finder is not None and not isinstance(getattr(finder, "rtol", 0.0), float | int | jax.Array):
            raise ValueError(
                f"The root finder of the implicit `{type(self.solver).__name__}` has no tolerances, which Diffrax sets only "
                "for solvers that it is given themselves. Name them: "
                f"`Projected({type(self.solver).__name__}(root_finder=diffrax.VeryChord(rtol=1e-5, atol=1e-7)))`."
            )
        if is_plain_tableau(self.solver):
            return terms.vf(t0, y0, args) if self.solver.tableau.fsal and self.tangent else None
        return self.solver.init(terms, t0, t1, y0, args)

    def _land(self, y: Point) -> Point:
        # A step that is any good ends near M, where the nearest point is cheap for matrices: right to rounding from a gap below
        # 1e-4, and after one more polish from one below 1e-2.
        space: Any = self.space
        found, square = space.nearby(y)
        if square is None:
            return found

        def further() -> Point:
            return jax.lax.cond(square < 1e-4, lambda: space.polish(found), lambda: space.project(y))

        return jax.lax.cond(square < 1e-8, lambda: found, further)

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Point, Tangent | None, dict[str, Any], Any, diffrax.RESULTS]:
        """As `diffrax.AbstractSolver.step`."""
        space: Any = self.space
        if is_plain_tableau(self.solver):
            tableau = self.solver.tableau
            f0 = after_jump(made_jump, lambda: terms.vf(t0, y0, args), solver_state)
            if self.tangent:
                y1, ks, f1 = tableau_step(tableau, terms, t0, t1, y0, args, f0, self._land)
            else:
                y1, ks, _ = tableau_step(tableau, terms, t0, t1, y0, args, None)
                y1, f1 = self._land(y1), None
            info: Any = {"y0": y0, "y1": y1, "k": jax.tree.map(lambda *a: jnp.stack(a), *ks)}
            result: Any = diffrax.RESULTS.successful
            error: Any = weighted(tableau.b_error, ks)
        else:
            # The state may hold what belongs to the point before it was projected: have it made anew.
            y1, error, info, f1, result = self.solver.step(terms, t0, t1, y0, args, solver_state, jnp.asarray(True))
            y1 = self._land(y1)
        if error is not None:
            error = space.to_tangent(y1, error)
        dense = {"info": info, "how": _How(self.solver.interpolation_cls, space)}
        return y1, error, dense, f1, result


class _How(eqx.Module):
    cls: Any = eqx.field(static=True)
    space: AbstractManifold


class ProjectedInterpolation(diffrax.AbstractLocalInterpolation):
    """P(the wrapped solver's interpolant), between t0 and t1."""

    t0: Any  # type: ignore[misc]
    t1: Any  # type: ignore[misc]
    info: dict[str, Any]
    how: _How

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True) -> Point:
        """The point at time t0; with t1, the difference of the points at t1 and t0."""
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1, left=left), self.evaluate(t0, left=left))
        return self.how.space.project(self.how.cls(t0=self.t0, t1=self.t1, **self.info).evaluate(t0, left=left))
