"""The loss of segmentation: cross-entropy with classes in balance, and soft Dice, on random crops."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from ._fit import Loss


def class_weights(masks: tuple[np.ndarray, ...], classes: int, power: float) -> Float[np.ndarray, " classes"]:
    r"""What a pixel of each class counts, $w_c \propto f_c^{-p}$ with the frequencies f in `masks`; 1 in the mean of pixels."""
    counts = np.sum([np.bincount(mask.ravel(), minlength=classes) for mask in masks], axis=0)
    f = np.maximum(counts, 1) / counts.sum()
    w = f**-power
    return (w / (f @ w)).astype(np.float32)


def segmentation_loss(weights: Float[np.ndarray, " classes"], tile: int, *, dice: float, turned: bool = False) -> Loss:
    r"""The loss on a batch of pieces of twice a tile (`cut`), of each of which a random crop is taken,

    $$ -\sum_p w_{y(p)} \log q_{y(p)}(p) + \lambda\, \Bigl(1 - \operatorname{mean}_c
       \frac{2 \sum_p q_c y_c + 1}{\sum_p (q_c + y_c) + 1}\Bigr), \qquad q = \operatorname{softmax}, $$

    the first sum as a mean over pixels, the second part over the classes that the batch has. With `turned` each crop is also
    turned, by an angle from U[0, 2 pi): images bilinear, masks by their nearest pixel.
    """

    def loss(model: Any, batch: tuple[Array, Array], key: PRNGKeyArray) -> Array:
        crop_key, model_key = jax.random.split(key)
        crop = _turned_crop if turned else _crop
        images, masks = jax.vmap(lambda u, y, k: crop(u, y, tile, k))(*batch, jax.random.split(crop_key, len(batch[0])))
        keys = jax.random.split(model_key, len(images))
        logs = jax.nn.log_softmax(jax.vmap(lambda u, k: model(u, key=k))(images, keys))
        target = jax.nn.one_hot(masks, len(weights), dtype=logs.dtype)
        entropy = -jnp.mean(jnp.sum(target * logs * jnp.asarray(weights)[None, None, None, :], axis=-1))
        axes = (0, 1, 2)
        both = jnp.sum(jnp.exp(logs) * target, axes)
        either = jnp.sum(jnp.exp(logs) + target, axes)
        present = (jnp.sum(target, axes) > 0).astype(logs.dtype)
        overlap = jnp.sum(present * (2 * both + 1) / (either + 1)) / jnp.maximum(1, jnp.sum(present))
        return entropy + dice * (1 - overlap)

    return loss


def _crop(
    image: Float[Array, "wide wide channels"], mask: UInt8[Array, "wide wide"], tile: int, key: PRNGKeyArray
) -> tuple[Array, Array]:
    i, j = jax.random.randint(key, (2,), 0, tile + 1)
    return (
        jax.lax.dynamic_slice(image, (i, j, jnp.zeros_like(i)), (tile, tile, image.shape[-1])),
        jax.lax.dynamic_slice(mask, (i, j), (tile, tile)),
    )


def _turned_crop(
    image: Float[Array, "wide wide channels"], mask: UInt8[Array, "wide wide"], tile: int, key: PRNGKeyArray
) -> tuple[Array, Array]:
    place_key, angle_key = jax.random.split(key)
    centre = tile - 0.5 + jax.random.uniform(place_key, (2, 1, 1), image.dtype, minval=-tile / 2, maxval=tile / 2)
    angle = jax.random.uniform(angle_key, (), image.dtype, maxval=2 * jnp.pi)
    offsets = jnp.arange(tile, dtype=image.dtype) - (tile - 1) / 2
    y, x = offsets[:, None], offsets[None, :]
    c, s = jnp.cos(angle), jnp.sin(angle)
    places = centre + jnp.stack([c * y + s * x, c * x - s * y])
    last = 2 * tile - 1
    places = last - jnp.abs(last - jnp.abs(places))  # mirrored at the borders of the piece
    corner = jnp.clip(jnp.floor(places).astype(jnp.int32), 0, last - 1)
    p, q = (places - corner.astype(image.dtype))[..., None]
    i, j = corner
    top = (1 - q) * image[i, j] + q * image[i, j + 1]
    bottom = (1 - q) * image[i + 1, j] + q * image[i + 1, j + 1]
    near = jnp.rint(places).astype(jnp.int32)
    return (1 - p) * top + p * bottom, mask[near[0], near[1]]
