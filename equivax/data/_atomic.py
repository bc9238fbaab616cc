"""Files that are either there and whole, or not there at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends, and vanishes if the block fails.

    The temporary file lies in the same folder, because only a rename within one file system is atomic. A reader sees
    the old file or the new one, never half of either, also when the process is killed or the disk is full.

    **Raises:** whatever the block raises (`OSError` on a full disk), after the temporary file was removed.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes private files; what a run writes is as readable as any other new file.
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def _umask() -> int:
    # The only portable way of reading the mask is setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
