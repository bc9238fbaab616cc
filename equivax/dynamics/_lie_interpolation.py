"""Dense output of the Lie group solvers: a curve in the algebra, and the point that it moves along the manifold."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Algebra, Point
from ..geometry import AbstractLieAction, AbstractManifold


class LieInterpolation(diffrax.AbstractLocalInterpolation):
    r"""$y(t) = \exp(u(\theta)) \cdot y_0$ with $\theta = (t - t_0)/(t_1 - t_0)$: on M to rounding at every t.

    - `y0`: the point at t0; `motion`: theta -> u(theta) in the algebra, u(0) = 0;
    - `action`, `space`: what moves the point, and where.
    """

    t0: Any  # type: ignore[misc]
    t1: Any  # type: ignore[misc]
    y0: Point
    motion: Any
    action: AbstractLieAction
    space: AbstractManifold

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True) -> Point:
        """The point at time t0; with t1, the difference of the points at t1 and t0, as Diffrax has it."""
        del left
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        dtype = jnp.result_type(*jax.tree.leaves(self.y0))
        passed, whole = (jnp.asarray(a).astype(dtype) for a in (t0 - self.t0, self.t1 - self.t0))
        # Steps of no length stand in the unused part of Diffrax's buffers.
        theta = jnp.where(whole == 0, 0, passed / jnp.where(whole == 0, 1, whole))
        return self.space.polish(self.action.act(self.motion(theta), self.y0))


class HermiteMotion(eqx.Module):
    """u(theta), the cubic with u(0) = 0, u(1) = `u1`, u'(0) = `v0`, u'(1) = `v1`: of third order."""

    u1: Algebra
    v0: Algebra
    v1: Algebra

    def __call__(self, theta: Float[Array, ""]) -> Algebra:
        """u(theta)."""
        s = 1 - theta
        a, b, c = theta * theta * (3 - 2 * theta), theta * s * s, -theta * theta * s
        return jax.tree.map(lambda u, v, w: a * u + b * v + c * w, self.u1, self.v0, self.v1)


class StageMotion(eqx.Module):
    """u(theta) by the dense output of a Runge-Kutta method of Diffrax (`cls`), from its stages `k` in the algebra."""

    cls: Any = eqx.field(static=True)
    u1: Algebra
    k: Algebra

    def __call__(self, theta: Float[Array, ""]) -> Algebra:
        """u(theta)."""
        zero = jax.tree.map(jnp.zeros_like, self.u1)
        u = self.cls(t0=0.0, t1=1.0, y0=zero, y1=self.u1, k=self.k).evaluate(theta)
        return jax.tree.map(lambda a, b: a.astype(b.dtype), u, self.u1)
