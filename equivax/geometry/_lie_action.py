"""How a Lie algebra moves the points of a manifold: all that a Lie group integrator asks of a space."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import Algebra, Point, Tangent

# B_k / k!, k = 0 ... 10: the Taylor coefficients of z / (e^z - 1), whose radius of convergence is 2 pi.
_BERNOULLI = (1.0, -1 / 2, 1 / 12, 0.0, -1 / 720, 0.0, 1 / 30240, 0.0, -1 / 1209600, 0.0, 1 / 47900160)
# No term of the series is left out that a method of this order could see.
_HIGHEST_ORDER = len(_BERNOULLI) + 1
RADIUS = 2 * math.pi


class AbstractLieAction(eqx.Module):
    r"""A transitive (local) left action of a Lie group on M, by its Lie algebra g: x -> exp(xi) . x.

    An action is three maps, unbatched, and everything a Lie group integrator needs is derived from them:

    - `act(xi, x)` = exp(xi) . x, with act(0, x) = x;
    - `lift(x, v)`, linear in v: some xi in g that moves x with velocity v, generator(xi, x) = v;
    - `bracket(xi, eta)`, the bracket of g in the convention of matrices: for g . x = gx it is xi eta - eta xi.

    Where a group G of symmetries maps motions to motions, g exp(xi) x = exp(Ad_g xi) g x, and the lift respects it,
    lift(g x, g v) = Ad_g lift(x, v), every solver built on the action commutes with G to rounding.
    """

    @abc.abstractmethod
    def act(self, xi: Algebra, x: Point) -> Point:
        """exp(xi) . x, on M to rounding however long xi is."""

    @abc.abstractmethod
    def lift(self, x: Point, v: Tangent) -> Algebra:
        """The xi in g that the action prefers among those with generator(xi, x) = v; linear in v in T_x M."""

    @abc.abstractmethod
    def bracket(self, xi: Algebra, eta: Algebra) -> Algebra:
        """[xi, eta]."""

    def generator(self, xi: Algebra, x: Point) -> Tangent:
        """xi_M(x) = d/ds exp(s xi) . x at s = 0."""
        zero = jax.tree.map(jnp.zeros_like, xi)
        return jax.jvp(lambda z: self.act(z, x), (zero,), (xi,))[1]

    def dexpinv(self, u: Algebra, w: Algebra, order: int) -> Algebra:
        r"""dexp_u^-1(w) = sum_k B_k/k! ad_u^k(w), the u' for which exp(u) . x has the velocity w_M.

        The series up to the terms that a method of order `order` can see (k <= order - 2, for u = O(h)). Algebras with
        a closed form replace it and ignore `order`. Converges for |ad_u| < 2 pi: see `within_radius`.
        Hairer, Lubich, Wanner, *Geometric Numerical Integration*, III.4.
        """
        if order > _HIGHEST_ORDER:
            raise ValueError(f"The Bernoulli series is kept up to order {_HIGHEST_ORDER}; asked for {order}.")
        total, nested = w, w
        for k in range(1, order - 1):
            nested = self.bracket(u, nested)
            if _BERNOULLI[k] != 0:
                total = _add(total, nested, _BERNOULLI[k])
        return total

    def compose(self, u: Algebra, v: Algebra) -> Algebra:
        """log(exp(u) exp(v)) by the Baker-Campbell-Hausdorff series, up to brackets of four: an error of order five."""
        uv = self.bracket(u, v)
        u_uv, v_uv = self.bracket(u, uv), self.bracket(v, uv)
        total = _add(_add(u, v), uv, 1 / 2)
        total = _add(_add(total, u_uv, 1 / 12), v_uv, -1 / 12)
        return _add(total, self.bracket(v, u_uv), -1 / 24)

    def ad_norm(self, u: Algebra) -> Float[Array, ""]:
        """A bound of the spectral radius of ad_u: sqrt(2) |u| by default, which holds for matrices (Boettcher, Wenzel)."""
        return math.sqrt(2) * jnp.sqrt(sum(jnp.sum(a * a) for a in jax.tree.leaves(u)))

    def within_radius(self, u: Algebra) -> Bool[Array, ""]:
        """Whether dexpinv_u is sure to be regular (and its series to converge): ad_norm(u) < 2 pi. False for NaN."""
        return self.ad_norm(u) < RADIUS


def _add(a: Algebra, b: Algebra, scale: Any = 1.0) -> Algebra:
    return jax.tree.map(lambda p, q: p + scale * q, a, b)
