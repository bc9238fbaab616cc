"""Data: what is read is what was written, what is damaged is refused, and the sources are asked in their order."""

import gzip
import hashlib
import time

import numpy as np
import pytest

import equivax.data._download as download_module
import equivax.data._sources as sources
from equivax.data import (
    DATA_SETS,
    PROTOCOLS,
    DataError,
    Sizes,
    atomic_path,
    embedded_mnist,
    enlarge,
    expect_channels,
    find_images,
    labelled_images,
    move,
    read_idx,
    read_images,
    read_labels,
    rotate,
    settle_channels,
)
from equivax.data._catalogue import FILES, DataSet
from equivax.data._protocols import Protocol

PARTS = {"train": 60, "t10k": 20}


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A data set called mnist with 80 images, a folder that holds it, and a world without any other source."""
    rng = np.random.default_rng(0)
    contents = {}
    for part, count in PARTS.items():
        contents[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (count, 28, 28)))
        contents[f"{part}-labels-idx1-ubyte"] = idx(rng.integers(0, 10, count))
    md5 = {name: hashlib.md5(contents[name]).hexdigest() for name in FILES}
    monkeypatch.setitem(DATA_SETS, "mnist", DataSet("mnist", "MNIST", 10, md5, ("https://one/", "https://two/")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EQUIVAX_DATA", raising=False)
    monkeypatch.setattr(sources, "_DEBIAN", (str(tmp_path / "debian" / "{name}"),))
    monkeypatch.setattr(download_module, "_answers", lambda url: False)

    def write(folder):
        folder.mkdir(parents=True)
        for name, content in contents.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        return folder

    write.contents = contents
    return write


def test_idx_round_trip(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(array))
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array)))
    assert np.array_equal(read_idx(tmp_path / "a"), array)
    assert np.array_equal(read_idx(tmp_path / "a.gz"), array)


WHOLE = idx(np.zeros((5, 4)))
DAMAGED = {  # what is wrong: the file's name, what it holds, what the error says
    "gzip cut short": ("a.gz", gzip.compress(WHOLE)[:-12], "truncated or damaged"),
    "gzip overwritten": ("a.gz", gzip.compress(WHOLE)[:12] + b"\xff" * 30, "truncated or damaged"),
    "a web page": ("a.gz", b"<html>not found</html>", "not a gzip file"),
    "nothing in a gzip": ("a.gz", b"", "not a gzip file"),
    "nothing": ("a", b"", "begins with nothing"),
    "a picture": ("a", b"\x89PNG....", "not an IDX file"),
    "floats": ("a", bytes([0, 0, 13, 1]) + bytes(8), "not an IDX file"),
    "too short": ("a", WHOLE[:-1], "promises shape"),
    "a header only": ("a", WHOLE[:9], "promises shape"),
    "too long": ("a", WHOLE + b"x", "promises shape"),
}


# gzip writes the time of day into its header: the name, not the bytes, must tell the cases apart
@pytest.mark.parametrize(("name", "content", "says"), list(DAMAGED.values()), ids=list(DAMAGED))
def test_damaged_idx_files_are_refused(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says) as error:
        read_idx(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_checksum(tmp_path):
    (tmp_path / "a").write_bytes(idx(np.zeros((5, 4))))
    with pytest.raises(DataError, match="wrong checksum"):
        read_idx(tmp_path / "a", md5="0" * 32)


def test_sources_are_asked_in_order(small, tmp_path, monkeypatch):
    def source(**options):
        return find_images("mnist", **options).source

    assert "EMBEDDED" in source()
    small(tmp_path / "debian" / "mnist")
    assert "(Debian package)" in source()
    small(tmp_path / "cache" / "equivax" / "mnist")
    assert "(the user's cache)" in source()
    small(tmp_path / "shelf" / "mnist")
    monkeypatch.setenv("EQUIVAX_DATA", str(tmp_path / "shelf"))
    assert "($EQUIVAX_DATA)" in source()
    small(tmp_path / "mine")
    found = find_images("mnist", data_dir=tmp_path / "mine")
    assert "(--data-dir)" in found.source
    assert found.images.shape == (80, 28, 28)
    assert not found.embedded


def test_damaged_files_of_the_user_raise_and_others_are_passed_over(small, tmp_path, monkeypatch):
    folder = small(tmp_path / "cache" / "equivax" / "mnist")
    (folder / f"{FILES[0]}.gz").write_bytes(b"\x1f\x8bbroken")
    assert find_images("mnist").embedded
    with pytest.raises(DataError, match="damaged"):
        find_images("mnist", data_dir=folder)
    monkeypatch.setenv("EQUIVAX_DATA", str(folder.parent))
    with pytest.raises(DataError, match="damaged"):
        find_images("mnist")


def test_folders_that_do_not_hold_the_files(small, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find_images("mnist", data_dir=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds none of the files"):
        find_images("mnist", data_dir=tmp_path / "empty")
    folder = small(tmp_path / "part")
    (folder / f"{FILES[1]}.gz").unlink()
    with pytest.raises(DataError, match="missing"):
        find_images("mnist", data_dir=folder)
    with pytest.raises(DataError, match="unknown data set"):
        find_images("cifar")


def test_labels_out_of_range(small, tmp_path, monkeypatch):
    folder = small(tmp_path / "mine")
    labels = idx(np.full(PARTS["t10k"], 11))
    (folder / f"{FILES[3]}.gz").write_bytes(gzip.compress(labels))
    monkeypatch.setitem(DATA_SETS["mnist"].md5, FILES[3], hashlib.md5(labels).hexdigest())
    with pytest.raises(DataError, match="20 labels out of range, the first is 11"):
        find_images("mnist", data_dir=folder)


def test_a_download_goes_on_with_the_next_mirror(small, tmp_path, monkeypatch):
    def fetch(url, path, progress=None):
        name = url.rpartition("/")[2].removesuffix(".gz")
        good = url.startswith("https://two/")
        path.write_bytes(gzip.compress(small.contents[name]) if good else b"\x1f\x8b captive portal")

    monkeypatch.setattr(download_module, "_answers", lambda url: True)
    monkeypatch.setattr(download_module, "fetch", fetch)
    found = find_images("mnist")
    assert "checked download from https://two/" in found.source
    assert sorted(p.name for p in (tmp_path / "cache" / "equivax" / "mnist").iterdir()) == sorted(
        f"{n}.gz" for n in FILES
    )
    assert "cache" in find_images("mnist", offline=True).source


def test_no_network_is_decided_within_ten_seconds(small, monkeypatch):
    # Looking up a name may hang longer than any timeout of a connection.
    monkeypatch.setattr(download_module, "_answers", lambda url: time.sleep(30) or True)
    monkeypatch.setattr(download_module, "_DECISION", 0.5)
    begun = time.monotonic()
    assert find_images("mnist").embedded
    assert time.monotonic() - begun < 10


def test_the_embedded_subset():
    found = embedded_mnist()
    assert found.images.shape == (5000, 28, 28)
    assert np.array_equal(np.bincount(found.labels), np.full(10, 500))


@pytest.mark.parametrize("n", [5, 6, 28])
def test_quarter_turns_are_exact(n):
    images = np.random.default_rng(n).uniform(size=(4, n, n)).astype(np.float32)
    for k in range(-4, 5):
        turned = rotate(images, np.full(4, k * np.pi / 2))
        assert turned.dtype == np.float32
        assert np.array_equal(turned, np.rot90(images, k, axes=(1, 2)))


def test_rotation_is_counter_clockwise_and_second_order():
    def blob(n, angle):
        x, y = np.meshgrid((np.arange(n) - (n - 1) / 2) / n, ((n - 1) / 2 - np.arange(n)) / n)
        u, v = 0.25 * np.cos(angle), 0.25 * np.sin(angle)
        return np.exp(-((x - u) ** 2 + (y - v) ** 2) / 0.01).astype(np.float32)

    errors = [np.abs(rotate(blob(n, 0.2)[None], np.array([0.7]))[0] - blob(n, 0.9)).max() for n in (32, 64, 128)]
    order = -np.polyfit(np.log([32, 64, 128]), np.log(errors), 1)[0]
    assert 1.7 < order < 2.3


def test_rotated_parts_are_disjoint_nested_and_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EQUIVAX_DATA", raising=False)
    monkeypatch.setattr(sources, "download", lambda *_, **__: (_ for _ in ()).throw(DataError("no network")))
    monkeypatch.setattr(sources, "_DEBIAN", ())
    big, small = labelled_images(offline=True), labelled_images(sizes=Sizes(50, 10, 20), offline=True)
    assert [len(p) for p in (big.train_images, big.validation_images, big.test_images)] == [3600, 400, 1000]
    assert big.embedded
    assert big.generated
    assert big.train_images.dtype == np.float32
    assert 0.98 < big.train_images.max() <= 1
    for part in ("train_images", "validation_labels", "test_images", "test_angles"):
        assert np.array_equal(getattr(small, part), getattr(big, part)[: len(getattr(small, part))])
    (file,) = [f for f in (tmp_path / "equivax" / "images").iterdir() if f.stat().st_size < 200_000]
    file.write_bytes(file.read_bytes()[:1000])
    again = labelled_images(sizes=Sizes(50, 10, 20), offline=True)
    assert np.array_equal(again.train_images, small.train_images)
    other = labelled_images(sizes=Sizes(50, 10, 20), offline=True, seed=1)
    assert not np.array_equal(other.train_labels, small.train_labels)
    with pytest.raises(DataError, match="at least one"):
        labelled_images(sizes=Sizes(0, 10, 20), offline=True)


def test_a_gaussian_stays_one_under_turns_and_scales():
    # In closed form: a Gaussian of width w, blurred to sqrt(w^2 + (s^-2 - 1) / 4), then scaled by s and turned by a.
    n, w, a, at = 41, 3.0, 0.7, np.array([5.0, -2.0])
    x = np.stack(np.meshgrid(np.arange(n) - 20.0, 20.0 - np.arange(n)), axis=-1)

    def blob(centre, width, height=1.0):
        return height * np.exp(-((x - centre) ** 2).sum(-1) / (2 * width**2))

    c, s = np.cos(a), np.sin(a)
    for zoom in (0.3, 0.55, 1.0, 1.5):
        wider = np.sqrt(w**2 + max(0, zoom**-2 - 1) / 4)
        meant = blob(zoom * np.array([[c, -s], [s, c]]) @ at, zoom * wider, (w / wider) ** 2)
        found = move(blob(at, w)[None], np.array([a]), np.array([zoom]))[0]
        assert np.abs(found - meant).max() < 0.03, zoom
    # What is finer than the new pixels is averaged, not aliased to stripes.
    stripes = np.tile(np.arange(28) % 2, (1, 28, 1)).astype(np.float32)
    inner = move(stripes, np.zeros(1), np.array([0.35]))[0, 11:17, 11:17]
    assert np.abs(inner - 0.5).max() < 0.01


def test_scaling_commutes_with_quarter_turns_and_scale_one_is_nothing():
    images = np.random.default_rng(0).uniform(size=(3, 28, 28)).astype(np.float32)
    zooms = np.array([0.3, 0.6, 0.9])
    turned_first = move(np.rot90(images, axes=(1, 2)), np.zeros(3), zooms)
    np.testing.assert_allclose(turned_first, np.rot90(move(images, np.zeros(3), zooms), axes=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(turned_first, move(images, np.full(3, np.pi / 2), zooms), atol=1e-6)
    assert np.array_equal(move(images, np.zeros(3), np.ones(3)), images)


def test_enlarging_is_linear_interpolation():
    ramp = np.tile(np.arange(7, dtype=np.float32), (1, 7, 1))
    large = enlarge(ramp, 14)[0]
    np.testing.assert_allclose(large[:, 1:-1], np.tile(np.arange(14) / 2 - 0.25, (14, 1))[:, 1:-1], atol=1e-6)
    assert large[0, 0] == 0
    assert large[0, -1] == 6
    np.testing.assert_allclose(enlarge(np.ones((1, 7, 7), np.float32), 14), 1, atol=1e-6)


@pytest.fixture
def without_files(tmp_path, monkeypatch):
    """A world in which only the embedded subset is at hand."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EQUIVAX_DATA", raising=False)
    monkeypatch.setattr(sources, "_DEBIAN", ())


