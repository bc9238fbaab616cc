"""The configuration of a run on images: every option of the command line is a field here."""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from ..data import PROTOCOLS, Sizes
from ._classifier import ModelConfig
from ._errors import TaskError
from ._registry import task_of
from ._run import latest_unfinished, open_run
from ._train_config import TrainConfig

Preset = Literal["tiny", "default", "best"]
ImagePreset = Literal["tiny", "small", "default", "best", "m2"]
T = TypeVar("T")


@dataclass(frozen=True)
class ImageConfig:
    """Train an equivariant partial neural differential equation on these images, and audit it."""

    data: Annotated[str, tyro.conf.Suppress] = "rotated-mnist"
    """The data set: a key of `PROTOCOLS`."""
    preset: ImagePreset = "default"
    """Where the other options start from: tiny (half a minute), small, default (minutes), best (as good as it gets), m2
    (positions and orientations, with less than 3,000 weights)."""
    out: Path | None = None
    """The folder of the run, new or empty; by default runs/<task>-<time>."""
    data_dir: Path | None = None
    """The folder that holds the four files of the original images; by default they are looked for, then downloaded."""
    offline: bool = False
    """Do not try to download anything."""
    resume: bool = False
    """Go on with the interrupted run in --out, or with the newest one in runs/."""
    config: Path | None = None
    """Repeat the run with this config.json (or in this folder); other options change it."""
    augment: bool = False
    """Turn each training image by a new random angle each time it is seen: for angles that a finite group lacks, and for models
    that fit their images too well."""
    deform: float = 0.0
    """Deform each training image by a new linear map each time it is seen: normal numbers with this standard deviation are
    added to the identity. A shift comes with it, of a quarter of that in sides of the image."""
    baseline: bool = False
    """Also train a plain CNN with as many weights on the same images; where they are turned, also on images turned anew."""
    train_images: int = 10_000
    """How many images to train on, at most as many as the protocol has."""
    validation_images: int = 2_000
    """How many to validate on after each epoch. With 0, those that the protocol has may be trained on as well."""
    test_images: int = 50_000
    """How many to test on at the end."""
    data_seed: int = 0
    """Of the choice of images, angles and scales; other than 0, results do not compare with those of others."""
    model: Annotated[ModelConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=ModelConfig)
    """The model."""
    train: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=TrainConfig)
    """Training."""


@dataclass(frozen=True)
class ClassifyConfig:
    """Train an equivariant partial neural differential equation on images of your own, and audit it."""

    images: Path | None = None
    """Labelled images: a folder with one sub-folder for each class, or a .csv table with columns file,label; files as PNG,
    JPEG, TIFF, GIF, BMP, PGM or .npy. The group acts about the centre of an image, beyond which all is black."""
    test: Path | None = None
    """Images to test on, of the same form; by default a part of --images."""
    size: int | None = None
    """Fit each image, scaled, into a square of so many pixels; otherwise all have to be square and of one size."""
    channels: Literal["auto", "grey", "colour"] = "auto"
    """Whether the model sees colours; auto: if all images are in colour. Grey takes the colours away."""
    skip_bad: bool = False
    """Leave out files that cannot be read, and count them."""
    validation_part: float = 0.1
    """The part of each class to validate on after each epoch."""
    test_part: float = 0.2
    """The part of each class to test on at the end, where --test is not given."""
    preset: ImagePreset = "default"
    """Where the other options start from: tiny (half a minute), small, default (minutes), best (as good as it gets), m2
    (positions and orientations, with less than 3,000 weights)."""
    out: Path | None = None
    """The folder of the run, new or empty; by default runs/classify-<time>."""
    resume: bool = False
    """Go on with the interrupted run in --out, or with the newest one in runs/."""
    config: Path | None = None
    """Repeat the run with this config.json (or in this folder); other options change it."""
    augment: bool = False
    """Turn each training image by a new random angle each time it is seen."""
    deform: float = 0.0
    """Deform each training image by a new linear map each time it is seen: normal numbers with this standard deviation are
    added to the identity. A shift comes with it, of a quarter of that in sides of the image."""
    baseline: bool = False
    """Also train a plain CNN with as many weights on the same images, with and without turning them at random."""
    data_seed: int = 0
    """Of the division of the images."""
    model: Annotated[ModelConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=ModelConfig)
    """The model."""
    train: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=TrainConfig)
    """Training."""


