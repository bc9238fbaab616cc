"""Segmentation: measures against pairs counted by hand, tiles without seams, masks that turn with the image, bad input."""

import dataclasses
import itertools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

import equivax.tasks._segment_audit as audit_module
import equivax.tasks._segmentation as segmentation_module
from equivax.data import DataError, SceneCounts, digit_scenes, isbi2012, read_pairs, rotate
from equivax.data._digit_scenes import _drawn
from equivax.dynamics import Cycle
from equivax.fields import GaussianJet, SteerableOperator, in_turned_frame
from equivax.geometry import PixelGrid
from equivax.laws import equivariance
from equivax.symmetry import Cyclic, regular, trivial
from equivax.tasks import (
    SegmenterConfig,
    TaskError,
    TiledLogits,
    TilesConfig,
    audit_segmenter,
    build_segmenter,
    main,
    v_rand,
)
from equivax.tasks._segment_loss import class_weights, segmentation_loss
from equivax.tasks._segment_measure import Decision, confusion, overlaps
from equivax.tasks._segment_sources import tile_bytes
from equivax.tasks._tiles import _Axis, cut
from equivax.tasks._turned import turn, turn_back
from equivax.tasks._unet import build_unet
from equivax.tasks._weights import count_parameters, split

SMALL = SegmenterConfig(
    group="C4", spacings=(2, 4), widths=(1, 2), steps=(1, 1), order=1, lift_order=2, read_width=3, head=4
)


def build(shape, *, key=None, **changes):
    return build_segmenter(SMALL, shape=shape, key=jax.random.key(0) if key is None else key, **changes)


# The measures.


def test_v_rand_is_the_f_score_of_pairs_of_pixels():
    rng = np.random.default_rng(0)
    for _ in range(5):
        said, true = rng.random((2, 6, 7)) < 0.6
        pieces, objects = _thinned(said), _components(true)
        inside = [p for p in itertools.product(range(6), range(7)) if true[p]]
        pairs = list(itertools.product(inside, inside))  # a pixel is its own partner, too
        same = [(pieces[p] == pieces[q], objects[p] == objects[q]) for p, q in pairs]
        both, either = sum(a and b for a, b in same), sum(a for a, _ in same) / 2 + sum(b for _, b in same) / 2
        assert v_rand(said, true) == pytest.approx(both / either, abs=1e-12)
    assert v_rand(true, true) == 1.0
    assert v_rand(true, np.zeros_like(true)) is None