@pytest.mark.usefixtures("without_files")
def test_the_images_of_a_seed_are_the_same_bits_for_ever():
    made = labelled_images("rotated-mnist", Sizes(50, 10, 20), offline=True)
    sums = [hashlib.md5(a.tobytes()).hexdigest() for a in (made.train_images, made.test_images, made.test_angles)]
    assert sums == [
        "0998809cddd8babbd9aa95b1b3507afe",
        "1f93fc6bd38120e9d3dbd7c948d2a3f8",
        "6d09dcfd91d1257931d3995b89241737",
    ]


@pytest.mark.usefixtures("without_files")
def test_protocols_turn_and_scale_what_they_say():
    upright = labelled_images("mnist", Sizes(30, 5, 300), offline=True)
    assert (upright.generated, upright.test_angles, upright.test_zooms) == (False, None, None)
    scaled = labelled_images("scale-mnist", Sizes(30, 5, 300), offline=True)
    both = labelled_images("rs-mnist", Sizes(30, 5, 300), offline=True)
    assert (upright.size, scaled.size, both.size) == (28, 28, 56)
    assert both.train_images.shape == (30, 56, 56)
    for made in (scaled, both):
        assert made.generated
        zooms = made.test_zooms
        assert 0.3 <= zooms.min() < 0.32
        assert 0.98 < zooms.max() <= 1
        # Ink goes with the square of the scale.
        ink = made.test_images.mean((1, 2))
        assert ink[zooms > 0.8].mean() > 3 * ink[zooms < 0.5].mean()
    assert scaled.test_angles is None
    assert np.ptp(both.test_angles) > 6
    again = labelled_images("rs-mnist", Sizes(30, 5, 300), offline=True)
    assert np.array_equal(again.test_images, both.test_images)
    assert np.array_equal(again.test_zooms, both.test_zooms)
    with pytest.raises(DataError, match="RS-MNIST has 4,500 images to train on, 500 to validate, 50,000 to test"):
        labelled_images("rs-mnist", Sizes(4_501, 500, 300))
    with pytest.raises(DataError, match="known are rotated-mnist, mnist, fashion-mnist"):
        labelled_images("cifar")


