"""Turning an image inside a compiled function."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def turn(
    image: Float[Array, "height width *channels"], angle: Float[Array, ""]
) -> Float[Array, "height width *channels"]:
    """The image u turned counter-clockwise by an angle a about its centre, v(x) = u(R(-a) x): bilinear, zero outside.

    What `data.rotate` does to many images in NumPy, for compiled functions.
    """
    if image.ndim == 3:
        return jax.vmap(turn, (2, None), 2)(image, angle)
    height, width = image.shape
    x = jnp.arange(width, dtype=image.dtype) - (width - 1) / 2
    y = (height - 1) / 2 - jnp.arange(height, dtype=image.dtype)
    c, s = jnp.cos(angle), jnp.sin(angle)
    x, y = x[None, :], y[:, None]
    row, column = (height - 1) / 2 + s * x - c * y, (width - 1) / 2 + c * x + s * y
    i, j = jnp.floor(row), jnp.floor(column)
    p, q = row - i, column - j
    padded = jnp.pad(image, 1)

    def at(down: int, right: int) -> Array:
        # Beyond the border the padding answers: zero.
        k = jnp.clip(i.astype(jnp.int32) + (1 + down), 0, height + 1)
        m = jnp.clip(j.astype(jnp.int32) + (1 + right), 0, width + 1)
        return padded[k, m]

    return (1 - p) * ((1 - q) * at(0, 0) + q * at(0, 1)) + p * ((1 - q) * at(1, 0) + q * at(1, 1))
