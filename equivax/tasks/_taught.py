"""Learning from another model as well as from the labels."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..data import LabelledImages
from ._errors import TaskError
from ._fit import Loss
from ._run import open_run
from ._trained import load_model, seen_images


def taught(teacher: Any, label_smoothing: float = 0.0, *, part: float = 0.7) -> Loss:
    r"""The cross-entropy of a batch (images, labels) with targets that are in part the probabilities of a `teacher`,

    $$ -\sum_c q_c \log \mathrm{softmax}(f(u))_c, \qquad q = \rho\, \mathrm{softmax}(g(u)) + (1 - \rho)\, e, $$

    with f the model, g the teacher, $\rho$ = `part`, and e the label, smoothed as by `cross_entropy`. The teacher sees the
    images as the model does, after they have been turned or deformed, so that it has something to say of each one anew.

    Hinton, Vinyals, Dean, *Distilling the knowledge in a neural network*, 2015.
    """

    def loss(model: Any, batch: tuple[Array, Array], key: PRNGKeyArray) -> Array:
        images, labels = batch
        keys = jax.random.split(key, images.shape[0])
        logs = jax.nn.log_softmax(jax.vmap(lambda image, one: model(image, key=one))(images, keys))
        told = jax.nn.softmax(jax.lax.stop_gradient(jax.vmap(teacher)(images)))
        classes = told.shape[-1]
        label = (1 - label_smoothing) * jax.nn.one_hot(labels, classes, dtype=told.dtype) + label_smoothing / classes
        target = part * told + (1 - part) * label
        # Of several draws of what is left out, the mean.
        return -jnp.mean(jnp.sum(target.reshape(-1, *(1,) * (logs.ndim - 2), classes) * logs, axis=-1))

    return loss


def teacher_of(folder: Path, data: LabelledImages) -> Any:
    """The classifier of the finished run in `folder`, for the images of `data`, looking at each just once (`turns`).

    **Raises:** `TaskError` when the run is none of images, incomplete, or of other classes or colours.
    """
    run = open_run(folder)
    seen = seen_images(run)
    for what, its, ours in (
        ("classes", seen.class_names, tuple(data.class_names)),
        ("channels", seen.channels, data.channels),
    ):
        if its != ours:
            raise TaskError(f"--teacher {folder}: has learned {what} {its}; the images have {ours}.")
    return dataclasses.replace(load_model(run, size=data.size), turns=((0.0, 1.0),))
