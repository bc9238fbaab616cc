"""Signals moved by linear maps: jets of closed forms, looks that a move permutes, and what the largest over looks keeps."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.fields import AffineLift, GaussianJet, MovedJet, SteerableLayer, looks
from equivax.geometry import Euclidean, PixelGrid
from equivax.laws import equivariance
from equivax.symmetry import REFLECTION, Cyclic, SignalAction, TrivialAction, regular, rotation, trivial
from equivax.tasks import ModelConfig, build_classifier, cross_entropy
from equivax.tasks._weights import split

SHEAR, MIRROR = ((1.1, 0.5), (0.0, 0.8)), ((0.3, 0.9), (1.0, -0.2))
CENTRE, COVARIANCE = np.array([0.7, -0.4]), np.array([[0.9, 0.2], [0.2, 0.6]])


def blob(points, A, sigma=0.0):
    """T_A of exp(-(x - c) C^-1 (x - c) / 2), smoothed: a Gaussian again, about A c, of covariance A C A^T + sigma^2."""
    A = np.asarray(A)
    moved = A @ COVARIANCE @ A.T
    wider = moved + sigma**2 * np.eye(2)
    distance = points - A @ CENTRE
    height = math.sqrt(np.linalg.det(moved) / np.linalg.det(wider))
    return height * jnp.exp(-jnp.einsum("...i,ij,...j->...", distance, np.linalg.inv(wider), distance) / 2)


def jet_of_blob(points, A, order, sigma):
    """c_k sqrt(k over a) sigma^k d_x^(k-a) d_y^a of it, by differentiating the closed form."""
    rows, derivative = [], lambda p: blob(p, A, sigma)
    for k in range(order + 1):
        tensor = np.asarray(jax.vmap(derivative)(jnp.asarray(points))).reshape(len(points), -1)
        energy = [math.comb(k, a) * math.gamma(a + 0.5) * math.gamma(k - a + 0.5) for a in range(k + 1)]
        c = 2 * math.pi / math.sqrt(sum(energy) / (k + 1))
        rows += [c * math.sqrt(math.comb(k, a)) * sigma**k * tensor[:, 2**a - 1] for a in range(k + 1)]
        derivative = jax.jacfwd(derivative)
    return np.stack(rows)


ORDER, SIGMA, TARGET = 2, 1.0, PixelGrid(3, 3, 0.6)


def moved_jet(n, A):
    return MovedJet(GaussianJet(PixelGrid(n, n, 14.0 / n), TARGET, ORDER, SIGMA), A)


def still_blob(n):
    return blob(PixelGrid(n, n, 14.0 / n).points, np.eye(2))[:, None]


@pytest.mark.parametrize("A", [SHEAR, MIRROR, looks(1, stretched=True)[2]], ids=["shear", "mirror", "stretch"])
def test_a_moved_jet_is_the_jet_of_the_moved_closed_form(A):
    truth = jet_of_blob(TARGET.points, A, ORDER, SIGMA)
    sizes = (10, 14, 36) if A == SHEAR else (36,)
    errors = [np.abs(eqx.filter_jit(moved_jet(n, A))(still_blob(n))[..., 0] - truth).max() for n in sizes]
    assert errors[-1] < 1e-12 * np.abs(truth).max()
    if A == SHEAR:
        assert 1e-4 < errors[1] < errors[0] * (10 / 14) ** 6, "sixth order at least"


def test_a_moved_jet_may_be_taken_point_by_point_and_along_turned_axes(monkeypatch):
    moved = moved_jet(36, SHEAR)
    monkeypatch.setattr("equivax.fields._moved_jet.ENTRIES", 4 * moved.size * moved.jet.source.size)
    turned = dataclasses.replace(moved, jet=dataclasses.replace(moved.jet, turn=0.4))
    # The same signal, moved before it is sampled, and the jets that are proved elsewhere.
    v = blob(moved.jet.source.points, SHEAR)[:, None]
    got, truth = (eqx.filter_jit(jet)(u) for jet, u in ((turned, still_blob(36)), (turned.jet, v)))
    np.testing.assert_allclose(got, truth, atol=1e-12)
    assert float(jnp.abs(truth - moved.jet(v)).max()) > 0.1


def test_multiples_of_the_identity_take_the_way_along_the_axes(monkeypatch, getkey):
    jet = GaussianJet(PixelGrid(9, 11), PixelGrid(2, 3, 1.5), 3, 1.1, reach=4.2)
    u = jax.random.normal(getkey(), (99, 2))
    moved = MovedJet(jet, 1.3 * np.eye(2))
    along = eqx.filter_jit(lambda u: moved(u))(u)
    monkeypatch.setattr(MovedJet, "_scale", None)
    np.testing.assert_allclose(along, eqx.filter_jit(lambda u: moved(u))(u), atol=1e-12)


def test_maps_that_cannot_be_are_refused():
    jet = GaussianJet(PixelGrid(9, 9), PixelGrid(3, 3), 1, 0.5)
    with pytest.raises(ValueError, match=r"invertible 2 x 2 matrix"):
        MovedJet(jet, ((1.0, 1.0), (1.0, 1.0)))
    with pytest.raises(ValueError, match=r"under 0\.4 of the grid's spacing 1\.0 times 1\.3"):
        MovedJet(jet, np.diag([1.3, 0.1]))
    with pytest.raises(ValueError, match=r"mirrored at its border"):
        MovedJet(dataclasses.replace(jet, mirror=True), SHEAR)
    with pytest.raises(ValueError, match=r"at least one map.*`looks\(1\)`"):
        AffineLift(SteerableLayer(trivial(Cyclic(4)), trivial(Cyclic(4)), jet, key=jax.random.key(0)), ())
    with pytest.raises(ValueError, match=r"at least one scale, received scales=0"):
        looks(0)


def test_looks_are_fifteen_and_permuted_by_eighths_of_a_turn_and_mirrors():
    maps = np.array(looks(3, stretched=True))
    assert maps.shape == (15, 2, 2)
    np.testing.assert_array_equal(maps[0], np.eye(2))
    np.testing.assert_allclose(np.linalg.det(maps), np.repeat([1, 2, 4], 5))
    axes = np.linalg.svd(maps, compute_uv=False)
    np.testing.assert_allclose(axes[:, 0] / axes[:, 1], 3 * [1, *4 * [2**0.5]])
    for g in (rotation(np.pi / 4), REFLECTION):
        distance = np.abs((g @ maps @ np.linalg.inv(g))[:, None] - maps).max(axis=(2, 3))
        assert sorted(distance.argmin(axis=1)) == list(range(15))
        assert distance.min(axis=1).max() < 1e-12
    np.testing.assert_allclose(maps[1] @ maps[3], np.eye(2), atol=1e-12)


def test_a_move_of_the_signal_permutes_the_looks():
    group, image, coarse = Cyclic(8), PixelGrid(40, 40, 0.7), PixelGrid(8, 8, 3.5)
    layer = SteerableLayer(trivial(group), regular(group), GaussianJet(image, coarse, 2, 1.75), key=jax.random.key(0))
    lift = eqx.filter_jit(AffineLift(layer, looks(1, stretched=True)))

    def moved(B):
        return lift(blob(image.points / 2, B)[:, None])

    maps, before = np.array(looks(1, stretched=True)), moved(np.eye(2))
    size = float(jnp.abs(before).max())
    for B in maps[1:]:
        after, shared = moved(B), 0
        for A, features in zip(maps, after, strict=True):
            same = np.abs(A @ B - maps).max(axis=(1, 2)) < 1e-9
            if same.any():
                shared += 1
                np.testing.assert_allclose(features, before[int(same.argmax())], atol=1e-6 * size)
        # The identity is taken to the stretch, and its inverse to the identity.
        assert shared == 2
        assert float(jnp.abs(after - before).max()) > 0.01 * size
    # A quarter turn takes the look along one axis to that along the other, and turns it: exactly.
    on_features, quarter = layer.action_out, rotation(np.pi / 2)
    after = lift(SignalAction(trivial(group), image)(quarter, blob(image.points / 2, np.eye(2))[:, None]))
    turned = jnp.stack([on_features(quarter, features) for features in before])
    np.testing.assert_allclose(after, turned[jnp.array([0, 3, 4, 1, 2])], atol=1e-12 * size)


SMALL = ModelConfig(
    fine=6, coarse=3, fine_width=1, coarse_width=1, lift_order=2, read_width=1, read_order=2, head=4, coarse_steps=1
)


def test_what_a_stretch_would_hide_from_one_look_another_finds():
    affine, plain = (
        build_classifier(dataclasses.replace(SMALL, group=group, scales=1), size=24, key=jax.random.key(0))
        for group in ("affine", "similarity")
    )
    grid = affine.grid
    of_affine, of_plain = (eqx.filter_jit(lambda u, m=m: m.invariants(grid.unflatten(u))) for m in (affine, plain))

    def sampled(B):
        return blob(grid.points / 3, B).astype(jnp.float32)[:, None]

    # The same weights, and the look through the inverse of a stretch sees the picture as it was: no invariant falls under
    # what it is there. Without that look some do.
    rest, stretches = of_plain(sampled(np.eye(2))), np.array(affine.maps[1:])
    assert max(float((rest - of_affine(sampled(B))).max()) for B in stretches) < 5e-6
    assert max(float((rest - of_plain(sampled(B))).max()) for B in stretches) > 1e-3
    image = grid.unflatten(sampled(np.eye(2)))
    assert affine.count(image)["steps"] == 5 * plain.count(image)["steps"]
    on_images = SignalAction(trivial(affine.group), grid)
    on_invariants = TrivialAction(affine.group, Euclidean(affine.readout.size))
    noise = jax.random.uniform(jax.random.key(1), (grid.size, 1), jnp.float32)
    verdict = equivariance(of_affine, on_images, on_invariants, noise)
    assert verdict.passed, verdict


def test_a_model_of_five_looks_can_be_trained():
    model = build_classifier(dataclasses.replace(SMALL, group="affine", scales=1), size=12, key=jax.random.key(0))
    batch = jax.random.uniform(jax.random.key(1), (1, 12, 12), jnp.float32), jnp.zeros(1, jnp.int32)
    gradient = eqx.filter_jit(eqx.filter_grad(cross_entropy()))(model, batch, jax.random.key(2))
    leaves = jax.tree.leaves(split(gradient)[0])
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
    assert float(jnp.abs(gradient.cascade.stages[0].operator.weights[0]).max()) > 0
