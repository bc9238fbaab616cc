"""Magnus methods for linear equations: y' = A(t) . y, where A(t) is in the Lie algebra and does not depend on y."""

import operator
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Algebra, Point
from ..geometry import AbstractLieAction, AbstractManifold
from ._lie_solver import AbstractLieSolver, LieStep, Velocity
from ._lie_term import is_algebraic
from ._tableau import time_at, weighted

# Nodes of Gauss in [0, 1] for each order, and those two with the ends of the step.
_GAUSS = {p: tuple((np.polynomial.legendre.leggauss(p // 2)[0] / 2 + 1 / 2).tolist()) for p in (2, 4, 6)}
_ALL = {p: (0.0, *nodes, 1.0) for p, nodes in _GAUSS.items()}
# Each method is compared with the other one of these two orders that is nearest.
_NEIGHBOUR = {2: 4, 4: 6, 6: 4}


class Magnus(AbstractLieSolver):
    r"""y1 = exp(Omega) . y0, Omega the Magnus expansion of $\dot y = A(t) \cdot y$ from the values of A at Gauss nodes.

    Order 2 is the exponential midpoint rule, Omega = h A(t0 + h/2); order 4 has one bracket and order 6 three, of A at two
    and at three nodes. One exponential a step, and as many values of A as half of the order. Exact where A is constant;
    on R^n it is Gauss quadrature. Converges while the integral of |A| over a step is below pi.

    - `p`: the order, 2, 4 or 6 (4 unless given); `space`, `action` as for `RKMK`.

    Takes an `AlgebraTerm(A)`, A(t, y, args) -> element of the algebra, and calls A with the y of the start of the step: A must
    not look at it. (A field that does is of order 1 then; it needs `RKMK` or `CommutatorFree`.)

    The error estimate compares with the method of the next order (for order 6, with order 4), fed by the polynomial through the
    values of A at the nodes and at both ends of the step. For order 4 that would not see quadrature errors, so the difference
    to Radau's quadrature of that polynomial is added. Dense output is the same Magnus method on [t0, t], for the
    same polynomial. Ends are evaluated only where one of them is asked for.

    Raises a ValueError for another order, and for a term that is no `AlgebraTerm`.
    Blanes, Casas, Ros, *Improved high order integrators based on the Magnus expansion*, BIT 40, 2000.
    """

    p: int = eqx.field(static=True, default=4, converter=operator.index)
    space: AbstractManifold | None = None
    action: AbstractLieAction | None = None

    def __check_init__(self) -> None:
        if self.p not in _GAUSS:
            raise ValueError(f"`Magnus(order)` is there for order 2, 4 and 6; received {self.p}.")

    def order(self, terms: Any) -> int:
        """2, 4 or 6."""
        del terms
        return self.p

    def error_order(self, terms: Any) -> int:
        """The power of h that the estimate of the error in one step goes with: 3, 4 or 5."""
        del terms
        return self.p // 2 + 2

    def init(self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any) -> None:
        """Checks of the term and of the shapes; a step leaves nothing for the next one."""
        if not is_algebraic(terms):
            raise ValueError(
                "`Magnus` solves linear equations y' = A(t) . y, given as `AlgebraTerm(A)` with A(t, y, args) in the Lie "
                f"algebra and the same for all y; received {terms}. For tangents f(t, y) use `RKMK(diffrax.Tsit5())`."
            )
        super().init(terms, t0, t1, y0, args)

    def march(self, velocity: Velocity, t0: Any, t1: Any, y0: Point, xi0: None) -> LieStep:
        """One step."""
        del xi0
        space, action = self.home()
        times_h = velocity.times(t0, t1)
        a = [times_h(velocity(time_at(c, t0, t1), y0)) for c in _ALL[self.p]]
        omega = magnus_expansion(self.p, a[1:-1], action)
        y1 = space.polish(action.act(omega, y0))
        other = _NEIGHBOUR[self.p]
        weights = lagrange(_ALL[self.p], np.asarray([*_GAUSS[other], 0.0, 2 / 3]))
        values = [weighted(row, a) for row in weights.tolist()]
        error = jax.tree.map(jnp.subtract, magnus_expansion(other, values[:-2], action), omega)
        if self.p == 4:
            quadrature = weighted((1 / 2, 1 / 2, -1 / 4, -3 / 4), [a[1], a[2], *values[-2:]])
            error = jax.tree.map(jnp.add, error, quadrature)
        return LieStep(y1, None, MagnusMotion(self.p, action, a), error)


class MagnusMotion(eqx.Module):
    """u(theta): the Magnus expansion on [t0, t0 + theta h] of the polynomial with the values `a` of h A at the nodes."""

    p: int = eqx.field(static=True)
    action: AbstractLieAction
    a: list[Algebra]

    def __call__(self, theta: Float[Array, ""]) -> Algebra:
        """u(theta)."""
        at = lagrange(_ALL[self.p], theta * jnp.asarray(_GAUSS[self.p], theta.dtype))
        values = [jax.tree.map(lambda *b, w=w: theta * sum(w[j] * c for j, c in enumerate(b)), *self.a) for w in at]
        return magnus_expansion(self.p, values, self.action)


def magnus_expansion(p: int, a: Sequence[Algebra], action: AbstractLieAction) -> Algebra:
    """Omega to order p from the values h A at the p/2 Gauss nodes. Blanes, Casas, Ros, sections 3 and 4.

    With alpha_k = h^k/(k-1)! times the derivative of A of order k - 1 at the middle of the step:
    order 4, alpha_1 - [alpha_1, alpha_2]/12; order 6, alpha_1 + alpha_3/12 + [-20 alpha_1 - alpha_3 + C, alpha_2 + D]/240 with
    C = [alpha_1, alpha_2], D = -[alpha_1, 2 alpha_3 + C]/60.
    """
    if p == 2:
        return a[0]
    if p == 4:
        mean = weighted((1 / 2, 1 / 2), a)
        return weighted((1, -np.sqrt(3) / 12), [mean, action.bracket(a[0], a[1])])
    alpha1, alpha2 = a[1], weighted((-np.sqrt(15) / 3, np.sqrt(15) / 3), [a[0], a[2]])
    alpha3 = weighted((10 / 3, -20 / 3, 10 / 3), a)
    C = action.bracket(alpha1, alpha2)
    D = action.bracket(alpha1, weighted((2, 1), [alpha3, C]))
    last = action.bracket(weighted((-20, -1, 1), [alpha1, alpha3, C]), weighted((1, -1 / 60), [alpha2, D]))
    return weighted((1, 1 / 12, 1 / 240), [alpha1, alpha3, last])


def lagrange(nodes: Sequence[float], x: Any) -> Any:
    """The values (m, n) at the m points x of the n Lagrange polynomials of the nodes."""
    columns = []
    for i, c in enumerate(nodes):
        others = [d for j, d in enumerate(nodes) if j != i]
        column = x * 0 + 1 / float(np.prod([c - d for d in others]))
        for d in others:
            column = column * (x - d)
        columns.append(column)
    return (np if isinstance(x, np.ndarray) else jnp).stack(columns, -1)
