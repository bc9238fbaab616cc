"""Arrays that take seconds to make, and are made once."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ._atomic import atomic_path
from ._sources import cache_folder


def cached(name: str, make: Callable[[], dict[str, np.ndarray]], *, cache: bool = True) -> dict[str, np.ndarray]:
    """The arrays that `make` returns, from the file `name` (.npz) in the user's cache if it is there and whole.

    The name has to say all that the arrays depend on. A damaged file is no news, it is made again; a cache that cannot be
    written (a full disk, a read-only home) costs seconds at the next run, nothing more.
    """
    file = cache_folder() / name
    arrays = _load(file) if cache else None
    if arrays is None:
        arrays = make()
        if cache:
            _store(file, arrays)
    return arrays


def _load(file: Path) -> dict[str, np.ndarray] | None:
    if not file.is_file():
        return None
    try:
        # Opened here, because NumPy leaves the file open when it turns out to be damaged.
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _store(file: Path, arrays: dict[str, np.ndarray]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as part, open(part, "wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
    except OSError:
        return