def _components(mask):
    """Numbers of connected regions, by letting each pixel take the smallest number among its neighbours."""
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        padded = np.pad(np.where(mask, numbers, mask.size + 1), 1, constant_values=mask.size + 1)
        around = [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
        smaller = np.where(mask, np.min(around, axis=0), 0)
        if (smaller == numbers).all():
            return numbers
        numbers = smaller


def _thinned(mask):
    """Regions that grow until they meet. Ties are settled as SciPy settles them, which only it knows."""
    import scipy.ndimage

    at = scipy.ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return _components(mask)[tuple(at)]


def test_overlaps_of_masks_that_can_be_counted():
    true, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    found = overlaps(confusion(said, true, 4))
    assert found["iou_by_class"] == [2 / 3, 1 / 3, 1 / 2, None]
    assert found["dice_by_class"] == [4 / 5, 1 / 2, 2 / 3, None]
    assert found["iou"] == pytest.approx(0.5)
    assert found["accuracy"] == pytest.approx(4 / 6)


def test_the_decision_takes_back_what_validation_says_is_too_much():
    rng = np.random.default_rng(0)
    mask = (rng.random((40, 40)) < 0.2).astype(np.uint8)
    p = np.clip(0.75 * mask + rng.uniform(0.0, 0.7, mask.shape), 0, 1)  # half is not the best threshold
    decision = Decision.choose([np.stack([1 - p, p], -1)], [mask], np.array([0.8, 0.2]))
    assert 0.65 <= decision.mask <= 0.75
    assert Decision(**json.loads(json.dumps(decision.to_dict()))).mask == decision.mask
    # Three classes, the last so rare that a balanced loss has made it too likely.
    frequencies = np.array([0.6, 0.39, 0.01])
    likely = np.array([[[0.3, 0.3, 0.4]]]).repeat(9, 0)
    found = Decision.choose([likely], [np.zeros((9, 1), np.uint8)], frequencies)
    assert found.mask > 0
    assert (found(likely) == 0).all()


def test_the_loss_weighs_classes_and_does_not_ask_for_one_that_is_absent():
    weights = class_weights((np.array([[0, 0, 0, 1]], np.uint8),), 2, 0.5)
    assert weights[1] / weights[0] == pytest.approx(3**0.5)
    assert 0.75 * weights[0] + 0.25 * weights[1] == pytest.approx(1)
    images = np.zeros((2, 8, 8, 1), np.float32)
    masks = np.tile(np.array([0, 1], np.uint8), (2, 8, 4))
    images[..., 0] = masks  # an image that is its own mask, whose crops give away where they were taken
    batch = (jnp.asarray(images), jnp.asarray(masks), jnp.array([[[0, 4], [0, 4]]] * 2, jnp.int32))
    loud = lambda u, key: 40 * jnp.concatenate([0.5 - u, u - 0.5, -jnp.ones_like(u)], -1)  # noqa: E731
    for turned in (False, True):
        loss = segmentation_loss(np.ones(3, np.float32), 4, dice=1.0, turned=turned)
        found = float(loss(loud, batch, jax.random.key(1)))
        assert found == pytest.approx(0, abs=2e-2 if not turned else 8.0)
        assert found >= 0
    plain = segmentation_loss(np.ones(3, np.float32), 4, dice=0.0)
    silent = float(plain(lambda u, key: jnp.zeros((*u.shape[:2], 3), u.dtype), batch, jax.random.key(1)))
    assert silent == pytest.approx(np.log(3), rel=1e-5)


# Stencils that see a mirror at the border.


@pytest.mark.parametrize(("n", "m"), [(6, 3), (7, 4)])
def test_a_mirrored_jet_is_the_jet_of_the_mirrored_image(n, m):
    source, target = PixelGrid(n, n + 1), PixelGrid(m, m, n / m)
    u = np.random.default_rng(0).normal(size=(n, n + 1, 2))
    wide = PixelGrid(n + 40, n + 41)
    mirrored = np.pad(u, ((20, 20), (20, 20), (0, 0)), mode="symmetric")
    expected = GaussianJet(wide, target, 3, 1.2)(wide.flatten(jnp.asarray(mirrored)))
    found = GaussianJet(source, target, 3, 1.2, mirror=True)(source.flatten(jnp.asarray(u)))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_up_sampling_may_mix_before_it_differentiates():
    G, source, target = Cyclic(4), PixelGrid(3, 4, 2.0), PixelGrid(6, 8)
    operator = SteerableOperator(regular(G), 2 * trivial(G), GaussianJet(source, target, 2, 1.6), key=jax.random.key(0))
    u = jax.random.normal(jax.random.key(1), (12, 4), jnp.float64)
    expected = jnp.einsum("kpi,kio->po", operator.jet(u), operator.symbol.astype(u.dtype))
    np.testing.assert_allclose(operator(u), expected, atol=1e-6)
    v = jax.random.normal(jax.random.key(2), (6, 12, 3), jnp.float64)
    each = sum(operator.jet(v[k])[k] for k in range(6))
    np.testing.assert_allclose(operator.jet.contract(v), each, atol=1e-12)


def test_contracting_along_axes_is_contracting_densely(monkeypatch):
    import equivax.fields._jets as jets

    jet = GaussianJet(PixelGrid(3, 4, 2.0), PixelGrid(6, 8), 2, 1.6, mirror=True)
    v = jax.random.normal(jax.random.key(2), (6, 12, 3), jnp.float64)
    dense = jet.contract(v)
    monkeypatch.setattr(jets, "DENSE_ENTRIES", 0)
    np.testing.assert_allclose(jet.contract(v), dense, atol=1e-12)


# The model.


class Lopsided(eqx.Module):
    """A window that prefers the right half of the plane."""

    def __call__(self, grid):
        return 1 + 0.1 * (grid.points[:, :1] > 0)


def test_masks_turn_with_the_image_and_a_broken_part_is_found():
    model = build((16, 16))
    u = jax.random.normal(jax.random.key(1), (256, 1), jnp.float32)
    assert isinstance(model.evolution, Cycle)
    assert equivariance(eqx.filter_jit(model.signal), model.action_in, model.action_out, u).passed
    broken = eqx.tree_at(lambda m: m.lift.window, model, Lopsided(), is_leaf=lambda x: x is None)
    assert equivariance(eqx.filter_jit(broken.signal), model.action_in, model.action_out, u).failed
    found = audit_segmenter(
        model, SMALL, TilesConfig(tile=16, large_tile=48, margin=16), refinements=(1, 2), key=jax.random.key(2)
    )
    assert not [v["name"] for v in found["verdicts"] if v["failed"]], found["verdicts"]
    assert {"rotation by 90 degrees", "rotation by 90 degrees, several tiles"} <= {v["name"] for v in found["verdicts"]}


def test_averages_over_turns_are_equivariant_under_a_larger_group():
    def averaged(**changes):
        config = dataclasses.replace(SMALL, **changes)
        return build_segmenter(config, shape=(32, 32), key=jax.random.key(0)), config

    def change(model, config):  # at 45 degrees, which C4 has not
        angles = audit_module._by_angle(model, config, (1,), 1, jax.random.key(2))
        return dict(zip(angles["degrees"], angles["error"], strict=True))[45.0]

    (once, _), (twice, _) = averaged(turns=1), averaged(turns=2)

    assert 0.05 < change(*averaged(turns=1)) < 1
    assert change(*averaged(turns=2)) < 0.15 * change(*averaged(turns=1))
    u = jax.random.normal(jax.random.key(1), (32, 32, 1), jnp.float32)
    between = in_turned_frame(once, np.pi / 4)
    np.testing.assert_allclose(twice(u), (once(u) + between(u)) / 2, atol=1e-5)
    # Training has one frame.
    key = jax.random.key(3)
    np.testing.assert_allclose(twice(u, key=key), once(u, key=key), atol=1e-6)
    # With reflections both ways round: each is the image of the other in the mirror.
    mirrored, _ = averaged(turns=2, group="D4")
    np.testing.assert_allclose(mirrored(u[:, ::-1]), mirrored(u)[:, ::-1], atol=1e-5)


def test_weights_mean_the_same_for_images_of_any_size_and_colour():
    small, odd = build((8, 8), channels=3), build((17, 12), channels=3)
    assert [w.shape for w in jax.tree.leaves(split(small)[0])] == [w.shape for w in jax.tree.leaves(split(odd)[0])]
    assert odd(jnp.zeros((17, 12, 3), jnp.float32)).shape == (17, 12, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spacings": (2, 3)}, "multiple of the one before"),
        ({"widths": (1,)}, "one number for each grid"),
        ({"head": 0}, "at least 1"),
        ({"order": -1}, "--order"),
        ({"turns": 0}, "turns is 0"),
        ({"spacings": (2, 8)}, "do not fit a grid"),
    ],
)
def test_a_wrong_configuration_says_what_would_be_right(changes, message):
    with pytest.raises(TaskError, match=message):
        build_segmenter(dataclasses.replace(SMALL, **changes), shape=(12, 12), key=jax.random.key(0))


