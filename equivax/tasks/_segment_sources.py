"""What the segmentation tasks learn from and are tested on, and what has to be in order before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from ..data import DataError, MaskedImages, SceneCounts, digit_scenes, isbi2012, read_pairs
from ._errors import TaskError
from ._named import features, group_named
from ._progress import download_bars
from ._segment_config import DigitScenesConfig, Isbi2012Config, SegmentConfig
from ._segmenter import SegmenterConfig, check_segmenter
from ._tiles import available_memory, count_pieces


@dataclass(frozen=True, eq=False)
class Scenes:
    """Images with masks in three parts, split by image.

    **Arguments:** `classes`: their names; `values`: what stands for each in a mask; `test_turned`: scenes that were generated
    turned, or None where test images are to be turned; `title`, `note`: for the report; `skipped`: files that were left out.
    """

    train: MaskedImages
    validation: MaskedImages
    test: MaskedImages
    classes: tuple[str, ...]
    values: tuple[int | tuple[int, ...], ...]
    source: str
    checksum: str
    title: str
    note: str
    test_turned: MaskedImages | None = None
    embedded: bool = False
    skipped: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colours."""
        return self.train.images[0].shape[-1]


def sources(config: Any) -> tuple[str, Callable[[Any, Console], Scenes]]:
    """The name of the task that a configuration is of, and what finds its images."""
    table: dict[type, tuple[str, Callable[[Any, Console], Scenes]]] = {
        SegmentConfig: ("segment", own),
        Isbi2012Config: ("isbi2012", slices),
        DigitScenesConfig: ("digit-scenes", digits),
    }
    return table[type(config)]


def own(config: SegmentConfig, console: Console) -> Scenes:
    """The user's images; one in five to validate and one in five to test, unless told otherwise."""
    if config.images is None or config.masks is None:
        raise TaskError("two folders are needed: equivax train segment --images DIR --masks DIR.")
    found = read_pairs(config.images, config.masks, skip_bad=config.skip_bad, allow_empty=config.allow_empty)
    n = len(found.pairs)
    if min(config.validation_part, config.test_part) < 0 or config.validation_part + config.test_part >= 1:
        raise TaskError("--validation-part and --test-part: expected parts of the images, less than 1 together.")
    validation, test = (max(1, round(part * n)) for part in (config.validation_part, config.test_part))
    if n - validation - test < 1:
        raise DataError(
            f"{config.images}: {n} images with masks; expected at least 3, to train, validate and test on different ones. Cut "
            "large images into parts."
        )
    for line in found.skipped:
        console.print(f"[bold red]Left out:[/] {line}", soft_wrap=True)
    order = np.random.default_rng(config.data_seed).permutation(n)
    parts = [found.pairs.take([int(i) for i in part]) for part in np.split(order, [test, test + validation])]
    _all_classes(parts[2], found.classes)
    left = f" {len(found.skipped)} pairs were left out as broken." if found.skipped else ""
    note = f"{n} images, {found.pairing}.{left} Classes: {', '.join(found.classes)}, by their values in the masks."
    console.print(note, soft_wrap=True)
    return Scenes(
        parts[2],
        parts[1],
        parts[0],
        found.classes,
        found.values,
        f"{config.images} and {config.masks}",
        found.checksum,
        "Segmentation",
        note,
        skipped=found.skipped,
    )


def slices(config: Isbi2012Config, console: Console) -> Scenes:
    """ISBI 2012: of the first 20 slices some to train, the next 4 to validate, the last 6 to test."""
    found, source = isbi2012(config.data_dir)
    if not 1 <= config.train_slices <= 20 or not 1 <= config.test_slices <= 6:
        raise TaskError("--train-slices is from 1 to 20, and --test-slices from 1 to 6.")
    train = [int(i) for i in np.linspace(0, 19, config.train_slices + 2)[1:-1].round()]
    train = list(range(20)) if config.train_slices == 20 else train
    console.print(f"{source}. {len(train)} slices to train on, 4 to validate.", soft_wrap=True)
    note = (
        f"Membranes in slices of nerve tissue, 512 x 512 pixels: {len(train)} slices to train on, slices 20 to 23 to decide on "
        f"thresholds, {config.test_slices} of slices 24 to 29 to test on, upright and turned by random angles."
    )
    return Scenes(
        found.pairs.take(train),
        found.pairs.take(range(20, 24)),
        found.pairs.take(range(24, 24 + config.test_slices)),
        ("membrane", "cell"),
        found.values,
        source,
        found.checksum,
        "ISBI 2012",
        note,
    )


