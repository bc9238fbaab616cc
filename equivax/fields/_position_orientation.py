"""Convection, diffusion, dilation and erosion on the space of positions and orientations."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, RealScalar, Signal
from ..geometry import PixelGrid
from ..symmetry import Cyclic, SignalAction, regular
from ._field import AbstractField
from ._jets import GaussianJet, jet_factors
from ._knots import Knots
from ._window import Disc

PARTS = ("convection", "diffusion", "dilation", "erosion", "mixing")


class _Coefficients(eqx.Module):
    """What is learned at one moment: three numbers for each copy and part, and a matrix between copies."""

    convection: Float[Array, "copies 3"]
    diffusion: Float[Array, "copies 3"]
    dilation: Float[Array, "copies 3"]
    erosion: Float[Array, "copies 3"]
    mixing: Float[Array, "copies copies"]

    def __init__(self, copies: int, *, key: Key):
        keys = jax.random.split(key, 3)
        self.convection = 0.5 * jax.random.normal(keys[0], (copies, 3), jnp.float32)
        # Softplus of these: a third at first, different from copy to copy.
        self.diffusion = jnp.full((copies, 3), -2.0, jnp.float32)
        self.dilation, self.erosion = (
            -1.0 + 0.5 * jax.random.normal(k, (copies, 3), jnp.float32) for k in jax.random.split(keys[1])
        )
        self.mixing = jax.random.normal(keys[2], (copies, copies), jnp.float32) / np.float32(np.sqrt(copies))


class PositionOrientationField(AbstractField):
    r"""The left-invariant evolution on $M_2 = \mathbb{R}^2 \times S^1$ of PDE-based group networks,

    $$ u_t = -\sum_i c_i A_i u + \sum_i d_i A_i^2 u + |A u|_a - |A u|_b + W u, \qquad
       |A u|_a = \sqrt{\textstyle\sum_i a_i (A_i u)^2 + \varepsilon^2} - \varepsilon, $$

    with the left-invariant frame along, across and about the orientation,

    $$ A_1 = \cos\theta\,\partial_x + \sin\theta\,\partial_y, \quad A_2 = -\sin\theta\,\partial_x + \cos\theta\,\partial_y,
       \quad A_3 = \partial_\theta. $$

    These are differential invariants of the roto-translations, so any function of them is equivariant; here are those four that
    images are made of: convection moves features, diffusion smooths them, dilation and erosion are the max and the min over
    growing balls of a Riemannian metric ($\varepsilon \to 0$). A copy has 3 numbers for each, $W$ is a matrix between copies.

    - `n`: orientations $\theta_k = 2\pi k / n$; `copies`: functions on $M_2$: the fibre is `copies * regular(Cyclic(n))`.
    - `grid`, `sigma`: lengths are in units of `sigma`, the width of the Gaussian under the derivatives.
    - `parts`: which of the five terms to take. A sum of fields with one part each can be solved part by part
      (`dynamics.Splitting`), as a PDE-G-CNN layer does.
    - `window`, `knots`, `t0`, `t1`: as for `DifferentialInvariantField`.

    **Raises:** `ValueError` for fewer than 3 orientations or an unknown part.

    Smets, Portegies, Bekkers, Duits, *PDE-based group equivariant convolutional neural networks*, J. Math.
    Imaging Vis. 65, 2023.
    """

    coefficients: Knots
    n: int = eqx.field(static=True)
    copies: int = eqx.field(static=True)
    jet: GaussianJet
    parts: tuple[str, ...] = eqx.field(static=True)
    window: Disc | None
    epsilon: float = eqx.field(static=True)

    def __init__(
        self,
        n: int,
        copies: int,
        grid: PixelGrid,
        *,
        sigma: float,
        parts: tuple[str, ...] = PARTS,
        window: Disc | None = None,
        epsilon: float = 0.1,
        knots: int = 1,
        t0: float = 0.0,
        t1: float = 1.0,
        key: Key,
    ):
        if n < 3:
            raise ValueError(f"Derivatives along the circle need at least 3 orientations; received n = {n}.")
        if unknown := [part for part in parts if part not in PARTS]:
            raise ValueError(f"Unknown part {unknown[0]!r}; there are {', '.join(PARTS)}.")
        self.coefficients = Knots(lambda k: _Coefficients(copies, key=k), knots, t0, t1, key=key)
        self.n, self.copies, self.parts, self.window, self.epsilon = n, copies, tuple(parts), window, epsilon
        self.jet = GaussianJet(grid, grid, 2 if "diffusion" in parts else 1, sigma)

    @property
    def action(self) -> SignalAction:
        """Roto-translations, of which the rotations by multiples of $2\\pi/n$ about the centre."""
        return SignalAction(self.copies * regular(Cyclic(self.n)), self.jet.source)

    def __call__(self, t: RealScalar, x: Signal, args: Any = None) -> Signal:
        k = self.coefficients(t)
        u = x.reshape(-1, self.copies, self.n)
        first, second = self._frame(x)
        rate = jnp.zeros_like(u)
        if "convection" in self.parts:
            rate -= _along(k.convection, first)
        if "diffusion" in self.parts:
            rate += _along(jax.nn.softplus(k.diffusion), second)
        if "dilation" in self.parts:
            rate += self._length(k.dilation, first)
        if "erosion" in self.parts:
            rate -= self._length(k.erosion, first)
        if "mixing" in self.parts:
            rate += jnp.einsum("pcn,cd->pdn", u, k.mixing.astype(u.dtype))
        rate = rate.reshape(x.shape)
        return rate if self.window is None else rate * jnp.asarray(self.window(self.jet.source), x.dtype)

    def _length(self, weights: Array, frame: Float[Array, "3 points copies n"]) -> Float[Array, "points copies n"]:
        square = _along(jax.nn.softplus(weights), frame**2)
        return jnp.sqrt(square + self.epsilon**2) - self.epsilon

    def _frame(self, x: Signal) -> tuple[Float[Array, "3 points copies n"], Float[Array, "3 points copies n"]]:
        """$A_i u$ and $A_i^2 u$, of which the second is only right where jets of second order are taken."""
        jets = self.jet(x).reshape(self.jet.size, -1, self.copies, self.n)
        # The Gaussian of a jet has the mass 2 pi, its coordinates have factors: both are taken out.
        factors = [2 * np.pi * f for row in jet_factors(self.jet.order) for f in row]
        angles = 2 * np.pi * np.arange(self.n) / self.n
        c, s = (jnp.asarray(f(angles), x.dtype)[None, None, :] for f in (np.cos, np.sin))
        dx, dy = jets[1] / factors[1], jets[2] / factors[2]
        u = x.reshape(-1, self.copies, self.n)
        turn, twice = (jnp.asarray(m, x.dtype) for m in _circle(self.n))
        first = jnp.stack([c * dx + s * dy, -s * dx + c * dy, u @ turn.T])
        if self.jet.order < 2:
            return first, first
        xx, xy, yy = (jets[i] / factors[i] for i in (3, 4, 5))
        along = c * c * xx + 2 * c * s * xy + s * s * yy
        across = s * s * xx - 2 * c * s * xy + c * c * yy
        return first, jnp.stack([along, across, u @ twice.T])


def _along(weights: Array, frame: Float[Array, "3 points copies n"]) -> Float[Array, "points copies n"]:
    return jnp.einsum("ci,ipcn->pcn", weights.astype(frame.dtype), frame)


def _circle(n: int) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """First and second derivative on n points of a circle, exact for the frequencies below n/2."""
    k = np.fft.fftfreq(n, 1 / n)
    waves = np.fft.fft(np.eye(n), axis=0)

    def derivative(symbol: np.ndarray) -> np.ndarray:
        return np.fft.ifft(symbol[:, None] * waves, axis=0).real

    # The highest frequency of an even n has no sign, and so no first derivative.
    return derivative(np.where(np.abs(k) < n / 2, 1j * k, 0)), derivative(-(k**2))
