"""The end of a run: figures, report, numbers, table, exit code."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import jax
from rich.console import Console

from ._clock import seconds_since_start
from ._report import write_report
from ._run import Run, versions
from ._show import failed, show_comparison


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
    show_comparison(console, metrics, str(run.path))
    return 1 if failed(metrics["audit"]["verdicts"]) else 0
