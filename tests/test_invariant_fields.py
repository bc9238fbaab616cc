"""Fields made of differential invariants, on every pair that has a frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from field_checks import (
    assert_equivariant_field,
    assert_equivariant_flow,
    assert_finite_derivatives,
    flows,
    gap,
    size,
    some,
)
from frames import FRAMES

from equivax.fields import InvariantField, InvariantMetric
from equivax.geometry import SpecialOrthogonal
from equivax.symmetry import is_isometric

KEY = jax.random.key(5)


def make(name):
    frames, options = FRAMES[name]
    return InvariantField(frames, width=8, depth=1, key=KEY, **options)


@pytest.mark.parametrize("name", FRAMES)
def test_fields_are_equivariant(name):
    assert_equivariant_field(make(name))
    if name in some(FRAMES):
        assert_equivariant_field(make(name), dtype=jnp.float32)


@flows(FRAMES)
def test_flows_are_equivariant(name, dtype):
    field = make(name)
    space = None if is_isometric(field.action) else InvariantMetric(field.frames)
    assert_equivariant_flow(field, space=space, dtype=dtype)


# Coincident points, zero vectors, poles, symmetric configurations.
SINGULAR = {
    "PLANE_SO2": jnp.zeros(2),
    "PLANE_O2": jnp.zeros(2),
    "SPACE_SO3": jnp.zeros(3),
    "TWO_VECTORS_O2": jnp.ones((2, 2)),
    "TWO_VECTORS_SO3": jnp.zeros((2, 3)),
    "THREE_VECTORS_O3": jnp.asarray([[1.0, 0, 0], [0, 1.0, 0], [1.0, 1.0, 0]]),
    "AXIS_SPACE": jnp.asarray([0.0, 0.0, 0.7]),
    "BOOSTS": jnp.asarray([1.0, 1.0]),
    "THREE_POINTS_E2": jnp.asarray([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0]]),
    "SPHERE_AXIS": jnp.asarray([0.0, 0.0, -1.0]),
    "ROTATIONS_CONJUGATION": jnp.eye(3),
    "SPD_CONGRUENCE_O": 2 * jnp.eye(2),
    "HYPERBOLIC_TURNS": jnp.asarray([1.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_derivatives_are_finite_where_orbits_shrink(name):
    assert_finite_derivatives(make(name), SINGULAR[name])


@pytest.mark.parametrize(
    "name", ["PLANE_SO2", "SPHERE_AXIS", "ROTATIONS_CONJUGATION", "SPD_CONGRUENCE_O", "AXIS_SPACE"]
)
def test_fields_are_continuous_where_orbits_shrink(name):
    field, x = make(name), SINGULAR[name]
    near = [
        field.action.space.exp(x, 1e-6 * field.action.space.random_tangent(x, key=k)) for k in jax.random.split(KEY, 4)
    ]
    here = field(0.3, x)
    for y in near:
        assert gap(field(0.3, y), here) < 1e-4


def test_half_turns_are_fixed_axes():
    # The stabiliser of a half turn under conjugation turns its axis upside down: nothing can move it along.
    field = make("ROTATIONS_CONJUGATION")
    half = jnp.diag(jnp.asarray([1.0, -1.0, -1.0]))
    np.testing.assert_allclose(field(0.3, half), 0, atol=1e-12)
    near = SpecialOrthogonal(3).exp(half, 1e-6 * SpecialOrthogonal(3).random_tangent(half, key=KEY))
    assert size(field(0.3, near)) < 1e-4
