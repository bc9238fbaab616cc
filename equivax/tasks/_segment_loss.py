"""The loss of segmentation: cross-entropy with classes in balance, and soft Dice, on random crops."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from ._fit import Loss
from ._tiles import BEYOND


def class_weights(masks: tuple[np.ndarray, ...], classes: int, power: float) -> Float[np.ndarray, " classes"]:
    r"""What a pixel of each class counts, $w_c \propto f_c^{-p}$ with the frequencies f in `masks`; 1 in the mean of pixels."""
    counts = np.sum([np.bincount(mask.ravel(), minlength=classes) for mask in masks], axis=0)
    f = np.maximum(counts, 1) / counts.sum()
    w = f**-power
    return (w / (f @ w)).astype(np.float32)


def segmentation_loss(
    weights: Float[np.ndarray, " classes"],
    tile: int,
    *,
    dice: float,
    label_smoothing: float = 0.0,
    turned: bool = False,
) -> Loss:
    r"""The loss on a batch of pieces of twice a tile (`cut`), of each of which a random crop is taken,

    $$ -\sum_p \sum_c w_c\, y_c(p) \log q_c(p) + \lambda\, \Bigl(1 - \operatorname{mean}_c
       \frac{2 \sum_p q_c y_c + 1}{\sum_p (q_c + y_c) + 1}\Bigr), \qquad q = \operatorname{softmax}, $$

    the first sum as a mean over the pixels inside the image, its target smoothed as in `cross_entropy`; the second part over
    the classes that the batch has. With `turned` each crop is also turned, by an angle from U[0, 2 pi): images bilinear, masks
    by their nearest pixel.
    """

    def loss(model: Any, batch: tuple[Array, Array, Array], key: PRNGKeyArray) -> Array:
        crop_key, model_key = jax.random.split(key)
        crop = _turned_crop if turned else _crop
        keys = jax.random.split(crop_key, len(batch[0]))
        images, masks = jax.vmap(lambda u, y, room, k: crop(u, y, room, tile, k))(*batch, keys)
        keys = jax.random.split(model_key, len(images))
        logs = jax.nn.log_softmax(jax.vmap(lambda u, k: model(u, key=k))(images, keys))
        known = (masks != BEYOND)[..., None].astype(logs.dtype)
        target = jax.nn.one_hot(masks, len(weights), dtype=logs.dtype)  # all zeros where no class is known
        smooth = (1 - label_smoothing) * target + known * (label_smoothing / len(weights))
        entropy = -jnp.sum(smooth * logs * jnp.asarray(weights)[None, None, None, :]) / jnp.maximum(1, jnp.sum(known))
        axes = (0, 1, 2)
        q = jnp.exp(logs) * known
        both, either = jnp.sum(q * target, axes), jnp.sum(q + target, axes)
        present = (jnp.sum(target, axes) > 0).astype(logs.dtype)
        overlap = jnp.sum(present * (2 * both + 1) / (either + 1)) / jnp.maximum(1, jnp.sum(present))
        return entropy + dice * (1 - overlap)

    return loss


def _crop(
    image: Float[Array, "wide wide channels"],
    mask: UInt8[Array, "wide wide"],
    room: Int[Array, "2 2"],
    tile: int,
    key: PRNGKeyArray,
) -> tuple[Array, Array]:
    i, j = jax.random.randint(key, (2,), room[:, 0], room[:, 1] + 1)
    return (
        jax.lax.dynamic_slice(image, (i, j, jnp.zeros_like(i)), (tile, tile, image.shape[-1])),
        jax.lax.dynamic_slice(mask, (i, j), (tile, tile)),
    )


def _turned_crop(
    image: Float[Array, "wide wide channels"],
    mask: UInt8[Array, "wide wide"],
    room: Int[Array, "2 2"],
    tile: int,
    key: PRNGKeyArray,
) -> tuple[Array, Array]:
    place_key, angle_key = jax.random.split(key)
    low, high = (room[:, i].astype(image.dtype) for i in (0, 1))
    start = low + (high - low) * jax.random.uniform(place_key, (2,), image.dtype)
    centre = (start + (tile - 1) / 2)[:, None, None]
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
