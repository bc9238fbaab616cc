"""Images turned on a larger canvas, so that nothing is cut off, and what was found there turned back."""

import numpy as np
import scipy.ndimage
from jaxtyping import Float

from ..symmetry import rotation


def turn(image: Float[np.ndarray, "height width channels"], angle: float) -> Float[np.ndarray, "_ _ channels"]:
    """v(x) = u(R(-angle) x) about the centre, by cubic splines, on a canvas that holds all of u; mirrored around it.

    A positive angle turns anticlockwise.
    """
    h, w = image.shape[:2]
    c, s = abs(np.cos(angle)), abs(np.sin(angle))
    # A quarter turn in floating point is not quite one: what a thousandth of a pixel sticks out by is let go.
    canvas = (int(np.ceil(h * c + w * s - 1e-3)), int(np.ceil(w * c + h * s - 1e-3)))
    return _sampled(image, canvas, -angle, order=3)


def turn_back(
    turned: Float[np.ndarray, "_ _ channels"], angle: float, shape: tuple[int, int]
) -> Float[np.ndarray, "height width channels"]:
    """What `turn` did to an image of `shape`, undone, bilinear between pixels."""
    return _sampled(turned, shape, angle, order=1)


def _sampled(u: np.ndarray, shape: tuple[int, int], angle: float, order: int) -> np.ndarray:
    """`u` at the pixels of a grid of `shape`, turned by `angle`, both about their centres."""
    down, right = (np.arange(n) - (n - 1) / 2 for n in shape)
    # From the centre, x to the right and y upwards.
    points = np.stack(np.meshgrid(right, -down), axis=-1) @ rotation(angle).T
    places = ((u.shape[0] - 1) / 2 - points[..., 1], (u.shape[1] - 1) / 2 + points[..., 0])
    channels = [
        scipy.ndimage.map_coordinates(u[..., k], places, order=order, mode="reflect") for k in range(u.shape[-1])
    ]
    return np.stack(channels, axis=-1).astype(u.dtype)
