"""A run is one folder: its configuration, its numbers, its checkpoints, its figures, its report."""

import importlib.metadata
import json
import math
import platform
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import write_text
from ._errors import TaskError

# Raise it when folders written before cannot be read any more.
FORMAT = 1
_PACKAGES = ("equivax", "jax", "jaxlib", "equinox", "diffrax", "optax", "orbax-checkpoint", "numpy")


@dataclass(frozen=True)
class Run:
    """The folder of one run: `config.json`, `metrics.json`, `checkpoints/`, `figures/`, `report.html`.

    Every file in it is either whole or absent. `config.json` is written first and `metrics.json` last among the files
    with numbers, so a folder with the first but not the second is a run that was interrupted.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.path / "figures"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "metrics.json").is_file()

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Write `content` to the JSON file `name` of the folder, atomically."""
        write_text(self.path / name, json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")

    def read(self, name: str) -> dict[str, Any]:
        """The content of the JSON file `name`; `TaskError` when it is missing or damaged."""
        file = self.path / name
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TaskError(
                f"{self.path}: an incomplete run, {name} is missing. Finish it with "
                f"`equivax train {self.task()} --resume --out {self.path}`."
            ) from None
        except (OSError, ValueError) as error:
            raise TaskError(f"{file}: damaged ({error}). Repeat the run in a new folder.") from None
        if not isinstance(content, dict):
            raise TaskError(f"{file}: damaged (a {type(content).__name__} instead of an object).")
        return content

    def discard_if_empty(self) -> bool:
        """Remove the folder if there is nothing in it to go on from: no checkpoint yet. Returns whether it was removed."""
        if any(path.name.isdigit() for path in self.checkpoints.glob("*/*")) or self.finished:
            return False
        shutil.rmtree(self.path, ignore_errors=True)
        return True

    def task(self) -> str:
        """The name of the task that the run is of."""
        try:
            return str(json.loads((self.path / "config.json").read_text(encoding="utf-8"))["task"])
        except (OSError, ValueError, KeyError, TypeError):
            return "TASK"


def create_run(path: Path | None, task: str, config: dict[str, Any], **more: Any) -> Run:
    """Make the folder of a new run and write its `config.json`.

    **Arguments:** `path`: the folder, or None for `runs/<task>-<time>`; `task`: its name; `config`: the configuration as
    plain values; `more`: what else belongs into `config.json` (the command, the data).

    **Raises:** `TaskError` when the folder already holds something.
    """
    if path is None:
        path = _fresh(Path("runs"), f"{task}-{time.strftime('%Y%m%d-%H%M%S')}")
    check_free(path)
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    run = Run(path)
    try:
        run.write("config.json", {"format": FORMAT, "task": task, "versions": versions(), "config": config, **more})
    except BaseException:
        if made:
            shutil.rmtree(path, ignore_errors=True)
        raise
    return run


def check_free(path: Path) -> None:
    """Make sure that a new run can have the folder `path`; `TaskError` when it is a file or already holds something."""
    if path.exists() and not path.is_dir():
        raise TaskError(f"--out {path}: a file; give a folder that is new or empty.")
    if path.is_dir() and any(path.iterdir()):
        held = (path / "config.json").is_file()
        what = "already holds a run; go on with it by --resume, or give" if held else "is not empty; give"
        raise TaskError(f"--out {path}: {what} another folder.")


def open_run(path: Path | str) -> Run:
    """The existing run in the folder `path`, with a readable `config.json` of this version's format.

    **Raises:** `TaskError` when there is no such folder, it is no run, or another version wrote it.
    """
    path = Path(path)
    if not path.is_dir():
        raise TaskError(f"{path}: no such folder. Expected the folder of a run, as `equivax train` writes it.")
    if not (path / "config.json").is_file():
        raise TaskError(
            f"{path}: not a run, config.json is missing. Expected a folder that `equivax train` has written."
        )
    run = Run(path)
    content = run.read("config.json")
    if content.get("format") != FORMAT:
        writer = (
            content.get("versions", {}).get("equivax", "unknown") if isinstance(content.get("versions"), dict) else "?"
        )
        raise TaskError(
            f"{path}: written by another version (equivax {writer}, format {content.get('format')}; this is equivax "
            f"{_version('equivax')}, format {FORMAT}). Repeat it with this version, or install that one."
        )
    if not isinstance(content.get("config"), dict) or not isinstance(content.get("task"), str):
        raise TaskError(f"{path}/config.json: damaged, the task or its configuration is missing.")
    return run


def latest_unfinished(task: str, folder: Path | None = None) -> Path:
    """The newest run of `task` in `folder` (default: `runs`) that did not come to its end; `TaskError` if there is none."""
    folder = Path("runs") if folder is None else folder
    paths = sorted(folder.glob(f"{task}-*/config.json"), key=lambda file: file.stat().st_mtime)
    unfinished = [file.parent for file in paths if not Run(file.parent).finished]
    if not unfinished:
        raise TaskError(f"--resume: no unfinished run of {task} in {folder}. Name its folder with --out.")
    return unfinished[-1]


def versions() -> dict[str, str]:
    """The versions of Python, the machine and the packages that matter for the numbers of a run."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    } | {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _fresh(folder: Path, name: str) -> Path:
    # Two runs may start within one second.
    path, count = folder / name, 1
    while path.exists():
        count += 1
        path = folder / f"{name}-{count}"
    return path


def _plain(value: Any) -> Any:
    """`value` with nothing in it that JSON does not know; what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
