"""Jets of signals: all derivatives up to an order, by Gaussian-derivative stencils, from one grid to another."""

import dataclasses
import functools
import math
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.special
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from numpy.polynomial import hermite_e

from .._types import Signal
from ..geometry import PixelGrid
from ..symmetry import SO, defining, rotation

M = TypeVar("M")

# Up to this many entries the jet operator is one dense matrix product, the fastest thing a CPU does; beyond it, two small
# products along rows and columns, which do a tenth of the arithmetic. Both give the same numbers. Measured on two cores
# with 64 channels: dense wins at 7 x 7 pixels, the axes win by 10 % of a training step at 14 x 14.
DENSE_ENTRIES = 100_000


class GaussianJet(eqx.Module):
    r"""The Gaussian jet of a signal, $u \mapsto (\partial^\alpha (G_\sigma * u))_{|\alpha| \le K}$, sampled on another grid.

    $$ J_{k a}\, u(p) = c_k \sqrt{\tbinom{k}{a}}\; \sigma^k\, \partial_x^{k-a} \partial_y^a (G_\sigma * u)(p),
       \qquad 0 \le a \le k \le K $$

    The coordinates of order $k$ are those of $\mathrm{Sym}^k \mathbb{R}^2$ in its orthonormal basis, so that rotations mix
    them by `defining(G).sym(k)`. The factors $\sigma^k$ make derivatives scale-free (Lindeberg, *Scale-space theory*,
    1994) and $c_k$ gives every order the same mean energy on white noise; neither depends on the grid, so refining it
    converges to the continuous operator, spectrally fast once $\sigma$ exceeds the spacing.

    - `source`, `target`: the grids of the input and the output; a coarser target is an equivariant down-sampling,
      a single point the jet at the centre.
    - `order`: $K$. - `sigma`: the width of the Gaussian, in the units of the grids' spacing.
    - `reach`: how far along each axis a derivative sees, in the same units; `None` for the whole grid. Beyond five widths there
      is nothing to see in single precision; a shorter reach makes the jet a convolution with small filters, of which other
      libraries are made, at the price of the order of convergence.
    - `mirror`: outside the grid the signal is its mirror image, so that a constant stays one; if not, it is zero.
    - `turn`: the angle $\theta$ of the axes along which derivatives are taken, anticlockwise. $J_k$ becomes
      $\mathrm{Sym}^k R(-\theta)\, J_k$, the jet of the signal turned by $-\theta$, and no pixel is interpolated.

    `u` is `(source.size, channels)`; the result `(jets, target.size, channels)` with $(K+1)(K+2)/2$ jets.
    """

    source: PixelGrid
    target: PixelGrid
    order: int = eqx.field(static=True)
    sigma: float = eqx.field(static=True)
    mirror: bool = eqx.field(static=True, default=False)
    reach: float | None = eqx.field(static=True, default=None)
    turn: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if self.order < 0 or self.sigma <= 0:
            raise ValueError(f"A jet needs order >= 0 and sigma > 0, received order={self.order}, sigma={self.sigma}.")
        if self.reach is not None and self.reach < 0:
            raise ValueError(f"A jet sees as far as reach >= 0, or everything (None); received reach={self.reach}.")
        if self.sigma < 0.4 * self.source.spacing:
            raise ValueError(
                f"sigma={self.sigma} is under 0.4 of the grid's spacing {self.source.spacing}: the stencil would miss the "
                "Gaussian between pixels. Use a wider sigma or a finer grid."
            )

    @property
    def size(self) -> int:
        """The number of jet coordinates, $(K+1)(K+2)/2$."""
        return (self.order + 1) * (self.order + 2) // 2

    def __call__(self, u: Signal) -> Float[Array, "jets points channels"]:
        if self._is_small:
            matrix = jnp.asarray(dense_jet(*self._key, self.turn), u.dtype)
            return (matrix @ u).reshape(self.size, self.target.size, u.shape[-1])
        return self._separable(u)

    def gradient(self, u: Signal) -> tuple[Signal, Signal]:
        r"""The two coordinates of first order, $J_{10} u$ and $J_{11} u$, of a jet that has them."""
        if 2 * self.source.size * self.target.size > DENSE_ENTRIES:
            _, x, y, *_ = self(u)
            return x, y
        # From the right, with channels first: for a batch of signals that is one product, and no data are moved.
        along_x, along_y = (jnp.asarray(m.T, u.dtype) for m in self.matrices[1:3])
        return (u.T @ along_x).T, (u.T @ along_y).T

    def _separable(self, u: Signal) -> Float[Array, "jets points channels"]:
        along_x, along_y = (jnp.asarray(m, u.dtype) for m in along_axes(*self._key))
        image = self.source.unflatten(u)
        factors = jet_factors(self.order)
        by_order: dict[tuple[int, int], Array] = {}
        for a in range(self.order + 1):
            rows = jnp.tensordot(along_y[a], image, 1)  # (height, source width, channels)
            columns = jnp.einsum("apq,hqc->ahpc", along_x[: self.order + 1 - a], rows)
            by_order |= {(a + b, a): columns[b] * factors[a + b][a] for b in range(self.order + 1 - a)}
        jets = [by_order[k, a] for k in range(self.order + 1) for a in range(k + 1)]
        stacked = jnp.stack(jets).reshape(self.size, self.target.size, u.shape[-1])
        return stacked if self.turn == 0 else jnp.einsum("jk,kpc->jpc", self._axes(u.dtype), stacked)

    def contract(self, v: Float[Array, "jets points channels"]) -> Signal:
        r"""$\sum_{k a} J_{k a} v_{k a}$: every jet coordinate of a signal of its own, added up on the target.

        Derivatives commute with what mixes the channels at each point. Where the target has more points than the source, it
        is cheaper to mix first.
        """
        if self._is_small:
            return jnp.einsum("kpq,kqc->pc", jnp.asarray(self.matrices, v.dtype), v)
        if self.turn != 0:
            v = jnp.einsum("jk,jpc->kpc", self._axes(v.dtype), v)
        along_x, along_y = (jnp.asarray(m, v.dtype) for m in along_axes(*self._key))
        images, factors = v.reshape(self.size, *self.source.shape, v.shape[-1]), jet_factors(self.order)
        total = jnp.zeros((), v.dtype)
        for a in range(self.order + 1):
            orders = range(a, self.order + 1)
            of_order = jnp.stack([images[k * (k + 1) // 2 + a] * factors[k][a] for k in orders])
            columns = jnp.einsum("bpq,bhqc->hpc", along_x[: self.order + 1 - a], of_order)
            total = total + jnp.tensordot(along_y[a], columns, 1)
        return total.reshape(self.target.size, v.shape[-1])

    @property
    def matrices(self) -> Float[np.ndarray, "jets points source"]:
        """Each coordinate of the jet as a matrix, in float64."""
        return dense_jet(*self._key, self.turn).reshape(self.size, self.target.size, self.source.size)

    @property
    def _is_small(self) -> bool:
        return self.size * self.source.size * self.target.size <= DENSE_ENTRIES

    @property
    def _key(self) -> tuple[PixelGrid, PixelGrid, int, float, bool, float | None]:
        return self.source, self.target, self.order, self.sigma, self.mirror, self.reach

    def _axes(self, dtype: DTypeLike) -> Float[Array, "jets jets"]:
        return jnp.asarray(turned_axes(self.order, self.turn), dtype)


def in_turned_frame(model: M, angle: float) -> M:
    r"""$F_\theta = T_\theta\, F\, T_\theta^{-1}$: a model of signals, in a frame turned by an angle about the centre.

    $T_\theta u\,(x) = u(R(-\theta)\, x)$ turns signals and leaves their fibres alone. Every `GaussianJet` takes its
    derivatives along axes turned by $\theta$ and all else stays, so that no pixel is interpolated. For an equivariant model of
    images to masks or to classes, whose fibres are trivial, $F_\theta$ is $F$ again for the turns of its group, as far as
    pixels allow; an average of $F_\theta$ over angles between two of them is equivariant under a group that has more.

    - `model`: any pytree whose derivatives are Gaussian jets, and which is isotropic but for them.
    """

    def turned(part: Any) -> Any:
        return dataclasses.replace(part, turn=part.turn + angle) if isinstance(part, GaussianJet) else part

    return jax.tree.map(turned, model, is_leaf=lambda part: isinstance(part, GaussianJet))


@functools.lru_cache(maxsize=64)
def turned_axes(order: int, angle: float) -> Float[np.ndarray, "jets jets"]:
    r"""From jets along the axes to jets along axes turned by $\theta$, the blocks $\mathrm{Sym}^k R(-\theta)$, in float64."""
    vectors, R = defining(SO(2)), rotation(-angle)
    return scipy.linalg.block_diag(*(vectors.sym(k).rho(R) for k in range(order + 1)))


def jet_factors(order: int) -> list[list[float]]:
    r"""$c_k \sqrt{\binom{k}{a}}$ for each order $k$ and each $a$."""
    rows = []
    for k in range(order + 1):
        # |d^a exp(-y^2/2)|^2 = Gamma(a + 1/2): the energy of each component on white noise, averaged over the order.
        energy = [
            math.comb(k, a) * scipy.special.gamma(a + 0.5) * scipy.special.gamma(k - a + 0.5) for a in range(k + 1)
        ]
        rows.append([math.sqrt(math.comb(k, a) / np.mean(energy)) for a in range(k + 1)])
    return rows


@functools.lru_cache(maxsize=64)
def along_axes(
    source: PixelGrid, target: PixelGrid, order: int, sigma: float, mirror: bool = False, reach: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian derivatives along x and along y, each `(order + 1, target pixels, source pixels)`, in float64."""

    def axis(n_source: int, n_target: int, sign: float) -> np.ndarray:
        # Beyond nine sigma from the last target nothing is left of the Gaussian in float64.
        outside = max(0.0, n_target * target.spacing - n_source * source.spacing) / 2 + 9 * sigma
        beyond = math.ceil(outside / source.spacing) if mirror else 0
        s = sign * (np.arange(-beyond, n_source + beyond) - (n_source - 1) / 2) * source.spacing
        t = sign * (np.arange(n_target) - (n_target - 1) / 2) * target.spacing
        distance = (s[None, :] - t[:, None]) / sigma
        gauss = np.exp(-(distance**2) / 2) * (source.spacing / sigma)
        if reach is not None:
            gauss = np.where(np.abs(distance) * sigma <= reach + 1e-9 * source.spacing, gauss, 0.0)
        stencil = np.stack([hermite_e.hermeval(distance, np.eye(order + 1)[a]) * gauss for a in range(order + 1)])
        if not mirror:
            return stencil
        folded = np.zeros((order + 1, n_target, n_source))
        # Pixels i and -1 - i show the same, and so do those as far on either side of the last border.
        index = np.arange(-beyond, n_source + beyond) % (2 * n_source)
        for column, i in enumerate(np.minimum(index, 2 * n_source - 1 - index)):
            folded[..., i] += stencil[..., column]
        return folded

    # Rows run downwards while y points upwards.
    return axis(source.shape[1], target.shape[1], 1.0), axis(source.shape[0], target.shape[0], -1.0)


@functools.lru_cache(maxsize=64)
def dense_jet(
    source: PixelGrid,
    target: PixelGrid,
    order: int,
    sigma: float,
    mirror: bool = False,
    reach: float | None = None,
    turn: float = 0.0,
) -> np.ndarray:
    """The whole jet operator as one matrix, `(jets * target.size, source.size)`, in float64."""
    along_x, along_y = along_axes(source, target, order, sigma, mirror, reach)
    factors = jet_factors(order)
    blocks = [factors[k][a] * np.kron(along_y[a], along_x[k - a]) for k in range(order + 1) for a in range(k + 1)]
    if turn != 0:
        blocks = list(np.tensordot(turned_axes(order, turn), blocks, 1))
    return np.concatenate(blocks)
