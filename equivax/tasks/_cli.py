"""The command line. Nothing heavy is imported before it is known what is wanted: `equivax --help` answers at once."""

import difflib
import errno
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._errors import InterruptedRunError, TaskError
from ._registry import TASKS

# What the exit codes say: all is well; a law fails; the request or the data are wrong; Ctrl-C (128 + SIGINT).
OK, LAW_FAILS, WRONG, STOPPED = 0, 1, 2, 130


@dataclass(frozen=True)
class Command:
    """One of the words that follow `equivax`: how it is used, what it does, who carries it out."""

    usage: str
    summary: str
    run: Callable[[list[str]], int]


def main(argv: list[str] | None = None) -> int:
    """The command `equivax`: carry out `argv` (by default the words of the command line) and return the exit code.

    What goes wrong is said in a line or two on the error stream: 2 for a wrong request, wrong data or a full disk, 130
    for Ctrl-C, 1 for a law that fails.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    from ..data import DataError

    try:
        return _dispatch(words)
    except InterruptedRunError as error:
        return _complain(str(error), STOPPED)
    except (TaskError, DataError) as error:
        return _complain(str(error), WRONG)
    except KeyboardInterrupt:
        return _complain("interrupted; nothing was begun that is worth keeping.", STOPPED)
    except BrokenPipeError:
        # The reader (`head`, say) has seen enough. Nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" ({error.filename})" if error.filename else ""
            return _complain(f"the disk is full{where}. What was whole before is kept; make room and repeat.", WRONG)
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}.", WRONG)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return OK if words else WRONG
    if words[0] in ("-V", "--version", "version"):
        from importlib.metadata import version

        sys.stdout.write(f"equivax {version('equivax')}\n")
        return OK
    return _named(words[0], COMMANDS, "command").run(words[1:])


def _named(word: str, table: dict[str, Any], what: str) -> Any:
    if word in table:
        return table[word]
    near = difflib.get_close_matches(word, table, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(table)}."
    raise TaskError(f"unknown {what} {word!r}. {hint}")


def _help() -> str:
    width = max(len(command.usage) for command in COMMANDS.values())
    lines = [f"  equivax {command.usage:<{width}}   {command.summary}" for command in COMMANDS.values()]
    return "\n".join(
        [
            "equivax: equivariant neural differential equations, with a proof of how equivariant they are.",
            "",
            *lines,
            f"  {'equivax --version':<{width + 8}}   print the version",
            "",
            "Each command explains itself: `equivax train rotated-mnist --help`. A first look, under a minute:",
            "",
            "  equivax train rotated-mnist --preset tiny",
            "",
        ]
    )


def _train(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(
            "usage: equivax train TASK [options]\n\n" + _listed() + "\n`equivax train TASK --help` lists options.\n"
        )
        return OK if words else WRONG
    task = _named(words[0], TASKS, "task")
    from ._allocator import keep_memory

    keep_memory()
    _prepare()
    from ._config import parse

    config = parse(words[1:], words[0])
    return task.part("train")(config, command=shlex.join(["equivax", "train", *words]), console=_console())


def _tasks(words: list[str]) -> int:
    if words and words[0] not in ("-h", "--help"):
        raise TaskError(f"`equivax tasks` takes no arguments, found {words[0]!r}.")
    sys.stdout.write(_listed())
    return OK


def _listed() -> str:
    width = max(map(len, TASKS))
    return "".join(f"  {name:<{width}}   {task.summary}\n" for name, task in TASKS.items())


def _predict(words: list[str]) -> int:
    _prepare()
    import tyro

    from ._predict import PredictConfig, predict

    predict(tyro.cli(PredictConfig, args=words, prog="equivax predict"), console=_console())
    return OK


def _check(words: list[str]) -> int:
    _prepare()
    import tyro

    from ._check import CheckConfig, check

    return check(tyro.cli(CheckConfig, args=words, prog="equivax check"), console=_console())


def _report(words: list[str]) -> int:
    import tyro

    from ._rebuild import ReportConfig, report

    path = report(tyro.cli(ReportConfig, args=words, prog="equivax report"))
    sys.stdout.write(f"{path}\n")
    return OK


def _console() -> Any:
    from rich.console import Console

    # Into a file, tables keep their shape instead of breaking at the 80 columns of a terminal that is not there.
    return Console(width=None if sys.stdout.isatty() else 120)


def _prepare() -> None:
    """Settle what must be settled before JAX starts: compiled functions are kept, and its chatter about it is not."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import jax

    from ..data import cache_folder

    folder = cache_folder() / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a home that cannot be written: everything is compiled anew, as without a cache
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"equivax: {message}\n")
    return code


COMMANDS = {
    "train": Command("train TASK [options]", "train a model, audit it, write the folder of a run", _train),
    "predict": Command(
        "predict RUN DATA [--out FILE]", "classify images or their pixels, or continue motions, of your own", _predict
    ),
    "check": Command("check RUN", "repeat the audit; exit code 1 when a law fails", _check),
    "report": Command("report RUN", "write the report of a run anew", _report),
    "tasks": Command("tasks", "list what can be trained", _tasks),
}
