"""The user's own images: an array file, a picture, a folder of pictures."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from ._errors import DataError
from ._picture import PICTURES, Pixels, coloured, grey, in_square, read_array, read_picture, scaled
from ._sources import check_labels

# Grey or colour, or what the images themselves suggest.
Channels = Literal["auto", "grey", "colour"]


@dataclass(frozen=True, eq=False)
class UserImages:
    """Images with their names.

    **Arguments:** `images`: arrays (height, width) or, in colour, (height, width, 3), float32 in [0, 1], not all of one
    size; `names`: what each is called in a table: the file name, or the index in an array file; `folder`: true when they
    came from a folder; `skipped`: what was left out, and why.
    """

    images: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    folder: bool = False
    skipped: tuple[str, ...] = ()


def read_images(
    path: Path | str,
    *,
    size: int | None = None,
    skip_bad: bool = False,
    advance: Callable[[float], None] | None = None,
) -> UserImages:
    """The images in `path`: a `.npy` array, a picture, or a folder of pictures (see `read_picture`).

    An array is (height, width) or (n, height, width); in colour (height, width, 3) or (n, height, width, 3).

    **Arguments:** `size`: fit each image into a square of so many pixels (`in_square`); `skip_bad`: leave out, and list, the
    files of a folder that cannot be read; `advance`: told the finished fraction.

    **Raises:** `DataError` for a missing file, an empty folder, an unknown kind of file, a wrong rank or dtype, no
    images at all, and pixels that are NaN, infinite or out of range.
    """
    path = Path(path)
    if path.is_dir():
        files = pictures_in(path)
        if not files:
            raise DataError(f"{path}: an empty folder, no picture in it. Expected files ending in {_listed()}.")
        return read_files(files, [file.name for file in files], size=size, skip_bad=skip_bad, advance=advance)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder.")
    if path.suffix.lower() in PICTURES:
        return UserImages((_fitted(read_picture(path), size),), (path.name,))
    if path.suffix.lower() == ".npy":
        images = _array(path)
        return UserImages(tuple(_fitted(image, size) for image in images), tuple(str(i) for i in range(len(images))))
    raise DataError(f"{path}: unknown kind of file. Expected .npy, a picture ({_listed()}), or a folder of pictures.")


def read_files(
    files: Sequence[Path],
    names: Sequence[str],
    *,
    size: int | None = None,
    skip_bad: bool = False,
    advance: Callable[[float], None] | None = None,
) -> UserImages:
    """One picture from each of `files`; with `skip_bad`, those that cannot be read are left out and listed.

    **Arguments:** as for `read_images`. A folder of photographs fits into memory when they are made small one by one.

    **Raises:** `DataError` naming the first file that cannot be read, or saying that none can.
    """
    images, kept, skipped = [], [], []
    for i, (file, name) in enumerate(zip(files, names, strict=True)):
        try:
            images.append(_fitted(read_picture(file), size))
            kept.append(name)
        except DataError as error:
            if not skip_bad:
                raise DataError(f"{error} Or leave such files out, and have them counted, with --skip-bad.") from None
            skipped.append(str(error))
        if advance is not None:
            advance((i + 1) / len(files))
    if not images:
        raise DataError(f"none of {len(files)} files can be read. The first: {skipped[0]}")
    return UserImages(tuple(images), tuple(kept), folder=True, skipped=tuple(skipped))


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that are pictures or arrays by their endings, sorted."""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in (*PICTURES, ".npy") and f.name[0] != ".")


def settle_channels(found: UserImages, channels: Channels, where: str) -> UserImages:
    """The images all grey, or all in colour: as `channels` says or, for "auto", as they are without exception.

    Three equal channels are no colour.

    **Raises:** `DataError` for "auto" when some are in colour and some are stored in grey.
    """
    with_colour = [i for i, image in enumerate(found.images) if coloured(image)]
    without = [i for i, image in enumerate(found.images) if image.ndim == 2]
    if channels == "auto" and with_colour and without:
        raise DataError(
            f"{where}: {len(with_colour)} images are in colour ({found.names[with_colour[0]]} is one), {len(without)} are grey "
            f"({found.names[without[0]]}). Pass --channels grey to take the colours away, or --channels colour to show grey "
            "in three equal channels."
        )
    if channels == "grey" or (channels == "auto" and not with_colour):
        return replace(found, images=tuple(map(grey, found.images)))
    return replace(found, images=tuple(_in_three(image) for image in found.images))


def expect_channels(found: UserImages, channels: int, where: str) -> UserImages:
    """The images with as many channels as a model was trained on, 1 or 3; `DataError` when they are of the other kind."""
    for image, name in zip(found.images, found.names, strict=True):
        if channels == 1 and coloured(image):
            raise DataError(
                f"{where}: image {name} is in colour, and the model was trained on grey images. "
                "Take the colours away with --grey."
            )
        if channels == 3 and image.ndim == 2:
            raise DataError(
                f"{where}: image {name} is grey, and the model was trained in colour. Give images in colour, or train "
                "another model with --channels grey."
            )
    return settle_channels(found, "grey" if channels == 1 else "colour", where)


def in_one_array(found: UserImages, where: str) -> Float32[np.ndarray, "n size size *channels"]:
    """The images as one array; `DataError` when they differ in size or are not square."""
    sizes = Counter(image.shape[:2] for image in found.images)
    first = dict(zip((image.shape[:2] for image in found.images[::-1]), found.names[::-1], strict=True))
    if len(sizes) > 1:
        listed = ", ".join(f"{h} x {w} ({n}, {first[h, w]} is one)" for (h, w), n in sizes.most_common(3))
        raise DataError(
            f"{where}: images of {len(sizes)} sizes: {listed}{', ...' if len(sizes) > 3 else ''}; expected one size. "
            "Pass --size N to fit each, scaled, into a square of N pixels."
        )
    ((height, width),) = sizes
    if height != width:
        raise DataError(
            f"{where}: images of {height} x {width} pixels; expected square. Pass --size N to fit each, scaled, into a "
            "square of N pixels."
        )
    return np.stack(found.images)


def read_labels(path: Path | str, count: int, *, classes: int) -> np.ndarray:
    """The labels in the `.npy` file `path`: (`count`,) whole numbers from 0 to `classes - 1`; `DataError` otherwise."""
    labels = read_array(path)
    check_labels(labels, count, classes, str(path))
    return labels.astype(np.int32)


def _listed() -> str:
    return ", ".join(PICTURES)


def _fitted(image: np.ndarray, size: int | None) -> np.ndarray:
    return image if size is None else in_square(image, size)


def _in_three(image: Pixels) -> Float32[np.ndarray, "height width 3"]:
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _array(path: Path) -> np.ndarray:
    array = read_array(path)
    colour = array.ndim in (3, 4) and array.shape[-1] == 3
    if array.ndim - colour not in (2, 3):
        raise DataError(
            f"{path}: an array of shape {array.shape}; expected (height, width) or (n, height, width), with a last axis of "
            "3 for colours."
        )
    return scaled(array[None] if array.ndim - colour == 2 else array, str(path))