def test_the_plain_network_is_as_large_and_takes_any_size():
    model = build_unet(8_000, 3, 4, key=jax.random.key(0))
    assert 8_000 <= count_parameters(model) <= 8_240
    assert model(jnp.ones((9, 8, 3), jnp.float32)).shape == (9, 8, 4)


# Tiles.


class Blur(eqx.Module):
    """A stand-in for a model: each pixel and its mean over the tile around it, weighed by distance. It has no borders."""

    weight: jax.Array

    def __call__(self, image, *, key=None):
        return jnp.concatenate([image, self.weight * image**2], -1)


@pytest.mark.parametrize("shape", [(16, 16), (23, 41), (64, 37), (5, 90)])
def test_tiles_cover_every_pixel_once_in_places_as_symmetric_as_the_image(shape):
    model = Blur(jnp.ones((), jnp.float32))
    tiled = TiledLogits(lambda s: model, tile=16, margin=4, unit=4, batch=3)
    image = np.random.default_rng(0).normal(size=(*shape, 1)).astype(np.float32)
    logits = tiled(model, image)
    np.testing.assert_allclose(logits, np.concatenate([image, image**2], -1), atol=1e-5)
    for n in shape:
        axis = _Axis(n, 16, 4, 4)
        assert axis.starts == [axis.starts[-1] - s for s in reversed(axis.starts)]
        assert all(start % 4 == 0 for start in axis.starts)


