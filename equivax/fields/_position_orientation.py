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
from ._oriented_jet import oriented
from ._window import Disc

PARTS = ("convection", "diffusion", "dilation", "erosion", "mixing", "reaction")


class _Coefficients(eqx.Module):
    """What is learned at one moment: three numbers for each copy and part, and matrices between copies."""

    convection: Float[Array, "copies 3"] | None
    diffusion: Float[Array, "copies 3"] | None
    dilation: Float[Array, "copies 3"] | None
    erosion: Float[Array, "copies 3"] | None
    mixing: Float[Array, "copies copies"] | None
    reaction: Float[Array, "copies copies"] | None
    bias: Float[Array, " copies"] | None

    def __init__(self, copies: int, parts: tuple[str, ...], *, key: Key):
        keys = dict(zip(PARTS, jax.random.split(key, len(PARTS)), strict=True))

        def drawn(part: str, mean: float, spread: float, columns: int) -> Float[Array, "copies columns"] | None:
            if part not in parts:
                return None
            return mean + spread * jax.random.normal(keys[part], (copies, columns), jnp.float32)

        between = float(1 / np.sqrt(copies))
        self.convection = drawn("convection", 0.0, 0.5, 3)
        # Softplus of these: a tenth, and a third at first, different from copy to copy.
        self.diffusion = drawn("diffusion", -2.0, 0.0, 3)
        self.dilation = drawn("dilation", -1.0, 0.5, 3)
        self.erosion = drawn("erosion", -1.0, 0.5, 3)
        self.mixing = drawn("mixing", 0.0, between, copies)
        self.reaction = drawn("reaction", 0.0, between, copies)
        self.bias = jnp.zeros((copies,), jnp.float32) if "reaction" in parts else None


