"""The evolution of a signal through scales: flows on grids, with steerable changes of grid between them."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._types import Signal
from ..fields import LeftInvariantLayer, SteerableLayer
from ..geometry import PixelGrid
from ..symmetry import SignalAction
from ._flow import Flow


class Cascade(eqx.Module):
    r"""A partial neural differential equation on a sequence of grids.

    $$ u \xrightarrow{\text{layer}} u_0 \xrightarrow{\text{flow}} u(t_1) \xrightarrow{\text{layer}}
       \cdots \xrightarrow{\text{flow}} u(1) $$

    `stages` alternate as one likes between `Flow`s of fields of signals, which take time, and layers, which lift the fibre or
    coarsen the grid and take none. Equivariant because every stage is. What comes out is a signal again:
    read it out invariantly to classify, pointwise to segment, or as it is to learn an evolution equation.
    """

    stages: tuple[Flow | SteerableLayer | LeftInvariantLayer, ...]

    @property
    def actions(self) -> tuple[SignalAction, ...]:
        """The actions on the signals before, between and after the stages: one more than there are stages."""
        first, *others = (_ends(stage) for stage in self.stages)
        return (*first, *(end for _, end in others))

    @property
    def action_in(self) -> SignalAction:
        """The action on the signals that go in."""
        return self.actions[0]

    @property
    def action_out(self) -> SignalAction:
        """The action on the signals that come out."""
        return self.actions[-1]

    def __call__(self, u: Signal, args: Any = None) -> Signal:
        """The signal at the end; `args` goes to the fields."""
        for stage in self.stages:
            u = stage(u, args) if isinstance(stage, Flow) else stage(u)
        return u

    def path(self, u: Signal, frames: int = 3) -> list[tuple[float, PixelGrid, Signal]]:
        """Moments of the evolution, `(t, grid, signal)`: the input, and `frames` equally spaced ones of each flow."""
        t = 0.0
        moments: list[tuple[float, PixelGrid, Signal]] = [(t, self.action_in.grid, u)]
        for stage, after in zip(self.stages, self.actions[1:], strict=True):
            if isinstance(stage, Flow):
                ts = np.linspace(np.asarray(stage.t0), np.asarray(stage.t1), frames)
                states = stage.path(u, jnp.asarray(ts, u.dtype))
                moments += [(float(s), after.grid, v) for s, v in zip(ts, states, strict=True)]
                t, u = float(ts[-1]), states[-1]
            else:
                u = stage(u)
                moments.append((t, after.grid, u))
        return moments


def _ends(stage: Flow | SteerableLayer | LeftInvariantLayer) -> tuple[SignalAction, SignalAction]:
    if isinstance(stage, Flow):
        return stage.field.action, stage.field.action  # type: ignore[attr-defined]
    return stage.action_in, stage.action_out
