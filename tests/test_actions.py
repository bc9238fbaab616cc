"""Actions: laws over objects, signals against NumPy, interpolation by its order."""

import jax.numpy as jnp
import numpy as np
import pytest
from objects import ACTIONS, AXIAL, name_of

from equivax.geometry import PixelGrid, Sphere
from equivax.laws import action_axioms, exact_elements
from equivax.symmetry import (
    REFLECTION,
    SO,
    AngleAction,
    Cyclic,
    GroupError,
    LinearAction,
    O,
    ProductAction,
    SignalAction,
    defining,
    irrep,
    rotation,
    trivial,
)


@pytest.mark.parametrize("action", ACTIONS, ids=name_of)
def test_action_axioms(action, getkey):
    table = action_axioms(action, key=getkey())
    assert table.passed, str(table)


def test_action_axioms_in_float32(getkey):
    table = action_axioms(LinearAction(AXIAL, Sphere(2)), key=getkey(), dtype=jnp.float32)
    assert table.passed, str(table)
    assert max(v.error for v in table) > 1e-12


def test_the_torus_winds():
    action = AngleAction((1, 3))
    np.testing.assert_allclose(action(rotation(np.pi / 2), jnp.asarray([3.0, 0.0])), [3.0 - 1.5 * np.pi, -np.pi / 2])
    np.testing.assert_allclose(action.generator(SO(2).lie_algebra[0], jnp.zeros(2)), [1.0, 3.0])


def test_actions_of_different_groups_or_shapes_are_refused():
    with pytest.raises(GroupError, match="one group acting on all factors"):
        ProductAction(LinearAction(defining(SO(2))), LinearAction(defining(O(2))))
    with pytest.raises(GroupError, match=r"points with 3 coordinates"):
        LinearAction(defining(SO(3)), Sphere(3))
    with pytest.raises(GroupError, match="2 x 2"):
        SignalAction(trivial(SO(3)), PixelGrid(4, 4))


# Signals.


@pytest.mark.parametrize("size", [4, 5])
def test_quarter_turns_and_flips_are_those_of_numpy(size):
    grid = PixelGrid(size, size)
    image = np.random.default_rng(0).normal(size=(size, size, 2))
    u = grid.flatten(jnp.asarray(image))

    def moved(rep, g):
        return np.asarray(grid.unflatten(SignalAction(rep, grid)(g, u)))

    scalars, vectors = 2 * trivial(O(2)), defining(O(2))
    for k in range(4):
        g = rotation(k * np.pi / 2)
        np.testing.assert_array_equal(moved(scalars, g), np.rot90(image, k))
        np.testing.assert_allclose(moved(vectors, g), np.rot90(image, k) @ g.T, atol=1e-15)
    np.testing.assert_array_equal(moved(scalars, REFLECTION), np.flipud(image))
    np.testing.assert_array_equal(moved(scalars, -REFLECTION), np.fliplr(image))
    np.testing.assert_array_equal(moved(vectors, REFLECTION), np.flipud(image) * [1, -1])


def test_exact_and_interpolated_elements_agree():
    grid = PixelGrid(6, 6, 0.5)
    action = SignalAction(irrep(O(2), 2), grid)
    u = jnp.asarray(np.random.default_rng(1).normal(size=(36, 2)))
    for g in exact_elements(action):
        # A JAX array might be traced: its value is not looked at, and pixels are interpolated.
        np.testing.assert_allclose(action(jnp.asarray(g), u), action(g, u), atol=1e-12)


def bump(x):
    """A Gaussian away from the centre, small at the edge of [-4, 4]^2."""
    return np.exp(-((x[:, 0] - 0.7) ** 2 + (x[:, 1] + 0.4) ** 2))[:, None]


def slope(spacings, errors):
    return np.polyfit(np.log(spacings), np.log(errors), 1)[0]


def test_interpolation_and_generators_converge_at_second_order():
    spacings, errors, rates = [], [], []
    g, xi = rotation(0.4), SO(2).lie_algebra[0]
    for n in (32, 64, 128):
        grid = PixelGrid(n, n, 8.0 / n)
        u, x = jnp.asarray(bump(grid.points)), grid.points
        action = SignalAction(trivial(SO(2)), grid)
        spacings.append(grid.spacing)
        errors.append(np.abs(action(g, u) - bump(x @ g)).max())
        # d/dt bump(exp(-t xi) x) = -(xi x) . grad bump
        gradient = -2 * (x - [0.7, -0.4]) * bump(x)
        rates.append(np.abs(action.generator(xi, u)[:, 0] + np.sum(x @ xi.T * gradient, axis=1)).max())
    assert slope(spacings, errors) == pytest.approx(2, abs=0.1)
    assert slope(spacings, rates) == pytest.approx(2, abs=0.1)


def test_generators_of_signals_turn_with_the_signal():
    grid = PixelGrid(6, 6)
    action, xi = SignalAction(irrep(SO(2), 1), grid), SO(2).lie_algebra[0]
    u = jnp.asarray(np.random.default_rng(2).normal(size=(36, 2)))
    for g in exact_elements(action):
        np.testing.assert_allclose(action.generator(xi, action(g, u)), action(g, action.generator(xi, u)), atol=1e-12)


def test_elements_that_miss_the_grid_are_interpolated():
    action = SignalAction(trivial(Cyclic(8)), PixelGrid(4, 4))
    assert len(exact_elements(action)) == 4
    u = jnp.ones((16, 1))
    turned = action(rotation(np.pi / 4), u)
    assert float(turned[0, 0]) < 0.5 < float(turned[5, 0]), "zero outside the grid comes in at the corners"
