"""The evolution of a signal through scales and back: flows on grids, each corrected by the next coarser one."""

from typing import Any

import equinox as eqx

from .._types import Signal
from ..fields import SteerableLayer
from ..symmetry import SignalAction
from ._flow import Flow


class Cycle(eqx.Module):
    r"""A partial neural differential equation on nested grids, corrected on the way by what coarser grids see.

    $$ u \xrightarrow{\text{flow}} u(t_1), \qquad v = u(t_1) + \text{up}\,\Psi\,\text{down}\, u(t_1), \qquad
       v \xrightarrow{\text{flow}} v(t_2) $$

    $\Psi$ evolves the signal on the coarser grid from $t_1$ on: a `Flow`, or another `Cycle`. The features of the fine grid are
    kept where the coarse ones are added, so that nothing has to survive the way down: the V-cycle of multigrid methods, and a
    U-Net in continuous time. Equivariant because every part is.

    - `before`, `after`: flows on the fine grid. - `down`, `up`: changes of grid, there and back.
    - `inner`: $\Psi$, from the signals that `down` makes to those that `up` takes.
    """

    before: Flow
    down: SteerableLayer
    inner: "Flow | Cycle"
    up: SteerableLayer
    after: Flow

    @property
    def action(self) -> SignalAction:
        """The action on signals over the fine grid, those that go in and those that come out."""
        return self.down.action_in

    def __call__(self, u: Signal, args: Any = None) -> Signal:
        """The signal at the end; `args` goes to the fields."""
        u = self.before(u, args)
        return self.after(u + self.up(self.inner(self.down(u), args)), args)
