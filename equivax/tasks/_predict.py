"""`equivax predict RUN IMAGES`: the classes of the user's own images."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..data import (
    DataError,
    UserImages,
    atomic_path,
    expect_channels,
    read_images,
    read_labels,
    read_states,
    settle_channels,
    write_text,
)
from ._classification import Logits, accuracy
from ._config import ClassifyConfig
from ._errors import TaskError
from ._measure import softmax
from ._progress import Bar
from ._registry import TASKS, task_of
from ._run import Run, open_run
from ._show import show_skipped
from ._trained import load_model, seen_images, stored_config

_SHOWN = 20


@dataclass(frozen=True)
class PredictConfig:
    """Predict with the model of a finished run: the classes of images, the masks of images, or how motions go on."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    images: tyro.conf.Positional[Path]
    """A .npy array (height, width) or (n, height, width), in colour with a last axis of 3, a picture, or a folder of pictures,
    like those that the model was trained on; digits are bright strokes on black. For double-spring a .npy of states
    (n, 4, 3), for nbody of states (n, particles, 7): rows of place, velocity, charge."""
    out: Path | None = None
    """Where to write the labels: .npy (numbers of the classes) or .csv (name, label, probability); by default they are
    printed. For a run that segments, the folder of the masks: one .png for each image, under its name and of its size."""
    probabilities: Path | None = None
    """Where to write the probabilities of all classes, .npy (n, classes). For a run that segments, a folder: one .npy
    (height, width, classes) for each image."""
    labels: Path | None = None
    """True labels, .npy (n,), for the accuracy."""
    invert: bool = False
    """The images are dark strokes on white."""
    grey: bool = False
    """Take the colours away, for a model that was trained on grey images."""
    skip_bad: bool = False
    """Leave out the files of a folder that cannot be read, and count them."""


def predict(config: PredictConfig, *, console: Console | None = None) -> np.ndarray | list[Path]:
    """The labels (n,) of the images, or the files of their masks, which are written or printed as `config` says.

    **Raises:** `DataError` for images that cannot be used, `TaskError` for a run or a file name that cannot.
    """
    console = Console(quiet=True) if console is None else console
    if config.run.is_dir() and (masks := TASKS.get(Run(config.run).task())) and masks.masks:
        return masks.part("masks")(open_run(config.run), config, console)
    for path, kinds in ((config.out, (".npy", ".csv")), (config.probabilities, (".npy",))):
        if path is not None and path.suffix not in kinds:
            raise TaskError(f"{path}: labels can be written as {' or '.join(kinds)}; end the name in one of these.")
        if path is not None and not path.absolute().parent.is_dir():
            raise TaskError(f"{path}: the folder {path.parent} does not exist.")
    run = open_run(config.run)
    if task_of(run.task()).states is not None:
        return _continue(run, config, console)
    images = _images(run, config, console)
    class_names = seen_images(run).class_names
    probabilities = _probabilities(run, images, config, console)
    labels = probabilities.argmax(axis=1)
    if config.labels is not None:
        true = read_labels(config.labels, len(labels), classes=probabilities.shape[1])
        console.print(f"Accuracy {accuracy(probabilities, true):.2%} on {len(labels):,} images.")
    if config.probabilities is not None:
        _save(config.probabilities, probabilities)
    rows = [(name, class_names[i], float(p[i])) for name, i, p in zip(images.names, labels, probabilities, strict=True)]
    if config.out is None:
        table = Table("image", "label", "probability")
        for name, label, probability in rows[:_SHOWN]:
            # `Text`: a name may hold brackets, which rich would take for markup.
            table.add_row(Text(name), Text(label), f"{probability:.1%}")
        console.print(table)
        if len(rows) > _SHOWN:
            console.print(f"and {len(rows) - _SHOWN:,} more; write them all to a file with --out.")
    elif config.out.suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("name", "label", "probability"))
        writer.writerows((name, label, f"{probability:.6f}") for name, label, probability in rows)
        write_text(config.out, text.getvalue())
    else:
        _save(config.out, labels.astype(np.int64))
    if config.out is not None:
        console.print(f"{len(rows):,} labels in {config.out}.", soft_wrap=True)
    return labels


def _continue(run: Run, config: PredictConfig, console: Console) -> np.ndarray:
    """The future of the states in a file, written to another."""
    task = task_of(run.task())
    assert task.states is not None
    if config.out is None or config.out.suffix != ".npy":
        raise TaskError(f"--out: name a .npy file for what the model of {run.task()} predicts.")
    if config.probabilities is not None or config.labels is not None or config.invert or config.grey or config.skip_bad:
        raise TaskError("--probabilities, --labels, --invert, --grey and --skip-bad are for images.")
    states = read_states(config.images, task.states)
    future = task.part("predict")(run, states)
    _save(config.out, future)
    console.print(f"{len(future):,} predictions {future.shape} in {config.out}.", soft_wrap=True)
    return future


def _images(run: Run, config: PredictConfig, console: Console) -> UserImages:
    """The images as the model of `run` has to see them: in its channels, and fitted into its square if training did so."""
    seen, trained, where = seen_images(run), stored_config(run), str(config.images)
    size = trained.size if isinstance(trained, ClassifyConfig) else None
    with Bar(console, "reading images") as bar:
        found = read_images(config.images, size=size, skip_bad=config.skip_bad, advance=bar.to)
    show_skipped(console, found.skipped)
    if config.grey and seen.channels == 1:
        found = settle_channels(found, "grey", where)
    return expect_channels(found, seen.channels, where)


def _probabilities(
    run: Run, images: UserImages, config: PredictConfig, console: Console
) -> Float[np.ndarray, "n classes"]:
    """Every size of image has its own model: the same weights on a grid of that many pixels."""
    places: dict[int, list[int]] = {}
    for i, image in enumerate(images.images):
        if image.shape[0] != image.shape[1]:
            raise DataError(
                f"{config.images}: image {images.names[i]} is {image.shape[0]} x {image.shape[1]} pixels; expected square."
            )
        places.setdefault(image.shape[0], []).append(i)
    found: np.ndarray | None = None
    for size, where in places.items():
        model = load_model(run, size=size)
        stack = np.stack([images.images[i] for i in where])
        stack = np.float32(1) - stack if config.invert else stack
        logits = Logits(model, batch=min(250, len(where)))(model, stack, console=console)
        if found is None:
            found = np.empty((len(images.images), logits.shape[1]), logits.dtype)
        found[where] = softmax(logits)
    assert found is not None
    return found


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as part, open(part, "wb") as file:
        np.save(file, array, allow_pickle=False)
