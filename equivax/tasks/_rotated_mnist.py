"""The task: digits turned by any angle, from the files to the report."""

import contextlib
import math
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from ..data import RotatedDigits, Sizes, rotated_mnist
from . import _figures
from ._audit import audit
from ._baseline import build_baseline, turned
from ._checkpoint import Checkpoints
from ._classification import Logits, accuracy, cross_entropy
from ._classifier import build_classifier
from ._clock import seconds_since_start
from ._conduct import Prepared, conduct
from ._config import RotatedMnistConfig
from ._fit import Fitted, Loss, fit
from ._measure import measure, worst
from ._progress import Bar, download_bars
from ._report import draw_from_metrics, write_report
from ._run import Run, versions
from ._show import failed, show_metrics
from ._weights import count_parameters

TASK = "rotated-mnist"


def train_rotated_mnist(config: RotatedMnistConfig, *, command: str = "", console: Console | None = None) -> int:
    """Train, evaluate, audit, and write the folder of the run; 0 when all laws hold, 1 when one fails.

    **Arguments:** `command`: what the user typed, for the report; `console`: where progress and tables go.

    **Raises:** `TaskError`, `DataError`; `InterruptedRunError` on Ctrl-C.
    """
    to = Console(quiet=True) if console is None else console

    def prepare() -> Prepared:
        data = _data(config, to)
        key = jax.random.key(config.train.seed)
        model = build_classifier(config.model, key=jax.random.fold_in(key, 0))
        return Prepared((data, model, key), data.source, data.checksum)

    def carry_out(run: Run, content: Any) -> int:
        data, model, key = content
        return _carry_out(run, config, data, model, key, command, to)

    return conduct(TASK, config, prepare, carry_out, show_metrics, command=command, console=to)


def _data(config: RotatedMnistConfig, console: Console) -> RotatedDigits:
    with Bar(console, "rotated MNIST") as bar:
        data = rotated_mnist(
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
    counts = f"{len(data.train_images):,} + {len(data.validation_images):,} + {len(data.test_images):,}"
    console.print(f"Rotated MNIST, generated ({counts} images) from {data.source}.", soft_wrap=True)
    return data


def _carry_out(
    run: Run,
    config: RotatedMnistConfig,
    data: RotatedDigits,
    model: Any,
    key: Any,
    command: str,
    console: Console,
) -> int:
    resumed = bool(Checkpoints(run.checkpoints / "model").steps())
    loss = cross_entropy(config.train.label_smoothing)
    fitted, found, logits = _train_and_test(
        run, "model", model, loss, config, data, jax.random.fold_in(key, 1), console
    )
    trained = fitted.average
    with console.status("audit") if console.is_terminal else contextlib.nullcontext():
        refinements = (1, 2) if config.preset == "tiny" else (1, 2, 4)
        verdicts = audit(trained, config.model, refinements=refinements, key=jax.random.fold_in(key, 2))
    baseline: dict[str, Any] = {}
    if config.baseline:
        plain = build_baseline(found["parameters"], data.classes, key=jax.random.fold_in(key, 3))
        for i, (name, title, its) in enumerate(
            (("plain", "plain CNN", loss), ("augmented", "plain CNN, trained on turned images", turned(loss)))
        ):
            _, numbers, _ = _train_and_test(
                run, f"baseline-{name}", plain, its, config, data, jax.random.fold_in(key, 4 + i), console, title
            )
            baseline[name] = {"title": title, **numbers}
    count = _count(trained, data.test_images, adaptive=getattr(config.model, "rtol", None) is not None)
    metrics: dict[str, Any] = {
        "title": "Rotated MNIST",
        "task": TASK,
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
    config: RotatedMnistConfig,
    data: RotatedDigits,
    key: Any,
    console: Console,
    title: str = "training",
) -> tuple[Fitted, dict[str, Any], np.ndarray]:
    """Fit `model`, then measure its averaged weights on the test images: what came out, the numbers, the logits."""
    logits = Logits(model)
    fitted = fit(
        model,
        loss,
        (data.train_images, data.train_labels),
        config.train,
        validate=lambda m: {"validation_accuracy": accuracy(logits(m, data.validation_images), data.validation_labels)},
        checkpoints=Checkpoints(run.checkpoints / name),
        console=console,
        title=title,
        key=key,
    )
    begun = time.monotonic()
    tested = logits(fitted.average, data.test_images, console=console)
    found = measure(tested, data.test_labels, data.test_angles)
    numbers = {
        "test_accuracy": found["accuracy"],
        "validation_accuracy": fitted.history[-1]["validation_accuracy"],
        "parameters": count_parameters(model),
        "seconds_training": fitted.seconds,
        "seconds_evaluation": time.monotonic() - begun,
        "training_steps": fitted.steps,
        "accuracy_by_angle": found["by_angle"],
        "confusion": found["confusion"],
        "history": fitted.history,
    }
    return fitted, numbers, tested


def _count(model: Any, images: np.ndarray, *, adaptive: bool) -> dict[str, float | int]:
    """Steps and evaluations of one pass; with adaptive steps, which depend on the image, the mean over some."""
    counts = [model.count(jnp.asarray(image)) for image in images[: 8 if adaptive else 1]]
    return {
        name: math.fsum(c[name] for c in counts) / len(counts) if adaptive else counts[0][name] for name in counts[0]
    }


def _draw_images(run: Run, model: Any, data: RotatedDigits, logits: np.ndarray) -> None:
    # The first four different digits, and four moments of each flow.
    chosen = [int(np.flatnonzero(data.test_labels == digit)[0]) for digit in np.unique(data.test_labels)[:4]]
    images = [data.test_images[i] for i in chosen]
    evolve = eqx.filter_jit(lambda m, image: m.evolution(image, 4))
    paths = [[(float(t), np.asarray(frame)) for t, frame in evolve(model, jnp.asarray(image))] for image in images]
    _figures.save(_figures.evolution(images, paths), run.figures / "evolution.png")
    wrong = worst(logits, data.test_labels, 24)
    texts = [f"{data.test_labels[i]} called {called}\n{confidence:.1%}" for i, called, confidence in wrong]
    _figures.save(_figures.mistakes([data.test_images[i] for i, _, _ in wrong], texts), run.figures / "mistakes.png")
