"""Scenes of several digits, each pixel with the digit that it belongs to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from jaxtyping import Float, Shaped

from ._errors import DataError
from ._pairs import MaskedImages, checksum_of
from ._sources import ImageSet, find_images

SIDE = 64
# Strokes brighter than this belong to the digit, the rest to the ground (class 0).
_STROKE = 96
# Centres of digits keep so many pixels from each other and from the border.
_APART, _INSIDE = 20.0, 11


@dataclass(frozen=True)
class SceneCounts:
    """How many scenes of each part."""

    train: int = 2_000
    validation: int = 200
    test: int = 500


@dataclass(frozen=True, eq=False)
class DigitScenes:
    """Scenes of one to four digits on 64 x 64 pixels, classes 0 (ground) and 1 + digit.

    Digits lie anywhere, between pixels as well, and cubic splines draw them: upright ones go through the same as turned ones.

    **Arguments:** `test`, `test_turned`: the same digits at the same places, upright and each turned by an angle of its own;
    `source`, `embedded`, `checksum`: as in `ImageSet`.
    """

    train: MaskedImages
    validation: MaskedImages
    test: MaskedImages
    test_turned: MaskedImages
    source: str
    embedded: bool
    checksum: str


def digit_scenes(
    counts: SceneCounts | None = None,
    *,
    turned: bool = False,
    seed: int = 0,
    data_dir: Path | str | None = None,
    offline: bool = False,
    progress: Any = None,
) -> DigitScenes:
    """Generate scenes from MNIST: digits of the last 10,000 images to test, of the others to train and validate.

    **Arguments:** `turned`: whether digits to train and validate on are turned too, each by an angle from U[0, 2 pi); for
    the others see `find_images`.

    **Raises:** `DataError`, see `find_images`; and when a part is asked to be empty.
    """
    counts = SceneCounts() if counts is None else counts
    if min(counts.train, counts.validation, counts.test) < 1:
        raise DataError(f"{counts}: every part needs at least one scene.")
    found = find_images("mnist", data_dir=data_dir, offline=offline, progress=progress)
    cut = len(found.images) - (1_000 if found.embedded else 10_000)
    order = np.arange(len(found.images))
    if found.embedded:  # sorted by digit there
        order = np.random.default_rng(0).permutation(order)
    learn, test = order[:cut], order[cut:]

    def part(stream: int, pool: np.ndarray, count: int, turn: bool) -> MaskedImages:
        # Angles have a stream of their own: upright and turned scenes agree in all else.
        return _scenes(found, pool, count, np.random.default_rng([seed, stream]), turn)

    train, validation = part(0, learn, counts.train, turned), part(1, learn, counts.validation, turned)
    upright, rotated = part(2, test, counts.test, False), part(2, test, counts.test, True)
    checksum = checksum_of(train) + checksum_of(rotated)
    return DigitScenes(train, validation, upright, rotated, found.source, found.embedded, checksum)


def _scenes(found: ImageSet, pool: np.ndarray, count: int, rng: np.random.Generator, turn: bool) -> MaskedImages:
    images, masks = np.zeros((count, SIDE, SIDE), np.float32), np.zeros((count, SIDE, SIDE), np.uint8)
    size = found.images.shape[-1]
    for image, mask in zip(images, masks, strict=True):
        places = _places(rng)
        chosen = rng.choice(pool, len(places), replace=False)
        angles, shifts = rng.uniform(0, 2 * np.pi, len(places)), rng.uniform(-0.5, 0.5, (len(places), 2))
        for (row, column), index, angle, shift in zip(places, chosen, angles, shifts, strict=True):
            digit, label = _drawn(found.images[index], angle if turn else 0.0, shift), found.labels[index]
            # What of the digit's square lies inside the scene; its strokes do, all but always.
            top, left = row - size // 2, column - size // 2
            here = (slice(max(top, 0), top + size), slice(max(left, 0), left + size))
            ink = digit[max(-top, 0) : SIDE - top, max(-left, 0) : SIDE - left]
            wins = ink > np.maximum(image[here], _STROKE)
            mask[here][wins] = 1 + label
            image[here] = np.maximum(image[here], ink)
    names = tuple(f"scene {i}" for i in range(count))
    pictures = (np.rint(images) / np.float32(255)).astype(np.float32)[..., None]
    return MaskedImages(tuple(pictures), tuple(masks), names)


def _drawn(
    image: Shaped[np.ndarray, "height width"], angle: float, shift: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "height width"]:
    """A digit turned anticlockwise about its centre, then shifted downwards and to the right; grey values from 0 to 255."""
    c, s = np.cos(angle), np.sin(angle)
    back, centre = np.array([[c, s], [-s, c]]), (np.array(image.shape) - 1) / 2  # in rows and columns
    drawn = scipy.ndimage.affine_transform(
        image.astype(np.float32), back, centre - back @ (centre + shift), order=3, mode="constant"
    )
    return np.clip(drawn, 0, 255)


def _places(rng: np.random.Generator) -> list[tuple[int, int]]:
    """The centres of one to four digits, far enough from each other."""
    wanted = int(rng.integers(1, 5))
    while True:
        places = rng.integers(_INSIDE, SIDE - _INSIDE, (wanted, 2))
        gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + _APART * np.eye(wanted)
        if gaps.min() >= _APART:
            return [(int(row), int(column)) for row, column in places]
