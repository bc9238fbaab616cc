"""Lie group methods without commutators, and with few exponentials."""

import operator
from typing import Any

import equinox as eqx

from .._types import Point
from ..geometry import AbstractLieAction, AbstractManifold
from ._compositions import Exponentials, Scheme, march
from ._lie_solver import AbstractLieSolver, LieStep, Velocity

# The embedded methods perturb the last exponent by -sum_i delta_i k_i, which the conditions of the lower order must not
# see: sum delta_i = 0 (order 1), sum delta_i c_i = 0 (2), sum delta_i c_i^2 = sum delta_i a_ij c_j = 0 (3; its condition
# on commutators asks for the first two only). Order 4: the pair of Balac, Mahe, Comput. Phys. Commun. 184, 2013.
_SCHEMES = {
    2: Scheme(
        c=(1 / 2,),
        stages=(Exponentials(0, ((1 / 2,),)),),
        final=Exponentials(0, ((0, 1),)),
        error=(-1, 1),
    ),
    3: Scheme(
        c=(1 / 3, 2 / 3),
        stages=(Exponentials(0, ((1 / 3,),)), Exponentials(0, ((0, 2 / 3),))),
        final=Exponentials(1, ((-1 / 12, 0, 3 / 4),)),
        error=(1 / 4, -1 / 2, 1 / 4),
    ),
    4: Scheme(
        c=(1 / 2, 1 / 2, 1),
        stages=(Exponentials(0, ((1 / 2,),)), Exponentials(0, ((0, 1 / 2),)), Exponentials(1, ((-1 / 2, 0, 1),))),
        final=Exponentials(0, ((1 / 4, 1 / 6, 1 / 6, -1 / 12), (-1 / 12, 1 / 6, 1 / 6, 1 / 4))),
        error=(0, 0, 0, 1 / 10, -1 / 10),
    ),
}


class CommutatorFree(AbstractLieSolver):
    r"""y1 = exp(sum_i beta_i k_i) exp(sum_i alpha_i k_i) . y0, k_i = h xi(t0 + c_i h, Y_i): few exponentials, of sums.

    No brackets and no dexp^-1, so no limit to the length of a step; 2, 3 and 5 exponentials for orders 2, 3 and 4, two of
    them shared between stages. With commuting motions these are the midpoint rule, Heun's third-order and Kutta's
    fourth-order method.

    - `p`: 2, 3 or 4 (4 unless given); `space`, `action` as for `RKMK`.

    The error estimate is that of an embedded method of one order less, whose last exponent differs. Dense output
    is exp(u(t)) . y0 with a cubic u: of third order (of second for order 2).

    Raises a ValueError for another order.
    Celledoni, Marthinsen, Owren, *Commutator-free Lie group methods*, FGCS 19, 2003, section 3.
    """

    p: int = eqx.field(static=True, default=4, converter=operator.index)
    space: AbstractManifold | None = None
    action: AbstractLieAction | None = None

    def __check_init__(self) -> None:
        if self.p not in _SCHEMES:
            raise ValueError(f"`CommutatorFree(order)` is there for order 2, 3 and 4; received {self.p}.")

    def order(self, terms: Any) -> int:
        """2, 3 or 4."""
        del terms
        return self.p

    def march(self, velocity: Velocity, t0: Any, t1: Any, y0: Point, xi0: Any) -> LieStep:
        """One step, from the coefficients."""
        return march(_SCHEMES[self.p], self.p, *self.home(), velocity, t0, t1, y0, xi0)
