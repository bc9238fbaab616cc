"""The user's own images: an array file, a picture, a folder of pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ._errors import DataError
from ._sources import check_labels

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm")


@dataclass(frozen=True, eq=False)
class UserImages:
    """Grey images with their names.

    **Arguments:** `images`: arrays (height, width), float32 in [0, 1], not all of one size; `names`: what each is called
    in a table: the file name, or the index in an array file; `folder`: true when they came from a folder.
    """

    images: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    folder: bool = False


def read_images(path: Path | str) -> UserImages:
    """The images in `path`: a `.npy` array (height, width) or (n, height, width), a picture, or a folder of pictures.

    Bytes are divided by 255; floating-point pixels must lie in [0, 1]. Colours become grey; what is transparent, black.

    **Raises:** `DataError` for a missing file, an empty folder, an unknown kind of file, a wrong rank or dtype, no
    images at all, and pixels that are NaN, infinite or out of range.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _PICTURES)
        if not files:
            raise DataError(f"{path}: an empty folder, no picture in it. Expected files ending in {_listed()}.")
        return UserImages(tuple(_picture(file) for file in files), tuple(file.name for file in files), folder=True)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder.")
    if path.suffix.lower() in _PICTURES:
        return UserImages((_picture(path),), (path.name,))
    if path.suffix.lower() == ".npy":
        images = _array(path)
        return UserImages(tuple(images), tuple(str(i) for i in range(len(images))))
    raise DataError(f"{path}: unknown kind of file. Expected .npy, a picture ({_listed()}), or a folder of pictures.")


def read_labels(path: Path | str, count: int, *, classes: int) -> np.ndarray:
    """The labels in the `.npy` file `path`: (`count`,) whole numbers from 0 to `classes - 1`; `DataError` otherwise."""
    labels = _load(Path(path))
    check_labels(labels, count, classes, str(path))
    return labels.astype(np.int32)


def _listed() -> str:
    return ", ".join(_PICTURES)


def _load(path: Path) -> np.ndarray:
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        # Arrays of objects are pickles, and pickles can execute code: they are refused like any damaged file.
        raise DataError(f"{path}: not a readable array ({error}). Save it with np.save, without objects.") from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: an archive of several arrays; expected one array, saved with np.save.")
    return array


def _array(path: Path) -> np.ndarray:
    array = _load(path)
    if array.ndim not in (2, 3):
        raise DataError(
            f"{path}: an array of shape {array.shape}; expected (height, width) or (n, height, width), grey images."
        )
    if array.size == 0:
        raise DataError(f"{path}: an array of shape {array.shape}, there is no pixel in it.")
    return _scaled(array[None] if array.ndim == 2 else array, str(path))


def _scaled(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype == np.uint8:
        return np.divide(array, np.float32(255), dtype=np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{where}: pixels of dtype {array.dtype}; expected uint8 (0 to 255) or floats (0 to 1).")
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise DataError(f"{where}: {count} pixels are NaN or infinite; expected numbers from 0 to 1.")
    low, high = float(array.min()), float(array.max())
    # A little overshoot is what interpolation leaves behind.
    if low < -0.01 or high > 1.01:
        raise DataError(f"{where}: pixels from {low:.3g} to {high:.3g}; expected 0 to 1. Divide by the largest value.")
    return np.clip(array, 0, 1).astype(np.float32)


def _picture(path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            picture.load()
            if picture.mode.startswith("I") or picture.mode == "F":
                values = np.asarray(picture)
                scale = 65535.0 if values.dtype.kind in "iu" else 1.0
                return _scaled((values / scale).astype(np.float32), str(path))
            if picture.has_transparency_data:
                opaque = Image.new("RGBA", picture.size, (0, 0, 0, 255))
                opaque.alpha_composite(picture.convert("RGBA"))
                return _scaled(np.asarray(opaque.convert("L")), str(path))
            return _scaled(np.asarray(picture.convert("L")), str(path))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a readable picture ({error}). Save it again as PNG.") from None
