"""Moving frames, closed and solved for; strata; equations that are not solved for the velocity."""

import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest
from field_checks import assert_equivariant_field, gap, point_of
from frames import FRAMES

from equivax.fields import ImplicitVelocity, InvariantField, MovingFrame, polar_frame, solved_frame, strata, stratum
from equivax.geometry import Euclidean, Sphere
from equivax.laws import action_axioms, frame_axioms
from equivax.symmetry import SO, FunctionAction, LinearAction, Scaling, TangentAction, defining

KEY = jax.random.key(3)


def named(table, name):
    """The verdict with this name."""
    return next(v for v in table if v.name == name)


@pytest.mark.parametrize("name", [n for n in FRAMES if n not in ("BOOSTS", "TWO_MINKOWSKI")])
def test_frames_carry_points_to_a_cross_section(name):
    # Where a stabiliser is more than the unit, the frame of g x may differ; the point of the section does not.
    for frame in FRAMES[name][0][:1]:
        table = frame_axioms(frame, key=KEY, samples=4)
        assert table.passed, table


def test_a_section_that_misses_orbits_is_reported():
    # The line x_1 = 1 meets the circles of radius 1 and more.
    missing = solved_frame(pairs.PLANE_SO2, lambda k: k[:1] - 1, prefer=lambda k: k[1], strict=False)
    table = frame_axioms(missing, key=KEY, samples=32)
    assert not named(table, "orbits meet the cross-section").passed
    assert named(table, "invariants").passed
    loud = solved_frame(pairs.PLANE_SO2, lambda k: k[:1] - 1, prefer=lambda k: k[1])
    np.testing.assert_allclose(loud.invariants(jnp.asarray([0.0, 2.0])), [1, 3**0.5], atol=1e-12)
    with pytest.raises(Exception, match="the orbit of this point may miss the cross-section"):
        jax.block_until_ready(loud(jnp.asarray([0.1, 0.2])))


def test_no_section_through_a_fixed_point():
    with pytest.raises(ValueError, match="does not move this point"):
        solved_frame(pairs.PLANE_SO2, at=jnp.zeros(2))


SOLVED = {
    "TWO_VECTORS_SO3": jnp.asarray([[1.0, 0, 0], [0.3, 1.0, 0]]),
    "SPHERE_AXIS": jnp.asarray([0.8, 0.0, 0.6]),
    "TWO_VECTORS_SL2": jnp.asarray([[1.0, 0], [0, 1.0]]),
    "SPACE_SO3": jnp.asarray([1.0, 0, 0]),
}


@pytest.mark.parametrize("name", SOLVED)
def test_solved_frames_make_equivariant_fields(name):
    action = getattr(pairs, name)
    field = InvariantField(solved_frame(action, at=SOLVED[name]), width=8, depth=1, key=KEY)
    near = action.space.retract(SOLVED[name], 0.3 * action.space.random_tangent(SOLVED[name], key=KEY))
    assert_equivariant_field(field, near)


def test_a_solved_frame_is_the_closed_one():
    # Through a point on the first axis at right angles to its circle: the half-line of the polar frame.
    closed, solved = (
        polar_frame(pairs.PLANE_SO2, lambda x: x),
        solved_frame(pairs.PLANE_SO2, at=jnp.asarray([1.0, 0.0])),
    )

    def derivatives(frame):
        """Values, first and second derivatives at three points."""
        first = jax.jacfwd(frame.element)
        x = jax.random.normal(KEY, (3, 2))
        return jax.jit(jax.vmap(lambda x: (frame.element(x), first(x), jax.jacfwd(first)(x))))(x)

    for found, wanted, bound in zip(derivatives(solved), derivatives(closed), (1e-12, 1e-10, 1e-8), strict=True):
        np.testing.assert_allclose(found, wanted, atol=bound)


def test_an_action_of_the_users_own():
    # Moebius maps of the real line to itself that keep infinity are affine; as functions of 2 x 2 matrices they are not linear.
    def shear(g, x):
        return jnp.stack([g[0, 0] * x[0], g[0, 0] ** 2 * x[1] + x[0] * (g[0, 0] ** 2 - g[0, 0])])

    action = FunctionAction(Scaling(2), Euclidean(2), shear)
    assert action_axioms(action, key=KEY).passed
    frame = solved_frame(action, lambda k: k[:1] - jnp.sign(k[:1]), prefer=lambda k: 0 * k[0])
    assert_equivariant_field(InvariantField(frame, width=8, depth=1, key=KEY), jnp.asarray([0.7, 0.4]))


