"""The task: labelled images, from the files to the report; the same for every data set, and for the user's own."""

import contextlib
import dataclasses
import math
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from ..data import PROTOCOLS, LabelledImages, Sizes, labelled_images, own_images
from . import _figures
from ._audit import audit
from ._augment import augmented
from ._baseline import build_baseline
from ._checkpoint import Checkpoints
from ._classification import Logits, accuracy, cross_entropy
from ._classifier import ModelConfig, build_classifier
from ._clock import seconds_since_start
from ._conduct import Prepared, conduct
from ._config import ClassifyConfig, ImageConfig
from ._errors import TaskError
from ._fit import Fitted, Loss, fit
from ._measure import accuracy_over, measure, worst
from ._progress import Bar, download_bars
from ._report import draw_from_metrics, write_report
from ._run import Run, versions
from ._show import failed, show_metrics, show_skipped
from ._weights import count_parameters


def train_classifier(config: ImageConfig | ClassifyConfig, *, command: str = "", console: Console | None = None) -> int:
    """Train, evaluate, audit, and write the folder of the run; 0 when all laws hold, 1 when one fails.

    **Arguments:** `command`: what the user typed, for the report; `console`: where progress and tables go.

    **Raises:** `TaskError`, `DataError`; `InterruptedRunError` on Ctrl-C.
    """
    to = Console(quiet=True) if console is None else console
    if isinstance(config, ClassifyConfig):
        config = _anchored(config)

    def prepare() -> Prepared:
        data = _own(config, to) if isinstance(config, ClassifyConfig) else _data(config, to)
        model_config = dataclasses.replace(config.model, classes=data.classes, channels=data.channels)
        key = jax.random.key(config.train.seed)
        model = build_classifier(model_config, size=data.size, key=jax.random.fold_in(key, 0))
        about = {"classes": data.class_names, "size": data.size, "channels": data.channels}
        return Prepared((data, model_config, model, key), data.source, data.checksum, about)

    def carry_out(run: Run, content: Any) -> int:
        data, model_config, model, key = content
        return _carry_out(run, config, data, model_config, model, key, command, to)

    task = "classify" if isinstance(config, ClassifyConfig) else config.data
    return conduct(task, config, prepare, carry_out, show_metrics, command=command, console=to)


def _anchored(config: ClassifyConfig) -> ClassifyConfig:
    """With paths that mean the same from any folder: the run may be resumed or repeated from another."""
    if config.images is None:
        raise TaskError(
            "--images is missing: name a folder with one sub-folder of pictures for each class, or a .csv table with "
            "columns file,label."
        )
    test = None if config.test is None else config.test.absolute()
    return dataclasses.replace(config, images=config.images.absolute(), test=test)


def _data(config: ImageConfig, console: Console) -> LabelledImages:
    protocol = PROTOCOLS[config.data]
    with Bar(console, protocol.title) as bar:
        data = labelled_images(
            config.data,
            Sizes(config.train_images, config.validation_images, config.test_images),
            seed=config.data_seed,
            data_dir=config.data_dir,
            offline=config.offline,
            progress=download_bars(console),
            advance=bar.to,
        )
        bar.to(1.0)
    if data.embedded:
        console.print(f"[bold red]Attention: {data.source}. The result will not compare with others.[/]")
    made = f", generated: {protocol.in_words}," if data.generated else ""
    console.print(f"{protocol.title}{made} ({_counts(data)} images) from {data.source}.", soft_wrap=True, markup=False)
    return data


