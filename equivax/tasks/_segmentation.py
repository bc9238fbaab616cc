"""The tasks that segment images, from the files to the report: the user's own, ISBI 2012, scenes of digits."""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float
from rich.console import Console

from ..data import MaskedImages
from . import _segment_figures
from ._checkpoint import Checkpoints
from ._conduct import Prepared, conduct
from ._finish import finish
from ._fit import Fitted, Loss, fit
from ._measure import softmax
from ._run import Run
from ._segment_audit import audit_segmenter
from ._segment_loss import class_weights, segmentation_loss
from ._segment_measure import Decision, confusion, measure_masks, overlaps
from ._segment_sources import Scenes, check_memory, sources
from ._segmenter import build_segmenter
from ._show import show_comparison
from ._tiles import BEYOND, Build, TiledLogits, cut
from ._train_config import TrainConfig
from ._turned import turn, turn_back
from ._unet import UNIT, build_unet
from ._weights import count_parameters, split

# So many crops of validation images are looked at after each epoch; the end of training sees them whole.
_LOOK = 32
# A step of the U-Net takes about a third of the time, so that it gets three times as many for about the same.
_PATIENCE = 3
# Classes that are half turns of each other: the digits 6 and 9.
_TWINS = (7, 10)


def train_segmenter(config: Any, *, command: str = "", console: Console | None = None) -> int:
    """Train, decide, evaluate, audit, and write the folder of the run; 0 when all laws hold, 1 when one fails.

    **Arguments:** `config`: a `SegmentConfig`, `Isbi2012Config` or `DigitScenesConfig`; `command`: what the user typed, for
    the report; `console`: where progress and tables go.

    **Raises:** `TaskError`, `DataError`; `InterruptedRunError` on Ctrl-C.
    """
    to = Console(quiet=True) if console is None else console
    task, find = sources(config)

    def prepare() -> Prepared:
        scenes = find(config, to)
        check_memory(config, scenes)
        key = jax.random.key(config.train.seed)
        build = segmenter_builder(config, scenes.channels, len(scenes.classes))
        model = build((config.tiles.tile, config.tiles.tile), key=jax.random.fold_in(key, 0))
        return Prepared((scenes, build, model, key), scenes.source, scenes.checksum)

    def carry_out(run: Run, content: Any) -> int:
        scenes, build, model, key = content
        return _carry_out(run, task, config, scenes, build, model, key, command, to)

    return conduct(task, config, prepare, carry_out, show_comparison, command=command, console=to)


def segmenter_builder(config: Any, channels: int, classes: int) -> Callable[..., Any]:
    """(shape, key) -> the model of a configuration for images of that shape."""

    def build(shape: tuple[int, int], *, key: Array | None = None) -> Any:
        key = jax.random.key(0) if key is None else key
        return build_segmenter(config.model, shape=shape, channels=channels, classes=classes, key=key)

    return build


class Predictor(NamedTuple):
    """From images in [0, 1] to probabilities: a model in tiles, and the mean and spread of the images it was trained on."""

    logits: TiledLogits
    model: Any
    mean: list[float]
    std: list[float]

    def __call__(self, image: Float[np.ndarray, "height width channels"]) -> Float[np.ndarray, "height width classes"]:
        return softmax(self.logits(self.model, standardised(image, self.mean, self.std)))


def standardised(image: np.ndarray, mean: list[float], std: list[float]) -> np.ndarray:
    """The image with mean 0 and spread 1, for images like those in training."""
    return ((image - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)).astype(np.float32)


