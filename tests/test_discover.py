"""Discovery finds the symmetries that a field was built with, no more and no fewer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from equivax.fields import NetworkField, materialise
from equivax.geometry import Euclidean
from equivax.symmetry import (
    SO,
    Dihedral,
    GroupError,
    LinearAction,
    RankError,
    discover,
    irrep,
    recognise,
    trivial,
)

KEY = jax.random.key(0)
MINKOWSKI = jnp.diag(jnp.array([1.0, -1.0, -1.0, -1.0]))


def points(n, d, seed=1):
    return jax.random.normal(jax.random.key(seed), (n, d))


def spiral(x):
    return jnp.array([-x[1], x[0]]) * (1 + x @ x) + x * jnp.sin(x @ x)


CONTINUOUS = {
    "SO(2)": (spiral, 2, 1, "so(2)"),
    "O(3)": (lambda x: x * jnp.sin(x @ x), 3, 3, "so(3)"),
    "an axis": (jax.grad(lambda x: jnp.sin(x[0] ** 2 + x[1] ** 2 + 3 * x[2] ** 2) + x[2]), 3, 1, "so(2)"),
    "Lorentz": (lambda x: x * jnp.sin(x @ MINKOWSKI @ x), 4, 6, "so(3,1)"),
    "none": (lambda x: jnp.array([x[0] ** 2 + x[1], jnp.sin(x[0]) + x[1] ** 3]), 2, 0, "0"),
    "Kepler": (lambda z: jnp.concatenate([z[2:], -z[:2] / (z[:2] @ z[:2] + 0.1) ** 1.5]), 4, 1, "so(2)"),
}


@pytest.mark.parametrize(("field", "d", "count", "name"), CONTINUOUS.values(), ids=CONTINUOUS)
def test_the_continuous_symmetries_of_a_field(field, d, count, name):
    found = discover(field, points(150, d), discrete=False, key=KEY)
    assert len(found.lie_algebra) == count
    assert found.name == name
    assert found.gap > 1e6


def test_the_generators_are_those_of_the_axis():
    field = CONTINUOUS["an axis"][0]
    found = discover(field, points(150, 3), discrete=False, key=KEY).lie_algebra[0]
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]]) / np.sqrt(2)
    assert min(np.abs(found - turn).max(), np.abs(found + turn).max()) < 1e-10


DISCRETE = {
    "D4": (jax.grad(lambda x: x[0] ** 4 + x[1] ** 4 + jnp.sin(x @ x)), 2, 8),
    "C3": (lambda x: jax.grad(lambda y: y[0] ** 3 - 3 * y[0] * y[1] ** 2)(x) + jnp.array([-x[1], x[0]]), 2, 3),
    "O_h": (jax.grad(lambda x: jnp.sum(x**4) + jnp.sin(x @ x)), 3, 48),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_the_discrete_symmetries_of_a_field(name):
    field, d, order = DISCRETE[name]
    found = discover(field, points(80, d), key=KEY)
    assert len(found.lie_algebra) == 0
    assert found.group.order == order
    assert found.name == name
    assert found.errors.max() < 1e-8


def test_a_network_has_the_symmetry_that_it_was_built_with_and_loses_what_it_is_freed_from():
    group = SO(2)
    action = LinearAction(irrep(group, 1), Euclidean(2))
    field = NetworkField(action, hidden=2 * trivial(group) + 2 * irrep(group, 1), depth=1, key=KEY)
    found = discover(lambda x: field(0.0, x), points(80, 2), discrete=False, key=KEY)
    assert found.name == "so(2)"
    weights, constants = eqx.partition(materialise(field), eqx.is_inexact_array)
    shaken = eqx.combine(
        jax.tree.map(lambda w: w + jnp.sin(jnp.arange(w.size, dtype=w.dtype)).reshape(w.shape), weights), constants
    )
    assert len(discover(lambda x: shaken(0.0, x), points(80, 2), discrete=False, key=KEY).lie_algebra) == 0


def test_a_reflection_beside_rotations_is_found_once():
    found = discover(lambda x: x * jnp.sin(x @ x), points(80, 2), key=KEY)
    assert (found.name, len(found.lie_algebra), len(found.discrete_generators)) == ("O(2)", 1, 1)
    assert np.linalg.det(found.discrete_generators[0]) == pytest.approx(-1)


def test_translations_are_found_when_asked_for():
    found = discover(lambda x: jnp.array([1.0, jnp.sin(x[1])]), points(80, 2), affine=True, discrete=False, key=KEY)
    shift = np.zeros((3, 3))
    shift[0, 2] = 1.0
    assert len(found.lie_algebra) == 1
    np.testing.assert_allclose(np.abs(found.lie_algebra[0]), shift, atol=1e-10)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_symmetry_is_read_off_measurements(noise):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    v = np.asarray(jax.vmap(lambda y: spiral(y) / (1 + y @ y))(x)) + noise * rng.normal(size=x.shape)
    found = discover((x, v), discrete=False, key=KEY)
    assert found.name == "so(2)"
    turn = found.lie_algebra[0] / np.linalg.norm(found.lie_algebra[0])
    assert abs(turn[0, 1] - turn[1, 0]) / np.sqrt(2) > 0.99


def test_orthogonal_data_without_symmetry_has_none():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    v = np.stack([np.sin(x[:, 0]) + x[:, 1] ** 2, x[:, 0] - np.cos(2 * x[:, 1])], axis=1)
    assert len(discover((x, v), discrete=False, key=KEY).lie_algebra) == 0


def test_a_conjugated_group_is_recognised():
    change = scipy.stats.ortho_group.rvs(3, random_state=0) @ np.diag([1.0, 2.0, 0.5])
    moved = np.stack([change @ A @ np.linalg.inv(change) for A in SO(3).lie_algebra])
    assert recognise(moved) == "so(3)"


def test_what_does_not_close_is_not_named():
    with pytest.raises(GroupError, match="bracket leaves"):
        recognise(SO(3).lie_algebra[:2])
    assert recognise(Dihedral(4).lie_algebra) == "0"


def test_values_that_do_not_decide_are_refused():
    def nearly(x):  # three rotations, each broken by another amount, up to what is no symmetry at all
        return x * jnp.sin(x @ x) + 0.1 * jnp.array([x[0] ** 2, 0.0, 0.0]) + 0.4 * jnp.array([0.0, 0.0, x[2] ** 2])

    with pytest.raises(RankError, match="do not decide"):
        discover(nearly, points(100, 3), discrete=False, key=KEY)


def test_wrong_points_and_fields_are_refused():
    with pytest.raises(GroupError, match="points"):
        discover(spiral, key=KEY)
    with pytest.raises(GroupError, match="maps"):
        discover(lambda x: x[:1], points(10, 2), key=KEY)
    with pytest.raises(GroupError, match="one shape"):
        discover((np.zeros((5, 2)), np.zeros((4, 2))), key=KEY)
