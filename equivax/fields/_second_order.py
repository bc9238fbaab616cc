"""Second-order equations, as fields on the tangent bundle."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Point, RealScalar, Tangent
from ..geometry import TangentBundle
from ..symmetry import AbstractAction, TangentAction
from ._field import AbstractField


class SecondOrderField(AbstractField):
    r"""The law of motion $\nabla_{\dot x} \dot x = a(t, x, \dot x)$ as a field on $TM$: $x' = u$, $\nabla u = a(t, x, u)$.

    With $a = 0$ points move on geodesics. Equivariant under `TangentAction(base)` when
    $a(t, g x, g_* u) = g_* a(t, x, u)$ and the group keeps the connection, as isometries do, and affine maps of
    $\mathbb{R}^n$.

    - `acceleration`: a, any callable (t, x, u, args) -> vector at x, which is projected to a tangent one; or None.
      `Vertical(field)` makes one of an equivariant field on $TM$.
    - `base`: the action on M.

    **Raises:** `ValueError` at the first call for an acceleration that does not have the shape of x.
    """

    acceleration: Callable[[Any, Any, Any, Any], Tangent] | None
    base: AbstractAction

    @property
    def action(self) -> TangentAction:
        """The group on points and velocities."""
        return TangentAction(self.base)

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        at, u = x
        if self.acceleration is None:
            a = jax.tree.map(jnp.zeros_like, u)
        else:
            a = self.acceleration(t, at, u, args)
            received, meant = (jax.tree.map(jnp.shape, part) for part in (a, u))
            if received != meant:
                raise ValueError(
                    f"An acceleration (t, x, u, args) should have the shape of the velocity, {meant}; received {received}."
                )
        return TangentBundle(self.base.space).join(x, u, self.base.space.to_tangent(at, a))


class Vertical(eqx.Module):
    r"""The vertical part of a field on $TM$, an acceleration $a(t, x, u)$: what the field does to velocities.

    - `field`: a field under `TangentAction(base)`; equivariant if the group keeps the connection.
    """

    field: AbstractField

    def __call__(self, t: RealScalar, x: Point, u: Tangent, args: Any = None) -> Tangent:
        space = self.field.action.space
        if not isinstance(space, TangentBundle):
            raise ValueError(f"`Vertical` takes a field on a TangentBundle; this one is on {space}.")
        return space.split((x, u), self.field(t, (x, u), args))[1]
