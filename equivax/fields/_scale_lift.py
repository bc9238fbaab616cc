"""Signals lifted to scales: one layer, at ever narrower Gaussians on ever smaller grids about the centre."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Signal
from ..geometry import PixelGrid
from ._jets import GaussianJet
from ._steerable import SteerableLayer

# The factor between two scales.
STEP = 2.0**0.5


class ScaleLift(eqx.Module):
    r"""A layer of signals, of the signal enlarged about the centre by $1, \sqrt2, 2, \dots$ at once:

    $$ (L u)_k = \ell(D^k u), \qquad (D u)(x) = u(x / \sqrt 2), \qquad 0 \le k < n, \qquad\text{so}\quad
       (L\, D u)_k = (L u)_{k+1}. $$

    A change of scale becomes a shift along $k$: with rotations about the centre in $\ell$, and all later maps the same for
    each k, these are regular features of the similarities, as far as a shift stays between the ends. (Worrall, Welling,
    *Deep scale-spaces*, NeurIPS 2019: dilations of a finite range are a semigroup.) Nothing is interpolated: Gaussian jets
    are scale-free, so $\ell(D^k u)$ is $\ell$ itself with its Gaussian and its grid $\sqrt2^{\,k}$ times as narrow.

    - `layer`: $\ell$, whose target grid lies about the centre. - `scales`: $n$.

    `u` is `(source.size, rep_in.dim)`, the result `(scales, target.size, rep_out.dim)`.

    **Raises:** `ValueError` where the narrowest Gaussian slips between the pixels (see `GaussianJet`).
    """

    layer: SteerableLayer
    scales: int = eqx.field(static=True)

    def __check_init__(self):
        if self.scales < 1:
            raise ValueError(f"A ScaleLift needs at least one scale, received scales={self.scales}.")
        self.jets()

    def jets(self) -> tuple[GaussianJet, ...]:
        """The jet of each scale."""
        jet, target = self.layer.operator.jet, self.layer.target
        narrowed = (STEP**-k for k in range(self.scales))
        return tuple(
            dataclasses.replace(
                jet,
                target=PixelGrid(*target.shape, s * target.spacing),
                sigma=s * jet.sigma,
                reach=None if jet.reach is None else s * jet.reach,
            )
            for s in narrowed
        )

    def __call__(self, u: Signal) -> Float[Array, "scales points channels"]:
        return jnp.stack([self.layer.of_jets(jet(u)) for jet in self.jets()])
