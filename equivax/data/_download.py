"""A checked download that knows within ten seconds whether there is a network."""

import queue
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ._catalogue import FILES, DataSet
from ._errors import DataError
from ._idx import read_idx

# Seconds until a mirror must have accepted the connection, and between two pieces of a file.
_TIMEOUT = (3.0, 5.0)
# Seconds until the first mirror must have answered. Looking up a name may hang much longer than any timeout of a
# connection, so the mirrors are asked by threads that are left behind when the time is over.
_DECISION = 5.0


def reachable(mirrors: tuple[str, ...]) -> list[str]:
    """The mirrors that answer, the first to answer first; an empty list when none does in time."""
    answers: queue.Queue[tuple[str, bool]] = queue.Queue()

    def ask(mirror: str) -> None:
        try:
            answers.put((mirror, _answers(mirror + FILES[-1] + ".gz")))
        except Exception:
            # Whatever goes wrong (no route, no name, a proxy's refusal, a certificate): this mirror is of no use now.
            answers.put((mirror, False))

    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    deadline = time.monotonic() + _DECISION
    found: list[str] = []
    for _ in mirrors:
        try:
            mirror, good = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if good:
            found.append(mirror)
            # The others get a moment more: they are what is left when this one breaks off.
            deadline = min(deadline, time.monotonic() + 0.5)
    return found


def _answers(url: str) -> bool:
    import requests

    with requests.get(url, timeout=_TIMEOUT, stream=True) as response:
        return response.ok and next(response.iter_content(2), b"") == b"\x1f\x8b"


def fetch(url: str, path: Path, progress: Any = None) -> None:
    """Bring `url` into the file `path` (pooch's downloader, short timeouts)."""
    import pooch

    pooch.HTTPDownloader(progressbar=progress or False, timeout=_TIMEOUT)(url, str(path), None)


def download(data_set: DataSet, folder: Path, *, progress: Any = None) -> str:
    """Bring the four files of `data_set` into `folder`, checked, and return the mirror they came from.

    A file takes its place in `folder` only after its decompressed bytes have the right checksum.

    **Arguments:** `progress`: called with the name of each file, returns the progress bar that pooch is to use.

    **Raises:** `DataError` when no mirror answers in time, or when every one that does breaks off or sends other bytes.
    """
    mirrors = reachable(data_set.mirrors)
    if not mirrors:
        raise DataError(f"no mirror of {data_set.title} answered within {_DECISION:.0f} seconds")
    problems = []
    for mirror in mirrors:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
                for name in FILES:
                    part = Path(scratch) / f"{name}.gz"
                    fetch(f"{mirror}{name}.gz", part, progress(name) if progress else None)
                    read_idx(part, md5=data_set.md5[name])
                for name in FILES:
                    (Path(scratch) / f"{name}.gz").replace(folder / f"{name}.gz")
            return mirror
        except (OSError, ValueError) as error:  # requests' exceptions are OSErrors, ours and urllib3's are ValueErrors
            if getattr(error, "errno", None) is not None and not _of_network(error):
                raise
            problems.append(f"{mirror}: {error}")
    raise DataError(f"the download of {data_set.title} failed: " + "; ".join(problems))


def _of_network(error: BaseException) -> bool:
    import requests

    return isinstance(error, requests.RequestException | ConnectionError | TimeoutError)
