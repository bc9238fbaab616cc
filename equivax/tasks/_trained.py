"""The trained model in the folder of a finished run."""

import dataclasses
from typing import Any, NamedTuple

import jax

from ._checkpoint import Checkpoints
from ._classifier import ModelConfig, build_classifier
from ._config import ClassifyConfig, ImageConfig, from_plain
from ._errors import TaskError
from ._fit import restore_average
from ._registry import TASKS, task_of
from ._run import Run
from ._train_config import TrainConfig


def stored_config(run: Run) -> Any:
    """The configuration of `run`, of the class that its task has; `TaskError` when the task is unknown or it is damaged."""
    content = run.read("config.json")
    try:
        task = task_of(content["task"])
    except TaskError as error:
        raise TaskError(f"{run.path}: {error}") from None
    return from_plain(task.part("config"), content["config"], f"{run.path}/config.json")


class SeenImages(NamedTuple):
    """What is kept with a run of the images that its model has seen: the names of the classes, pixels, channels."""

    class_names: tuple[str, ...]
    size: int
    channels: int


def seen_images(run: Run) -> SeenImages:
    """What the images were that the classifier of `run` was trained on; `TaskError` when it was trained on none."""
    config = stored_config(run)
    if not isinstance(config, ImageConfig | ClassifyConfig):
        taking = [name for name, task in TASKS.items() if task.audit == "_check:audit_classifier"]
        raise TaskError(
            f"{run.path}: a run of {run.task()!r}, whose model takes no images; expected one of "
            f"{', '.join(map(repr, taking))}."
        )
    data = run.read("config.json").get("data", {})
    try:
        return SeenImages(tuple(map(str, data["classes"])), int(data["size"]), int(data["channels"]))
    except (KeyError, TypeError, ValueError) as error:
        raise TaskError(f"{run.path}/config.json: damaged, {error} is missing from the data. Repeat the run.") from None


def trained_config(run: Run) -> ModelConfig:
    """The configuration of the classifier of `run`, with the classes and channels of its data."""
    seen = seen_images(run)
    return dataclasses.replace(stored_config(run).model, classes=len(seen.class_names), channels=seen.channels)


def load_model(run: Run, *, size: int | None = None) -> Any:
    """The model of the finished `run` with its averaged weights, for images of `size` x `size` pixels.

    By default, of as many as it was trained on.

    **Raises:** `TaskError` when the run is incomplete or its checkpoint does not fit.
    """
    seen = seen_images(run)
    model = build_classifier(trained_config(run), size=size or seen.size, key=jax.random.key(0))
    return restored(run, model, stored_config(run).train)


def restored(run: Run, model: Any, config: TrainConfig) -> Any:
    """`model` with the averaged weights of the finished `run`; `TaskError` when the run is incomplete."""
    run.read("metrics.json")  # says how to finish a run that is not finished
    trained = restore_average(model, config, Checkpoints(run.checkpoints / "model"))
    if trained is None:
        raise TaskError(f"{run.path}: an incomplete run, there is no checkpoint in {run.checkpoints}. Repeat it.")
    return trained
