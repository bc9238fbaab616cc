"""The course of every run: a new folder or an old one, the work, and what is said when it is interrupted."""

from collections.abc import Callable
from typing import Any, NamedTuple

from rich.console import Console

from ._config import essence, to_plain
from ._errors import InterruptedRunError, TaskError
from ._run import Run, check_free, create_run, open_run
from ._show import failed
from ._trained import stored_config


class Prepared(NamedTuple):
    """What a run needs before it has a folder: data and model, where the data are from, with a checksum, and what else of
    the data has to be known to make the model again."""

    content: Any
    source: str
    checksum: str
    about: dict[str, Any] = {}  # noqa: RUF012  (a NamedTuple shares it, and nobody writes to it)


def conduct(
    task: str,
    config: Any,
    prepare: Callable[[], Prepared],
    carry_out: Callable[[Run, Any], int],
    show: Callable[[Console, dict[str, Any], str], None],
    *,
    command: str,
    console: Console,
) -> int:
    """Carry out a run of `task` in its folder, new or resumed; the exit code of `carry_out`.

    - `prepare`: comes before the folder: a configuration that makes no model leaves nothing behind.
    - `carry_out`: (run, content) -> exit code; writes `metrics.json`.
    - `show`: prints the numbers of a run that turns out to be finished already.

    **Raises:** `TaskError`; `InterruptedRunError` on Ctrl-C, after which a folder without a checkpoint is gone.
    """
    if config.resume and config.out is None:
        raise TaskError("resume: the folder of the run is missing; name it with out.")
    if config.resume and (run := open_run(config.out or "")).finished:
        console.print(f"{run.path}: finished already, nothing is left to resume.")
        show(console, metrics := run.read("metrics.json"), str(run.path))
        return 1 if failed(metrics["audit"]["verdicts"]) else 0
    if config.out is not None and not config.resume:
        check_free(config.out)
    prepared = prepare()
    if config.resume:
        run = _resumed(config, prepared)
    else:
        about = prepared.about | {"source": prepared.source, "checksum": prepared.checksum}
        run = create_run(config.out, task, to_plain(essence(config)), command=command, data=about)
    try:
        console.print(f"Run: {run.path}", soft_wrap=True)
        return carry_out(run, prepared.content)
    except (KeyboardInterrupt, InterruptedRunError) as error:
        if run.discard_if_empty():
            raise InterruptedRunError("interrupted before the first checkpoint; nothing is left behind.") from None
        what = str(error).rstrip(".") or "interrupted"
        raise InterruptedRunError(f"{what}. Go on with `equivax train {task} --resume --out {run.path}`.") from None
    except BaseException:
        run.discard_if_empty()
        raise


def _resumed(config: Any, prepared: Prepared) -> Run:
    run = open_run(config.out or "")
    if essence(stored_config(run)) != essence(config):
        raise TaskError(
            f"{run.path}: of another configuration. Resume it with --resume --out alone, or begin a new run."
        )
    if (found := run.read("config.json").get("data", {}).get("checksum")) != prepared.checksum:
        raise TaskError(
            f"{run.path}: begun with other data (checksum {found}, now {prepared.checksum}). Give the same, or begin anew."
        )
    return run