def test_the_test_images_of_the_files_stay_test_images(small, tmp_path, monkeypatch):
    folder = small(tmp_path / "mine")
    monkeypatch.setitem(PROTOCOLS, "mnist", Protocol("mnist", "MNIST", "mnist", Sizes(40, 20, 20), dealt=False))
    made = labelled_images("mnist", data_dir=folder)
    raw = np.frombuffer(small.contents[FILES[2]][16:], np.uint8).reshape(-1, 28, 28)
    np.testing.assert_array_equal(np.rint(made.test_images * 255), raw)
    assert [len(p) for p in (made.train_images, made.validation_images)] == [40, 20]
    # Without validation, its images are there to be trained on: the same 60, in the same order.
    whole = labelled_images("mnist", Sizes(60, 0, 20), data_dir=folder)
    assert len(whole.validation_images) == 0
    np.testing.assert_array_equal(whole.train_images, np.concatenate([made.train_images, made.validation_images]))


def test_every_protocol_fits_its_source():
    for protocol in PROTOCOLS.values():
        sizes = protocol.sizes
        assert sizes.train + sizes.validation + sizes.test <= 70_000
        assert protocol.dealt or sizes.train + sizes.validation == 60_000
    assert len(set(DATA_SETS["fashion-mnist"].class_names)) == 10
    assert DATA_SETS["mnist"].class_names == tuple("0123456789")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_checksums_are_those_of_the_real_files(name, monkeypatch):
    import os

    shelf = os.environ.get("EQUIVAX_DATA")
    if not shelf or not os.path.isdir(os.path.join(shelf, name)):
        pytest.skip(f"the real files are not at hand: EQUIVAX_DATA names no folder that holds {name}/")
    found = find_images(name, offline=True)
    assert found.images.shape == (70_000, 28, 28)
    assert "$EQUIVAX_DATA" in found.source


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 28, 28, 1), np.uint8), "expected (height, width) or (n, height, width)"),
        (np.zeros(28, np.uint8), "shape (28,)"),
        (np.zeros((0, 28, 28), np.uint8), "no pixel"),
        (np.zeros((28, 28), np.int64), "dtype int64"),
        (np.zeros((28, 28), complex), "dtype complex128"),
        (np.full((28, 28), np.nan, np.float32), "784 pixels are NaN"),
        (np.full((28, 28), np.inf), "NaN or infinite"),
        (np.full((28, 28), 255.0), "Divide by"),
        (np.array([{"a": 1}], dtype=object), "without objects"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, says):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError) as error:
        read_images(tmp_path / "a.npy")
    assert says in str(error.value)
    assert str(tmp_path / "a.npy") in str(error.value)


