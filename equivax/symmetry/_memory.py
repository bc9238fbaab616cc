"""How much memory a basis may take, and the refusal of more."""

import os

from ._errors import GroupError

# What a single basis may take while it is computed. More is refused on any machine, so that a result that was found on
# one is found on the next; less where less is free.
MEMORY_LIMIT = 2**30


def refuse_beyond_memory(needed: int | float, what: str, instead: str) -> None:
    """Nothing, when `needed` bytes are there.

    **Raises:** `GroupError` saying what needs how much, how much may be used, and what would do `instead`.
    """
    limit = min(MEMORY_LIMIT, _free() // 2)
    if needed > limit:
        raise GroupError(f"{what} needs {_gib(needed)}; {_gib(limit)} may be used here. {instead}")


def _free() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 2 * MEMORY_LIMIT


def _gib(size: int | float) -> str:
    return f"{size / 2**30:.2g} GiB"