def test_pieces_hold_every_crop():
    from equivax.data import MaskedImages

    numbered = np.arange(50 * 23).reshape(50, 23)
    pairs = MaskedImages((numbered[..., None].astype(np.float32),), ((numbered % 2).astype(np.uint8),), ("a",))
    images, masks, rooms = cut(pairs, 8, 40)
    assert len(images) == len(masks) == len(rooms) >= 40
    assert images.shape[1:] == (16, 16, 1)
    crops = set()
    for piece, ((top, bottom), (left, right)) in zip(images, rooms, strict=True):
        crops |= {int(piece[i, j, 0]) for i in range(top, bottom + 1) for j in range(left, right + 1)}
    assert crops == {int(numbered[i, j]) for i in range(43) for j in range(16)}
    inside = masks != 255
    assert ((images[..., 0].astype(int) % 2) == masks)[inside].all()
    # An image smaller than a tile has one crop, with the image in its middle.
    images, masks, rooms = cut(MaskedImages(pairs.images, pairs.masks, ("a",)), 60, 1)
    (top, last), (left, _) = rooms[0]
    assert top == last
    assert (masks[0] != 255).sum() == numbered.size
    assert (masks[0][top : top + 60, left : left + 60] != 255).sum() == numbered.size


def test_memory_of_a_step_is_guessed_within_a_factor_of_three():
    model = build((32, 32))
    weights, constants = split(model)
    images = jnp.zeros((4, 32, 32, 1), jnp.float32)
    step = jax.jit(jax.grad(lambda w, u: jnp.sum(jax.vmap(eqx.combine(w, constants))(u) ** 2)))
    measured = step.lower(weights, images).compile().memory_analysis().temp_size_in_bytes
    assert measured / 3 < 4 * tile_bytes(SMALL, 32, training=True) < 3 * measured


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, 2.5])
def test_what_is_turned_can_be_turned_back(angle):
    y, x = np.mgrid[:40, :30] / 10
    image = np.stack([np.sin(x + y), np.cos(2 * x)], -1).astype(np.float32)
    there = turn(image, angle)
    assert angle != np.pi / 2 or np.allclose(there, np.rot90(image), atol=1e-5)
    assert np.abs(turn_back(there, angle, (40, 30)) - image).max() < (1e-5 if angle < 2 else 0.03)


# Files.


def _save(folder, name, array):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(folder / name)


