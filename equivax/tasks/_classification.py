"""Images to classes: the loss, and the logits of many images at once."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped
from rich.console import Console

from ._fit import Loss
from ._progress import Bar
from ._weights import split


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """The loss -sum_c q_c log softmax(model(u))_c, averaged over a batch (images, labels).

    q is (1 - `label_smoothing`) on the label, and the rest spread evenly over all classes. The model is called with a
    key for each image, as a model is in training (dropout), and returns logits (classes,), or (draws, classes) of several
    random draws, over which the loss is averaged as well.
    """

    def loss(model: Any, batch: tuple[Array, Array], key: PRNGKeyArray) -> Array:
        images, labels = batch
        keys = jax.random.split(key, images.shape[0])
        logs = jax.nn.log_softmax(jax.vmap(lambda image, one: model(image, key=one))(images, keys))
        at = labels.astype(jnp.int32).reshape(-1, *(1,) * (logs.ndim - 1))
        right = jnp.take_along_axis(logs, jnp.broadcast_to(at, (*logs.shape[:-1], 1)), axis=-1)[..., 0]
        return -jnp.mean((1 - label_smoothing) * right + label_smoothing * jnp.mean(logs, axis=-1))

    return loss


class Logits:
    """The logits of many images, in equal batches, for all models that differ from `model` in their weights only.

    It is compiled once for each size of image: the last batch is filled up rather than shortened.
    """

    def __init__(self, model: Any, *, batch: int = 250):
        _, constants = split(model)
        self._batch = batch
        self._call = jax.jit(lambda weights, images: jax.vmap(eqx.combine(weights, constants))(images))

    def __call__(
        self, model: Any, images: Float[np.ndarray, "n height width *channels"], *, console: Console | None = None
    ) -> Float[np.ndarray, "n classes"]:
        weights, _ = split(model)
        out = []
        with Bar(console, "evaluation", len(images)) as bar:
            for start in range(0, len(images), self._batch):
                part = images[start : start + self._batch]
                missing = self._batch - len(part)
                padded = np.pad(part, ((0, missing), *((0, 0),) * (part.ndim - 1))) if missing else part
                out.append(np.asarray(self._call(weights, padded))[: len(part)])
                bar.to(start + len(part))
        return np.concatenate(out)


def accuracy(logits: Float[np.ndarray, "n classes"], labels: Shaped[np.ndarray, " n"]) -> float:
    """The part, from 0 to 1, of the rows whose largest entry stands at the label."""
    return float(np.mean(np.argmax(logits, axis=1) == labels))
