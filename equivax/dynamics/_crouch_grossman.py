"""Lie group methods that move by one stage's velocity at a time."""

import operator
from typing import Any

import equinox as eqx

from .._types import Point
from ..geometry import AbstractLieAction, AbstractManifold
from ._compositions import Exponent, Exponentials, Scheme, march
from ._lie_solver import AbstractLieSolver, LieStep, Velocity


def _scheme(*rows: Exponent, error: Exponent) -> Scheme:
    # Rows of a, then b: the product exp(a_im k_m) ... exp(a_i1 k_1) . y0 for each.
    products = [Exponentials(0, tuple((0.0,) * j + (a,) for j, a in enumerate(row) if a != 0)) for row in rows]
    return Scheme(tuple(sum(row) for row in rows[:-1]), tuple(products[:-1]), products[-1], error)


# The embedded methods perturb the last exponent by -sum_i delta_i k_i: see `CommutatorFree`. Order 3: with k_1, k_2 and
# the next step's first stage. Order 4: the direction is the only one within the five stages; its length is chosen such
# that the conditions of order 4 are missed by as much as in `CommutatorFree(4)`.
_SCHEMES = {
    2: _scheme((1 / 2,), (0, 1), error=(-1, 1)),
    3: _scheme(
        (3 / 4,),
        (119 / 216, 17 / 108),
        (13 / 51, -2 / 3, 24 / 17),
        error=(1 / 24, -1 / 6, 0, 1 / 8),
    ),
    4: _scheme(
        (0.8177227988124852,),
        (0.3199876375476427, 0.0659864263556022),
        (0.9214417194464946, 0.4997857776773573, -1.0969984448371582),
        (0.3552358559023322, 0.2390958372307326, 1.3918565724203246, -1.1092979392113465),
        (0.1370831520630755, -0.0183698531564020, 0.7397813985370780, -0.1907142565505889, 0.3322195591068374),
        error=(0.0075, 0.010115036187262467, 0.06060389720667512, -0.06681596769862581, -0.01140296569531178),
    ),
}


class CrouchGrossman(AbstractLieSolver):
    r"""y1 = exp(b_s k_s) ... exp(b_1 k_1) . y0, k_i = h xi(t0 + c_i h, Y_i): each exponential follows one frozen field.

    Stages Y_i are products of the same form, with a_ij for b_j. No brackets and no dexp^-1, so no limit to the length of
    a step, but many exponentials: 2, 6 and 15 for orders 2, 3 and 4, where `CommutatorFree` needs 2, 3 and 5. The method
    for when exp(c k_i) is all that can be computed: the flows of the frozen fields.

    - `p`: the order, 2, 3 or 4 (3 unless given); `space`, `action` as for `RKMK`.

    The error estimate is that of an embedded method of one order less, whose last exponent differs. Dense output
    is exp(u(t)) . y0 with a cubic u: of third order (of second for order 2).

    Raises a ValueError for another order.
    Crouch, Grossman, *Numerical integration of ordinary differential equations on manifolds*, J. Nonlinear Sci. 3, 1993;
    order 4: Owren, Marthinsen, *Runge-Kutta methods adapted to manifolds and based on rigid frames*, BIT 39, 1999.
    """

    p: int = eqx.field(static=True, default=3, converter=operator.index)
    space: AbstractManifold | None = None
    action: AbstractLieAction | None = None

    def __check_init__(self) -> None:
        if self.p not in _SCHEMES:
            raise ValueError(f"`CrouchGrossman(order)` is there for order 2, 3 and 4; received {self.p}.")

    def order(self, terms: Any) -> int:
        """2, 3 or 4."""
        del terms
        return self.p

    def march(self, velocity: Velocity, t0: Any, t1: Any, y0: Point, xi0: Any) -> LieStep:
        """One step, from the coefficients."""
        return march(_SCHEMES[self.p], self.p, *self.home(), velocity, t0, t1, y0, xi0)
