"""Images turned anew each time they are seen in training."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._fit import Loss


def turned(loss: Loss) -> Loss:
    """`loss` on a batch (images, labels) whose images are first turned, each by a new angle from U[0, 2 pi)."""

    def augmented(model: Any, batch: tuple[Array, Array], key: PRNGKeyArray) -> Array:
        images, labels = batch
        angle_key, rest = jax.random.split(key)
        angles = jax.random.uniform(angle_key, (images.shape[0],), images.dtype, maxval=2 * jnp.pi)
        return loss(model, (jax.vmap(_turn)(images, angles), labels), rest)

    return augmented


def _turn(
    image: Float[Array, "height width *channels"], angle: Float[Array, ""]
) -> Float[Array, "height width *channels"]:
    if image.ndim == 3:
        return jax.vmap(_turn, (2, None), 2)(image, angle)
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
