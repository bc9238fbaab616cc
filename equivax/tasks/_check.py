"""`equivax check RUN`: ask the trained model again whether the laws hold."""

from dataclasses import dataclass
from pathlib import Path

import jax
import tyro
from rich.console import Console

from ._audit import audit
from ._run import open_run
from ._show import failed, verdict_table
from ._trained import load_model, stored_config


@dataclass(frozen=True)
class CheckConfig:
    """Repeat the audit of a finished run and print the verdicts; the exit code is 1 when a law fails."""

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    seed: int = 0
    """Of the images and group elements that are drawn for the audit."""


def check(config: CheckConfig, *, console: Console | None = None) -> int:
    """Audit the model of a finished run; 0 when all laws hold, 1 when one fails. Raises `TaskError` (see `load_model`)."""
    console = Console(quiet=True) if console is None else console
    run = open_run(config.run)
    model = load_model(run)
    verdicts = audit(model, stored_config(run).model, key=jax.random.key(config.seed))["verdicts"]
    console.print(verdict_table(verdicts))
    if wrong := failed(verdicts):
        console.print(f"[bold red]{len(wrong)} of {len(verdicts)} laws fail:[/] {', '.join(wrong)}", soft_wrap=True)
        return 1
    return 0