def _carry_out(
    run: Run,
    task: str,
    config: Any,
    scenes: Scenes,
    build: Build,
    model: Any,
    key: Any,
    command: str,
    console: Console,
) -> int:
    resumed = bool(Checkpoints(run.checkpoints / "model").steps())
    learner = _Learner(run, config, scenes, console)
    predictor, decision, found, shown = learner.learn(
        "model", model, build, config.model.spacings[-1], jax.random.fold_in(key, 1)
    )
    with console.status("audit") if console.is_terminal else contextlib.nullcontext():
        audit = audit_segmenter(predictor.model, config.model, config.tiles, key=jax.random.fold_in(key, 2))
    baseline: dict[str, Any] = {}
    if config.baseline:
        plain = build_unet(found["parameters"], scenes.channels, len(scenes.classes), key=jax.random.fold_in(key, 3))
        kinds = [("turned", "U-Net, trained on turned crops", True)]
        if scenes.test_turned is not None:
            kinds.insert(0, ("plain", "U-Net", False))
        for i, (name, title, turned) in enumerate(kinds):
            longer = dataclasses.replace(config.train, epochs=_PATIENCE * config.train.epochs)
            seeded = jax.random.fold_in(key, 4 + i)
            _, _, numbers, _ = learner.learn(
                f"baseline-{name}", plain, lambda shape: plain, UNIT, seeded, title, longer, turned
            )
            baseline[name] = {"title": title, **numbers}
    metrics: dict[str, Any] = {
        "title": scenes.title,
        "task": task,
        "subtitle": f"{config.model.group}-equivariant partial neural differential equation, masks that turn with the image",
        "note": f"{scenes.note} Source: {scenes.source}.",
        **found,
        "resumed": resumed,
        "group": config.model.group,
        "classes": list(scenes.classes),
        "values": [list(v) if isinstance(v, tuple) else v for v in scenes.values],
        "channels": scenes.channels,
        "normalisation": {"mean": predictor.mean, "std": predictor.std},
        "decision": decision.to_dict(),
        "equivariance": audit["equivariance"],
        "audit": audit,
        "data_source": scenes.source,
        "embedded": scenes.embedded,
        "skipped": list(scenes.skipped),
        "images": {"train": len(scenes.train), "validation": len(scenes.validation), "test": len(scenes.test)},
        "baseline": baseline,
    }
    metrics |= {"tiles": _headline(metrics), "comparison": _comparison(metrics)}
    _segment_figures.draw_masks(run, scenes.test, shown, decision, found["dice_by_image"])
    return finish(run, metrics, _segment_figures.draw_from_metrics, command=command, console=console)


