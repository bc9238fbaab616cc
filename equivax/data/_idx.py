"""IDX: the file format of MNIST, an array of bytes behind a short header."""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np

from ._errors import DataError

# The third byte of the header names the type of the entries; MNIST and its relatives only use unsigned bytes.
_UNSIGNED_BYTE = 0x08


def read_idx(path: Path | str, *, md5: str | None = None) -> np.ndarray:
    """The array of unsigned bytes in the IDX file `path`, which may be compressed (`.gz`).

    The format: two zero bytes, the type (8: unsigned byte), the number of axes d, d sizes as big-endian 32-bit
    integers, then the entries in C order.

    **Arguments:** `path`: the file; `md5`: checksum of the *decompressed* bytes (compressed ones differ between mirrors).

    **Raises:** `DataError` when the file cannot be decompressed, is truncated, is no IDX file of unsigned bytes, or has
    another checksum; `FileNotFoundError` when there is none.
    """
    path = Path(path)
    content = _decompressed(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE or content[3] == 0:
        raise DataError(
            f"{path}: not an IDX file of unsigned bytes: it begins with {content[:4].hex(' ') or 'nothing'}, expected "
            "00 00 08 and the number of axes. Fetch the file again or point to the right folder."
        )
    axes = content[3]
    start = 4 + 4 * axes
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes))
    expected = start + int(np.prod(shape, dtype=object))
    if len(content) < start or len(content) != expected:
        raise DataError(
            f"{path}: the header promises shape {shape}, that is {expected} bytes, but there are {len(content)}. "
            "The file is truncated or damaged: fetch it again."
        )
    if md5 is not None and (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
        raise DataError(
            f"{path}: wrong checksum: the decompressed bytes have MD5 {found}, expected {md5}. "
            "The file is damaged or belongs to another data set: fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _decompressed(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        if path.suffix == ".gz":
            raise DataError(f"{path}: not a gzip file: it begins with {raw[:2].hex(' ') or 'nothing'}. Fetch it again.")
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be decompressed ({error}). It is truncated or damaged: fetch it again."
        ) from None
