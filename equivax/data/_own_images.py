"""The user's own labelled images: a folder for each class, or a table of files and labels."""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ._errors import DataError
from ._images import Channels, UserImages, in_one_array, pictures_in, read_files, settle_channels
from ._labelled import LabelledImages
from ._picture import PICTURES


@dataclass(frozen=True)
class LabelledFiles:
    """Files of pictures, and what each shows: `files[i]` belongs to the class called `labels[i]`."""

    files: tuple[Path, ...]
    labels: tuple[str, ...]


def labelled_files(path: Path | str) -> LabelledFiles:
    """The files below `path`: a folder with one sub-folder for each class, or a CSV table with columns file, label.

    Files in a table are named relative to its folder. Hidden folders, and files that are no pictures by their endings,
    are passed over.

    **Raises:** `DataError` when there is no such folder or table, it has another form, or a class has no picture.
    """
    path = Path(path)
    if path.is_dir():
        return _by_folder(path)
    if path.is_file() and path.suffix.lower() == ".csv":
        return _by_table(path)
    what = "a file" if path.is_file() else "no such folder or file"
    raise DataError(f"--images {path}: {what}. Expected a folder with one sub-folder for each class, or a .csv table.")


def own_images(
    path: Path | str,
    *,
    test: Path | str | None = None,
    validation_part: float = 0.1,
    test_part: float = 0.2,
    size: int | None = None,
    channels: Channels = "auto",
    skip_bad: bool = False,
    seed: int = 0,
    advance: Callable[[float], None] | None = None,
) -> LabelledImages:
    """The labelled images below `path` (see `labelled_files`), in three parts.

    Every class is divided in the same proportion, by a permutation drawn from `seed`; the test images are those below
    `test` if that is given. Classes are numbered in the order of their names.

    **Arguments:** `validation_part`, `test_part`: of the images of each class, between 0 and 1, at least one image;
    `size`: fit each image into a square of so many pixels, otherwise all must be square and of one size; `channels`: see
    `settle_channels`; `skip_bad`, `advance`: see `read_files`.

    **Raises:** `DataError`, see there; and when there are fewer than two classes, too few images in a class to divide
    them, or a class to test on that is none to train on.
    """
    asked = {"validation_part": validation_part} | ({} if test is not None else {"test_part": test_part})
    if not all(0 < part < 1 for part in asked.values()) or sum(asked.values()) >= 1:
        raise DataError(f"{asked}: expected parts of the whole, above 0, that leave something to train on.")
    if size is not None and size < 1:
        raise DataError(f"--size {size}: expected a number of pixels.")
    given = [labelled_files(path)] + ([labelled_files(test)] if test is not None else [])
    found, labels, at = _read(given, size, skip_bad, advance)
    names = tuple(sorted(set(given[0].labels)))
    _check_classes(names, labels[:at], labels[at:], str(path))
    if test is not None and at == len(labels):
        raise DataError(f"--test {test}: none of its images can be read, there is nothing to test on.")
    images = in_one_array(settle_channels(found, channels, str(path)), str(path))
    numbers = np.array([names.index(label) for label in labels], np.int32)
    rng = np.random.default_rng(seed)
    parts = _divided(numbers[:at], names, tuple(asked.values()), rng)
    train, validation = parts[0], parts[1]
    tested = parts[2] if test is None else np.arange(at, len(labels))
    content = hashlib.sha256(images.tobytes() + numbers.tobytes() + repr((names, seed, at, asked)).encode())
    return LabelledImages(
        images[train],
        numbers[train],
        images[validation],
        numbers[validation],
        images[tested],
        numbers[tested],
        class_names=names,
        source=f"{len(images):,} images of {len(names)} classes in {path}"
        + (f" and {test}" if test is not None else ""),
        checksum=content.hexdigest()[:20],
        seed=seed,
        skipped=found.skipped,
    )


