"""Images turned and deformed anew each time they are seen in training."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._errors import TaskError
from ._fit import Loss


def augmented(loss: Loss, *, turns: bool = True, deform: float = 0.0) -> Loss:
    r"""`loss` on a batch (images, labels) whose images are first moved, each anew:

    $$ v(x) = u\bigl((I + \delta N)\, R(-a)\, x + \delta\, c\bigr), $$

    bilinear between pixels, zero outside.

    **Arguments:** `turns`: angles a from U[0, 2 pi), otherwise 0; `deform`: $\delta$; the matrix N is of standard normal
    numbers, c of normal numbers with a quarter of the side for their standard deviation.

    **Raises:** `TaskError` for a negative or infinite `deform`.
    """
    if not 0 <= deform < math.inf:
        raise TaskError(f"deform is {deform}; expected 0, for images as they are, or more: .1 is a lot.")

    def moved(model: Any, batch: tuple[Array, Array], key: PRNGKeyArray) -> Array:
        images, labels = batch
        n, side = images.shape[:2]
        angle_key, rest = jax.random.split(key)
        matrices = jnp.broadcast_to(jnp.eye(2, dtype=images.dtype), (n, 2, 2))
        shifts = jnp.zeros((n, 2), images.dtype)
        if turns:
            angles = jax.random.uniform(angle_key, (n,), images.dtype, maxval=2 * jnp.pi)
            c, s = jnp.cos(angles), jnp.sin(angles)
            matrices = jnp.stack([jnp.stack([c, s], 1), jnp.stack([-s, c], 1)], 1)
        if deform:
            one, two = jax.random.split(jax.random.fold_in(angle_key, 1))
            matrices += deform * jax.random.normal(one, (n, 2, 2), images.dtype) @ matrices
            shifts += deform * side / 4 * jax.random.normal(two, (n, 2), images.dtype)
        return loss(model, (jax.vmap(_moved)(images, matrices, shifts), labels), rest)

    return moved


def _moved(
    image: Float[Array, "height width *channels"], matrix: Float[Array, "2 2"], shift: Float[Array, "2"]
) -> Float[Array, "height width *channels"]:
    """v(x) = u(matrix x + shift): x to the right, y up, from the centre of the image, in pixels."""
    if image.ndim == 3:
        return jax.vmap(_moved, (2, None, None), 2)(image, matrix, shift)
    height, width = image.shape
    x = (jnp.arange(width, dtype=image.dtype) - (width - 1) / 2)[None, :]
    y = ((height - 1) / 2 - jnp.arange(height, dtype=image.dtype))[:, None]
    column = (width - 1) / 2 + matrix[0, 0] * x + matrix[0, 1] * y + shift[0]
    row = (height - 1) / 2 - matrix[1, 0] * x - matrix[1, 1] * y - shift[1]
    i, j = jnp.floor(row), jnp.floor(column)
    p, q = row - i, column - j
    padded = jnp.pad(image, 1)

    def at(down: int, right: int) -> Array:
        # Beyond the border the padding answers: zero.
        k = jnp.clip(i.astype(jnp.int32) + (1 + down), 0, height + 1)
        m = jnp.clip(j.astype(jnp.int32) + (1 + right), 0, width + 1)
        return padded[k, m]

    return (1 - p) * ((1 - q) * at(0, 0) + q * at(0, 1)) + p * ((1 - q) * at(1, 0) + q * at(1, 1))
