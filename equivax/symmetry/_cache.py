"""Bases on disk: what took long to find is found once on a machine."""

import contextlib
import dataclasses
import functools
import hashlib
import os
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from ._basis import Basis
from ._group import AbstractGroup
from ._projection import constraints_of
from ._rep import AbstractRep

# Part of every key: raise it when a solver or the order of coordinates changes what is stored.
FORMAT = 1
# A stored vector that violates a constraint by more is of another representation.
STALE = 1e-8
# Bases that took less are cheaper to find again than to look up.
WORTH_STORING = 0.2


def stored(rep: AbstractRep, solve: Callable[[AbstractRep], Basis]) -> Basis:
    """The basis that `solve` finds, read from the user's cache folder if it is there, written if it took long.

    `EQUIVAX_CACHE=0` turns the cache off. A file that is broken, or whose vectors are not invariant, is ignored and written
    anew; a folder that cannot be written is no error.
    """
    key = content_key(rep) if os.environ.get("EQUIVAX_CACHE", "1") != "0" else None
    if key is None:
        return solve(rep)
    path = cache_folder() / f"{key}.npz"
    found = _read(path, rep)
    # Irreps found numerically may have other matrices under another linear-algebra library: then it is another basis.
    if found is not None and constraints_of(rep).violation(found.vectors.T)[1] <= STALE:
        return found
    start = time.perf_counter()
    solved = solve(rep)
    if time.perf_counter() - start > WORTH_STORING:
        with contextlib.suppress(OSError):
            _write(path, solved)
    return solved


def cache_folder() -> Path:
    """Where bases are kept: `equivax/bases` in `$XDG_CACHE_HOME`, or in `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "equivax" / "bases"


def content_key(rep: AbstractRep) -> str | None:
    """A hash of what a representation is: its expression, and the generators of its group.

    Names do not count, numbers do: two groups of one name have two keys. `None` where a user's own code has a part in it.
    """
    parts = _content(rep)
    if parts is None:
        return None
    return hashlib.sha256(repr((FORMAT, parts)).encode()).hexdigest()


@functools.singledispatch
def _content(value: Any) -> Any:
    """Nested tuples of names and numbers that say what a value is; `None` for values that cannot be said."""
    if isinstance(value, str | int | float | bool):
        return value
    return None


@_content.register
def _(value: tuple) -> Any:
    parts = tuple(_content(part) for part in value)
    return None if any(part is None for part in parts) else ("tuple", *parts)


@_content.register
def _(value: np.ndarray) -> Any:
    return value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()


@_content.register
def _(value: AbstractGroup) -> Any:
    names: list[str] = []
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    fields = [getattr(value, name) for name in names]
    inner = tuple(_content(part) for part in fields if isinstance(part, AbstractGroup | int))
    return type(value).__qualname__, _content(value.lie_algebra), _content(value.discrete_generators), inner


@_content.register
def _(value: AbstractRep) -> Any:
    # The code of a user's own class may change from one run to the next, under one name.
    if not dataclasses.is_dataclass(value) or not type(value).__module__.startswith(__package__ + "."):
        return None
    parts = _content(tuple(getattr(value, field.name) for field in dataclasses.fields(value)))
    return None if parts is None else (type(value).__qualname__, parts)


def _read(path: Path, rep: AbstractRep) -> Basis | None:
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            parts = tuple(file[name] for name in ("data", "indices", "indptr"))
            rows = scipy.sparse.csr_array(parts, shape=tuple(file["shape"]))
            rows.check_format()
            gap, residual, tier, dense = (
                float(file["gap"]),
                float(file["residual"]),
                str(file["tier"]),
                bool(file["dense"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if rows.shape[1] != rep.dim or not np.isfinite(rows.data).all():
        return None
    return Basis(rep, rows.toarray() if dense else rows, gap, residual, tier)


def _write(path: Path, basis: Basis) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = basis.sparse
    # A reader sees no file or the whole one: the rename within a folder is atomic.
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(
                file,
                data=rows.data,
                indices=rows.indices,
                indptr=rows.indptr,
                shape=np.array(rows.shape),
                gap=basis.gap,
                residual=basis.residual,
                tier=basis.tier,
                dense=isinstance(basis.rows, np.ndarray),
            )
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