def _circles(tmp_path, count=5, side=40, values=(0, 255)):
    """Bright discs on dark noise, with the masks of the discs."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, : side + 6]
    for i in range(count):
        centre = rng.uniform(10, side - 10, 2)
        disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 60
        noisy = 60 + 90 * disc + rng.normal(0, 12, disc.shape)
        _save(tmp_path / "images", f"cell_{i}.png", np.clip(noisy, 0, 255).astype(np.uint8))
        _save(tmp_path / "masks", f"cell_{i}_mask.png", np.where(disc, values[1], values[0]).astype(np.uint8))
    return tmp_path / "images", tmp_path / "masks"


def test_folders_are_paired_by_name_or_by_order_and_classes_are_found(tmp_path):
    images, masks = _circles(tmp_path, 11)
    found = read_pairs(images, masks)
    assert found.pairing == "paired by name"
    assert found.classes == ("0", "255")
    assert found.pairs.names[2] == "cell_2.png"  # and not cell_10
    assert found.pairs.images[0].shape == (40, 46, 1)
    assert set(np.unique(found.pairs.masks[0])) == {0, 1}
    for i, mask in enumerate(sorted(masks.iterdir())):
        mask.rename(masks / f"truth of {i}, by hand.png")
    assert "by order" in read_pairs(images, masks).pairing


def test_stacks_colours_palettes_and_sixteen_bits(tmp_path):
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)) for _ in range(3)]
    (tmp_path / "i").mkdir()
    frames[0].save(tmp_path / "i" / "stack.tif", save_all=True, append_images=frames[1:])
    colours = np.zeros((12, 9, 3), np.uint8)
    colours[:6] = (255, 0, 16)
    marks = [Image.fromarray(colours)] * 3
    (tmp_path / "m").mkdir()
    marks[0].save(tmp_path / "m" / "stack.tif", save_all=True, append_images=marks[1:])
    found = read_pairs(tmp_path / "i", tmp_path / "m")
    assert found.classes == ("#000000", "#ff0010")
    assert found.values[1] == (255, 0, 16)
    assert found.pairs.names == ("stack.tif[0]", "stack.tif[1]", "stack.tif[2]")
    np.testing.assert_allclose(found.pairs.images[1], np.asarray(frames[1]) / 255, atol=1e-6)
    _save(tmp_path / "deep", "a.png", np.full((12, 9), 30000, np.uint16))
    palette = Image.fromarray((colours[..., 0] > 0).astype(np.uint8), mode="L").convert("P")
    (tmp_path / "pal").mkdir()
    palette.save(tmp_path / "pal" / "a.png")
    found = read_pairs(tmp_path / "deep", tmp_path / "pal")
    assert found.pairs.images[0].max() == pytest.approx(30000 / 65535)
    assert len(found.values) == 2


def _unpaired(images, masks):
    (masks / "cell_1_mask.png").unlink()


def _resized(images, masks):
    _save(masks, "cell_1_mask.png", np.zeros((8, 9), np.uint8))


def _stray(images, masks):
    array = np.array(Image.open(masks / "cell_1_mask.png"))
    array[3, 3] = 7
    _save(masks, "cell_1_mask.png", array)


def _shades(images, masks):
    _save(masks, "cell_1_mask.png", np.arange(40 * 46).reshape(40, 46).astype(np.uint8))


def _empty(images, masks):
    _save(masks, "cell_1_mask.png", np.zeros((40, 46), np.uint8))


def _broken(images, masks):
    (images / "cell_1.png").write_bytes((images / "cell_1.png").read_bytes()[:300])


def _one_class(images, masks):
    for i in range(5):
        _save(masks, f"cell_{i}_mask.png", np.full((40, 46), 9, np.uint8))


def _few(images, masks):
    for i in (2, 3, 4):
        (images / f"cell_{i}.png").unlink()
        (masks / f"cell_{i}_mask.png").unlink()


@pytest.mark.parametrize(
    ("damage", "message", "options"),
    [
        (_unpaired, "Without a partner: image cell_1.png", ()),
        (_resized, "cell_1.png and its mask cell_1_mask.png differ in size: 46 x 40 and 9 x 8", ()),
        (_stray, "unexpected values: 7 (1 pixels, first in the mask of cell_1.png); expected 0, 255", ()),
        (_shades, "256 different values in a mask", ()),
        (_empty, "cell_1_mask.png: an empty mask, one value (0)", ()),
        (_broken, "cell_1.png: not a readable picture", ()),
        (_one_class, "one class only: all masks hold 9", ("--allow-empty",)),
        (_few, "expected at least 3", ()),
        (lambda i, m: None, "not enough memory", ("--batch-size", "10000000")),
        (lambda i, m: None, "multiple of the coarsest spacing", ("--tile", "30")),
    ],
)
def test_bad_input_is_an_error_before_anything_is_trained(tmp_path, capsys, damage, message, options):
    images, masks = _circles(tmp_path)
    damage(images, masks)
    words = ["train", "segment", "--preset", "tiny", "--images", str(images), "--masks", str(masks), *options]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_broken_files_are_skipped_and_counted_when_asked(tmp_path):
    images, masks = _circles(tmp_path)
    _broken(images, masks)
    _resized(images, masks)
    _empty(images, masks)
    found = read_pairs(images, masks, skip_bad=True)
    assert len(found.pairs) == 4
    assert len(found.skipped) == 1
    assert "cell_1.png" in found.skipped[0]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="no picture"):
        read_pairs(images, tmp_path / "nothing")
    with pytest.raises(DataError, match="no such folder"):
        read_pairs(images, tmp_path / "nowhere")


def test_digit_scenes_agree_in_all_but_the_angles():
    counts = SceneCounts(3, 2, 6)
    data, again = digit_scenes(counts, offline=True), digit_scenes(counts, turned=True, offline=True)
    assert [len(part) for part in (data.train, data.validation, data.test, data.test_turned)] == [3, 2, 6, 6]
    assert all(np.array_equal(a, b) for a, b in zip(data.test.images, again.test.images, strict=True))
    assert not np.array_equal(data.train.images[0], again.train.images[0])
    for upright, turned in zip(data.test.masks, data.test_turned.masks, strict=True):
        assert set(np.unique(upright)) == set(np.unique(turned))
        assert 1 <= len(np.unique(upright)) - 1 <= 4
    # Strokes brighter than 96 of 255, before grey values are rounded.
    for image, mask in zip(data.test.images, data.test.masks, strict=True):
        assert image[mask > 0].min() >= np.float32(96 / 255)
        assert image[mask == 0].max() < 97 / 255
    with pytest.raises(DataError, match="at least one scene"):
        digit_scenes(SceneCounts(0, 1, 1), offline=True)


def test_digits_are_drawn_turned_anticlockwise_and_between_pixels():
    u = scipy.ndimage.gaussian_filter(np.random.default_rng(0).uniform(0, 255, (20, 20)), 2)
    still = np.zeros(2)
    np.testing.assert_allclose(_drawn(u, np.pi / 2, still), np.rot90(u), atol=1e-3)
    np.testing.assert_allclose(_drawn(u, 0.0, np.array([1.0, -2.0]))[4:-4, 4:-4], u[3:-5, 6:-2], atol=1e-3)
    half = _drawn(u, 0.0, np.array([0.5, 0.0]))[4:-4, 4:-4]
    np.testing.assert_allclose(half, (u[3:-5, 4:-4] + u[4:-4, 4:-4]) / 2, atol=0.06 * u.std())
    inside = slice(6, -6), slice(6, -6)
    bilinear = rotate(u[None], np.array([0.7]))[0]
    np.testing.assert_allclose(_drawn(u, 0.7, still)[inside], bilinear[inside], atol=0.1 * u.std())


def test_isbi_is_looked_for_and_not_guessed(tmp_path, monkeypatch):
    monkeypatch.delenv("EQUIVAX_DATA", raising=False)
    with pytest.raises(DataError, match="train/image and train/label"):
        isbi2012(tmp_path)
    _circles(tmp_path)
    (tmp_path / "images").rename(tmp_path / "image")
    (tmp_path / "masks").rename(tmp_path / "label")
    with pytest.raises(DataError, match="5 slices"):
        isbi2012(tmp_path)


# From the files to the report.


class StandIn(eqx.Module):
    """Logits that are linear in a pixel: equivariant, and compiled in no time."""

    weight: jax.Array
    bias: jax.Array

    def __call__(self, image, *, key=None):
        return image @ self.weight[0] + self.bias[None, None]


def _stand_in(config, *, shape, channels, classes, key):
    return StandIn(jnp.zeros((1, channels, classes), jnp.float32), jnp.zeros(classes, jnp.float32))


def _audit(model, config, tiles, *, refinements=(1,), key):
    law = {"name": "quarter", "statement": "f(g u) = g f(u)", "error": 1e-8, "scale": 1.0, "tolerance": 1e-4}
    return {
        "verdicts": [law | {"passed": True, "vacuous": False}],
        "equivariance": {"quarter": 1e-8},
        "angles": {"degrees": [0, 45, 90], "error": [0.0, 0.1, 1e-8]},
        "refinement": {"sizes": [], "error": [], "order": None},
    }


def test_a_run_from_the_files_to_masks_of_other_images(tmp_path, monkeypatch, capsys):
    import equivax.tasks._segment_run as run_module

    monkeypatch.setattr(segmentation_module, "build_segmenter", _stand_in)
    monkeypatch.setattr(segmentation_module, "audit_segmenter", _audit)
    monkeypatch.setattr(run_module, "audit_segmenter", _audit)
    images, masks = _circles(tmp_path, values=(3, 200))
    run = tmp_path / "run"
    words = ["--preset", "tiny", "--images", str(images), "--masks", str(masks), "--crops", "24"]
    words += ["--epochs", "4", "--learning-rate", "0.1"]
    assert main(["train", "segment", *words, "--out", str(run)]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"iou", "dice", "v_rand", "iou_rotated", "dice_rotated", "v_rand_rotated"} <= metrics.keys()
    assert metrics["dice"] > 0.9
    assert abs(metrics["dice"] - metrics["dice_rotated"]) < 0.05
    assert metrics["values"] == [3, 200]
    report = (run / "report.html").read_text()
    assert report.count("data:image/png") >= 4
    assert "paired by name" in report
    assert main(["check", str(run)]) == 0
    _save(tmp_path / "new", "wide.tif", np.full((30, 211), 150, np.uint8))
    _save(tmp_path / "new", "small.png", np.full((7, 5), 60, np.uint8))
    out, probabilities = tmp_path / "out", tmp_path / "p"
    assert (
        main(["predict", str(run), str(tmp_path / "new"), "--out", str(out), "--probabilities", str(probabilities)])
        == 0
    )
    wide = np.asarray(Image.open(out / "wide.png"))
    assert wide.shape == (30, 211)
    assert (wide == 200).all()
    assert (np.asarray(Image.open(out / "small.png")) == 3).all()
    p = np.load(probabilities / "small.npy")
    assert p.shape == (7, 5, 2)
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
    _save(tmp_path / "colour", "red.png", np.zeros((8, 8, 3), np.uint8) + np.array([200, 0, 0], np.uint8))
    capsys.readouterr()
    for given, message in (
        ([str(tmp_path / "colour"), "--out", str(out)], "in colours"),
        ([str(tmp_path / "new")], "name a folder"),
        ([str(tmp_path / "new"), "--out", str(tmp_path / "new")], "name another one"),
        ([str(tmp_path / "new"), "--out", str(tmp_path / "a.png")], "name of a folder"),
    ):
        assert main(["predict", str(run), *given]) == 2
        assert message in capsys.readouterr().err