def _own(config: ClassifyConfig, console: Console) -> LabelledImages:
    assert config.images is not None
    with Bar(console, "reading images") as bar:
        data = own_images(
            config.images,
            test=config.test,
            validation_part=config.validation_part,
            test_part=config.test_part,
            size=config.size,
            channels=config.channels,
            skip_bad=config.skip_bad,
            seed=config.data_seed,
            advance=bar.to,
        )
        bar.to(1.0)
    colours = "in grey" if data.channels == 1 else "in colour"
    console.print(
        f"{data.source}, {colours}, {data.size} x {data.size} pixels ({_counts(data)}).", soft_wrap=True, markup=False
    )
    labels = np.concatenate([data.train_labels, data.validation_labels, data.test_labels])
    counts = zip(data.class_names, np.bincount(labels, minlength=data.classes), strict=True)
    console.print(
        "Classes: " + ", ".join(f"{name} ({count:,})" for name, count in counts), soft_wrap=True, markup=False
    )
    show_skipped(console, data.skipped)
    return data


def _counts(data: LabelledImages) -> str:
    return f"{len(data.train_images):,} + {len(data.validation_images):,} + {len(data.test_images):,}"


def _carry_out(
    run: Run,
    config: ImageConfig | ClassifyConfig,
    data: LabelledImages,
    model_config: ModelConfig,
    model: Any,
    key: Any,
    command: str,
    console: Console,
) -> int:
    resumed = bool(Checkpoints(run.checkpoints / "model").steps())
    loss = cross_entropy(config.train.label_smoothing)

    def moved(turns: bool) -> Loss:
        return augmented(loss, turns=turns, deform=config.deform) if turns or config.deform else loss

    fitted, found, logits = _train_and_test(
        run, "model", model, moved(config.augment), config, data, jax.random.fold_in(key, 1), console
    )
    trained = fitted.average
    with console.status("audit") if console.is_terminal else contextlib.nullcontext():
        refinements = (1, 2) if config.preset == "tiny" else None
        verdicts = audit(trained, model_config, refinements=refinements, key=jax.random.fold_in(key, 2))
    baseline: dict[str, Any] = {}
    if config.baseline:
        plain = build_baseline(found["parameters"], data.classes, data.channels, key=jax.random.fold_in(key, 3))
        ways = [("plain", "plain CNN", moved(False))]
        # Where images are known to be upright, turning them makes the task harder, not the network better.
        if isinstance(config, ClassifyConfig) or PROTOCOLS[config.data].turned:
            ways.append(("augmented", "plain CNN, trained on turned images", moved(True)))
        for i, (name, title, its) in enumerate(ways):
            _, numbers, _ = _train_and_test(
                run, f"baseline-{name}", plain, its, config, data, jax.random.fold_in(key, 4 + i), console, title
            )
            baseline[name] = {"title": title, **numbers}
    count = _count(trained, data.test_images, adaptive=config.model.rtol is not None)
    metrics: dict[str, Any] = {
        **_about(config),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        **found,
        **count,
        "seconds_total": seconds_since_start(),
        "resumed": resumed,
        "group": config.model.group,
        "equivariance": verdicts["equivariance"],
        "audit": verdicts,
        "data_source": data.source,
        "data_seed": data.seed,
        "generated": data.generated,
        "embedded": data.embedded,
        "skipped": data.skipped,
        "class_names": data.class_names,
        "size": data.size,
        "channels": data.channels,
        "images": {
            "train": len(data.train_images),
            "validation": len(data.validation_images),
            "test": len(data.test_images),
        },
        "baseline": baseline,
        "versions": versions(),
        "devices": [str(device) for device in jax.devices()],
        "command": command,
    }
    with console.status("figures") if console.is_terminal else contextlib.nullcontext():
        draw_from_metrics(run, metrics)
        _draw_images(run, trained, data, logits)
    metrics["seconds_total"] = seconds_since_start()
    # The report first: `metrics.json` is what says that a run is finished.
    write_report(run, metrics, run.read("config.json"))
    run.write("metrics.json", metrics)
    show_metrics(console, metrics, str(run.path))
    return 1 if failed(verdicts["verdicts"]) else 0