def test_what_is_no_action_is_reported_with_the_elements():
    wrong = FunctionAction(SO(2), Euclidean(2), lambda g, x: g @ x + g[0, 1] * jnp.ones(2))
    table = action_axioms(wrong, key=KEY)
    composition = named(table, "composition")
    assert not composition.passed
    assert "g = " in composition.detail
    assert "h = " in composition.detail


@pytest.mark.parametrize(
    ("action", "generic", "singular"),
    [
        (pairs.PLANE_SO2, (1, 0, 2), {(0, 1, 0)}),
        (pairs.SPACE_SO3, (2, 1, 1), {(0, 3, 0)}),
        (pairs.AXIS_SPACE, (1, 0, 3), {(0, 1, 1)}),
        (pairs.SPHERE_AXIS, (1, 0, 2), {(0, 1, 0)}),
        (pairs.TWO_VECTORS_SO3, (3, 0, 6), {(2, 1, 2), (0, 3, 0)}),
        (pairs.SPD_CONGRUENCE_O, (1, 0, 3), {(0, 1, 1)}),
        (pairs.ROTATIONS_CONJUGATION, (2, 1, 1), {(0, 3, 0)}),
        (pairs.ROTATIONS_LEFT, (3, 0, 3), set()),
        (pairs.TORUS, (1, 0, 3), set()),
    ],
    ids=lambda a: str(getattr(a, "space", "")),
)
def test_strata_are_found(action, generic, singular):
    # (dimension of the orbit, of the stabiliser, of the directions it leaves to a field): known for each of these.
    found = strata(action, key=KEY, samples=16, steps=300)
    as_numbers = [(s.orbit, len(s.stabiliser), s.fixed) for s in (found.generic, *found.singular)]
    assert as_numbers[0] == generic
    assert set(as_numbers[1:]) == singular, found


def test_fields_that_isotropy_forces_to_zero():
    assert stratum(LinearAction(defining(SO(3)), Sphere(2)), jnp.asarray([1.0, 0, 0])).fixed == 0
    sphere = LinearAction(defining(SO(3)), Sphere(2))
    frame = MovingFrame(sphere, lambda x: jnp.eye(3), lambda x: jnp.ones(()))
    with pytest.raises(ValueError, match="every equivariant field is 0"):
        InvariantField(frame, key=KEY)


def test_equations_that_are_not_solved_for_the_velocity():
    # w + w^3 = k, componentwise in the radial direction: an implicit law on the invariants of the plane.
    def equation(t, k, w, args):
        return w + w**3 - 2 * k

    field = InvariantField(polar_frame(pairs.PLANE_SO2, lambda x: x), ImplicitVelocity(equation))
    x = jnp.asarray([0.6, 0.8])
    # |x| = 1: w + w^3 = 2 has the solution 1, so that the velocity points outwards with about unit speed.
    v = field(0.0, x)
    np.testing.assert_allclose(v / jnp.linalg.norm(v), x, atol=1e-12)
    k = jnp.asarray([1.0, 0.0])
    np.testing.assert_allclose(ImplicitVelocity(equation)(0.0, k), [1.0, 0.0], atol=1e-12)
    slope = jax.jacfwd(lambda k: ImplicitVelocity(equation)(0.0, k))(k)
    np.testing.assert_allclose(slope, [[0.5, 0], [0, 2.0]], atol=1e-10)


def test_an_equation_without_a_solution_is_an_error():
    field = ImplicitVelocity(lambda t, k, w, args: w**2 + 1 + k**2)
    with pytest.raises(Exception, match=r"(?i)newton|steps|converge|nonlinear"):
        jax.block_until_ready(field(0.0, jnp.asarray([1.0])))


def test_a_function_of_another_shape_is_an_error():
    field = InvariantField(polar_frame(pairs.PLANE_SO2, lambda x: x), lambda t, k, args: k[:1])
    with pytest.raises(ValueError, match=r"of the shape of k: \(2,\).*returned \(1,\)"):
        field(0.0, jnp.ones(2))


def test_invariants_of_second_order():
    # The frame of the points carries their velocities and accelerations along: fields on the tangent bundle.
    action = TangentAction(pairs.PLANE_SO2)
    frame = polar_frame(action, lambda x: x[0])
    field = InvariantField(frame, width=8, depth=1, key=KEY)
    x = jax.random.normal(KEY, (2,)), jax.random.normal(jax.random.key(4), (2,))
    assert_equivariant_field(field, x)
    k = frame.invariants(x)
    g = SO(2).sample(key=KEY)
    assert gap(frame.invariants(action(g, x)), k) < 1e-13
    assert point_of(pairs.PLANE_SO2).shape == (2,)
