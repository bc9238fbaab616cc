"""Images of the user's own: every class in every part, and each thing that may be wrong with them said by name."""

import numpy as np
import pytest
from PIL import Image

from equivax.data import DataError, in_square, labelled_files, own_images, read_picture

RNG = np.random.default_rng(0)


def save(path, shape=(8, 8), count=1):
    for i in range(count):
        file = path if count == 1 else path / f"{i:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, shape).astype(np.uint8)).save(file)


@pytest.fixture
def folder(tmp_path):
    """Ten grey pictures of each of two classes."""
    for name in ("cat", "dog"):
        save(tmp_path / "all" / name, count=10)
    return tmp_path / "all"


def table(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_class_is_in_every_part_in_proportion(folder):
    save(folder / "cat", count=40)
    made = own_images(folder)
    assert made.class_names == ("cat", "dog")
    counts = [np.bincount(labels).tolist() for labels in (made.train_labels, made.validation_labels, made.test_labels)]
    assert counts == [[28, 7], [4, 1], [8, 2]]
    parts = (made.train_images, made.validation_images, made.test_images)
    assert len({image.tobytes() for part in parts for image in part}) == 50
    same, other = own_images(folder), own_images(folder, seed=1)
    assert np.array_equal(same.test_images, made.test_images)
    assert not np.array_equal(other.test_images, made.test_images)
    assert len({made.checksum, same.checksum, other.checksum}) == 2
    assert (made.size, made.channels, made.train_images.dtype) == (8, 1, np.float32)


def test_a_table_and_a_folder_give_the_same(folder, tmp_path):
    rows = [f"{name}/{i:02d}.png,{name}" for name in ("cat", "dog") for i in range(10)]
    # As a spreadsheet writes it: with a byte order mark and another column.
    lines = "\r\n".join(["file,label,remark", *(f"{row}," for row in rows)])
    named = own_images(table(folder / "labels.csv", b"\xef\xbb\xbf" + lines.encode()))
    (folder / "labels.csv").unlink()
    assert np.array_equal(named.train_images, own_images(folder).train_images)
    apart = own_images(folder, test=folder)
    assert [len(p) for p in (apart.train_labels, apart.validation_labels, apart.test_labels)] == [18, 2, 20]


def test_hidden_folders_and_other_files_are_passed_over(folder):
    save(folder / ".thumbnails", count=3)
    (folder / "cat" / "Thumbs.db").write_bytes(b"x")
    (folder / "README.txt").write_text("cats and dogs")
    assert set(labelled_files(folder).labels) == {"cat", "dog"}


FOLDERS = {  # what is wrong: how it comes about, what the error says
    "no such folder": (lambda f: f.rename(f.with_name("x")), "no such folder or file"),
    "no classes": (lambda f: [d.rename(f.parent / d.name) for d in list(f.iterdir())], "no sub-folder"),
    "beside the classes": (lambda f: save(f / "x.png"), "x.png lies beside the classes"),
    "an empty class": (lambda f: (f / "cow").mkdir(), "the class 'cow' is empty"),
    "one class": (lambda f: (f / "dog").rename(f.parent / "dog"), "one class only, 'cat'"),
    "too few": (lambda f: save(f / "cow", count=2), "class 'cow': 2 images"),
    "two sizes": (lambda f: save(f / "cat" / "x.png", (8, 9)), r"2 sizes: 8 x 8 \(20.*8 x 9 \(1, cat/x.png.*--size"),
    "a broken file": (lambda f: (f / "cat" / "x.png").write_bytes(b"?"), r"cat/x.png: not a readable.*--skip-bad"),
    "grey and colour": (
        lambda f: save(f / "cat" / "x.png", (8, 8, 3)),
        r"1 images are in colour \(cat/x.png.*20 are grey",
    ),
}


@pytest.mark.parametrize(("damage", "says"), FOLDERS.values(), ids=FOLDERS)
def test_folders_that_hold_no_classes(folder, damage, says):
    damage(folder)
    with pytest.raises(DataError, match=says) as error:
        own_images(folder)
    assert "\n" not in str(error.value)


TABLES = {
    "no column": ("name,label\na.png,cat", "no column file"),
    "no columns": ("", "no column file and label"),
    "no rows": ("file,label\n", "no images in it"),
    "no label": ("file,label\ncat/00.png,cat\ncat/01.png,\n", "line 3: label is missing"),
    "half a row": ("file,label\ncat/00.png\n", "line 2: label is missing"),
    "twice": ("file,label\n" + 2 * "cat/00.png,cat\n", "cat/00.png is named 2 times"),
    "no such file": ("file,label\ncat/00.png,cat\nnone.png,dog\n", "none.png: no such file"),
    "not UTF-8": (b"file,label\n\xff.png,cat", "no table"),
}


@pytest.mark.parametrize(("text", "says"), TABLES.values(), ids=TABLES)
def test_tables_that_name_no_images(folder, text, says):
    with pytest.raises(DataError, match=says):
        own_images(table(folder / "labels.csv", text))


def test_requests_that_make_no_sense(folder, tmp_path):
    save(tmp_path / "others" / "cow", count=2)
    for options, says in (
        ({"test": tmp_path / "others"}, r"classes that training lacks: 'cow' \(2 images\).*There are 'cat', 'dog'"),
        ({"validation_part": 0.5, "test_part": 0.5}, "leave something to train on"),
        ({"test_part": 0.0}, "above 0"),
        ({"size": 0}, "--size 0"),
    ):
        with pytest.raises(DataError, match=says):
            own_images(folder, **options)
    with pytest.raises(DataError, match="Expected a folder with one sub-folder"):
        own_images(folder / "cat" / "00.png")
    for file in folder.glob("*/*.png"):
        Image.open(file).resize((9, 8)).save(file)
    with pytest.raises(DataError, match=r"8 x 9 pixels; expected square.*--size N"):
        own_images(folder)


def test_broken_files_are_skipped_and_counted(folder):
    for name in ("x.png", "y.jpg"):
        (folder / "cat" / name).write_bytes(b"no picture")
    (folder / "dog" / "00.png").write_bytes((folder / "dog" / "00.png").read_bytes()[:60])
    made = own_images(folder, skip_bad=True)
    assert len(made.skipped) == 3
    assert sum(name in line for line in made.skipped for name in ("x.png", "y.jpg", "00.png")) == 3
    assert sum(len(p) for p in (made.train_labels, made.validation_labels, made.test_labels)) == 19
    (folder.parent / "test" / "cat").mkdir(parents=True)
    (folder.parent / "test" / "cat" / "x.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="nothing to test on"):
        own_images(folder, test=folder.parent / "test", skip_bad=True)
    for file in folder.glob("dog/*"):
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="class 'dog': none of its images can be read"):
        own_images(folder, skip_bad=True)
    for file in folder.glob("cat/*"):
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="none of 22 files can be read"):
        own_images(folder, skip_bad=True)


