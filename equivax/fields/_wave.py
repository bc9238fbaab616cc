"""Hyperbolic evolution: signals that have a velocity."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import RealScalar, Signal
from ..symmetry import AbstractRep, SignalAction
from ._field import AbstractField


class WaveField(AbstractField):
    r"""A wave equation, damped or not, as a field of signals $(u, v)$ with the fibre $\rho \oplus \rho$:

    $$ u_t = v, \qquad v_t = F(t, j^K u) - c\, v, \qquad\text{that is}\qquad u_{tt} + c\, u_t = F(t, j^K u). $$

    Where a field of first order smooths or sharpens a signal, this one moves it: with $F = \Delta$ signals travel at speed 1,
    with $c \gg 1$ they diffuse at the rate $1/c$. Equivariant where F is. Second order in t is what lets a flow turn a
    neighbourhood over (an augmentation, as in `Velocities`).

    - `field`: F, a field of signals with the fibre $\rho$, such as a `DifferentialInvariantField`. - `damping`: c, a number,
      learned if it is an array.

    **Raises:** `ValueError` for a field of anything but signals over a grid.
    """

    field: AbstractField
    damping: float | Float[Array, ""] = 0.0

    def __check_init__(self) -> None:
        if not isinstance(self.field.action, SignalAction):
            raise ValueError(
                f"A WaveField is made of a field of signals; this one is under {type(self.field.action).__name__}. For points "
                "see `SecondOrderField`."
            )

    @property
    def rep(self) -> AbstractRep:
        """The fibre of signal and velocity together."""
        fibre = self.field.action.rep  # type: ignore[attr-defined]
        return fibre + fibre

    @property
    def action(self) -> SignalAction:
        """The action on signals that have a velocity."""
        return SignalAction(self.rep, self.field.action.grid)  # type: ignore[attr-defined]

    def __call__(self, t: RealScalar, x: Signal, args: Any = None) -> Signal:
        u, v = jnp.split(x, 2, axis=-1)
        return jnp.concatenate([v, self.field(t, u, args) - self.damping * v], axis=-1)