class _Learner:
    """Trains one model after another on the same scenes, and measures each in the same way."""

    def __init__(self, run: Run, config: Any, scenes: Scenes, console: Console):
        self._run, self._config, self._scenes, self._console = run, config, scenes, console
        pixels = [image.reshape(-1, scenes.channels) for image in scenes.train.images]
        counts = np.array([len(p) for p in pixels], float)
        mean = np.average([p.mean(axis=0, dtype=np.float64) for p in pixels], axis=0, weights=counts)
        square = np.average([np.square(p, dtype=np.float64).mean(axis=0) for p in pixels], axis=0, weights=counts)
        self._mean = [float(v) for v in mean]
        self._std = [float(v) for v in np.sqrt(np.maximum(square - mean**2, 1e-6))]
        tiles = config.tiles
        self._pieces = cut(self._standard(scenes.train), tiles.tile, tiles.crops)
        self._look = self._crops(self._standard(scenes.validation), tiles.tile)
        sizes = np.sum([np.bincount(m.ravel(), minlength=len(scenes.classes)) for m in scenes.train.masks], axis=0)
        self._frequencies = (np.maximum(sizes, 1) / sizes.sum()).astype(np.float32)

    def learn(
        self,
        name: str,
        model: Any,
        build: Build,
        unit: int,
        key: Any,
        title: str = "training",
        train: TrainConfig | None = None,
        turned: bool = False,
    ) -> tuple[Predictor, Decision, dict[str, Any], list[np.ndarray]]:
        """Fit `model`; decide on the validation images; measure its averaged weights on the test images."""
        config, scenes = self._config, self._scenes
        weights = class_weights(scenes.train.masks, len(scenes.classes), config.tiles.balance)
        loss: Loss = segmentation_loss(
            weights,
            config.tiles.tile,
            dice=config.tiles.dice,
            label_smoothing=config.train.label_smoothing,
            turned=turned,
        )
        fitted: Fitted = fit(
            model,
            loss,
            self._pieces,
            config.train if train is None else train,
            validate=self._validate(model),
            checkpoints=Checkpoints(self._run.checkpoints / name),
            console=self._console,
            title=title,
            key=key,
        )
        begun = time.monotonic()
        tiled = TiledLogits(build, tile=config.tiles.large_tile, margin=config.tiles.margin, unit=unit)
        predictor = Predictor(tiled, fitted.average, self._mean, self._std)
        validated = [predictor(image) for image in scenes.validation.images]
        decision = Decision.choose(validated, list(scenes.validation.masks), self._frequencies)
        upright = [predictor(image) for image in scenes.test.images]
        found, by_image = measure_masks(upright, list(scenes.test.masks), decision)
        rotated, _ = self._measure_turned(predictor, decision)
        numbers: dict[str, Any] = {
            **found,
            **{f"{measure}_rotated": rotated[measure] for measure in ("iou", "dice", "v_rand")},
            **{f"{measure}_by_class_rotated": rotated[f"{measure}_by_class"] for measure in ("iou", "dice", "v_rand")},
            "dice_by_image": by_image,
            "threshold": decision.mask,
            "threshold_of_objects": decision.objects,
            "parameters": count_parameters(model),
            "seconds_training": fitted.seconds,
            "seconds_evaluation": time.monotonic() - begun,
            "training_steps": fitted.steps,
            "history": fitted.history,
        }
        if scenes.test_turned is not None:
            numbers |= {
                "iou_without_twins": _without_twins(found["confusion"]),
                "iou_without_twins_rotated": _without_twins(rotated["confusion"]),
            }
        return predictor, decision, numbers, upright

    def _measure_turned(self, predictor: Predictor, decision: Decision) -> tuple[dict[str, Any], list[float]]:
        """The same measures where the images are turned, and what is found there is turned back to the same masks."""
        scenes = self._scenes
        if scenes.test_turned is not None:
            said = [predictor(image) for image in scenes.test_turned.images]
            return measure_masks(said, list(scenes.test_turned.masks), decision)
        rng = np.random.default_rng([self._config.data_seed, 1])
        said, masks = [], []
        for image, mask in zip(scenes.test.images, scenes.test.masks, strict=True):
            for angle in rng.uniform(0, 2 * np.pi, self._config.test_angles):
                said.append(turn_back(predictor(turn(image, angle)), angle, mask.shape))
                masks.append(mask)
        return measure_masks(said, masks, decision)

    def _standard(self, pairs: MaskedImages) -> MaskedImages:
        images = tuple(standardised(image, self._mean, self._std) for image in pairs.images)
        return MaskedImages(images, pairs.masks, pairs.names)

    @staticmethod
    def _crops(pairs: MaskedImages, tile: int) -> tuple[np.ndarray, np.ndarray]:
        images, masks, rooms = cut(pairs, tile, 1)
        chosen = np.unique(np.linspace(0, len(images) - 1, _LOOK).round().astype(int))
        crops = []
        for k in chosen:
            i, j = (int(first + last) // 2 for first, last in rooms[k])
            crops.append((images[k, i : i + tile, j : j + tile], masks[k, i : i + tile, j : j + tile]))
        return np.stack([image for image, _ in crops]), np.stack([mask for _, mask in crops])

    def _validate(self, model: Any) -> Callable[[Any], dict[str, float | int]]:
        _, constants = split(model)
        call = jax.jit(lambda weights, u: jax.vmap(eqx.combine(weights, constants))(u))
        images, masks = self._look

        def validate(trained: Any) -> dict[str, float | int]:
            weights, _ = split(trained)
            batch = min(8, len(images))
            parts = [call(weights, images[i : i + batch]) for i in range(0, len(images) - batch + 1, batch)]
            said = np.concatenate([np.asarray(part).argmax(axis=-1) for part in parts])
            classes = len(self._scenes.classes)
            known = masks[: len(said)] != BEYOND
            counts = confusion(said[known], masks[: len(said)][known], classes)
            return {"validation_dice": overlaps(counts)["dice"]}

        return validate


def _without_twins(confusion: Any) -> float:
    """The mean IoU when the two classes that are half turns of each other count as one."""
    counts = np.asarray(confusion)
    first, second = _TWINS
    counts[first] += counts[second]
    counts[:, first] += counts[:, second]
    kept = [i for i in range(len(counts)) if i != second]
    return float(overlaps(counts[np.ix_(kept, kept)])["iou"])


def _headline(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    def shown(name: str) -> str:
        return "-" if metrics[name] is None else f"{100 * metrics[name]:.2f} %"

    return [
        (shown("dice"), "Dice, mean over the classes"),
        (shown("dice_rotated"), "Dice on turned images"),
        (shown("iou"), "intersection over union"),
        (shown("v_rand"), "V_rand of the objects"),
        (f"{metrics['parameters']:,}", "parameters"),
        (f"{metrics['seconds_training']:.0f} s", "training"),
    ]


def _comparison(metrics: dict[str, Any]) -> dict[str, Any]:
    columns = ["model", "parameters", "IoU", "turned", "Dice", "turned", "V_rand", "turned", "training"]
    names = ["iou", "iou_rotated", "dice", "dice_rotated", "v_rand", "v_rand_rotated"]
    if "iou_without_twins" in metrics:
        columns[4:4] = ["IoU, 6 = 9", "turned"]
        names[2:2] = ["iou_without_twins", "iou_without_twins_rotated"]
    rows = []
    for row in ({**metrics, "title": f"equivax, {metrics['group']}"}, *metrics["baseline"].values()):
        cells = ["-" if row[name] is None else f"{100 * row[name]:.2f}" for name in names]
        rows.append([row["title"], f"{row['parameters']:,}", *cells, f"{row['seconds_training']:.0f} s"])
    mine = metrics
    for i, name in enumerate(metrics["classes"]):
        each = [mine[f"{m}_by_class{t}"][i] for m in ("iou", "dice", "v_rand") for t in ("", "_rotated")]
        cells = ["-" if value is None else f"{100 * value:.2f}" for value in each]
        if "iou_without_twins" in metrics:
            cells[2:2] = ["", ""]
        rows.append([f"of it class {name}", "", *cells, ""])
    return {"columns": columns, "rows": rows}
