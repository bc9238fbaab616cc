"""Left-invariant derivatives on positions and orientations, copy by copy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Signal
from ..geometry import PixelGrid
from ..symmetry import Cyclic, SignalAction, regular
from ._jets import GaussianJet
from ._nonlinear import AbstractNonlinearity, Pointwise
from ._oriented_jet import oriented
from ._window import Disc


class LeftInvariantLayer(eqx.Module):
    r"""A map of functions on $M_2 = \mathbb{R}^2 \times S^1$ by derivatives along and across the orientation,

    $$ (L u)_{c m} = \chi\, s\Bigl( \sum_{a + b \le K} w_{c m a b}\, A_1^a A_2^b\, (G_\sigma * u_c) + b_{c m} \Bigr), \qquad
       A_1 = \cos\theta\,\partial_x + \sin\theta\,\partial_y, \quad A_2 = -\sin\theta\,\partial_x + \cos\theta\,\partial_y. $$

    Each copy $c$ is differentiated by itself and at its own orientations, so that the layer has $(K+1)(K+2)/2 + 1$ weights for
    each copy that comes out, where a `SteerableLayer` between the same representations has $8 (K+1)(K+2)/2$ for each *pair* of
    copies of C8. It changes grids, and reads out at a point, between the flows of a `PositionOrientationField`.

    - `n`: orientations; `copies`: functions on $M_2$ that come in; `multiple`: how many come out for each of them.
    - `jet`: from the grid of the input to that of the output; $\sigma$ and $K$ are its own.
    - `window`: confines the result to a disc by the cut-off $\chi$; without, $\chi = 1$.

    `u` is `(source.size, copies * n)`, the result `(target.size, copies * multiple * n)`.
    """

    weights: Float[Array, "copies multiple jets"]
    bias: Float[Array, "copies multiple"]
    nonlinearity: AbstractNonlinearity
    jet: GaussianJet
    window: Disc | None
    n: int = eqx.field(static=True)

    def __init__(
        self, n: int, copies: int, jet: GaussianJet, *, multiple: int = 1, window: Disc | None = None, key: Key
    ):
        self.weights = jax.random.normal(key, (copies, multiple, jet.size), jnp.float32) / np.float32(np.sqrt(jet.size))
        self.bias = jnp.zeros((copies, multiple), jnp.float32)
        self.nonlinearity = Pointwise(copies * multiple * regular(Cyclic(n)))
        self.n, self.jet, self.window = n, jet, window

    @property
    def action_in(self) -> SignalAction:
        """The action on input signals."""
        return SignalAction(self.weights.shape[0] * regular(Cyclic(self.n)), self.jet.source)

    @property
    def action_out(self) -> SignalAction:
        """The action on output signals."""
        return SignalAction(self.nonlinearity.rep, self.target)

    @property
    def target(self) -> PixelGrid:
        """The grid of the output."""
        return self.jet.target

    def __call__(self, u: Signal) -> Signal:
        total = oriented(self.jet, self.n, self.weights, u) + self.bias.astype(u.dtype)[None, :, :, None]
        v = self.nonlinearity(total.reshape(self.target.size, -1))
        return v if self.window is None else v * jnp.asarray(self.window(self.target), v.dtype)
