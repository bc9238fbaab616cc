"""The action on signals over a pixel grid: exact where the grid is mapped to itself, interpolated elsewhere."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.ndimage
import numpy as np
from jaxtyping import Array, Float

from .._types import AlgebraElement, Element, Signal
from ..geometry import AbstractManifold, Euclidean, PixelGrid
from ._action import AbstractAction
from ._group import AbstractGroup, GroupError
from ._rep import AbstractRep


class SignalAction(AbstractAction):
    r"""The action on fields of features over the plane, sampled on a grid:

    $$ (g \cdot u)(x) = \rho(g)\, u(g^{-1} x), \qquad u : \text{points} \to \mathbb{R}^{\dim \rho}. $$

    A signal is an array `(points, dim)`. An element given as a NumPy array that maps the grid to itself (quarter turns
    and flips of a square) permutes pixels: exact. Any other is interpolated, bilinearly, with zero outside the grid,
    at an error of second order in the spacing; so is every element under tracing, whose value is not known.
    """

    rep: AbstractRep = eqx.field(static=True)
    grid: PixelGrid

    def __init__(self, rep: AbstractRep, grid: PixelGrid):
        if rep.group.d != 2:
            raise GroupError(
                f"Signals on a pixel grid need a group of 2 x 2 matrices; {rep.group} has d={rep.group.d}."
            )
        self.rep, self.grid = rep, grid

    @property
    def group(self) -> AbstractGroup:
        """The group of the fibre's representation."""
        return self.rep.group

    @property
    def space(self) -> AbstractManifold:
        r"""Signals form the vector space $\mathbb{R}^{\text{points} \times \dim}$."""
        return Euclidean((self.grid.size, self.rep.dim))

    def __call__(self, g: Element, u: Signal) -> Signal:
        return self._move(g, u) @ jnp.asarray(self.rep.rho(g), u.dtype).T

    def generator(self, xi: AlgebraElement, u: Signal) -> Signal:
        r"""The rate $d\rho(\xi)\, u - (\xi x) \cdot \nabla u$, by central differences with zero outside: second order.

        (Bilinear interpolation has no derivative at the pixels: its one-sided slopes would prefer one side.)
        """
        image = jnp.pad(self.grid.unflatten(u), ((1, 1), (1, 1), (0, 0)))
        right = (image[1:-1, 2:] - image[1:-1, :-2]) / (2 * self.grid.spacing)
        up = (image[:-2, 1:-1] - image[2:, 1:-1]) / (2 * self.grid.spacing)
        slopes = jnp.stack([self.grid.flatten(right), self.grid.flatten(up)])
        velocity = jnp.asarray(self.grid.points, u.dtype) @ jnp.asarray(xi, u.dtype).T
        return u @ jnp.asarray(self.rep.drho(xi), u.dtype).T - jnp.einsum("pi,ipc->pc", velocity, slopes)

    def _move(self, g: Element, u: Signal) -> Signal:
        if isinstance(g, np.ndarray) and (source := self.grid.permutation(g)) is not None:
            return u[jnp.asarray(source)]
        inverse = jnp.asarray(self.group.inverse(g), u.dtype)
        return interpolate(u, self.grid, jnp.asarray(self.grid.points, u.dtype) @ inverse.T)


def interpolate(u: Signal, grid: PixelGrid, x: Float[Array, "n 2"]) -> Float[Array, "n channels"]:
    """The values of a signal at arbitrary points of the plane, bilinear between pixels, zero outside the grid."""
    height, width = grid.shape
    column = x[:, 0] / grid.spacing + (width - 1) / 2
    row = (height - 1) / 2 - x[:, 1] / grid.spacing
    images = jnp.moveaxis(grid.unflatten(u), -1, 0)
    channels = [jax.scipy.ndimage.map_coordinates(image, [row, column], order=1) for image in images]
    return jnp.stack(channels, axis=-1)
