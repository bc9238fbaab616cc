"""What all solvers that move points by exponentials of a Lie algebra have in common."""

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from .._types import Algebra, Point, Tangent
from ..geometry import AbstractLieAction, AbstractManifold
from ._lie_interpolation import LieInterpolation
from ._lie_term import is_algebraic
from ._tableau import after_jump

Self = TypeVar("Self", bound="AbstractLieSolver")


class Velocity(eqx.Module):
    """xi(t, y): the element of the algebra that moves y, read from an `AlgebraTerm` or lifted from a tangent."""

    terms: Any
    args: Any
    action: AbstractLieAction

    def __call__(self, t: Any, y: Point) -> Algebra:
        """xi(t, y)."""
        v = self.terms.vf(t, y, self.args)
        return v if is_algebraic(self.terms) else self.action.lift(y, v)

    def times(self, t0: Any, t1: Any) -> Callable[[Algebra], Algebra]:
        """xi -> (t1 - t0) xi, with the sign of time running backwards."""
        control = self.terms.contr(t0, t1)
        return lambda xi: self.terms.prod(xi, control)


class LieStep(NamedTuple):
    """A step as a method reports it: the point it reaches, and what it knows of the way.

    - `y1`: the point at t1; `xi1`: xi(t1, y1), with which the next step begins, or None for methods that do not;
    - `motion`: theta in [0, 1] -> u(theta), the points on the way being exp(u(theta)) . y0;
    - `error`: an element of the algebra that moves y1 by the estimated error, or None;
    - `regular`: whether the step was short enough for the method to make sense.
    """

    y1: Point
    xi1: Algebra | None
    motion: Any
    error: Algebra | None
    regular: Bool[Array, ""] | bool = True


class AbstractLieSolver(diffrax.AbstractAdaptiveSolver):
    r"""A solver of $\dot y = f(t, y)$ on M that only ever moves y by exponentials, $y \mapsto \exp(u) \cdot y$.

    So y stays on M to rounding, at steps and between them, and where the action's lift is equivariant,
    lift(g y, g v) = Ad_g lift(y, v), so is the solver, to rounding and with any step. Any use that Diffrax makes of a
    solver of its own is open to it: `diffeqsolve(ODETerm(f), solver, ...)`, dense output, events, every adjoint that
    keeps the state a point; in a `Flow` the space is filled in.

    - `space`: M; `action`: the motions to use, `space.motions` unless given.

    The estimated error is handed to the step size controller as a tangent vector at the new point.
    Raises a ValueError if no space is known, if y0 is no point of it, or if the field returns no tangent (`ODETerm`) or
    no element of the algebra (`AlgebraTerm`).
    """

    if TYPE_CHECKING:  # fields of the subclasses; type checkers know them only as properties

        @property
        def space(self) -> AbstractManifold | None: ...

        @property
        def action(self) -> AbstractLieAction | None: ...
    else:
        space: eqx.AbstractVar[AbstractManifold | None]
        action: eqx.AbstractVar[AbstractLieAction | None]

    term_structure: ClassVar[Any] = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., LieInterpolation]] = LieInterpolation

    @abc.abstractmethod
    def march(self, velocity: Velocity, t0: Any, t1: Any, y0: Point, xi0: Any) -> LieStep:
        """One step from y0 at t0 to t1, in straight-line code, where `xi0` is what the last step has left as `xi1`."""

    def on(self: Self, space: AbstractManifold) -> Self:
        """This solver on `space`, unless it has been told another one already."""
        known: dict[str, Any] = {"space": space}
        return self if self.space is not None else dataclasses.replace(self, **known)  # type: ignore[type-var]

    def init(self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any) -> Any:
        """xi(t0, y0), after checks of the shapes."""
        del t1
        space, action = self.home()
        space.check(y0, "y0")
        _check_field(terms, t0, y0, args, action)
        return Velocity(terms, args, action)(t0, y0)

    def func(self, terms: Any, t0: Any, y0: Point, args: Any) -> Tangent:
        """The vector field at y0, as a tangent."""
        v = terms.vf(t0, y0, args)
        return self.home()[1].generator(v, y0) if is_algebraic(terms) else v

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Point, Tangent | None, dict[str, Any], Any, diffrax.RESULTS]:
        """As `diffrax.AbstractSolver.step`."""
        space, action = self.home()
        velocity = Velocity(terms, args, action)
        xi0 = after_jump(made_jump, lambda: velocity(t0, y0), solver_state)
        made = self.march(velocity, t0, t1, y0, xi0)
        error, result = verdict(made, action)
        return made.y1, error, {"y0": y0, "motion": made.motion, "action": action, "space": space}, made.xi1, result

    def home(self) -> tuple[AbstractManifold, AbstractLieAction]:
        """M and the motions in use. Raises a ValueError where no space has been named."""
        if self.space is None:
            raise ValueError(
                f"`{self}` has not been told the manifold that it moves points on. Name it, as in "
                "`RKMK(diffrax.Tsit5(), Sphere(2))`, or use the solver in a `Flow`, which knows its space."
            )
        return self.space, self.space.motions if self.action is None else self.action


def verdict(made: LieStep, action: AbstractLieAction) -> tuple[Tangent | None, Any]:
    """The estimated error as a tangent at the new point, infinite where the step was too long, and Diffrax's code for it."""
    error = None if made.error is None else action.generator(made.error, made.y1)
    if made.regular is True:
        return error, diffrax.RESULTS.successful
    # An adaptive controller rejects the step; with constant steps there is nothing left to try.
    error = jax.tree.map(lambda a: jnp.where(made.regular, a, jnp.inf), error)
    return error, diffrax.RESULTS.where(made.regular, diffrax.RESULTS.successful, diffrax.RESULTS.dt_min_reached)


def _check_field(terms: Any, t0: Any, y0: Point, args: Any, action: AbstractLieAction) -> None:
    received = eqx.filter_eval_shape(terms.vf, t0, y0, args)
    tangent = jax.eval_shape(lambda y: y, y0)
    if is_algebraic(terms):
        meant, what = jax.eval_shape(action.lift, tangent, tangent), f"an element of the algebra of {action}"
    else:
        meant, what = tangent, "a tangent at y, of the structure and shape of y"
    if not eqx.tree_equal(received, meant):
        show = lambda a: eqx.tree_pformat(a, struct_as_array=True)  # noqa: E731
        raise ValueError(f"The field should return {what}: {show(meant)}. It returned {show(received)}.")