class PositionOrientationField(AbstractField):
    r"""The left-invariant evolution on $M_2 = \mathbb{R}^2 \times S^1$ of PDE-based group networks,

    $$ u_t = -\sum_i c_i A_i u + \sum_i d_i A_i^2 u + |A u|_a - |A u|_b + W u + s(V u + v), \qquad
       |A u|_a = \sqrt{\textstyle\sum_i a_i (A_i u)^2 + \varepsilon^2} - \varepsilon, $$

    with the left-invariant frame along, across and about the orientation,

    $$ A_1 = \cos\theta\,\partial_x + \sin\theta\,\partial_y, \quad A_2 = -\sin\theta\,\partial_x + \cos\theta\,\partial_y,
       \quad A_3 = \partial_\theta. $$

    These are differential invariants of the roto-translations, so any function of them is equivariant; here are those four that
    images are made of: convection moves features, diffusion smooths them, dilation and erosion are the max and the min over
    growing balls of a Riemannian metric ($\varepsilon \to 0$). A copy has 3 numbers for each; $W$ and $V$ are matrices between
    copies, $v$ has a number for each copy, and $s(x) = x / (1 + e^{-x})$.

    - `n`: orientations $\theta_k = 2\pi k / n$; `copies`: functions on $M_2$: the fibre is `copies * regular(Cyclic(n))`.
    - `grid`, `sigma`: lengths are in units of `sigma`, the width of the Gaussian under the derivatives.
    - `parts`: which of the six terms to take, by default all but the reaction $s(Vu + v)$. A sum of fields with one part each
      can be solved part by part (`dynamics.Splitting`), as a PDE-G-CNN layer does.
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
        parts: tuple[str, ...] = PARTS[:-1],
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
        self.coefficients = Knots(lambda k: _Coefficients(copies, tuple(parts), key=k), knots, t0, t1, key=key)
        self.n, self.copies, self.parts, self.window, self.epsilon = n, copies, tuple(parts), window, epsilon
        self.jet = GaussianJet(grid, grid, 2 if "diffusion" in parts else 1, sigma)

    @property
    def action(self) -> SignalAction:
        """Roto-translations, of which the rotations by multiples of $2\\pi/n$ about the centre."""
        return SignalAction(self.copies * regular(Cyclic(self.n)), self.jet.source)

    def __call__(self, t: RealScalar, x: Signal, args: Any = None) -> Signal:
        k = jax.tree.map(lambda w: w.astype(x.dtype), self.coefficients(t))
        rate, parts = jnp.zeros_like(x), set(self.parts)
        if parts & {"convection", "diffusion", "mixing"}:
            rate += self._linear(k, x)
        if parts & {"dilation", "erosion"}:
            rate += self._morphology(k, x)
        if "reaction" in parts:
            rate += jax.nn.silu(x @ self._between_copies(k.reaction) + jnp.repeat(k.bias, self.n)[None])
        return rate if self.window is None else rate * jnp.asarray(self.window(self.jet.source), x.dtype)

    def _linear(self, k: _Coefficients, x: Signal) -> Signal:
        """What is linear: a number for each derivative along, across and about, and a matrix between copies."""
        symbol, rate = jnp.zeros((self.copies, self.jet.size), x.dtype), jnp.zeros_like(x)
        first, second = self._about(x)
        if k.convection is not None:
            symbol = symbol.at[:, 1:3].add(-k.convection[:, :2])
            rate -= first * jnp.repeat(k.convection[:, 2], self.n)[None]
        if k.diffusion is not None:
            d = jax.nn.softplus(k.diffusion)
            symbol = symbol.at[:, 3:6:2].add(d[:, :2])  # the squares; between them is the mixed derivative
            rate += second * jnp.repeat(d[:, 2], self.n)[None]
        if k.mixing is not None:
            rate += x @ self._between_copies(k.mixing)
        if k.convection is None and k.diffusion is None:
            return rate
        symbol *= jnp.asarray(self._scales, x.dtype)[None]
        return rate + oriented(self.jet, self.n, symbol[:, None], x).reshape(x.shape)

    def _morphology(self, k: _Coefficients, x: Signal) -> Signal:
        """Dilation and erosion: lengths of the gradient. Channels come first in between, as the products leave them."""
        dx, dy = (v.T for v in self.jet.gradient(x))
        about = self._about(x)[0].T
        angles = np.tile(2 * np.pi * np.arange(self.n) / self.n, self.copies)[:, None]
        cos, sin = (jnp.asarray(self._scales[1] * f(angles), x.dtype) for f in (np.cos, np.sin))
        squares = (cos * dx + sin * dy) ** 2, (cos * dy - sin * dx) ** 2, about**2

        def length(weights: Float[Array, "copies 3"]) -> Float[Array, "channels points"]:
            a = jnp.repeat(jax.nn.softplus(weights), self.n, axis=0)
            # Written as a sum that XLA fuses; the product of a contraction over so few would be slower.
            square = sum(a[:, i, None] * v for i, v in enumerate(squares))
            return jnp.sqrt(square + self.epsilon**2) - self.epsilon

        rate = jnp.zeros_like(about)
        if k.dilation is not None:
            rate += length(k.dilation)
        if k.erosion is not None:
            rate -= length(k.erosion)
        return rate.T

    @property
    def _scales(self) -> Float[np.ndarray, " jets"]:
        """What makes the coordinates of the jet derivatives in units of `sigma`."""
        # The Gaussian of a jet has the mass 2 pi, its coordinates have factors: both are taken out.
        return np.asarray([1 / (2 * np.pi * f) for row in jet_factors(self.jet.order) for f in row])

    def _about(self, x: Signal) -> tuple[Signal, Signal]:
        r"""$A_3 u$ and $A_3^2 u$."""
        circles = x.reshape(-1, self.n)
        first, second = (circles @ jnp.asarray(m.T, x.dtype) for m in _circle(self.n))
        return first.reshape(x.shape), second.reshape(x.shape)

    def _between_copies(self, matrix: Float[Array, "copies copies"]) -> Float[Array, "channels channels"]:
        return jnp.kron(matrix, jnp.eye(self.n, dtype=matrix.dtype))


def _circle(n: int) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """First and second derivative on n points of a circle, exact for the frequencies below n/2."""
    k = np.fft.fftfreq(n, 1 / n)
    waves = np.fft.fft(np.eye(n), axis=0)

    def derivative(symbol: np.ndarray) -> np.ndarray:
        return np.fft.ifft(symbol[:, None] * waves, axis=0).real

    # The highest frequency of an even n has no sign, and so no first derivative.
    return derivative(np.where(np.abs(k) < n / 2, 1j * k, 0)), derivative(-(k**2))
