"""The right-hand side of a differential equation that says by which element of a Lie algebra the point is moved."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from .._types import Algebra, Point


class AlgebraTerm(diffrax.AbstractTerm):
    r"""$\dot y = \xi(t, y)_M(y)$: the motion of y by the element xi(t, y) of a Lie algebra, for the Lie group solvers.

    - `field`: xi, any callable (t, y, args) -> element of the algebra of the space's action.

    Takes the place of `diffrax.ODETerm(f)`, whose tangents f(t, y) the solvers lift to the algebra themselves. Use it where xi
    is what one knows: the linear equations y' = A(t) . y that `Magnus` solves, or a body's angular velocity. Where
    points have a stabiliser, xi also says how the space turns about y, which costs accuracy if it is fast.
    """

    field: Callable[[Any, Any, Any], Algebra]

    def vf(self, t: Any, y: Point, args: Any) -> Algebra:
        """xi(t, y), without the weak types of numbers that were written in Python."""
        return jax.tree.map(lambda a: jnp.asarray(a, jnp.result_type(a)), self.field(t, y, args))

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> Any:
        """t1 - t0."""
        del kwargs
        return t1 - t0

    def prod(self, vf: Algebra, control: Any) -> Algebra:
        """(t1 - t0) xi."""
        return jax.tree.map(lambda a: jnp.asarray(control).astype(a.dtype) * a, vf)


def is_algebraic(terms: Any) -> bool:
    """Whether the vector field of these terms is an `AlgebraTerm`'s, below what Diffrax wraps around it."""
    return isinstance(innermost(terms), AlgebraTerm)


def innermost(terms: Any) -> Any:
    """The term that the user gave: Diffrax wraps terms to run time backwards, or to solve the adjoint equation."""
    while hasattr(terms, "term"):
        terms = terms.term
    return terms
