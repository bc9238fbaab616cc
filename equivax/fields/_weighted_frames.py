"""Any network made equivariant by averaging over a weighted frame; canonicalisation is the frame of one element."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Point, RealScalar, Tangent
from ..symmetry import AbstractAction
from ._average import Network, averaged
from ._field import AbstractField
from ._frames import AbstractFrame
from ._frames_combined import SingleFrame


class FrameAveragedField(AbstractField):
    r"""Any network, averaged over a weighted frame,

    $$ f(t, x) = \sum_k w_k(x)\; (g_k(x))_*\, N\bigl( t,\, g_k(x)^{-1} \cdot x \bigr). $$

    Equivariant for whatever N, since the frame moves with x; it leaves an equivariant N as it is, up to the factor
    $\sum_k w_k$, so nothing equivariant is out of reach. As smooth as the frame: a robust one (see `AbstractFrame`) makes
    a continuous field, where the unweighted frame of principal axes makes one that jumps wherever two axes change places,
    and adaptive solvers with it. (Puny et al., *Frame averaging*, ICLR 2022; Dym, Lawrence, Siegel, ICML 2024.)

    - `network`: N, any callable (t, x, args) -> array of the shape of x, such as `PlainMLP` or the user's own. What it
      returns is projected to tangent vectors. Floating-point arrays in it, an `equinox.Module`, are the weights, and are
      cast to the type of x; on a `Torus` it should be periodic.
    - `frame`: of the group of `action`.

    Invertible elements only: `frame(x)` is inverted as matrices.

    **Raises:** `ValueError` for a frame of another group, and at the first call for a network that returns another shape.
    """

    network: Network
    frame: AbstractFrame
    action: AbstractAction

    def __check_init__(self):
        if self.frame.group != self.action.group:
            raise ValueError(
                f"The frame has elements of {self.frame.group} and the action is one of {self.action.group}: give a frame of "
                f"{self.action.group}."
            )

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        g, w = self.frame(x)
        G = self.action.group
        inverse = jnp.swapaxes(g, 1, 2) if G.is_orthogonal else jax.vmap(lambda h: jnp.asarray(G.inverse(h)))(g)
        return averaged(self.network, self.action, g, inverse, w, t, x, args)


def canonicalise(
    network: Network, element: Callable[[Point], Float[Array, "d d"]], action: AbstractAction
) -> FrameAveragedField:
    r"""The field $f(t, x) = g(x)_*\, N(t, g(x)^{-1} \cdot x)$ of one group element at each point, $g(h x) = h\, g(x)$.

    - `element`: a moving frame, x -> (d, d). The field jumps where it does; see `FrameAveragedField` for one that does not.
    """
    return FrameAveragedField(network, SingleFrame(action.group, element), action)
