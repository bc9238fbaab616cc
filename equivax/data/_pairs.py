"""Images with masks: two folders, paired, read and checked before anything is trained on them."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from ._errors import DataError
from ._images import _listed
from ._picture import PICTURES, read_frames

# More kinds of pixel than this are no classes but shades: a mask that was smoothed, or a photograph.
_MOST_CLASSES = 64
# Fewer pixels of a kind than this, in all masks together, are a slip of the pen or of a compression, and no class.
_FEWEST_PIXELS = 10


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """Images and the class of each of their pixels.

    **Arguments:** `images`: arrays (height, width, channels), float32 in [0, 1], not all of one size; `masks`: arrays
    (height, width) of class numbers; `names`: what each is called.
    """

    images: tuple[Float32[np.ndarray, "_ _ _"], ...]
    masks: tuple[UInt8[np.ndarray, "_ _"], ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Sequence[int]) -> "MaskedImages":
        """Those with the given indices, in their order."""
        kept = [(self.images[i], self.masks[i], self.names[i]) for i in indices]
        images, masks, names = zip(*kept, strict=True) if kept else ((), (), ())
        return MaskedImages(tuple(images), tuple(masks), tuple(names))


@dataclass(frozen=True, eq=False)
class PairedFolders:
    """What two folders of images and masks hold.

    **Arguments:** `pairs`: what can be used; `values`: for each class what stands in the masks for it, a grey value or a
    colour (red, green, blue); `pairing`: a sentence on how images found their masks; `skipped`: one line for each broken
    file that was left out; `checksum`: of the content.
    """

    pairs: MaskedImages
    values: tuple[int | tuple[int, ...], ...]
    pairing: str
    skipped: tuple[str, ...]
    checksum: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class: its grey value, or its colour as #rrggbb."""
        return tuple(str(v) if isinstance(v, int) else "#" + "".join(f"{c:02x}" for c in v) for v in self.values)


