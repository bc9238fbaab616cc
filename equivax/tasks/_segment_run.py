"""What can be done with a finished run that segments: check it, and predict the masks of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import PRNGKeyArray
from rich.console import Console

from ..data import DataError, atomic_path, picture_files, read_colours
from ._errors import TaskError
from ._progress import Bar
from ._run import Run
from ._segment_audit import audit_segmenter
from ._segment_measure import Decision
from ._segmentation import Predictor, segmenter_builder
from ._tiles import TiledLogits
from ._trained import restored, stored_config

if TYPE_CHECKING:
    from ._predict import PredictConfig


def load_predictor(run: Run) -> tuple[Predictor, Decision, dict[str, Any]]:
    """What the finished `run` has learned, how it decides, and its numbers; `TaskError` when it is incomplete."""
    config, metrics = stored_config(run), run.read("metrics.json")
    tiles = config.tiles
    try:
        build = segmenter_builder(config, metrics["channels"], len(metrics["classes"]))
        decision, scale = Decision(**metrics["decision"]), metrics["normalisation"]
        predictor_of = (scale["mean"], scale["std"])
    except (KeyError, TypeError) as error:
        raise TaskError(f"{run.path}/metrics.json: damaged, or of another version ({error}). Repeat the run.") from None
    model = restored(run, build((tiles.tile, tiles.tile)), config.train)
    logits = TiledLogits(build, tile=tiles.large_tile, margin=tiles.margin, unit=config.model.spacings[-1])
    return Predictor(logits, model, *predictor_of), decision, metrics


def audit_run(run: Run, key: PRNGKeyArray) -> list[dict[str, Any]]:
    """The verdicts on the segmenter of a finished run."""
    config = stored_config(run)
    predictor, _, _ = load_predictor(run)
    # One grid more than the audit after training, which has less time.
    found = audit_segmenter(predictor.model, config.model, config.tiles, refinements=(1, 2, 4), key=key)
    return found["verdicts"]


def predict_masks(run: Run, config: "PredictConfig", console: Console) -> list[Path]:
    """Write the mask of each picture in `config.images` into the folder `config.out`, under its name and of its size,
    and return the files.

    Masks hold the values that stood for the classes in training, and are PNG files. With `config.probabilities` that folder
    gets an array (height, width, classes) for each picture.

    **Raises:** `DataError` for pictures that cannot be used, `TaskError` for folders that cannot.
    """
    if config.out is None:
        raise TaskError("--out: name a folder for the masks.")
    if config.labels is not None:
        raise TaskError("--labels are for images that are classified as a whole.")
    files = picture_files(config.images)
    for folder in (config.out, config.probabilities):
        if folder is None:
            continue
        if folder.suffix or folder.is_file():
            raise TaskError(f"{folder}: expected the name of a folder, for one file for each image.")
        if folder.exists() and folder.resolve() == config.images.resolve():
            raise TaskError(f"{folder}: the folder of the images themselves; name another one.")
        folder.mkdir(parents=True, exist_ok=True)
    predictor, decision, metrics = load_predictor(run)
    unique = len({file.stem for file in files}) == len(files)
    written = []
    with Bar(console, "masks", len(files)) as bar:
        for i, file in enumerate(files):
            frames = read_colours(file)
            for k, frame in enumerate(frames):
                name = (file.stem if unique else file.name) + (f"-{k}" if len(frames) > 1 else "")
                image = _channels(frame, metrics["channels"], file)
                found = predictor(1 - image if config.invert else image)
                written.append(config.out / f"{name}.png")
                _write(written[-1], decision(found), metrics["values"])
                if config.probabilities is not None:
                    with atomic_path(config.probabilities / f"{name}.npy") as part, open(part, "wb") as stream:
                        np.save(stream, found, allow_pickle=False)
            bar.to(i + 1)
    console.print(f"{len(written):,} masks in {config.out}.", soft_wrap=True)
    return written


def _channels(frame: np.ndarray, channels: int, file: Path) -> np.ndarray:
    if channels == 3:
        return frame
    if np.ptp(frame, axis=-1).any():
        raise DataError(f"{file}: a picture in colours; the model was trained on grey ones. Save it as grey.")
    return frame[..., :1]


def _write(path: Path, mask: np.ndarray, values: list[Any]) -> None:
    from PIL import Image

    table = np.array(values)
    wide = table.max() > 255
    picture = Image.fromarray(table[mask].astype(np.uint16 if wide else np.uint8))
    with atomic_path(path) as part:
        picture.save(part, format="PNG")
