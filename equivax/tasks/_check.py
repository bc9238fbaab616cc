"""`equivax check RUN`: ask the trained model again whether the laws hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro
from jaxtyping import PRNGKeyArray
from rich.console import Console

from ._audit import audit
from ._registry import task_of
from ._run import Run, open_run
from ._show import failed, verdict_table
from ._trained import load_model, stored_config, trained_config


@dataclass(frozen=True)
class CheckConfig:
    """Repeat the audit of a finished run and print the verdicts; the exit code is 1 when a law fails."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    seed: int = 0
    """Of the examples and group elements that are drawn for the audit."""


def check(config: CheckConfig, *, console: Console | None = None) -> int:
    """Audit the model of a finished run; 0 when all laws hold, 1 when one fails. Raises `TaskError` (see `load_model`)."""
    console = Console(quiet=True) if console is None else console
    run = open_run(config.run)
    run.read("metrics.json")  # says how to finish a run that is not finished
    stored_config(run)
    verdicts = task_of(run.task()).part("audit")(run, jax.random.key(config.seed))
    console.print(verdict_table(verdicts))
    if wrong := failed(verdicts):
        console.print(f"[bold red]{len(wrong)} of {len(verdicts)} laws fail:[/] {', '.join(wrong)}", soft_wrap=True)
        return 1
    return 0


def audit_classifier(run: Run, key: PRNGKeyArray) -> list[dict[str, Any]]:
    """The verdicts on the classifier of a finished run."""
    return audit(load_model(run), trained_config(run), key=key)["verdicts"]
