"""The configurations of the runs that segment images: every option of the command line is a field here."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ._segmenter import SegmenterConfig
from ._tiles import TilesConfig
from ._train_config import TrainConfig

Preset = Literal["tiny", "default"]


def _training() -> TrainConfig:
    return TrainConfig(epochs=6, batch_size=8, learning_rate=5e-3, weight_decay=0.01, label_smoothing=0.0)


def _scenes_training() -> TrainConfig:
    # A scene is one crop, and all scenes are one epoch.
    return dataclasses.replace(_training(), epochs=4)


@dataclass(frozen=True)
class SegmentConfig:
    """Learn to tell the classes of pixels from your own images and masks: masks turn with the image."""

    preset: Preset = "default"
    """Where the other options start from: tiny (a first look), default."""
    images: Path | None = None
    """The folder of the images: PNG, TIFF, GIF, JPEG, ..., grey or colour, of any sizes."""
    masks: Path | None = None
    """The folder of the masks, one value or colour for each class; paired with the images by name, or else by order."""
    out: Path | None = None
    """The folder of the run, new or empty; by default runs/segment-<time>."""
    resume: bool = False
    """Go on with the interrupted run in --out, or with the newest one in runs/."""
    config: Path | None = None
    """Repeat the run with this config.json (or in this folder); other options change it."""
    baseline: bool = False
    """Also train a U-Net with as many weights on the same crops, turned at random, for three times as many steps."""
    skip_bad: bool = False
    """Leave out files that are broken or do not fit, and count them, instead of stopping."""
    allow_empty: bool = False
    """Let masks of a single class be: there is nothing in their images."""
    validation_part: float = 0.2
    """The part of the images that decides on thresholds, at least one image."""
    test_part: float = 0.2
    """The part of the images that is tested on, at least one image."""
    test_angles: int = 1
    """How often each test image is tested turned, by random angles."""
    data_seed: int = 0
    """Of the split of the images and of the angles of the test."""
    model: Annotated[SegmenterConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=SegmenterConfig)
    """The model."""
    tiles: Annotated[TilesConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=TilesConfig)
    """Pieces of images."""
    train: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=_training)
    """Training."""


@dataclass(frozen=True)
class Isbi2012Config:
    """Find the membranes between nerve cells under the electron microscope: 24 slices to learn from, 6 to test on."""

    preset: Preset = "default"
    """Where the other options start from: tiny (a first look), default."""
    out: Path | None = None
    """The folder of the run, new or empty; by default runs/isbi2012-<time>."""
    data_dir: Path | None = None
    """The folder that holds train/image and train/label; by default it is looked for."""
    resume: bool = False
    """Go on with the interrupted run in --out, or with the newest one in runs/."""
    config: Path | None = None
    """Repeat the run with this config.json (or in this folder); other options change it."""
    baseline: bool = False
    """Also train a U-Net with as many weights on the same crops, turned at random, for three times as many steps."""
    train_slices: int = 20
    """How many slices to train on, at most 20: spread evenly over the first 20. The next 4 decide on thresholds."""
    test_slices: int = 6
    """How many of the last 6 slices to test on."""
    test_angles: int = 1
    """How often each test slice is tested turned, by random angles."""
    data_seed: int = 0
    """Of the angles of the test."""
    model: Annotated[SegmenterConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=SegmenterConfig)
    """The model."""
    tiles: Annotated[TilesConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=TilesConfig)
    """Pieces of images."""
    train: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=_training)
    """Training."""


@dataclass(frozen=True)
class DigitScenesConfig:
    """Find digits and say which they are, pixel by pixel, in scenes of one to four; test them upright and turned."""

    preset: Preset = "default"
    """Where the other options start from: tiny (a first look), default."""
    out: Path | None = None
    """The folder of the run, new or empty; by default runs/digit-scenes-<time>."""
    data_dir: Path | None = None
    """The folder that holds the four files of MNIST; by default they are looked for, then downloaded."""
    offline: bool = False
    """Do not try to download anything."""
    resume: bool = False
    """Go on with the interrupted run in --out, or with the newest one in runs/."""
    config: Path | None = None
    """Repeat the run with this config.json (or in this folder); other options change it."""
    baseline: bool = False
    """Also train a U-Net with as many weights on the same scenes, and one on scenes turned at random, for three times as many
    steps."""
    turned: bool = False
    """Train on turned digits; by default digits are upright in training."""
    train_scenes: int = 4_800
    """Scenes to train on."""
    validation_scenes: int = 100
    """Scenes that decide on the balance of classes."""
    test_scenes: int = 2_000
    """Scenes to test on, upright and with every digit turned."""
    data_seed: int = 0
    """Of the scenes."""
    model: Annotated[SegmenterConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=SegmenterConfig)
    """The model."""
    tiles: Annotated[TilesConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=TilesConfig)
    """Pieces of images."""
    train: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=_scenes_training)
    """Training."""


_SMALL = SegmenterConfig(spacings=(2, 4), widths=(2, 3), steps=(1, 1), lift_order=2, read_width=8, head=16)
_FEW = TilesConfig(tile=32, crops=64, large_tile=96, margin=32)
_SHORT = TrainConfig(epochs=2, batch_size=8, learning_rate=1e-2, weight_decay=0.01, label_smoothing=0.0, ema=0.9)

SEGMENT_PRESETS = {
    "tiny": lambda: SegmentConfig(preset="tiny", model=_SMALL, tiles=_FEW, train=_SHORT),
    "default": SegmentConfig,
}
ISBI2012_PRESETS = {
    "tiny": lambda: Isbi2012Config(
        preset="tiny", train_slices=2, test_slices=1, model=_SMALL, tiles=_FEW, train=_SHORT
    ),
    "default": Isbi2012Config,
}
DIGIT_SCENES_PRESETS = {
    "tiny": lambda: DigitScenesConfig(
        preset="tiny",
        train_scenes=64,
        validation_scenes=8,
        test_scenes=16,
        model=_SMALL,
        tiles=_FEW,
        train=_SHORT,
    ),
    "default": DigitScenesConfig,
}
