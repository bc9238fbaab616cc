"""A rectangle of the plane, sampled at the centres of square pixels."""

import operator

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from .._types import Signal
from ._euclidean import Euclidean


class PixelGrid(eqx.Module):
    """The pixel centres p_ij = spacing (j - (W-1)/2, (H-1)/2 - i) of an H x W image centred at the origin of R^2.

    Row 0 is the top row: the first coordinate points to the right, the second up, and a positive angle turns
    anticlockwise, as on paper. A signal u over the grid is an array (H W, channels), one row of the image after the
    other. Integrals are sums with weight spacing^2: exact for constants, second order for smooth functions.
    """

    height: int = eqx.field(static=True, converter=operator.index)
    width: int = eqx.field(static=True, converter=operator.index)
    spacing: float = eqx.field(static=True, default=1.0, converter=float)

    def __check_init__(self) -> None:
        if self.height < 1 or self.width < 1 or not 0 < self.spacing < float("inf"):
            raise ValueError(
                "`PixelGrid(height, width, spacing)` takes two positive integers and a positive spacing; received "
                f"({self.height}, {self.width}, {self.spacing})."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height, self.width

    @property
    def size(self) -> int:
        """H W, the number of pixels."""
        return self.height * self.width

    @property
    def extent(self) -> tuple[float, float]:
        """The sides (vertical, horizontal) of the rectangle that the pixels tile."""
        return self.height * self.spacing, self.width * self.spacing

    @property
    def manifold(self) -> Euclidean:
        """The manifold sampled: the plane."""
        return Euclidean(2)

    @property
    def points(self) -> Float[np.ndarray, "points 2"]:
        """The pixel centres, in NumPy float64."""
        right = self.spacing * (np.arange(self.width) - (self.width - 1) / 2)
        up = self.spacing * ((self.height - 1) / 2 - np.arange(self.height))
        return np.stack([np.tile(right, self.height), np.repeat(up, self.width)], axis=1)

    @property
    def weights(self) -> Float[np.ndarray, " points"]:
        """The quadrature weights: the area of each pixel."""
        return np.full(self.size, self.spacing**2)

    def integrate(self, u: Signal) -> Float[Array, " channels"]:
        """The integral of each channel, sum_p w_p u(p)."""
        return jnp.asarray(self.weights, dtype=u.dtype) @ u

    def coarsen(self, to: int | tuple[int, int]) -> "PixelGrid":
        """The grid over the same rectangle with larger pixels: `to` is a factor, or the new shape (H', W').

        Raises a ValueError where the new pixels would not be square, or not larger.
        """
        if isinstance(to, tuple):
            height, width = to
        else:
            height, width = self.height // to, self.width // to
            if height * to != self.height or width * to != self.width:
                raise ValueError(f"A grid of shape {self.shape} cannot be divided by {to}. Pass the new shape instead.")
        if not (0 < height <= self.height and 0 < width <= self.width) or height * self.width != width * self.height:
            raise ValueError(
                f"A grid of shape {self.shape} cannot be coarsened to ({height}, {width}): the new shape should be "
                "smaller, with the same ratio of height to width, so that pixels stay square."
            )
        return PixelGrid(height, width, self.spacing * self.height / height)

    def flatten(self, image: Shaped[Array, "height width *channels"]) -> Shaped[Array, "points channels"]:
        """An image (H, W), (H, W, c), ... as a signal (H W, c); a grey image gets one channel."""
        if image.shape[:2] != self.shape:
            raise ValueError(
                f"An image over this grid has shape {self.shape} or {(*self.shape, 'channels')}; received "
                f"{image.shape}. Images are not batched: for a batch of them, use `jax.vmap`."
            )
        return image.reshape(self.size, -1)

    def unflatten(self, u: Shaped[Array, "points channels"]) -> Shaped[Array, "height width channels"]:
        """A signal (H W, c) as an image (H, W, c)."""
        if u.shape[0] != self.size:
            raise ValueError(f"A signal over this grid has {self.size} rows; received shape {u.shape}.")
        return u.reshape(self.height, self.width, -1)

    def permutation(self, matrix: Float[np.ndarray, "2 2"]) -> Int[np.ndarray, " points"] | None:
        """The index of g^-1 p for each pixel p, so that (g u)(p) = u(g^-1 p) is `u[index]`; None if g moves the grid.

        g maps the grid to itself when g^-1 takes every centre to within 1e-9 pixels of a centre, one to one.
        """
        sources = self.points @ np.linalg.inv(np.asarray(matrix, dtype=np.float64)).T / self.spacing
        columns = sources[:, 0] + (self.width - 1) / 2
        rows = (self.height - 1) / 2 - sources[:, 1]
        i, j = np.rint(rows), np.rint(columns)
        on_grid = (np.abs(rows - i) < 1e-9) & (np.abs(columns - j) < 1e-9)
        inside = (i >= 0) & (i < self.height) & (j >= 0) & (j < self.width)
        index = (i * self.width + j).astype(int)
        if not np.all(on_grid & inside) or np.unique(index).size != self.size:
            return None
        return index
