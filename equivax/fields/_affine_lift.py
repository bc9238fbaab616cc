"""Signals seen at other scales and stretched: one layer, of the signal moved by several linear maps of the plane."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._types import LinearMap, Signal
from ._moved_jet import MovedJet, linear_map
from ._steerable import SteerableLayer

# The factor between two scales, and the ratio of the axes of an ellipse that a stretch makes of a circle.
STEP = 2.0**0.5


def _linear_maps(maps: Sequence[LinearMap | Float[ArrayLike, "2 2"]]) -> tuple[LinearMap, ...]:
    return tuple(map(linear_map, maps))


class AffineLift(eqx.Module):
    r"""A layer of signals, of the signal moved by several linear maps about the centre at once:

    $$ (L u)_A = \ell(T_A u), \qquad (T_A u)(x) = u(A^{-1} x), \qquad\text{so}\quad (L\, T_B u)_A = (L u)_{A B}. $$

    Moving the signal by B permutes the looks, as far as A B is among the maps; moving it by an element g of the group of
    $\ell$ takes the look A to the look $g A g^{-1}$, and turns it. With all later maps the same for each look these are regular
    features of the group that the maps generate together with that of $\ell$. Modulo turns on the left the linear maps
    are scales times positive matrices of determinant one, the hyperbolic plane of stretches: `looks` are a few of its
    points around the middle. (Worrall, Welling, *Deep scale-spaces*, NeurIPS 2019, for scales: a finite range is a
    semigroup.) Nothing is interpolated: see `MovedJet`.

    - `layer`: $\ell$, whose target grid lies about the centre. - `maps`: the matrices A, see `looks`.

    `u` is `(source.size, rep_in.dim)`, the result `(maps, target.size, rep_out.dim)`.

    **Raises:** `ValueError` for no map at all, and where a Gaussian slips between the pixels (see `MovedJet`).
    """

    layer: SteerableLayer
    maps: tuple[LinearMap, ...] = eqx.field(static=True, converter=_linear_maps)

    def __check_init__(self):
        if not self.maps:
            raise ValueError("An AffineLift needs at least one map; for the signal itself pass `looks(1)`.")
        self.jets()

    def jets(self) -> tuple[MovedJet, ...]:
        """The jet of the signal as each map has moved it."""
        return tuple(MovedJet(self.layer.operator.jet, A) for A in self.maps)

    def __call__(self, u: Signal) -> Float[Array, "maps points channels"]:
        return jax.vmap(self.layer.of_jets)(jnp.stack([jet(u) for jet in self.jets()]))


def looks(scales: int, *, stretched: bool = False) -> tuple[LinearMap, ...]:
    r"""Changes of scale $1, \sqrt2, 2, \dots$, `scales` of them; `stretched`, each of them alone and after four stretches.

    $$ P_\theta = \cosh s\; I + \sinh s
       \begin{pmatrix} \cos 2\theta & \sin 2\theta \\ \sin 2\theta & -\cos 2\theta \end{pmatrix}, \quad
       \theta = 0°, 45°, 90°, 135°, \quad e^{2s} = \sqrt2 $$

    stretches by $e^s$ along the direction $\theta$ and by $e^{-s}$ across, so that $P_{\theta + 90°} = P_\theta^{-1}$: the axes
    of an ellipse differ by as much as two scales do, and areas stay. The identity comes first. Turns by eighths and
    reflections permute the stretches, $g P_\theta g^{-1} = P_{g \theta}$, so that the largest over all looks of what is
    invariant under $C_8$ or $D_8$ is so, too.

    **Raises:** `ValueError` for less than one scale.
    """
    if scales < 1:
        raise ValueError(f"The signal is looked at in at least one scale, received scales={scales}.")
    s = math.log(STEP) / 2
    # Twice the angle goes around once where the direction goes around half: four points of the hyperbolic plane.
    around = [(1, 0), (0, 1), (-1, 0), (0, -1)] if stretched else []
    stretches = [math.cosh(s) * np.eye(2) + math.sinh(s) * np.array([[x, y], [y, -x]]) for x, y in around]
    return _linear_maps([STEP**k * P for k in range(scales) for P in (np.eye(2), *stretches)])