def test_images_of_the_user(tmp_path):
    from PIL import Image

    bytes_ = np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    np.save(tmp_path / "one.npy", bytes_)
    np.save(tmp_path / "many.npy", np.stack([bytes_, bytes_]) / 255)
    (tmp_path / "folder").mkdir()
    for name in ("b.png", "a.png"):
        Image.fromarray(bytes_).save(tmp_path / "folder" / name)
    Image.fromarray(np.dstack([bytes_] * 3 + [np.full_like(bytes_, 255)])).save(tmp_path / "colour.png")
    Image.fromarray(bytes_.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.save(tmp_path / "folder" / "c.npy", bytes_.astype(np.uint16) * 257)
    for path, count in (
        ("one.npy", 1),
        ("many.npy", 2),
        ("folder", 3),
        ("folder/a.png", 1),
        ("colour.png", 1),
        ("deep.png", 1),
    ):
        found = read_images(tmp_path / path)
        # Three equal channels are no colour, and are accepted where grey is expected.
        assert (found.images[0].ndim == 3) == (path == "colour.png")
        found = expect_channels(found, 1, path)
        assert len(found.images) == len(found.names) == count
        for image in found.images:
            assert image.dtype == np.float32
            np.testing.assert_allclose(image, bytes_ / 255, atol=1e-6)
    assert read_images(tmp_path / "folder").names == ("a.png", "b.png", "c.npy")


def test_colours_are_kept_taken_away_or_refused(tmp_path):
    from PIL import Image

    picture = np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).convert("L").save(tmp_path / "b.png")
    np.save(tmp_path / "c.npy", picture)
    colour, grey = read_images(tmp_path / "a.png"), read_images(tmp_path / "b.png")
    np.testing.assert_array_equal(colour.images[0], read_images(tmp_path / "c.npy").images[0])
    # Pillow rounds its luma to whole numbers.
    np.testing.assert_allclose(settle_channels(colour, "grey", "").images[0], grey.images[0], atol=0.51 / 255)
    assert settle_channels(grey, "colour", "").images[0].shape == (6, 6, 3)
    assert settle_channels(colour, "auto", "").images[0].shape == (6, 6, 3)
    with pytest.raises(DataError, match=r"2 images are in colour \(a.png is one\), 1 are grey \(b.png.*--channels"):
        settle_channels(read_images(tmp_path), "auto", "folder")
    with pytest.raises(DataError, match=r"a.png is in colour.*--grey"):
        expect_channels(colour, 1, "folder")
    with pytest.raises(DataError, match=r"b.png is grey.*trained in colour"):
        expect_channels(grey, 3, "folder")


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "a.txt").write_text("no picture")
    (tmp_path / "a.npy").write_text("no array")
    for name, says in (
        ("empty", "empty folder"),
        ("a.png", "not a readable picture"),
        ("a.txt", "unknown kind"),
        ("a.npy", "not a readable array"),
        ("none", "no such file"),
    ):
        with pytest.raises(DataError, match=says):
            read_images(tmp_path / name)


def test_labels_of_the_user(tmp_path):
    np.save(tmp_path / "l.npy", np.array([0, 9, 10]))
    with pytest.raises(DataError, match="out of range, the first is 10"):
        read_labels(tmp_path / "l.npy", 3, classes=10)
    with pytest.raises(DataError, match="one label for each image"):
        read_labels(tmp_path / "l.npy", 4, classes=10)
    np.save(tmp_path / "l.npy", np.array([0.0, 9.0]))
    with pytest.raises(DataError, match="whole numbers"):
        read_labels(tmp_path / "l.npy", 2, classes=10)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def write():
        with atomic_path(file) as part:
            part.write_text("half of the new")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
