"""`equivax report RUN`: write the report of a finished run anew."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from ._errors import TaskError
from ._registry import task_of
from ._report import write_report
from ._run import open_run


@dataclass(frozen=True)
class ReportConfig:
    """Draw the figures of a finished run from its numbers again, and write its report.html anew."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""


def report(config: ReportConfig) -> Path:
    """Write the report of a finished run anew and return its path; `TaskError` when the run is incomplete or damaged."""
    run = open_run(config.run)
    metrics, stored = run.read("metrics.json"), run.read("config.json")
    try:
        task_of(run.task()).part("draw")(run, metrics)
        return write_report(run, metrics, stored)
    except (KeyError, TypeError, AttributeError) as error:
        raise TaskError(f"{run.path}/metrics.json: damaged, or of another version ({error}). Repeat the run.") from None
