"""Restriction keeps the function and loosens the symmetry; materialisation keeps the function and drops the constraint."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.fields import (
    Bias,
    DifferentialInvariantField,
    EquivariantMLP,
    Intertwiner,
    SteerableOperator,
    materialise,
    restrict,
)
from equivax.geometry import Euclidean, PixelGrid
from equivax.laws import equivariance, rejects
from equivax.symmetry import SO, Cyclic, Dihedral, GroupError, LinearAction, O, defining, irrep, regular, trivial
from equivax.tasks import ModelConfig, build_classifier

KEY = jax.random.key(0)
SMALL = ModelConfig(fine=8, coarse=4, fine_width=2, coarse_width=2, read_width=2, head=8, lift_order=2, read_order=1)


def count(model) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


def shaken(model):
    """The model with other weights, far from those it was given."""
    leaves, structure = jax.tree.flatten(eqx.filter(model, eqx.is_inexact_array))
    keys = jax.random.split(jax.random.key(7), len(leaves))
    moved = [x + 0.5 * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(structure, moved), model)


def vectors(group):
    # Two weights that a subgroup may mix or split: between copies of one, gates by norms would keep the larger symmetry.
    return irrep(group, 1) + irrep(group, 2) + trivial(group)


def network(group):
    rep = vectors(group)
    return EquivariantMLP(rep, rep, 3 * trivial(group) + 3 * irrep(group, 1) + 2 * irrep(group, 2), key=KEY)


@pytest.mark.parametrize(
    ("group", "subgroup"), [(SO(2), Cyclic(4)), (O(2), Dihedral(3)), (O(2), SO(2)), (Dihedral(6), Cyclic(3))], ids=str
)
def test_a_restricted_network_is_the_same_map_with_more_weights_and_less_symmetry(group, subgroup):
    model = network(group)
    smaller = restrict(model, group, subgroup)
    x = jax.random.normal(KEY, (5,))
    np.testing.assert_allclose(smaller(x), model(x), rtol=1e-5, atol=1e-5)
    assert count(smaller) > count(model)

    above = LinearAction(vectors(group), Euclidean(5))
    free = shaken(smaller)
    below = LinearAction(smaller.rep_in, Euclidean(5))
    assert equivariance(free, below, below, x, key=KEY).passed
    assert rejects(free, above, above, x, key=KEY).passed


def test_a_restricted_classifier_gives_the_same_logits_and_can_be_trained_further():
    model = build_classifier(SMALL, key=KEY)
    smaller = restrict(model, Cyclic(8), Cyclic(4))
    image = jax.random.uniform(KEY, (28, 28), jnp.float32)
    np.testing.assert_allclose(smaller(image), model(image), rtol=1e-4, atol=1e-5)
    assert smaller.group == Cyclic(4)
    assert count(smaller) > 1.5 * count(model)
    grads = eqx.filter_grad(lambda m: jnp.sum(m(image) ** 2))(smaller)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(grads))


def test_weights_in_knots_are_restricted_one_moment_at_a_time():
    grid = PixelGrid(6, 6, 1.0)
    field = DifferentialInvariantField(regular(Cyclic(4)), grid, order=2, sigma=1.2, knots=3, key=KEY)
    smaller = restrict(field, Cyclic(4), Cyclic(2))
    u = jax.random.normal(KEY, (36, 4), jnp.float32)
    for t in (0.0, 0.4, 1.0):
        np.testing.assert_allclose(smaller(t, u), field(t, u), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("group", "other"), [(Cyclic(4), Cyclic(3)), (SO(2), O(2)), (Cyclic(2), Cyclic(4))], ids=str)
def test_what_is_no_subgroup_is_refused(group, other):
    layer = Intertwiner(2 * irrep(group, 1), 2 * irrep(group, 1) + trivial(group), key=KEY)
    with pytest.raises(GroupError, match=r"subgroup|not an element"):
        restrict(layer, group, other)


def test_matrices_of_another_size_are_refused():
    with pytest.raises(GroupError, match="2 x 2 matrices"):
        restrict(Intertwiner(defining(SO(3)), defining(SO(3)), key=KEY), SO(3), SO(2))


@pytest.mark.parametrize("model", [network(SO(2)), network(Dihedral(5))], ids=["SO(2)", "D5"])
def test_a_materialised_network_is_the_same_map_without_constraints(model):
    plain = materialise(model)
    x = jax.random.normal(KEY, (5,))
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-6, atol=1e-6)
    assert count(plain) > count(model)


def test_a_materialised_classifier_has_plain_layers_only():
    model = build_classifier(dataclasses.replace(SMALL, coarse_steps=2), key=KEY)
    plain = materialise(model)
    image = jax.random.uniform(KEY, (28, 28), jnp.float32)
    np.testing.assert_allclose(plain(image), model(image), rtol=1e-5, atol=1e-6)
    kinds = (Intertwiner, SteerableOperator, Bias)
    inside = jax.tree.leaves(plain, is_leaf=lambda part: isinstance(part, kinds))
    assert not any(isinstance(part, kinds) for part in inside)
    # Trained on, it may forget the symmetry: that is what "without the constraint" means.
    before = plain.cascade.action_in
    picture = jax.random.uniform(KEY, (784, 1), jnp.float32)
    assert not equivariance(shaken(plain).cascade, before, plain.cascade.action_out, picture, key=KEY).passed