def read_pairs(
    images: Path | str, masks: Path | str, *, skip_bad: bool = False, allow_empty: bool = False
) -> PairedFolders:
    """The images in one folder with the masks in another.

    A mask belongs to the image of the same name (endings such as `_mask` aside); where no two names agree, the files are
    paired in the order of their names, numbers counted as numbers. Each grey value or colour in the masks is a class. Files of
    several frames (TIFF, GIF) hold as many images. Colours stay colours unless all images are grey.

    **Arguments:** `skip_bad`: leave out what cannot be read or has the wrong size, instead of raising; `allow_empty`: let
    masks of a single class be.

    **Raises:** `DataError` for folders that are missing or empty, images and masks that do not pair, sizes that differ, files
    that are broken, masks that are empty, hold shades instead of classes or stray values, and for a single class in all.
    """
    found, pairing = _paired(_pictures(Path(images), "--images"), _pictures(Path(masks), "--masks"))
    frames: list[tuple[str, np.ndarray, np.ndarray]] = []
    skipped = []
    for image, mask in found:
        try:
            frames += _frames_of(image, mask, allow_empty=allow_empty)
        except DataError as error:
            if not skip_bad:
                raise DataError(f"{error} (--skip-bad leaves such files out.)") from None
            skipped.append(str(error))
    if not frames:
        raise DataError(f"{images}: none of {len(found)} pairs can be used. The first: {skipped[0]}")
    values = _values([(name, mask) for name, _, mask in frames])
    channels = max(image.shape[-1] for _, image, _ in frames)
    pairs = MaskedImages(
        tuple(np.repeat(image, channels // image.shape[-1], axis=-1) for _, image, _ in frames),
        tuple(np.searchsorted(values, mask).astype(np.uint8) for _, _, mask in frames),
        tuple(name for name, _, _ in frames),
    )
    shown = tuple(int(v) if v < _COLOUR else tuple(int(v - _COLOUR).to_bytes(3, "big")) for v in values)
    return PairedFolders(pairs, shown, pairing, tuple(skipped), checksum_of(pairs))


def checksum_of(pairs: MaskedImages) -> str:
    """A short fingerprint of the pixels, so that a run is not resumed with others."""
    digest = hashlib.sha256()
    for array in (*pairs.images, *pairs.masks):
        digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.hexdigest()[:20]


def read_colours(path: Path) -> list[Float32[np.ndarray, "height width 3"]]:
    """The frames of a picture in red, green and blue, from 0 to 1; `DataError` when it cannot be read."""
    return [np.stack(3 * [f], axis=-1) if f.ndim == 2 else f for f in read_frames(path)]


def picture_files(path: Path | str) -> list[Path]:
    """The pictures in a folder, in the order of their names with numbers counted as numbers; or one picture alone."""
    path = Path(path)
    if path.is_file() and path.suffix.lower() in PICTURES:
        return [path]
    if path.is_file():
        raise DataError(f"{path}: unknown kind of file. Expected a picture ({_listed()}), or a folder of pictures.")
    return _pictures(path, "")


def _pictures(folder: Path, option: str) -> list[Path]:
    option = f"{option} " if option else ""
    if not folder.is_dir():
        raise DataError(f"{option}{folder}: no such folder.")
    files = [file for file in folder.iterdir() if file.suffix.lower() in PICTURES]
    if not files:
        raise DataError(f"{option}{folder}: no picture in it. Expected files ending in {_listed()}.")
    return sorted(files, key=_natural)


def _natural(file: Path) -> list[tuple[int, str]]:
    """Numbers in a name count as numbers: 2.png comes before 10.png."""
    parts = re.split(r"(\d+)", file.stem.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _stem(file: Path) -> str:
    """A name without what says that it is a mask or an image: cell_7_mask.png is the mask of cell_7.tif."""
    return re.sub(r"[-_. ]?(masks?|labels?|seg|segmentation|gt|annotation|truth|images?|img)$", "", file.stem.lower())


def _paired(images: list[Path], masks: list[Path]) -> tuple[list[tuple[Path, Path]], str]:
    by_name = {_stem(mask): mask for mask in masks}
    partners = [(image, by_name.get(_stem(image))) for image in images]
    matched = [(image, mask) for image, mask in partners if mask is not None]
    if not matched and len(images) == len(masks):
        example = f"{images[0].name} with {masks[0].name}"
        return list(zip(images, masks, strict=True)), f"paired by order, since no names agree: {example}, and so on"
    used = {mask for _, mask in matched}
    alone = [f"image {image.name}" for image, mask in partners if mask is None]
    alone += [f"mask {mask.name}" for mask in masks if mask not in used]
    if alone or len(used) != len(matched):
        listed = ", ".join(alone[:10]) + (f" and {len(alone) - 10} more" if len(alone) > 10 else "")
        what = f"Without a partner: {listed}" if alone else "Several images would have the same mask"
        raise DataError(
            f"{len(images)} images and {len(masks)} masks do not pair. {what}. Give both the same names, or equally many "
            "files of which no two names agree, to be paired in order."
        )
    return matched, "paired by name"


# Above all grey values: the colour (r, g, b) of a mask is this number plus its 24 bits.
_COLOUR = 1 << 32


def _frames_of(image: Path, mask: Path, *, allow_empty: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    pictures = read_colours(image)
    masks = [_codes(frame, mask) for frame in _raw_masks(mask)]
    if len(pictures) != len(masks):
        raise DataError(f"{image.name} has {len(pictures)} frames and its mask {mask.name} has {len(masks)}.")
    for i, (picture, codes) in enumerate(zip(pictures, masks, strict=True)):
        name = image.name if len(masks) == 1 else f"{image.name}[{i}]"
        if picture.shape[:2] != codes.shape:
            sizes = " and ".join(f"{w} x {h}" for h, w in (picture.shape[:2], codes.shape))
            raise DataError(f"{name} and its mask {mask.name} differ in size: {sizes} pixels, width by height.")
        if not allow_empty and (codes == codes[0, 0]).all():
            raise DataError(
                f"{mask}: an empty mask, one value ({_shown(codes[0, 0])}) in all its pixels. If there is nothing in "
                f"{name}, say so with --allow-empty."
            )
        grey = not np.ptp(picture, axis=-1).any()
        yield name, picture[..., :1].copy() if grey else picture, codes


def _raw_masks(path: Path) -> list[np.ndarray]:
    """The frames of a mask as they are stored: numbers of a palette, not its colours."""
    from PIL import Image, ImageSequence

    try:
        with Image.open(path) as picture:
            frames = []
            for frame in ImageSequence.Iterator(picture):
                if frame.mode in ("RGBA", "LA", "PA"):
                    frame = frame.convert("RGB" if frame.mode == "RGBA" else "L")
                frames.append(np.array(frame))
            return frames
    except Exception as error:
        # As for images: damaged bytes lead the readers of Pillow to errors of any kind.
        raise DataError(f"{path}: not a readable picture ({error}). Save it again as PNG.") from None


def _codes(frame: np.ndarray, path: Path) -> np.ndarray:
    """One number for each pixel of a mask: its grey value, or the code of its colour."""
    if frame.dtype.kind == "f" and not np.array_equal(frame, np.rint(frame)):
        raise DataError(f"{path}: a mask with fractions in it; expected one whole number for each class.")
    codes = frame.astype(np.int64)
    if frame.ndim == 3:
        grey = (codes == codes[..., :1]).all(axis=-1)
        colours = _COLOUR + (codes[..., 0] << 16) + (codes[..., 1] << 8) + codes[..., 2]
        # A coloured mask may have grey classes too: one picture, one way of counting.
        codes = codes[..., 0] if grey.all() else colours
    kinds = np.unique(codes)
    if len(kinds) > _MOST_CLASSES:
        raise DataError(
            f"{path}: {len(kinds)} different values in a mask, {_shown(kinds[0])}, {_shown(kinds[1])}, "
            f"{_shown(kinds[2])}, ...; expected one for each class, at most {_MOST_CLASSES}. Smoothing and JPEG blur "
            "masks: save them as PNG, without interpolation."
        )
    return codes


def _values(masks: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """The values that stand for classes in all masks, in their order."""
    counts: dict[int, int] = {}
    where: dict[int, str] = {}
    for name, mask in masks:
        for value, count in zip(*np.unique(mask, return_counts=True), strict=True):
            counts[int(value)] = counts.get(int(value), 0) + int(count)
            where.setdefault(int(value), name)
    if stray := [value for value, count in counts.items() if count < _FEWEST_PIXELS]:
        listed = ", ".join(f"{_shown(v)} ({counts[v]} pixels, first in the mask of {where[v]})" for v in stray[:5])
        usual = ", ".join(_shown(v) for v in sorted(counts) if counts[v] >= _FEWEST_PIXELS)
        raise DataError(f"masks with unexpected values: {listed}; expected {usual or 'larger regions of each class'}.")
    if len(counts) < 2:
        raise DataError(f"one class only: all masks hold {_shown(next(iter(counts)))} and nothing else.")
    if len(counts) > _MOST_CLASSES:
        raise DataError(f"{len(counts)} different values in the masks; expected at most {_MOST_CLASSES} classes.")
    if min(counts) < _COLOUR <= max(counts):
        grey = where[min(counts)]
        raise DataError(f"some masks are coloured and some are grey, as that of {grey}; expected the same for all.")
    return np.array(sorted(counts))


def _shown(code: int | np.integer) -> str:
    return str(int(code)) if code < _COLOUR else f"#{int(code) - _COLOUR:06x}"
