"""ISBI 2012: thirty slices of nerve tissue under the electron microscope, with the membranes between cells."""

import os
from pathlib import Path

from ._errors import DataError
from ._pairs import PairedFolders, read_pairs
from ._sources import cache_folder

# Slices 24 to 29 are for testing: neighbours in the stack look alike, so each part is one piece of it.
TEST_SLICES = 6
VALIDATION_SLICES = 4


def isbi2012(data_dir: Path | str | None = None) -> tuple[PairedFolders, str]:
    """The 30 labelled slices, 512 x 512 pixels, class 0 (membrane) and class 1 (inside), and where they came from.

    They are looked for in `data_dir`, in `isbi2012` in the folder that `EQUIVAX_DATA` names, and in the user's cache; as
    `train/image` and `train/label`, one picture for each slice, or as the challenge's own stacks `train-volume.tif` and
    `train-labels.tif`, each in a folder `image` and `label`.

    **Raises:** `DataError` when no place has them, or what is there is not 30 slices of two classes.
    """
    shelf = os.environ.get("EQUIVAX_DATA")
    places = [Path(data_dir)] if data_dir is not None else []
    if data_dir is None:
        places += [Path(shelf) / "isbi2012"] if shelf else []
        places += [cache_folder() / "isbi2012"]
    for place in places:
        for folder in (place / "train", place, place / "isbi2012" / "train"):
            if (folder / "image").is_dir() and (folder / "label").is_dir():
                found = read_pairs(folder / "image", folder / "label")
                if len(found.pairs) != 30 or len(found.values) != 2:
                    raise DataError(
                        f"{folder}: {len(found.pairs)} slices of {len(found.values)} classes; expected the 30 of ISBI 2012 "
                        "with two, membrane and inside."
                    )
                return found, f"ISBI 2012, the files in {folder}"
    raise DataError(
        "ISBI 2012 was not found in "
        + ", ".join(map(str, places))
        + ". It is free for research from the organisers of the "
        "challenge (Cardona et al.): put its slices into train/image and train/label there, or name the folder with --data-dir."
    )
