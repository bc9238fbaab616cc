"""The trained model in the folder of a finished run."""

from typing import Any

import jax

from ._checkpoint import Checkpoints
from ._classifier import build_classifier
from ._config import RotatedMnistConfig, from_plain
from ._errors import TaskError
from ._fit import restore_average
from ._registry import task_of
from ._run import Run


def stored_config(run: Run) -> Any:
    """The configuration of `run`, of the class that its task has; `TaskError` when the task is unknown or it is damaged."""
    content = run.read("config.json")
    try:
        task = task_of(content["task"])
    except TaskError as error:
        raise TaskError(f"{run.path}: {error}") from None
    return from_plain(task.part("config"), content["config"], f"{run.path}/config.json")


def load_model(run: Run, *, size: int = 28) -> Any:
    """The model of the finished `run` with its averaged weights, for images of `size` x `size` pixels.

    **Raises:** `TaskError` when the run is incomplete or its checkpoint does not fit.
    """
    run.read("metrics.json")  # says how to finish a run that is not finished
    config = stored_config(run)
    if not isinstance(config, RotatedMnistConfig):
        raise TaskError(
            f"{run.path}: a run of {run.task()!r}, whose model takes no images; expected one of 'rotated-mnist'."
        )
    model = build_classifier(config.model, size=size, key=jax.random.key(0))
    trained = restore_average(model, config.train, Checkpoints(run.checkpoints / "model"))
    if trained is None:
        raise TaskError(f"{run.path}: an incomplete run, there is no checkpoint in {run.checkpoints}. Repeat it.")
    return trained
