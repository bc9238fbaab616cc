"""Controlled equations, u' = f(t, u) + g(t, u) c(t), and what their symmetry is."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Element, Point, RealScalar, Tangent
from ..symmetry import AbstractAction, AbstractGroup, SubgroupAction, Trivial
from ._field import AbstractField
from ._spurion import parts_of

# c(t) as a function of time, of shape (k,); `evaluate` of a Diffrax interpolation is one.
Control = Callable[[Any], Any]


class ControlledField(AbstractField):
    r"""$f(t, x) = f_0(t, x) + \sum_i c_i(t)\, f_i(t, x)$, with numbers $c_i$ that the group does not touch.

    Equivariant whatever c, if $f_0$ and the $f_i$ are.

    - `drift`: $f_0$. `channels`: the $f_i$, fields under the same action.
    - `control`: c, t -> (k,). If None it is taken from `args` at each call: a function of time or an array, so that one
      compiled flow runs under many controls, `flow(x0, control)`, and gradients by the control are those by `args`.

    **Raises:** `ValueError` for fields under different actions, or another number of controls than of channels.
    """

    drift: AbstractField
    channels: tuple[AbstractField, ...]
    control: Control | None = None

    def __check_init__(self):
        for channel in self.channels:
            if not eqx.tree_equal(channel.action, self.drift.action):
                raise ValueError(
                    f"The drift is a field under {self.drift.action} and a channel is under {channel.action}: their sum has a "
                    "symmetry when all carry one and the same action."
                )

    @property
    def action(self) -> AbstractAction:
        """The action of the drift."""
        return self.drift.action

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        dtype = jnp.result_type(*jax.tree.leaves(x))
        c = jnp.asarray(control_at(self.control, t, args), dtype)
        if c.shape != (len(self.channels),):
            raise ValueError(
                f"There are {len(self.channels)} channels, so c(t) should have shape ({len(self.channels)},); "
                f"received {c.shape}."
            )
        rest = args if self.control is not None else None
        total = self.drift(t, x, rest)
        for i, channel in enumerate(self.channels):
            total = jax.tree.map(lambda v, w, i=i: v + c[i] * w, total, channel(t, x, rest))
        return total


class SteeredField(AbstractField):
    r"""$f(t, x) = F(t, (x, c(t)))_1$ for an equivariant field F on $M \times W$, with a control that the group moves:

    $$ f_{\rho(g) c}(t, g \cdot x) = g_*\, f_c(t, x). $$

    A force in a direction, a wind, a trajectory to follow. As a field of x alone it keeps the elements that keep c(t) at all
    times; `SpurionField` is the case of a constant c.

    - `field`: F, under a `ProductAction` whose second factor is linear. `control`: as in `ControlledField`, with values
      in W.
    - `group`: a subgroup that is known to keep c(t) at all times; the trivial one if not given.
    """

    field: AbstractField
    control: Control | None
    group: AbstractGroup = eqx.field(static=True)

    def __init__(self, field: AbstractField, control: Control | None = None, group: AbstractGroup | None = None):
        base, _ = parts_of(field)
        self.field, self.control = field, control
        self.group = Trivial(base.group.d) if group is None else group

    @property
    def action(self) -> AbstractAction:
        """The action of the elements that are known to keep the control."""
        base, _ = parts_of(self.field)
        return base if self.group == base.group else SubgroupAction(base, self.group)

    def moved_control(self, g: Element, control: Control) -> Control:
        r"""The control $t \mapsto \rho(g) c(t)$, under which $g \cdot x$ moves as x does under c."""
        rho = parts_of(self.field)[1].rho(g)

        def moved(t: Any) -> Any:
            c = control(t)
            return jnp.asarray(rho, c.dtype) @ c

        return moved

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        dtype = jnp.result_type(*jax.tree.leaves(x))
        rep = parts_of(self.field)[1]
        c = jnp.asarray(control_at(self.control, t, args), dtype)
        if c.shape != (rep.dim,):
            raise ValueError(f"A control in {rep} should have shape ({rep.dim},); received {c.shape}.")
        return self.field(t, (x, c), args if self.control is not None else None)[0]


def control_at(control: Control | None, t: RealScalar, args: Any) -> Any:
    """c(t): of the control given, or of the one in `args`.

    **Raises:** `ValueError` when there is neither.
    """
    control = args if control is None else control
    if control is None:
        raise ValueError(
            "There is no control: give one to the field, `control=lambda t: ...`, or at the call, `field(t, x, control)`."
        )
    return control(t) if callable(control) else control
