"""What the tasks of physics share: restoring a model, the end of a run, the table that is shown."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from ._checkpoint import Checkpoints
from ._clock import seconds_since_start
from ._errors import TaskError
from ._fit import restore_average
from ._report import write_report
from ._run import Run, versions
from ._show import failed, verdict_table
from ._train_config import TrainConfig


def restored(run: Run, model: Any, config: TrainConfig) -> Any:
    """`model` with the averaged weights of the finished `run`; `TaskError` when the run is incomplete."""
    run.read("metrics.json")  # says how to finish a run that is not finished
    trained = restore_average(model, config, Checkpoints(run.checkpoints / "model"))
    if trained is None:
        raise TaskError(f"{run.path}: an incomplete run, there is no checkpoint in {run.checkpoints}. Repeat it.")
    return trained


def finish(
    run: Run,
    metrics: dict[str, Any],
    draw: Callable[[Run, dict[str, Any]], None],
    *,
    command: str,
    console: Console,
) -> int:
    """Draw, write the report and `metrics.json`, in this order, and show the numbers; 1 when a law fails, else 0."""
    metrics |= {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "versions": versions(),
        "devices": [str(device) for device in jax.devices()],
        "command": command,
    }
    with console.status("figures") if console.is_terminal else contextlib.nullcontext():
        draw(run, metrics)
    metrics["seconds_total"] = seconds_since_start()
    # The report first: `metrics.json` is what says that a run is finished.
    write_report(run, metrics, run.read("config.json"))
    run.write("metrics.json", metrics)
    show_physics(console, metrics, str(run.path))
    return 1 if failed(metrics["audit"]["verdicts"]) else 0


def show_physics(console: Console, metrics: dict[str, Any], folder: str) -> None:
    """The verdicts, then the numbers of a finished run, and where its report is."""
    console.print(verdict_table(metrics["audit"]["verdicts"]))
    table = Table(title=metrics["title"], title_justify="left", header_style="bold")
    for i, name in enumerate(metrics["comparison"]["columns"]):
        table.add_column(name, justify="right" if i else "left")
    for row in metrics["comparison"]["rows"]:
        table.add_row(*row)
    console.print(table)
    console.print(f"{metrics['seconds_total']:.0f} s in all. Report: {folder}/report.html", soft_wrap=True)
