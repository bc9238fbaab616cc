"""Convection, diffusion, dilation and erosion on the space of positions and orientations."""

from collections.abc import Iterable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from .._types import Key, RealScalar, Signal
from ..geometry import PixelGrid
from ..symmetry import Cyclic, SignalAction, regular
from ._field import AbstractField
from ._jets import GaussianJet, jet_factors
from ._knots import Knots
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
        jets, rate, parts = self._jets(x), jnp.zeros_like(x), set(self.parts)
        if parts & {"convection", "diffusion", "mixing"}:
            rate += self._linear(k, x, jets)
        if parts & {"dilation", "erosion"}:
            rate += self._morphology(k, x, jets)
        if "reaction" in parts:
            V = self._between_copies(k.reaction).reshape(x.shape[-1], x.shape[-1])
            rate += jax.nn.silu(x @ V + jnp.repeat(k.bias, self.n)[None])
        return rate if self.window is None else rate * jnp.asarray(self.window(self.jet.source), x.dtype)

    def _linear(self, k: _Coefficients, x: Signal, jets: Float[Array, "jets points channels"]) -> Signal:
        """What is linear: a number for each derivative in the plane and channel, and a matrix over the fibre."""
        rate, fibre = jnp.zeros_like(x), jnp.zeros((self.copies, self.n, self.copies, self.n), x.dtype)
        turn, twice = (jnp.asarray(m, x.dtype) for m in _circle(self.n))
        if k.convection is not None:
            rate -= _weighted(self._vector(k.convection), jets[1:3])
            fibre -= self._on_each_copy(k.convection[:, 2], turn)
        if k.diffusion is not None:
            d = jax.nn.softplus(k.diffusion)
            rate += _weighted(self._form(d), jets[3:])
            fibre += self._on_each_copy(d[:, 2], twice)
        if k.mixing is not None:
            fibre += self._between_copies(k.mixing)
        return rate + x @ fibre.reshape(x.shape[-1], x.shape[-1])

    def _morphology(self, k: _Coefficients, x: Signal, jets: Float[Array, "jets points channels"]) -> Signal:
        """Dilation and erosion: lengths of the gradient."""
        (dx, dy), turn = jets[1:3], jnp.asarray(_circle(self.n)[0], x.dtype)
        about = (x.reshape(-1, self.n) @ turn.T).reshape(x.shape)
        squares, rate = (dx**2, dx * dy, dy**2, about**2), jnp.zeros_like(x)
        if k.dilation is not None:
            rate += self._length(k.dilation, squares)
        if k.erosion is not None:
            rate -= self._length(k.erosion, squares)
        return rate

    def _jets(self, x: Signal) -> Float[Array, "jets points channels"]:
        """Derivatives along x and y in units of `sigma`: u, u_x, u_y, then u_xx, u_xy, u_yy where diffusion wants them."""
        # The Gaussian of a jet has the mass 2 pi, its coordinates have factors: both are taken out.
        factors = [1 / (2 * np.pi * f) for row in jet_factors(self.jet.order) for f in row]
        return self.jet(x) * jnp.asarray(factors, x.dtype)[:, None, None]

    def _vector(self, c: Float[Array, "copies 3"]) -> Float[Array, "2 channels"]:
        r"""$c_1 A_1 + c_2 A_2$ along x and y."""
        cos, sin = self._axes(c.dtype)
        one, two = c[:, :1], c[:, 1:2]
        return jnp.stack([one * cos - two * sin, one * sin + two * cos]).reshape(2, -1)

    def _form(self, d: Float[Array, "copies 3"]) -> Float[Array, "3 channels"]:
        r"""$d_1 A_1^2 + d_2 A_2^2$ along xx, xy and yy."""
        cos, sin = self._axes(d.dtype)
        one, two = d[:, :1], d[:, 1:2]
        form = [one * cos**2 + two * sin**2, 2 * cos * sin * (one - two), one * sin**2 + two * cos**2]
        return jnp.stack(form).reshape(3, -1)

    def _length(
        self, weights: Float[Array, "copies 3"], squares: Sequence[Float[Array, "points channels"]]
    ) -> Float[Array, "points channels"]:
        a = jax.nn.softplus(weights)
        form = jnp.concatenate([self._form(a), jnp.repeat(a[:, 2], self.n)[None]])
        return jnp.sqrt(_weighted(form, squares) + self.epsilon**2) - self.epsilon

    def _axes(self, dtype: DTypeLike) -> tuple[Float[Array, "1 n"], Float[Array, "1 n"]]:
        angles = 2 * np.pi * np.arange(self.n)[None] / self.n
        return jnp.asarray(np.cos(angles), dtype), jnp.asarray(np.sin(angles), dtype)

    def _between_copies(self, matrix: Float[Array, "copies copies"]) -> Float[Array, "copies n copies n"]:
        return jnp.einsum("cd,mn->cmdn", matrix, jnp.eye(self.n, dtype=matrix.dtype))

    def _on_each_copy(
        self, c: Float[Array, " copies"], matrix: Float[Array, "n n"]
    ) -> Float[Array, "copies n copies n"]:
        """A matrix along the circle, times a number for each copy, to be multiplied from the left."""
        return jnp.einsum("c,cd,mn->cndm", c, jnp.eye(self.copies, dtype=c.dtype), matrix)


def _weighted(
    weights: Float[Array, "k channels"], signals: Iterable[Float[Array, "points channels"]]
) -> Float[Array, "points channels"]:
    # Written as sums that XLA fuses; the products of a contraction over so few would be slower.
    return sum((w[None] * v for w, v in zip(weights, signals, strict=True)), jnp.zeros((), weights.dtype))


def _circle(n: int) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """First and second derivative on n points of a circle, exact for the frequencies below n/2."""
    k = np.fft.fftfreq(n, 1 / n)
    waves = np.fft.fft(np.eye(n), axis=0)

    def derivative(symbol: np.ndarray) -> np.ndarray:
        return np.fft.ifft(symbol[:, None] * waves, axis=0).real

    # The highest frequency of an even n has no sign, and so no first derivative.
    return derivative(np.where(np.abs(k) < n / 2, 1j * k, 0)), derivative(-(k**2))