def test_colours_and_sizes_as_they_are_asked_for(folder):
    save(folder / "cat" / "x.png", (12, 16, 3))
    grey, colour = (own_images(folder, size=10, channels=c) for c in ("grey", "colour"))
    assert (grey.train_images.shape[1:], grey.channels) == ((10, 10), 1)
    assert (colour.train_images.shape[1:], colour.channels) == ((10, 10, 3), 3)
    for file in list(folder.glob("*/*.png")):
        save(file, (8, 8, 3))
    assert own_images(folder).channels == 3


def test_fitting_into_a_square_keeps_circles_round():
    y, x = np.mgrid[:60, :100]
    disc = ((x - 49.5) ** 2 + (y - 29.5) ** 2 < 20**2).astype(np.float32)
    small = in_square(disc, 50)
    assert small.shape == (50, 50)
    assert small[:10].max() == small[40:].max() == 0
    assert abs(small.sum() - disc.sum() / 4) < 3
    np.testing.assert_allclose(small.sum(0), small.sum(1), atol=1.0)
    np.testing.assert_allclose(in_square(np.dstack([disc] * 3), 50)[..., 1], small)


def test_pictures_that_hold_more_or_less_than_one(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (0, 100)]
    for name in ("a.gif", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match="2 pictures in one file"):
            read_picture(tmp_path / name)
    drawn = np.zeros((8, 8, 4), np.uint8)
    drawn[2:5, 2:5, 3] = 255
    Image.fromarray(drawn).save(tmp_path / "black.png")
    with pytest.raises(DataError, match="drawn in its transparency only"):
        read_picture(tmp_path / "black.png")
    drawn[..., :3] = 255
    Image.fromarray(drawn).save(tmp_path / "white.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "white.png")[..., 0], drawn[..., 3] / 255)
    np.save(tmp_path / "a.npy", np.zeros((8, 8, 2)))
    with pytest.raises(DataError, match=r"\(height, width\) or \(height, width, 3\)"):
        read_picture(tmp_path / "a.npy")


def test_photographs_are_upright(tmp_path):
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5)
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    picture.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_allclose(read_picture(tmp_path / "a.png"), np.rot90(np.asarray(picture), -1) / 255, atol=1e-6)
