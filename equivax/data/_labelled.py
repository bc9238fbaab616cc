"""Small labelled images in three parts: found, and then turned and zoomed as their protocol says."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Integer

from ._cached import cached
from ._catalogue import DATA_SETS
from ._errors import DataError
from ._move import enlarge, move
from ._protocols import PROTOCOLS, Protocol, Sizes
from ._sources import ImageSet, find_images

# Raise it when the same seed is to give other images than before: the cache then starts anew.
_VERSION = 1
# The parts of the embedded subset, which is dealt by permutation whatever the protocol says.
_EMBEDDED = Sizes(3_600, 400, 1_000)


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Three disjoint parts of labelled images.

    **Arguments:** `*_images`: (n, height, width), or (n, height, width, 3) in colour, float32 in [0, 1]; `*_labels`: (n,)
    from 0 to `classes - 1`; `class_names`: what these are called; `source`: one sentence about where the images came from;
    `embedded`: true when they are the small stand-in; `generated`: true when the images are not published ones, but made
    from them; `test_angles`: (n,) in [0, 2 pi), counter-clockwise, where images were turned; `test_zooms`: (n,) where
    they were scaled; `skipped`: the files that were left out, and why.
    """

    train_images: Float32[np.ndarray, "train height width *channels"]
    train_labels: Integer[np.ndarray, " train"]
    validation_images: Float32[np.ndarray, "validation height width *channels"]
    validation_labels: Integer[np.ndarray, " validation"]
    test_images: Float32[np.ndarray, "test height width *channels"]
    test_labels: Integer[np.ndarray, " test"]
    class_names: tuple[str, ...]
    source: str
    checksum: str
    seed: int
    embedded: bool = False
    generated: bool = False
    test_angles: Float[np.ndarray, " test"] | None = None
    test_zooms: Float[np.ndarray, " test"] | None = None
    skipped: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def size(self) -> int:
        """Pixels across an image."""
        return self.train_images.shape[1]

    @property
    def channels(self) -> int:
        """1 for grey images, 3 in colour."""
        return 1 if self.train_images.ndim == 3 else self.train_images.shape[3]


def labelled_images(
    name: str = "rotated-mnist",
    sizes: Sizes | None = None,
    *,
    seed: int = 0,
    data_dir: Path | str | None = None,
    offline: bool = False,
    cache: bool = True,
    progress: Any = None,
    advance: Callable[[float], None] | None = None,
) -> LabelledImages:
    """The data set `name` (a key of `PROTOCOLS`), made from real images or taken from the cache.

    A permutation drawn from `seed` deals the images into the parts of the protocol. Each is turned by an angle from
    U[0, 2 pi) and scaled by a factor from U[.3, 1], if the protocol says so (`move`), and rounded to 8 bits, as image files
    are; after that, those of the `rs-` sets are upsampled from 28 to 56 pixels (`enlarge`).

    **Arguments:** `sizes`: how many of each part, by default all; `seed`: of permutation, angles and factors; `data_dir`,
    `offline`, `progress`: see `find_images`; `cache`: keep the result in the user's cache; `advance`: told the finished
    fraction.

    **Raises:** `DataError`, see `find_images`; and when there is no such protocol, nothing to train or to test on, or more
    is asked for than the protocol has.
    """
    if name not in PROTOCOLS:
        raise DataError(f"unknown data set {name!r}; known are {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[name]
    sizes = protocol.sizes if sizes is None else sizes
    if min(sizes.train, sizes.test) < 1 or sizes.validation < 0:
        raise DataError(f"{sizes}: the parts to train and to test on need at least one image each.")
    most = _parts(protocol.sizes, sizes.validation)
    if any(asked > there for asked, there in zip(_parts(sizes, sizes.validation), most, strict=True)):
        raise DataError(
            f"{sizes}: {protocol.title} has {most[0]:,} images to train on, {most[1]:,} to validate, {most[2]:,} to test."
        )
    found = find_images(protocol.source, data_dir=data_dir, offline=offline, progress=progress)
    there = _parts(_EMBEDDED, sizes.validation) if found.embedded else most
    counts = tuple(map(min, _parts(sizes, sizes.validation), there))
    key = hashlib.sha256(repr((_VERSION, protocol, found.checksum, seed, counts)).encode()).hexdigest()[:20]
    arrays = cached(
        f"images/{name}-{key}.npz",
        lambda: _made(protocol, found, there, counts, seed, advance),
        cache=cache and protocol.moved,
    )
    cuts = np.cumsum(counts)[:2]
    pixels = np.divide(arrays["images"], np.float32(255), dtype=np.float32)
    train, validation, test = (enlarge(part, protocol.size) for part in np.split(pixels, cuts))
    labels = np.split(arrays["labels"], cuts)
    angles, zooms = (arrays[name][cuts[1] :] if name in arrays else None for name in ("angles", "zooms"))
    return LabelledImages(
        train,
        labels[0],
        validation,
        labels[1],
        test,
        labels[2],
        class_names=DATA_SETS[protocol.source].class_names,
        source=found.source,
        checksum=key,
        seed=seed,
        embedded=found.embedded,
        generated=protocol.moved,
        test_angles=angles,
        test_zooms=zooms,
    )


def _parts(sizes: Sizes, validation: int) -> tuple[int, int, int]:
    """Training, validation, test; when none are to be validated on, their images join those to train on."""
    if validation:
        return sizes.train, sizes.validation, sizes.test
    return sizes.train + sizes.validation, 0, sizes.test


def _made(
    protocol: Protocol,
    found: ImageSet,
    parts: tuple[int, int, int],
    counts: tuple[int, ...],
    seed: int,
    advance: Callable[[float], None] | None,
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = len(found.images)
    if protocol.dealt or found.train == count:
        order = rng.permutation(count)
    else:
        order = np.concatenate([rng.permutation(found.train), np.arange(found.train, count)])
    # Angles belong to places in the permutation, not to the images asked for: a subset has the angles of the full set.
    angles = rng.uniform(0, 2 * np.pi, count) if protocol.turned else np.zeros(count)
    zooms = rng.uniform(*protocol.zoom, count) if protocol.zoom else np.ones(count)
    starts = np.cumsum((0, *parts))[:3]
    chosen = np.concatenate([np.arange(start, start + count) for start, count in zip(starts, counts, strict=True)])
    made = {"images": found.images[order[chosen]], "labels": found.labels[order[chosen]]}
    step = 2_000
    for start in range(0, len(chosen) if protocol.moved else 0, step):
        block = slice(start, start + step)
        made["images"][block] = np.rint(move(made["images"][block], angles[chosen[block]], zooms[chosen[block]]))
        if advance is not None:
            advance(min(1.0, (start + step) / len(chosen)))
    moved = {"angles": angles[chosen]} if protocol.turned else {}
    return made | moved | ({"zooms": zooms[chosen]} if protocol.zoom else {})