# These say where a run happens and how it is called, not what it is: repeating or resuming a run leaves them free.
_CIRCUMSTANCES = ("out", "data_dir", "offline", "resume", "config")


def tiny() -> dict[str, Any]:
    """Half a minute: for CI, the examples, and a first look."""
    return {
        "model": ModelConfig(
            fine_width=4,
            coarse_width=6,
            fine_order=0,
            coarse_steps=1,
            read_width=8,
            field_dropout=0.0,
            head_dropout=0.0,
            head_draws=1,
            turns=1,
        ),
        "train": TrainConfig(epochs=6, batch_size=50, ema=0.95),
    }


def small() -> dict[str, Any]:
    """20k weights, fewer copies of the feature than the default, and two thirds of its epochs."""
    return {
        "model": ModelConfig(fine_width=6, coarse_width=8, read_width=10),
        "train": TrainConfig(epochs=8),
    }


def default() -> dict[str, Any]:
    """On rotated MNIST under 5 minutes on two cores, 43k weights."""
    return {}


def best() -> dict[str, Any]:
    """The smallest error at no more than 26k weights: sixteen directions, fewer copies, and patience.

    Of the data sets that are known here, this preset and the next train on all labelled images, those for validation as well.
    """
    return {
        "model": ModelConfig(group="C16", fine_width=4, coarse_width=6, coarse_steps=3, read_width=8),
        "train": TrainConfig(epochs=40),
        "augment": True,
    }


def m2() -> dict[str, Any]:
    """The smallest model: an evolution on positions and orientations, of less than 3,000 weights, all of which it needs.

    Its frame is for one object on black ground; of other images of your own, take it away with `--frame none`.
    """
    return {
        "model": ModelConfig(
            evolution="m2",
            fine=14,
            coarse=8,
            fine_width=12,
            coarse_width=12,
            coarse_steps=5,
            read_width=24,
            read_order=4,
            head=14,
            vote=True,
            head_dropout=0.0,
            head_draws=1,
            frame="half",
            turns=4,
        ),
        "train": TrainConfig(epochs=64, learning_rate=5e-2, weight_decay=0.01),
        "augment": True,
        "deform": 0.05,
    }


# The models and how they are trained: the same on all images.
_OPTIONS = {"tiny": tiny, "small": small, "default": default, "best": best, "m2": m2}


def _on(data: str, preset: ImagePreset) -> ImageConfig:
    there = PROTOCOLS[data].sizes
    used = there
    if preset == "tiny":
        used = Sizes(*map(min, (1_500, 500, 1_000), dataclasses.astuple(there)))
    elif preset in ("best", "m2"):
        used = Sizes(there.train + there.validation, 0, there.test)
    return ImageConfig(
        data=data,
        preset=preset,
        train_images=used.train,
        validation_images=used.validation,
        test_images=used.test,
        **_OPTIONS[preset](),
    )


def _presets(make: Callable[[Any], T]) -> dict[str, Callable[[], T]]:
    return {preset: functools.partial(make, preset) for preset in _OPTIONS}


def _of(data: str) -> dict[str, Callable[[], ImageConfig]]:
    return _presets(functools.partial(_on, data))


