"""One file, one picture: pixels from 0 to 1, grey or in three colours."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ._errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm")
# The luma of ITU-R BT.601, which is what "grey" means to most programs.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Grey pictures are (height, width), those in colour (height, width, 3).
Pixels = Float32[np.ndarray, "height width *channels"]


def read_picture(path: Path | str) -> Pixels:
    """The picture in the file `path`, (height, width) if it is stored in grey and (height, width, 3) if in colour.

    Of 8 and 16 bits, the largest value becomes 1; what is transparent becomes black; photographs are turned as their
    camera was held. A `.npy` array is (height, width) or (height, width, 3), of bytes, 16-bit numbers, or floats in [0, 1].

    **Raises:** `DataError` when there is no such file, it is no picture or holds several (an animation, a stack), its
    pixels are not what they should be, or all of its drawing is in the transparency.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        array = read_array(path)
        if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
            raise DataError(f"{path}: an array of shape {array.shape}; expected (height, width) or (height, width, 3).")
        return scaled(array, str(path))
    (only,) = _decoded(path, several=False)
    return only


def read_frames(path: Path | str) -> list[Pixels]:
    """The pictures in a file that may hold several, an animation or a stack, each as `read_picture` gives one."""
    return _decoded(Path(path), several=True)


def _decoded(path: Path, *, several: bool) -> list[Pixels]:
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    from PIL import Image, ImageSequence

    try:
        with Image.open(path) as picture:
            if not several and (frames := getattr(picture, "n_frames", 1)) > 1:
                raise DataError(f"{path}: {frames} pictures in one file; expected one. Save each as a file of its own.")
            return [_pixels(frame, str(path)) for frame in ImageSequence.Iterator(picture)]
    except DataError:
        raise
    except Exception as error:
        # The readers of Pillow raise whatever damaged bytes lead them to: OSError, SyntaxError, struct.error, IndexError, ...
        raise DataError(f"{path}: not a readable picture ({error}). Save it again as PNG.") from None


def _pixels(picture: Any, where: str) -> Pixels:
    from PIL import ImageOps

    picture.load()
    upright: Any = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I") or upright.mode == "F":
        values = np.asarray(upright)
        return scaled(values / (65535.0 if values.dtype.kind in "iu" else 1.0), where)
    grey = upright.mode in ("1", "L", "LA", "La")
    if upright.has_transparency_data:
        upright = _on_black(upright.convert("RGBA"), where)
    return scaled(np.asarray(upright.convert("L" if grey else "RGB")), where)


def read_array(path: Path | str) -> np.ndarray:
    """The one array in a `.npy` file; `DataError` when there is none."""
    path = Path(path)
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


def scaled(array: np.ndarray, where: str) -> np.ndarray:
    """Pixels of whatever type as float32 in [0, 1]; `DataError` when they cannot be, or there are none."""
    if array.size == 0:
        raise DataError(f"{where}: an array of shape {array.shape}, there is no pixel in it.")
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return np.divide(array, np.float32(np.iinfo(array.dtype).max), dtype=np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{where}: pixels of dtype {array.dtype}; expected uint8, uint16 or floats (0 to 1).")
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise DataError(f"{where}: {count} pixels are NaN or infinite; expected numbers from 0 to 1.")
    low, high = float(array.min()), float(array.max())
    # A little overshoot is what interpolation leaves behind.
    if low < -0.01 or high > 1.01:
        raise DataError(f"{where}: pixels from {low:.3g} to {high:.3g}; expected 0 to 1. Divide by the largest value.")
    return np.clip(array, 0, 1).astype(np.float32)


def coloured(image: Pixels) -> bool:
    """Whether there is a colour in `image`: a grey picture stored in three equal channels has none."""
    return image.ndim == 3 and bool((image != image[..., :1]).any())


def grey(image: Pixels) -> Float32[np.ndarray, "height width"]:
    """The image without its colours: its luma, or the one channel that it shows three times."""
    if image.ndim == 2:
        return image
    return image @ _LUMA if coloured(image) else image[..., 0]


def in_square(image: Pixels, size: int) -> Float32[np.ndarray, "{size} {size} *channels"]:
    """The image scaled, with anti-aliasing, until its longer side has `size` pixels, in the middle of a black square.

    A picture squeezed to a square would be another one under another group: circles would be ellipses.
    """
    from PIL import Image

    height, width = image.shape[:2]
    if height == width == size:
        return image
    h, w = (max(1, round(n * size / max(height, width))) for n in (height, width))
    out = np.zeros((size, size, *image.shape[2:]), np.float32)
    top, left = (size - h) // 2, (size - w) // 2
    for channel in np.ndindex(image.shape[2:]):
        plane = Image.fromarray(np.ascontiguousarray(image[(..., *channel)]))
        small = np.asarray(plane.resize((w, h), Image.Resampling.BILINEAR))
        out[(slice(top, top + h), slice(left, left + w), *channel)] = np.clip(small, 0, 1)
    return out


def _on_black(picture: Any, where: str) -> Any:
    from PIL import Image

    opaque = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    opaque.alpha_composite(picture)
    visible, alpha = np.asarray(opaque)[..., :3], np.asarray(picture)[..., 3]
    if (visible == visible[0, 0]).all() and (alpha != alpha[0, 0]).any():
        raise DataError(
            f"{where}: drawn in its transparency only: on black, where transparent pictures are put, nothing is left of it. "
            "Flatten it on a background first."
        )
    return opaque
