"""The classifier and its audit: invariant for every choice of group and solver, and found out when it is not."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.data import rotate
from equivax.fields import AffineLift, Disc, GaussianJet, InvariantPooling, SteerableLayer, Vote, looks, summands
from equivax.geometry import Euclidean, PixelGrid
from equivax.laws import equivariance, rejects
from equivax.symmetry import REFLECTION, Cyclic, Dihedral, SignalAction, TrivialAction, defining, regular, trivial
from equivax.tasks import PRESETS, ModelConfig, TaskError, audit, build_classifier, count_parameters, cross_entropy
from equivax.tasks._audit import _missing_reflection, _moves
from equivax.tasks._named import features, group_named, symmetry_named
from equivax.tasks._refinement import convergence
from equivax.tasks._weights import is_weight, split

SMALL = ModelConfig(
    fine=6, coarse=3, fine_width=1, coarse_width=1, lift_order=2, read_width=1, read_order=2, head=4, coarse_steps=1
)
SIZE = 12


def _model(**changes):
    return build_classifier(dataclasses.replace(SMALL, **changes), size=SIZE, key=jax.random.key(0))


class _Logits(eqx.Module):
    model: eqx.Module

    def __call__(self, u):
        return self.model(self.model.grid.unflatten(u)[..., 0])


@pytest.fixture
def noise():
    return jax.random.uniform(jax.random.key(1), (SIZE * SIZE, 1), jnp.float32)


@pytest.mark.parametrize("group", ["C4", "C8", "D4", "SO2", "O2"])
def test_logits_are_invariant_under_the_group_and_under_no_larger_one(group, noise):
    model = _model(group=group)
    on_images, on_logits = SignalAction(trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(10))
    verdict = equivariance(_Logits(model), on_images, on_logits, noise)
    assert verdict.passed, verdict
    if group in ("C4", "C8", "SO2"):
        larger = Dihedral(4)
        refused = rejects(
            _Logits(model),
            SignalAction(trivial(larger), model.grid),
            TrivialAction(larger, Euclidean(10)),
            noise,
            elements=REFLECTION[None],
            tolerance=2e-6,
        )
        assert refused.passed, refused


def test_averages_over_turns_are_invariant_under_a_larger_group():
    once, twice = _model(group="C4", turns=1), _model(group="C4", turns=2)
    grid = once.grid

    def sampled(angle):  # a smooth picture in the middle, known everywhere: turned before it is sampled
        c, s = np.cos(angle), np.sin(angle)
        x, y = (grid.points @ np.array([[c, -s], [s, c]])).T
        values = (1 + x - 0.5 * x * y) * np.exp(-(x**2 + y**2) / 8)
        return jnp.asarray(values.reshape(grid.shape), jnp.float32)

    def change(model):
        a, b = (eqx.filter_jit(model)(sampled(angle)) for angle in (0.0, np.pi / 4))
        return float(jnp.abs(a - b).max() / jnp.abs(a - a.mean()).max())

    # Of the algebraic error of C4 at 45 degrees an eighth is left, from turning by interpolation.
    assert change(twice) < 0.25 * change(once)
    assert change(once) > 1e-3
    # The image of `data.rotate`, turned by NumPy.
    moved = jnp.asarray(rotate(np.asarray(sampled(0.0))[None], np.array([np.pi / 4]))[0])
    by_hand = [once.head(once.invariants(u)) for u in (sampled(0.0), moved)]
    np.testing.assert_allclose(twice(sampled(0.0)), (by_hand[0] + by_hand[1]) / 2, atol=1e-5)
    assert twice.count(sampled(0.0)) == {name: 2 * n for name, n in once.count(sampled(0.0)).items()}
    key = jax.random.key(2)
    np.testing.assert_allclose(once(sampled(0.0), key=key), twice(sampled(0.0), key=key), atol=1e-6)
    with pytest.raises(TaskError, match="turns is 0"):
        _model(turns=0)


def test_the_loss_is_a_mean_over_draws():
    model = _model(head_draws=3, head_dropout=0.5, read_width=4)
    images = jax.random.uniform(jax.random.key(1), (2, SIZE, SIZE), jnp.float32)
    labels = jnp.asarray([3, 7])
    keys = jax.random.split(jax.random.key(5), 2)
    logits = [model(image, key=key) for image, key in zip(images, keys, strict=True)]
    assert logits[0].shape == (3, 10)
    assert float(jnp.ptp(logits[0], axis=0).max()) > 1e-3, "the draws are all the same"
    target = 0.9 * np.eye(10)[np.asarray(labels)] + 0.01
    by_hand = [-(q * np.asarray(jax.nn.log_softmax(z))).sum(1).mean() for q, z in zip(target, logits, strict=True)]
    np.testing.assert_allclose(
        cross_entropy(0.1)(model, (images, labels), jax.random.key(5)), np.mean(by_hand), rtol=1e-5
    )
    with pytest.raises(TaskError, match="head_draws is 0"):
        _model(head_draws=0)


def test_logits_of_images_in_colour_are_invariant_and_see_every_channel():
    model = _model(group="C4", classes=4, channels=3)
    noise = jax.random.uniform(jax.random.key(1), (SIZE * SIZE, 3), jnp.float32)
    logits = eqx.filter_jit(lambda u: model(model.grid.unflatten(u)))
    on_images, on_logits = SignalAction(3 * trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(4))
    verdict = equivariance(logits, on_images, on_logits, noise)
    assert verdict.passed, verdict
    for channel in range(3):
        assert float(jnp.abs(logits(noise.at[:, channel].set(0.0)) - logits(noise)).max()) > 1e-5


def test_a_change_of_scale_is_a_shift_along_the_scales():
    group = Cyclic(4)

    def blobs(grid, scale):
        distances = np.linalg.norm(
            grid.points[:, None] - scale * np.array([[3.0, 1.0], [-2.0, 4.0], [0.0, -4.0]]), axis=-1
        )
        return jnp.asarray(np.exp(-((distances / 1.6 / scale) ** 2) / 2) @ np.array([[1.0], [0.6], [-0.8]]))

    errors = []
    for pixels in (28, 56):
        image, coarse = PixelGrid(pixels, pixels, 28 / pixels), PixelGrid(12, 12, 28 / 12)
        jet = GaussianJet(image, coarse, 4, 1.75)
        layer = SteerableLayer(trivial(group), regular(group), jet, window=Disc(10.5, 14.0), key=jax.random.key(0))
        lift = AffineLift(layer, looks(4))
        small, large = lift(blobs(image, 1.0)), lift(blobs(image, 2**0.5))
        errors.append(float(jnp.abs(large[:-1] - small[1:]).max() / jnp.abs(large).max()))
        np.testing.assert_allclose(small[0], layer(blobs(image, 1.0)), atol=1e-12)
    # Beyond the narrowest pixels only the tails are left that the border of the image cuts off.
    assert errors[1] < min(1e-4, errors[0] / 100)
    assert float(jnp.abs(large - small).max() / jnp.abs(large).max()) > 0.1
    with pytest.raises(ValueError, match=r"under 0.4 of the grid's spacing"):
        AffineLift(lift.layer, looks(9))


def test_a_hyperbolic_evolution_is_as_invariant_as_a_parabolic_one(noise):
    model = _model(group="C4", evolution="hyperbolic", fine_width=2, coarse_width=2)
    on_images, on_logits = SignalAction(trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(10))
    verdict = equivariance(_Logits(model), on_images, on_logits, noise)
    assert verdict.passed, verdict
    # As many numbers in a pixel, and the damping is learned.
    assert model.cascade.actions[1].rep.dim == _model(group="C4", fine_width=2).cascade.actions[1].rep.dim
    loss = eqx.filter_grad(lambda m: jnp.sum(m(noise.reshape(SIZE, SIZE)) ** 2))
    assert float(jnp.abs(loss(model).cascade.stages[3].field.damping)) > 0


def test_an_evolution_on_positions_and_orientations_is_invariant_with_few_weights(noise):
    model = _model(evolution="m2", fine_width=2, coarse_width=2, read_width=4, coarse_steps=2)
    on_images, on_logits = SignalAction(trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(10))
    verdict = equivariance(_Logits(model), on_images, on_logits, noise)
    assert verdict.passed, verdict
    # A step is one of each field in turn, with the coefficients of its knot.
    flow, u = model.cascade.stages[3], jax.random.normal(jax.random.key(2), (9, 16), jnp.float32)
    v = u
    for t in (1.5, 2.25):
        for part in summands(flow.field):
            v = v + 0.75 * part(t, v)
    np.testing.assert_allclose(flow(u), v, rtol=0, atol=1e-5)
    assert float(jnp.abs(v - u).max()) > 0.1
    assert model.count(noise.reshape(SIZE, SIZE)) == {"steps": 6, "function_evaluations": 18}, "two turns, three steps"
    preset = build_classifier(PRESETS["m2"]().model, key=jax.random.key(0))
    assert count_parameters(preset) == 2_960
    assert preset.frame is not None
    assert preset.frame.stretch == 0.5
    for changes, message in (
        ({"group": "D8"}, "have turns alone"),
        ({"group": "SO2"}, "have turns alone"),
        ({"group": "C2"}, "have turns alone"),
        ({"coarse_width": 3}, "keeps its copies"),
        ({"read_width": 3}, "keeps its copies"),
        ({"rtol": 1e-3, "solver": "Heun"}, "no error to adapt"),
    ):
        with pytest.raises(TaskError, match=message):
            _model(**{"evolution": "m2", "fine_width": 2, "coarse_width": 2, "read_width": 2} | changes)


def test_the_elements_of_a_group_vote():
    rep = 3 * regular(Dihedral(4))
    vote, pooled = Vote(rep, 5, 7, key=jax.random.key(0)), InvariantPooling(rep)
    v = jax.random.normal(jax.random.key(1), (2, 24), jnp.float32)
    assert vote(v).shape == (2, 5)
    by_hand = jax.nn.logsumexp(jnp.stack([vote.perceptron(v[1, g::8]) for g in range(8)]), axis=0) - np.log(8).astype(
        np.float32
    )
    np.testing.assert_allclose(vote(v)[1], by_hand, rtol=0, atol=1e-6)
    for g in rep.group.elements:
        np.testing.assert_allclose(vote(v @ jnp.asarray(rep.rho(g), v.dtype).T), vote(v), rtol=0, atol=1e-6)
    # One copy alone is permuted: what each copy has by itself stays, what they have together does not.
    alone = v.at[:, :8].set(jnp.roll(v[:, :8], 1, axis=1))
    np.testing.assert_allclose(pooled(alone), pooled(v), rtol=0, atol=1e-6)
    assert float(jnp.abs(vote(alone) - vote(v)).max()) > 1e-2
    for wrong in (regular(Cyclic(4)) + trivial(Cyclic(4)), 2 * defining(Dihedral(4)), features(group_named("SO2"), 2)):
        with pytest.raises(ValueError, match="elements that a group permutes"):
            Vote(wrong, 5, 7, key=jax.random.key(0))


@pytest.mark.parametrize("options", [{"group": "D4"}, {"evolution": "m2", "read_width": 4}])
def test_logits_by_vote_are_invariant(noise, options):
    options = {"fine_width": 2, "coarse_width": 2, "head": 7, "head_dropout": 0.0} | options
    model = _model(vote=True, **options)
    on_images, on_logits = SignalAction(trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(10))
    verdict = equivariance(_Logits(model), on_images, on_logits, noise)
    assert verdict.passed, verdict
    image = noise.reshape(SIZE, SIZE)
    once = dataclasses.replace(model, turns=((0.0, 1.0),))
    np.testing.assert_array_equal(once(image), once.invariants(image))
    drawn = model(image, key=jax.random.key(1))
    assert drawn.shape == (model.draws, 10)
    np.testing.assert_array_equal(drawn, jnp.broadcast_to(drawn[0], drawn.shape), "no invariants are left out")
    # Half of the invariants, and so of the weights of the first layer of the perceptron.
    by_mean = count_parameters(_model(**options))
    assert by_mean - count_parameters(model) == model.readout.pooling.copies * 7
    for wrong in ({"group": "SO2", "evolution": "parabolic"}, {"head_dropout": 0.1}):
        with pytest.raises(TaskError, match="--vote is for finite groups"):
            _model(**options | {"vote": True} | wrong)


@pytest.mark.parametrize("evolution", ["parabolic", "m2"])
def test_more_steps_with_as_many_knots_solve_the_same_equation(noise, evolution):
    image = noise.reshape(SIZE, SIZE)

    def model(steps, **options):
        options = {"fine_width": 2, "coarse_width": 2, "read_width": 2, "turns": 1} | options
        return _model(evolution=evolution, coarse_steps=steps, **options)

    few, many = model(2, knots=2), model(32, knots=2)
    for a, b in zip(
        jax.tree.leaves(eqx.filter(few, is_weight)), jax.tree.leaves(eqx.filter(many, is_weight)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    # Not more knots than steps; by default one for each.
    np.testing.assert_array_equal(few(image), model(2)(image))
    np.testing.assert_array_equal(few(image), model(2, knots=5)(image))
    assert count_parameters(model(4)) > count_parameters(few) > count_parameters(model(2, knots=1))
    # Euler's method has order 1: half the step, half the error.
    exact = many.invariants(image)
    errors = [float(jnp.linalg.norm(model(steps, knots=2).invariants(image) - exact)) for steps in (4, 8)]
    expected = (1 / 4 - 1 / 32) / (1 / 8 - 1 / 32)
    assert errors[0] / errors[1] == pytest.approx(expected, rel=0.2), errors
    with pytest.raises(TaskError, match="knots is 0; expected 1"):
        model(2, knots=0)


def test_a_model_of_several_scales_is_as_invariant_as_of_one(noise):
    model = _model(group="C4", scales=2)
    on_images, on_logits = SignalAction(trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(10))
    verdict = equivariance(_Logits(model), on_images, on_logits, noise)
    assert verdict.passed, verdict
    image, one = noise.reshape(SIZE, SIZE), _model(group="C4")
    assert model.count(image)["steps"] == 2 * one.count(image)["steps"]
    # The image itself is the first of the scales, and no other has a larger say than the largest.
    assert bool(jnp.all(model.invariants(image) >= one.invariants(image)))


def test_averages_over_zooms_are_invariant_under_finer_changes_of_scale():
    # A smooth picture, and the same one smaller by the fourth root of 2, halfway from one look to the next.
    grid = PixelGrid(48, 48)
    x, y = grid.points.T / 6

    def picture(scale):
        x_, y_ = x / scale, y / scale
        values = np.exp(-((x_ - 0.5) ** 2) - (y_ + 0.3) ** 2) + 0.5 * np.exp(-((x_ + 0.7) ** 2) - (y_ - 0.6) ** 2 / 2)
        return jnp.asarray(values.reshape(48, 48), jnp.float32)

    def built(**options):
        config = dataclasses.replace(SMALL, group="D1", scales=2, **options)
        return build_classifier(config, size=48, key=jax.random.key(0))

    one, two = built(), built(zooms=2)
    small, large = picture(1 / 2**0.25), picture(1.0)
    # Half of the average is the logits of the model, the other half sees a picture larger by the root as the model the smaller.
    np.testing.assert_allclose(2 * two(large) - one(large), one(small), rtol=0, atol=1e-5)
    assert float(jnp.abs(one(small) - one(large)).max()) > 1e-3
    assert two.count(large)["steps"] == 2 * one.count(large)["steps"]
    np.testing.assert_array_equal(two.invariants(large), one.invariants(large))
    for wrong in ({"scales": 1, "zooms": 2}, {"zooms": 0}):
        with pytest.raises(TaskError, match=f"zooms is {wrong['zooms']}; expected 1"):
            _model(**{"group": "D1"} | wrong)


@pytest.mark.parametrize("group", ["C2", "C4", "D1", "D4", "mirror"])
def test_signals_may_fill_the_square_under_a_group_that_keeps_it(group, noise):
    model = _model(group=group, domain="square")
    on_images, on_logits = SignalAction(trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(10))
    verdict = equivariance(_Logits(model), on_images, on_logits, noise)
    assert verdict.passed, verdict
    # The first of the points is in a corner, which the disc leaves out.
    corners = [m.cascade.stages[0](noise)[0] for m in (model, _model(group=group))]
    assert float(jnp.abs(corners[0]).max()) > 1e-2
    np.testing.assert_array_equal(corners[1], 0)


def test_a_mirror_exchanges_left_and_right(noise):
    image = np.asarray(_model(group="mirror").grid.unflatten(noise))
    for group, kept, changed in (("mirror", image[:, ::-1], image[::-1]), ("D1", image[::-1], image[:, ::-1])):
        model = eqx.filter_jit(_model(group=group))
        np.testing.assert_allclose(model(kept), model(image), atol=1e-5)
        assert float(jnp.abs(model(changed) - model(image)).max()) > 1e-4


@pytest.mark.parametrize("group", ["C3", "C8", "D8", "SO2", "O2", "similarity"])
def test_no_other_group_keeps_the_square(group):
    with pytest.raises(TaskError, match=f"{group} does not map the square to itself"):
        _model(group=group, domain="square")


def test_averages_over_turns_keep_reflections(noise):
    # A turn by an eighth has no pixels of its own: only both ways round are the image of each other in the mirror.
    logits = eqx.filter_jit(_model(group="D8", turns=2))
    image = noise.reshape(SIZE, SIZE)
    np.testing.assert_allclose(logits(image[:, ::-1]), logits(image), atol=2e-6)


@pytest.mark.parametrize(
    ("name", "order", "maps", "numbers"),
    [("similarity", 8, 4, 16), ("scale", 1, 4, 16), ("affine", 8, 15, 16), ("C8", 8, 1, 16)],
)
def test_symmetries_with_changes_of_scale_have_names(name, order, maps, numbers):
    def build(**changes):
        config = dataclasses.replace(SMALL, group=name, fine_width=2, **changes)
        return eqx.filter_eval_shape(lambda key: build_classifier(config, key=key), jax.random.key(0))

    model = build()
    assert (model.group.order, len(model.maps), model.cascade.stages[1].field.rep.dim) == (order, maps, numbers)
    assert len(build(scales=2).maps) == (10 if name == "affine" else 2)
    # Whoever gives up turns does not get them back by an average over turns.
    assert len(model.turns) == (1 if order == 1 else 2)


@pytest.mark.parametrize(
    ("name", "degrees", "algebraic"),
    [("C8", 45.0, 0.4), ("D4", None, 0.4), ("similarity", 45.0, 0.4), ("scale", None, 0.4), ("O2", 22.5, 0.0)],
)
def test_convergence_is_asked_for_at_angles_of_the_group(name, degrees, algebraic):
    group = symmetry_named(name, None).group
    angles = {"degrees": [0.0, 22.5, 45.0, 90.0], "error": [0.0, 0.8, 0.4, 0.0], "error_2x": [0.0, 0.4, 0.1, 0.0]}
    found = convergence(angles, group, 12, (1, 2))
    assert found["degrees"] == degrees
    if degrees:
        assert found["order"] == pytest.approx(2.0 if degrees == 45 else 1.0)
    assert found["algebraic_error"] == algebraic


@pytest.mark.parametrize(
    ("size", "group", "scales"), [(SIZE, "C4", 2), (3 * SIZE, "C4", 2), (2 * SIZE, "affine", 1)], ids=str
)
def test_the_audit_asks_whether_a_change_of_scale_is_a_shift_and_a_stretch_one_of_look(
    size, group, scales, monkeypatch
):
    config = dataclasses.replace(SMALL, group=group, scales=scales)
    model = build_classifier(config, size=size, key=jax.random.key(0))
    (verdict,) = _moves(model, config, (1, 2), jax.random.key(4))
    assert verdict.passed, verdict
    # The same at every scale: features that do not know what a scale is.
    monkeypatch.setattr(AffineLift, "jets", lambda lift: (lift.layer.operator.jet,) * len(lift.maps))
    (verdict,) = _moves(model, config, (1, 2), jax.random.key(4))
    assert not verdict.passed, verdict


def test_adaptive_steps_are_invariant_and_differentiable(noise):
    model = _model(solver="Bosh3", rtol=1e-3)
    on_images, on_logits = SignalAction(trivial(model.group), model.grid), TrivialAction(model.group, Euclidean(10))
    verdict = equivariance(_Logits(model), on_images, on_logits, noise)
    assert verdict.passed, verdict
    batch = (noise.reshape(1, SIZE, SIZE), jnp.zeros(1, jnp.int32))
    gradient = eqx.filter_grad(cross_entropy())(model, batch, jax.random.key(2))
    leaves = jax.tree.leaves(split(gradient)[0])
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
    assert any(float(jnp.abs(leaf).max()) > 0 for leaf in leaves)
    count = model.count(batch[0][0])
    assert count["function_evaluations"] >= 3 * count["steps"] > 0


def test_more_steps_of_the_same_field_converge():
    # One knot, so that the field does not depend on how it is stepped; Euler is of order one.
    image = jax.random.uniform(jax.random.key(3), (SIZE, SIZE), jnp.float32).astype(jnp.float64)
    model = jax.tree.map(lambda w: w.astype(jnp.float64) if eqx.is_inexact_array(w) else w, _model())
    stage = model.cascade.stages[3]
    u = stage.field.grid.flatten(jnp.ones((3, 3, stage.field.rep.dim))) * jnp.mean(image)
    flows = {n: dataclasses.replace(stage, controller=type(stage.controller)(n)) for n in (4, 8, 16, 64)}
    ends = {n: flow(u) for n, flow in flows.items()}
    errors = [float(jnp.abs(ends[n] - ends[64]).max()) for n in (4, 8, 16)]
    slope = -np.polyfit(np.log([4, 8, 16]), np.log(errors), 1)[0]
    assert 0.8 < slope < 1.5, errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"group": "X7"},
            "'X7' is not known here. Use C<n> .* or mirror; on whole images also scale, similarity .*, affine",
        ),
        ({"solver": "Leapfrog"}, "Leapfrog"),
        ({"rtol": 1e-3}, "error estimate"),
        ({"scales": 0}, "scales is 0"),
        ({"evolution": "hyperbolic"}, "widths are 1 and 1; a hyperbolic evolution takes half"),
    ],
)
def test_a_wrong_configuration_says_what_would_be_right(changes, message):
    with pytest.raises(TaskError, match=message):
        _model(**changes)


def test_images_smaller_than_the_stencil_are_refused():
    config = dataclasses.replace(SMALL, fine=12)
    with pytest.raises(TaskError, match=r"6 x 6 pixels are smaller than the stencils.*at least 7 x 7"):
        build_classifier(config, size=6, key=jax.random.key(0))
    eqx.filter_eval_shape(lambda key: build_classifier(config, size=7, key=key), jax.random.key(0))


def test_the_audit_passes_the_model_and_convicts_a_broken_one():
    config = ModelConfig(fine=10, coarse=5, fine_width=2, coarse_width=2, read_width=4, coarse_steps=1)
    model = build_classifier(config, size=20, key=jax.random.key(0))
    found = audit(model, config, refinements=(1, 2), key=jax.random.key(4))
    assert found["refinement"]["order"] > 2
    assert not [v["name"] for v in found["verdicts"] if v["failed"]]
    assert {"rotation by 90 degrees", "rotation by 180 degrees"} <= found["equivariance"].keys()
    # A map behind the back of the bases, which the laws have to find, and to locate.
    broken = eqx.tree_at(lambda m: m.cascade.stages[0].window, model, _Lopsided(), is_leaf=lambda x: x is None)
    found = audit(broken, config, refinements=(1, 2), key=jax.random.key(4))
    failed = [v["name"] for v in found["verdicts"] if v["failed"]]
    assert "rotation by 90 degrees" in failed
    assert "stage 1: SteerableLayer" in failed
    assert "read-out" not in failed


class _Lopsided(eqx.Module):
    """A window that prefers the right half of the plane."""

    def __call__(self, grid):
        return 1 + 0.1 * (grid.points[:, :1] > 0)


@pytest.mark.parametrize(
    ("group", "missing"),
    [("C8", "y"), ("mirror", "y"), ("D1", "x"), ("D3", "x"), ("D9", None), ("D4", None), ("O2", None)],
)
def test_a_reflection_that_the_group_has_not_is_known(group, missing):
    found = _missing_reflection(group_named(group))
    assert (found is None) == (missing is None)
    if missing:
        np.testing.assert_array_equal(found, np.diag([-1, 1] if missing == "x" else [1, -1]))