# The configurations of each data set by their names, and of images of the user's own.
PRESETS = _of("rotated-mnist")
MNIST, FASHION_MNIST = _of("mnist"), _of("fashion-mnist")
SCALE_MNIST, SCALE_FASHION = _of("scale-mnist"), _of("scale-fashion")
RS_MNIST, RS_FASHION = _of("rs-mnist"), _of("rs-fashion")
CLASSIFY = _presets(lambda preset: ClassifyConfig(preset=preset, **_OPTIONS[preset]()))


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as plain values for JSON."""
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in dataclasses.asdict(config).items()
    }


def from_plain(kind: type[T], content: Any, where: str) -> T:
    """The configuration of class `kind` with the plain values `content`; what is missing has its default.

    **Raises:** `TaskError` naming `where` when a field is unknown or of the wrong type.
    """
    if not isinstance(content, dict):
        raise TaskError(f"{where}: expected an object with the fields of {kind.__name__}, found {content!r}.")
    hints = typing.get_type_hints(kind)
    if unknown := sorted(content.keys() - hints.keys()):
        raise TaskError(f"{where}: unknown field {unknown[0]!r}; {kind.__name__} has {', '.join(hints)}.")
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in content.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        inner = arguments[0] if arguments[1:] == (...,) else None
        return tuple(
            _value(inner or a, v, where) for a, v in zip(arguments if not inner else value, value, strict=True)
        )
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    raise TaskError(f"{where} is {value!r}; expected {getattr(hint, '__name__', hint)}.")


def read_config(path: Path, kind: type[T] = ImageConfig) -> T:  # type: ignore[assignment]
    """The configuration in `path`, the `config.json` of a run or the folder of one; circumstances are left at default.

    **Raises:** `TaskError` when there is no such file or it is no configuration.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError(f"--config {path}: cannot be read ({error}). Expected the config.json of a run.") from None
    if isinstance(content, dict) and isinstance(content.get("config"), dict):
        content = content["config"]
    if isinstance(content, dict):
        content = {name: value for name, value in content.items() if name not in _CIRCUMSTANCES}
    return from_plain(kind, content, str(file))


def essence(config: Any) -> Any:
    """`config` without the circumstances: two runs with the same essence have the same result."""
    unset = {f.name: f.default for f in dataclasses.fields(config) if f.name in _CIRCUMSTANCES}
    return dataclasses.replace(config, **unset)


def parse(argv: list[str], task: str = "rotated-mnist") -> Any:
    """The configuration of `task` that the words `argv` of a command line ask for: a preset or a file, then single options.

    **Raises:** `TaskError` when `--resume` comes with options that would make it another run.
    """
    name, file, out = (_option(argv, option) for option in ("--preset", "--config", "--out"))
    resumed = "--resume" in argv and not {"-h", "--help"} & set(argv)
    if resumed:
        file = out or str(latest_unfinished(task))
        open_run(file)
    kind, presets = task_of(task).part("config"), task_of(task).part("presets")
    start = read_config(Path(file), kind) if file else presets.get(name or "default", presets["default"])()
    if getattr(start, "data", task) != task:
        raise TaskError(f"{file}: of the task {start.data!r}. Repeat or resume it with `equivax train {start.data}`.")
    config = tyro.cli(
        kind,
        default=start,
        args=argv,
        prog=f"equivax train {task}",
        description=f"{kind.__doc__}\n\n{task}: {task_of(task).summary}.",
        config=(tyro.conf.FlagCreatePairsOff,) if not file else (),
    )
    if resumed:
        if essence(config) != essence(start):
            raise TaskError("--resume goes on with a run as it is; leave the other options away, or begin a new run.")
        config = dataclasses.replace(config, out=Path(file or ""))
    return config


def _option(argv: list[str], name: str) -> str | None:
    """The value of an option that has to be known before the others are read; the last one counts."""
    value = None
    for i, word in enumerate(argv):
        if word == name and i + 1 < len(argv):
            value = argv[i + 1]
        elif word.startswith(name + "="):
            value = word[len(name) + 1 :]
    return value
