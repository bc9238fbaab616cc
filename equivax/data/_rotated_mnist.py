"""Rotated MNIST: every digit turned by an angle of its own, drawn evenly from the circle."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from ._atomic import atomic_path
from ._errors import DataError
from ._rotate import rotate
from ._sources import ImageSet, cache_folder, find_images

# Raise it when the same seed is to give other images than before: the cache then starts anew.
_VERSION = 1
# The protocol of the original data set: 10,000 to train, 2,000 to validate, 50,000 to test. Of the embedded subset the
# same three parts are 3,600, 400 and 1,000.
_PROTOCOL = (10_000, 2_000, 50_000)
_EMBEDDED = (3_600, 400, 1_000)


@dataclass(frozen=True)
class Sizes:
    """How many images of each part of the protocol are used: always the first ones of the part.

    A smaller training set is therefore a subset of the full one, and no image ever changes sides.
    """

    train: int = 10_000
    validation: int = 2_000
    test: int = 50_000


@dataclass(frozen=True, eq=False)
class RotatedDigits:
    """Three disjoint parts of rotated grey images: u(x) = digit(R(-angle) x).

    **Arguments:** `*_images`: (n, 28, 28) float32 in [0, 1]; `*_labels`: (n,) from 0 to 9; `test_angles`: (n,) in
    [0, 2 pi), counter-clockwise; `source`: one sentence about where the upright digits came from; `embedded`: true when
    they are the small stand-in; `generated`: true, since the original files of rotated MNIST are not to be had.
    """

    train_images: Float32[np.ndarray, "train height width"]
    train_labels: UInt8[np.ndarray, " train"]
    validation_images: Float32[np.ndarray, "validation height width"]
    validation_labels: UInt8[np.ndarray, " validation"]
    test_images: Float32[np.ndarray, "test height width"]
    test_labels: UInt8[np.ndarray, " test"]
    test_angles: Float[np.ndarray, " test"]
    source: str
    embedded: bool
    checksum: str
    seed: int
    classes: int = 10
    generated: bool = True


def rotated_mnist(
    sizes: Sizes | None = None,
    *,
    seed: int = 0,
    data_dir: Path | str | None = None,
    offline: bool = False,
    name: str = "mnist",
    cache: bool = True,
    progress: Any = None,
    advance: Callable[[float], None] | None = None,
) -> RotatedDigits:
    """Generate rotated MNIST, or take it from the cache.

    A permutation of all 70,000 images, drawn from `seed`, deals them into 10,000 to train, 2,000 to validate and 50,000
    to test; each is turned by an angle from U[0, 2 pi) (`rotate`, bilinear) and rounded to 8 bits, as image files are.

    **Arguments:** `sizes`: how many of each part; `seed`: of permutation and angles; `data_dir`, `offline`, `name`,
    `progress`: see `find_images`; `cache`: keep the result in the user's cache; `advance`: told the finished fraction.

    **Raises:** `DataError`, see `find_images`; and when a part is asked to be empty.
    """
    sizes = Sizes() if sizes is None else sizes
    if min(sizes.train, sizes.validation, sizes.test) < 1:
        raise DataError(f"{sizes}: every part needs at least one image.")
    found = find_images(name, data_dir=data_dir, offline=offline, progress=progress)
    parts = _EMBEDDED if found.embedded else _PROTOCOL
    counts = tuple(
        min(asked, there) for asked, there in zip((sizes.train, sizes.validation, sizes.test), parts, strict=True)
    )
    key = hashlib.sha256(repr((_VERSION, found.checksum, seed, counts)).encode()).hexdigest()[:20]
    file = cache_folder() / "rotated" / f"{name}-{key}.npz" if cache else None
    arrays = _load(file, counts)
    if arrays is None:
        arrays = _build(found, parts, counts, seed, advance)
        _store(file, arrays)
    images = np.divide(arrays["images"], np.float32(255), dtype=np.float32)
    cuts = np.cumsum(counts)[:2]
    train, validation, test = zip(np.split(images, cuts), np.split(arrays["labels"], cuts), strict=True)
    return RotatedDigits(
        *train,
        *validation,
        *test,
        test_angles=np.split(arrays["angles"], cuts)[2],
        source=found.source,
        embedded=found.embedded,
        checksum=key,
        seed=seed,
        classes=found.classes,
    )


def _build(
    found: ImageSet,
    parts: tuple[int, ...],
    counts: tuple[int, ...],
    seed: int,
    advance: Callable[[float], None] | None,
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(found.images))
    # Angles belong to places in the permutation, not to the images asked for: a subset has the angles of the full set.
    angles = rng.uniform(0, 2 * np.pi, len(order))
    starts = np.cumsum((0, *parts))[:3]
    chosen = np.concatenate([np.arange(start, start + count) for start, count in zip(starts, counts, strict=True)])
    turned = np.empty((len(chosen), *found.images.shape[1:]), np.uint8)
    step = 2_000
    for start in range(0, len(chosen), step):
        block = chosen[start : start + step]
        turned[start : start + step] = np.rint(rotate(found.images[order[block]], angles[block]))
        if advance is not None:
            advance(min(1.0, (start + step) / len(chosen)))
    return {"images": turned, "labels": found.labels[order[chosen]], "angles": angles[chosen]}


def _load(file: Path | None, counts: tuple[int, ...]) -> dict[str, np.ndarray] | None:
    """What the cache holds, or None when it holds nothing of use: a damaged file is no news, it is made again."""
    if file is None or not file.is_file():
        return None
    try:
        # Opened here, because NumPy leaves the file open when it turns out to be damaged.
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("images", "labels", "angles")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    good = arrays["images"].dtype == np.uint8 and all(len(array) == sum(counts) for array in arrays.values())
    return arrays if good else None


def _store(file: Path | None, arrays: dict[str, np.ndarray]) -> None:
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as part, open(part, "wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
    except OSError:
        # A cache that cannot be written (a full disk, a read-only home) costs seconds at the next run, nothing more.
        return