def digits(config: DigitScenesConfig, console: Console) -> Scenes:
    """Scenes of digits, generated from MNIST."""
    counts = SceneCounts(config.train_scenes, config.validation_scenes, config.test_scenes)
    data = digit_scenes(
        counts,
        turned=config.turned,
        seed=config.data_seed,
        data_dir=config.data_dir,
        offline=config.offline,
        progress=download_bars(console),
    )
    if data.embedded:
        console.print(f"[bold red]Attention: {data.source}. The result will not compare with others.[/]")
    console.print(f"Scenes of digits, generated from {data.source}.", soft_wrap=True)
    how = "each turned by a random angle" if config.turned else "upright"
    note = (
        f"Scenes of one to four digits of MNIST, generated (seed {config.data_seed}): {config.train_scenes:,} to train on, "
        f"digits {how}; {config.test_scenes:,} to test on, with digits upright and with each of the same digits turned by an "
        "angle of its own. A 6 and a 9 are half turns of each other: no model that is equivariant can tell them apart but by "
        "handwriting, so numbers are given with and without the distinction."
    )
    return Scenes(
        data.train,
        data.validation,
        data.test,
        ("ground", *map(str, range(10))),
        tuple(range(11)),
        data.source,
        data.checksum,
        "Scenes of digits",
        note,
        test_turned=data.test_turned,
        embedded=data.embedded,
    )


def check_memory(config: Any, scenes: Scenes) -> None:
    """Make sure that a step of training and a tile of prediction fit into memory; `TaskError` otherwise."""
    check_segmenter(config.model)
    unit = config.model.spacings[-1]
    for name, tile in (("--tile", config.tiles.tile), ("--large-tile", config.tiles.large_tile)):
        if tile < unit or tile % unit:
            raise TaskError(f"{name} {tile}: expected a multiple of the coarsest spacing, {unit}.")
    step = config.train.batch_size * tile_bytes(config.model, config.tiles.tile, training=True)
    tile = 4 * tile_bytes(config.model, config.tiles.large_tile, training=False)
    free = available_memory()
    if free is not None and max(step, tile) > free:
        what, options = ("a step of training", "--batch-size or --tile") if step >= tile else ("tiles", "--large-tile")
        raise TaskError(
            f"not enough memory: {what} of {max(step, tile) / 2**30:.1f} GiB do not fit into the {free / 2**30:.1f} GiB that "
            f"are free. Lower {options}, or --widths."
        )
    pieces = max(config.tiles.crops, count_pieces([mask.shape for mask in scenes.train.masks], config.tiles.tile))
    size = pieces * (2 * config.tiles.tile) ** 2 * (4 * scenes.channels + 1)
    if free is not None and size > free:
        raise TaskError(
            f"not enough memory: {pieces:,} pieces to crop from take {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are "
            "free. Lower --crops, or train on fewer images."
        )


def tile_bytes(model: SegmenterConfig, tile: int, *, training: bool) -> int:
    """About what the features of a tile take: those of every step and their jets, kept in training for the way back."""
    jets = (model.order + 1) * (model.order + 2) // 2
    copies = features(group_named(model.group), 1).dim
    total = tile**2 * (3 * model.read_width + 2 * model.head + 8)
    for level, (spacing, width, steps) in enumerate(zip(model.spacings, model.widths, model.steps, strict=True)):
        flows = steps * (1 if level + 1 == len(model.spacings) else 2)
        numbers = (tile // spacing) ** 2 * width * copies
        total += numbers * (jets + 3) * (flows + 1 if training else 2)
    return 4 * total


def _all_classes(train: MaskedImages, classes: tuple[str, ...]) -> None:
    seen = set(np.concatenate([np.unique(mask) for mask in train.masks]).tolist())
    if missing := [name for i, name in enumerate(classes) if i not in seen]:
        raise DataError(
            f"no image to train on shows {', '.join(missing)}: they are all in the images to validate or test on. Give more "
            "images, or another --data-seed."
        )
