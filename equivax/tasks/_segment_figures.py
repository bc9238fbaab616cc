"""The pictures of a run that segments: overlays, maps of errors, what was worst, and what follows from the numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import MaskedImages
from . import _figures
from ._figures import _COLOURS, _GREEN, _style
from ._run import Run
from ._segment_measure import Decision

# (file, title, what to look for), in the order of reading.
CAPTIONS = (
    (
        "overlays.png",
        "Masks",
        "A test image, its mask, what was found, and where they differ: red was missed or called something else, "
        "blue was found where there is nothing.",
    ),
    ("worst.png", "Worst cases", "The test images with the lowest Dice, the worst first."),
    (
        "equivariance.png",
        "Error of equivariance",
        "Of the logits at every pixel of a disc. Where the rotation maps the pixels to themselves the error is rounding.",
    ),
    (
        "refinement.png",
        "Under refinement",
        "The same band-limited image on finer grids: what sampling costs must vanish.",
    ),
    ("training.png", "Training", "The loss on the crops, and Dice on crops of the validation images."),
)
_ROWS, _SIDE = 4, 512


def draw_from_metrics(run: Run, metrics: dict[str, Any]) -> None:
    """Draw the figures that follow from `metrics` alone; those that show images are drawn where the images are."""
    run.figures.mkdir(exist_ok=True)
    audit = metrics["audit"]
    figures = {"training.png": training(metrics["history"])}
    if audit.get("angles"):
        figures["equivariance.png"] = _figures.equivariance(audit["angles"])
    if audit.get("refinement", {}).get("sizes"):
        figures["refinement.png"] = _figures.refinement(audit["refinement"])
    for name, figure in figures.items():
        _figures.save(figure, run.figures / name)


def draw_masks(
    run: Run, test: MaskedImages, probabilities: Sequence[np.ndarray], decision: Decision, scores: Sequence[float]
) -> None:
    """Draw some test images with what was found in them, and those in which least was."""
    run.figures.mkdir(exist_ok=True)
    chosen = np.unique(np.linspace(0, len(test) - 1, _ROWS).round().astype(int))
    worst = np.argsort(scores, kind="stable")[:_ROWS]
    for name, indices in (("overlays.png", chosen), ("worst.png", worst)):
        rows = [
            (
                f"{test.names[i]}, Dice {100 * scores[i]:.1f} %",
                test.images[i],
                test.masks[i],
                decision(probabilities[i]),
            )
            for i in indices
        ]
        _figures.save(overlays(rows, decision.classes), run.figures / name)


def training(history: Sequence[dict[str, Any]]) -> Any:
    """The loss, and Dice on crops of the validation images, after every epoch."""
    with _style() as Figure:
        figure = Figure(figsize=(8.4, 3.1))
        left, right = figure.subplots(1, 2)
        epochs = [line["epoch"] for line in history]
        left.plot(epochs, [line["loss"] for line in history], color=_COLOURS[0], marker="o", markersize=3)
        left.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy and Dice")
        left.set_ylim(bottom=0)
        right.plot(epochs, [100 * line["validation_dice"] for line in history], color=_GREEN, marker="o", markersize=3)
        right.set(title="Validation Dice", xlabel="epoch", ylabel="%")
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
        return figure


def overlays(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], classes: int) -> Any:
    """For each (title, image, mask, prediction): the image, the mask, the prediction, and where they differ."""
    with _style() as Figure:
        figure = Figure(figsize=(8.8, 2.35 * len(rows)))
        grid = figure.subplots(len(rows), 4, squeeze=False)
        for axes, (title, image, mask, said) in zip(grid, rows, strict=True):
            step = max(1, -(-max(mask.shape) // _SIDE))
            image, mask, said = image[::step, ::step], mask[::step, ::step], said[::step, ::step]
            grey = image.mean(axis=-1)
            shown = np.repeat(grey[..., None], 3, -1) if image.shape[-1] == 1 else image
            axes[0].imshow(np.clip(shown, 0, 1))
            for place, classes_of in ((axes[1], mask), (axes[2], said)):
                place.imshow(_coloured(classes_of, classes), interpolation="nearest")
            axes[3].imshow(_errors(grey, mask, said), interpolation="nearest")
            for place, name in zip(axes, (title, "mask", "found", "differences"), strict=True):
                place.set_axis_off()
                place.set_title(name, fontsize=8, loc="left", weight="normal")
        return figure


def _coloured(mask: np.ndarray, classes: int) -> np.ndarray:
    """Classes as colours: two as black and white, more as hues on black for the first."""
    import matplotlib

    if classes == 2:
        return np.repeat(mask[..., None].astype(float), 3, axis=-1)
    hues = matplotlib.colormaps["hsv"](np.linspace(0, 1, classes - 1, endpoint=False))[:, :3]
    return np.concatenate([np.zeros((1, 3)), hues])[mask]


def _errors(grey: np.ndarray, mask: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The image, pale, with what was missed or confused in red and what was found in vain in blue."""
    low, high = float(grey.min()), float(grey.max())
    pale = 0.6 + 0.35 * (grey - low) / max(high - low, 1e-6)
    picture = np.repeat(pale[..., None], 3, axis=-1)
    picture[(mask != said) & (mask > 0)] = (0.78, 0.26, 0.31)
    picture[(mask != said) & (mask == 0)] = (0.16, 0.44, 0.59)
    return picture
