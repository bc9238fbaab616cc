"""Fields that are given in the Lie algebra which moves the points."""

from collections.abc import Callable
from typing import Any

import equinox as eqx

from .._types import Point, Tangent
from ..geometry import AbstractLieAction


class InducedField(eqx.Module):
    r"""$f(t, x) = \xi(t, x)_M(x) = \tfrac{d}{ds} \exp(s\,\xi(t, x)) \cdot x\,|_{s=0}$, for xi with values in a Lie algebra.

    - `xi`: any callable (t, x, args) -> element of the algebra, in the coordinates of `motions`.
    - `motions`: the action that makes tangents of them, as `space.motions`.

    An ordinary field for any solver. Lie group integrators in a `Flow` use xi itself instead of lifting the tangent
    again: x' = A(t) x with A(t) in the algebra is *linear* for them, which is what `Magnus` needs.
    """

    xi: Callable[[Any, Any, Any], Any]
    motions: AbstractLieAction

    def __call__(self, t: Any, x: Point, args: Any = None) -> Tangent:
        """The tangent at x."""
        return self.motions.generator(self.xi(t, x, args), x)