def _train_and_test(
    run: Run,
    name: str,
    model: Any,
    loss: Loss,
    config: ImageConfig | ClassifyConfig,
    data: LabelledImages,
    key: Any,
    console: Console,
    title: str = "training",
) -> tuple[Fitted, dict[str, Any], np.ndarray]:
    """Fit `model`, then measure its averaged weights on the test images: what came out, the numbers, the logits."""
    logits = Logits(model)

    def validate(m: Any) -> dict[str, float | int]:
        return {"validation_accuracy": accuracy(logits(m, data.validation_images), data.validation_labels)}

    fitted = fit(
        model,
        loss,
        (data.train_images, data.train_labels),
        config.train,
        validate=validate if len(data.validation_images) else None,
        checkpoints=Checkpoints(run.checkpoints / name),
        console=console,
        title=title,
        key=key,
    )
    begun = time.monotonic()
    tested = logits(fitted.average, data.test_images, console=console)
    found = measure(tested, data.test_labels)
    right = tested.argmax(axis=1) == data.test_labels
    numbers = {
        "test_accuracy": found["accuracy"],
        "validation_accuracy": fitted.history[-1].get("validation_accuracy"),
        "parameters": count_parameters(model),
        "seconds_training": fitted.seconds,
        "seconds_evaluation": time.monotonic() - begun,
        "training_steps": fitted.steps,
        "confusion": found["confusion"],
        "history": fitted.history,
    }
    if data.test_angles is not None:
        numbers["accuracy_by_angle"] = accuracy_over(np.rad2deg(data.test_angles), (0.0, 360.0), right)
    if data.test_zooms is not None and isinstance(config, ImageConfig):
        zoom = PROTOCOLS[config.data].zoom
        assert zoom is not None
        numbers["accuracy_by_zoom"] = accuracy_over(data.test_zooms, zoom, right)
    return fitted, numbers, tested


def _about(config: ImageConfig | ClassifyConfig) -> dict[str, str]:
    """What the report calls the task, and what was done to its images."""
    if isinstance(config, ClassifyConfig):
        assert config.images is not None
        return {"title": f"Images in {config.images.name}", "task": "classify", "made": ""}
    protocol = PROTOCOLS[config.data]
    return {"title": protocol.title, "task": config.data, "made": protocol.in_words}


def _count(model: Any, images: np.ndarray, *, adaptive: bool) -> dict[str, float | int]:
    """Steps and evaluations of one pass; with adaptive steps, which depend on the image, the mean over some."""
    counts = [model.count(jnp.asarray(image)) for image in images[: 8 if adaptive else 1]]
    return {
        name: math.fsum(c[name] for c in counts) / len(counts) if adaptive else counts[0][name] for name in counts[0]
    }


def _draw_images(run: Run, model: Any, data: LabelledImages, logits: np.ndarray) -> None:
    # The first images of the first four classes, and four moments of each flow.
    chosen = [int(np.flatnonzero(data.test_labels == label)[0]) for label in np.unique(data.test_labels)[:4]]
    images = [data.test_images[i] for i in chosen]
    evolve = eqx.filter_jit(lambda m, image: m.evolution(image, 4))
    paths = [[(float(t), np.asarray(frame)) for t, frame in evolve(model, jnp.asarray(image))] for image in images]
    framed = None
    if model.frame is not None:
        framed = [np.asarray(model.seen(jnp.asarray(image))).reshape(image.shape) for image in images]
    _figures.save(_figures.evolution(images, paths, framed), run.figures / "evolution.png")
    wrong, names = worst(logits, data.test_labels, 24), [_figures.shortened(name, 11) for name in data.class_names]
    between = " called " if max(map(len, names)) < 3 else "\ncalled "
    texts = [f"{names[data.test_labels[i]]}{between}{names[called]}\n{part:.1%}" for i, called, part in wrong]
    _figures.save(_figures.mistakes([data.test_images[i] for i, _, _ in wrong], texts), run.figures / "mistakes.png")