def _by_folder(path: Path) -> LabelledFiles:
    folders = sorted(f for f in path.iterdir() if f.is_dir() and f.name[0] != ".")
    if loose := pictures_in(path):
        raise DataError(
            f"{path}: {loose[0].name} lies beside the classes, not in one. Expected one sub-folder for each class, and "
            "pictures in those only."
        )
    if not folders:
        raise DataError(f"{path}: no sub-folder in it. Expected one for each class, with the pictures of that class.")
    by_class = {folder.name: pictures_in(folder) for folder in folders}
    if empty := [name for name, files in by_class.items() if not files]:
        raise DataError(
            f"{path / empty[0]}: no picture in it, so the class {empty[0]!r} is empty. Expected files ending in "
            f"{', '.join(PICTURES)} or .npy; remove the folder if it is no class."
        )
    pairs = [(file, name) for name, files in by_class.items() for file in files]
    return LabelledFiles(tuple(file for file, _ in pairs), tuple(name for _, name in pairs))


def _by_table(path: Path) -> LabelledFiles:
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows, columns = list(reader), reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: no table ({error}). Expected CSV in UTF-8 with columns file, label.") from None
    if missing := {"file", "label"} - set(columns):
        raise DataError(
            f"{path}: no column {' and '.join(sorted(missing))} (there are {', '.join(columns) or 'none'}). "
            "The first line names the columns: file,label."
        )
    if not rows:
        raise DataError(f"{path}: no images in it, only the names of the columns.")
    for line, row in enumerate(rows, start=2):
        if not row["file"] or not row["label"]:
            raise DataError(
                f"{path}, line {line}: {'label' if row['file'] else 'file'} is missing; expected file,label."
            )
    file, count = Counter(row["file"] for row in rows).most_common(1)[0]
    if count > 1:
        raise DataError(f"{path}: {file} is named {count} times; expected each file once.")
    return LabelledFiles(tuple(path.parent / row["file"] for row in rows), tuple(row["label"] for row in rows))


def _read(
    given: list[LabelledFiles], size: int | None, skip_bad: bool, advance: Callable[[float], None] | None
) -> tuple[UserImages, list[str], int]:
    """All images, their labels, and where those to test on begin, if they were given apart."""
    files = [file for part in given for file in part.files]
    label = {str(i): name for i, name in enumerate(name for part in given for name in part.labels)}
    found = read_files(files, list(label), size=size, skip_bad=skip_bad, advance=advance)
    places = [int(name) for name in found.names]
    # Classes may number their files alike.
    names = tuple(f"{files[i].parent.name}/{files[i].name}" for i in places)
    named = UserImages(found.images, names, True, found.skipped)
    return named, [label[name] for name in found.names], sum(i < len(given[0].files) for i in places)


def _check_classes(names: tuple[str, ...], trained: list[str], tested: list[str], where: str) -> None:
    if lost := sorted(set(names) - set(trained)):
        raise DataError(
            f"{where}: class {lost[0]!r}: none of its images can be read. Replace them, or remove the class."
        )
    if len(names) < 2:
        raise DataError(f"{where}: one class only, {names[0]!r}; there is nothing to tell apart. Expected two or more.")
    if strange := Counter(label for label in tested if label not in names):
        listed = ", ".join(f"{name!r} ({count} images)" for name, count in strange.most_common(5))
        raise DataError(
            f"--test: classes that training lacks: {listed}. There are {', '.join(map(repr, names[:20]))}. Remove them, or "
            "add images of them to train on."
        )


def _divided(
    labels: Int[np.ndarray, " n"], names: tuple[str, ...], parts: tuple[float, ...], rng: np.random.Generator
) -> tuple[Int[np.ndarray, " k"], ...]:
    """Indices to train on, and of each of `parts`, in a random order; of every class the same proportion."""
    chosen: list[list[int]] = [[] for _ in range(len(parts) + 1)]
    for label, name in enumerate(names):
        places = rng.permutation(np.flatnonzero(labels == label))
        counts = [max(1, round(part * len(places))) for part in parts]
        if sum(counts) >= len(places):
            raise DataError(
                f"class {name!r}: {len(places)} images that can be read, too few for {len(chosen)} parts. Add images of it, "
                "or remove the class; with --test, none are taken away for the test."
            )
        for part, indices in zip(chosen[1:] + chosen[:1], np.split(places, np.cumsum(counts)), strict=True):
            part += indices.tolist()
    return tuple(rng.permutation(np.array(part, np.int64)) for part in chosen)
