"""Gradients and symplectic gradients of invariant potentials: equivariant, conservative, smooth."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest
import scipy.integrate
from field_checks import (
    assert_equivariant_field,
    assert_equivariant_flow,
    assert_finite_derivatives,
    flows,
    point_of,
    some,
)
from frames import FRAMES

from equivax.dynamics import Flow
from equivax.fields import (
    GradientField,
    InvariantMetric,
    InvariantPotential,
    ScalarPotential,
    SymplecticGradientField,
)
from equivax.geometry import CotangentBundle, Euclidean, Hyperbolic, Sphere
from equivax.laws import field_equivariance
from equivax.symmetry import (
    GL,
    SO,
    Cyclic,
    FunctionAction,
    GroupError,
    LinearAction,
    Lorentz,
    MatrixGroup,
    O,
    PowerAction,
    Sp,
    defining,
    is_isometric,
    trivial,
)

KEY = jax.random.key(13)
V = defining
AXIS_OF_SPHERE = MatrixGroup([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]], name="turns about z")


def scalars(action):
    return ScalarPotential(action, width=8, depth=1, key=KEY)


def polynomials(rep, degree):
    return lambda action: InvariantPotential(rep, degree, width=8, depth=1, key=KEY)


# name of the pair -> its potential.
GRADIENTS = {
    "PLANE_O2": scalars,
    "TWO_VECTORS_O2": scalars,
    "TWO_VECTORS_SO3": scalars,
    "PLANE_C4": polynomials(V(Cyclic(4)), 4),
    "PLANE_D3": polynomials(V(pairs.PLANE_D3.group), 3),
    "SPACE_TETRAHEDRAL": polynomials(V(pairs.SPACE_TETRAHEDRAL.group), 3),
    "NUMBERS_S3": polynomials(V(pairs.NUMBERS_S3.group), 2),
    "COMPLEX_U2": scalars,
    "BOOSTS": scalars,
    "TWO_MINKOWSKI": scalars,
    "TWO_VECTORS_LORENTZ": scalars,
    "EVENTS_POINCARE": scalars,
    "THREE_POINTS_E2": scalars,
    "CLOUD_SE2": scalars,
    "VECTORS_O2": scalars,
    "SPHERE_AXIS": scalars,
    "CLOUD_SPHERE": scalars,
    "STIEFEL_AXIS": scalars,
    "ROTATIONS_CONJUGATION": polynomials(pairs.conjugation(SO(3)), 2),
    "SPD_CONGRUENCE_O": polynomials(pairs.congruence(O(2)), 2),
    "HYPERBOLIC_TURNS": scalars,
    "TWO_HYPERBOLIC": scalars,
}


def cotangent(group, space):
    """The lift of a linear action to momenta."""
    return FunctionAction(group, CotangentBundle(space), lambda g, z: (g @ z[0], jnp.linalg.inv(g).T @ z[1]))


class Mechanical(eqx.Module):
    """|p|^2/2 in the metric, and a potential of the part of a point along an axis, with its strength as the weight."""

    space: CotangentBundle
    axis: int = eqx.field(static=True)
    strength: jax.Array

    def __init__(self, space, axis):
        self.space, self.axis, self.strength = space, axis, jnp.asarray(0.7, jnp.float32)

    def __call__(self, t, z):
        x, u = self.space.sharp_point(z)
        return self.space.base.inner(x, u, u) / 2 + self.strength.astype(t.dtype) * jnp.sin(2 * x[self.axis]) * (1 + t)


PENDULUM = cotangent(AXIS_OF_SPHERE, Sphere(2))
# Turns of the hyperbolic plane about the time axis, which keep the time of a point.
TURNS = MatrixGroup([[[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]], name="turns of space")
# Phase spaces beside those of `pairs`.
PHASES = {
    "LinearAction(2 V), O(2)": (pairs.PHASE_PLANE_O2, scalars),
    "q = x[0], p = x[1], SO(3)": (pairs.TWO_VECTORS_SO3, scalars),
    "q = x[0], p = x[1], O(2)": (pairs.TWO_VECTORS_O2, scalars),
    "particles without names, O(2)": (pairs.PARTICLES_O2, scalars),
    "plane, SO(2)": (pairs.PLANE_SO2, scalars),
    "plane, C_4": (pairs.PLANE_C4, polynomials(V(Cyclic(4)), 4)),
    "U(2)": (pairs.COMPLEX_U2, scalars),
    "SU(2)": (pairs.TWO_SPINORS_SU2, scalars),
    "USp(1)": (pairs.QUATERNION_USP1, scalars),
    "Sp(1), two": (pairs.TWO_VECTORS_SP1, scalars),
    "Sp(2), two": (pairs.TWO_VECTORS_SP2, scalars),
    "SL(2), two": (pairs.TWO_VECTORS_SL2, scalars),
    "Lorentz(2), q and p": (pairs.TWO_VECTORS_LORENTZ, scalars),
    "SO(1, 1), q and p": (pairs.TWO_MINKOWSKI, scalars),
    "V + V*, GL(2)": (LinearAction(V(GL(2)) + ~V(GL(2))), polynomials(V(GL(2)) + ~V(GL(2)), 2)),
    "V + V*, Lorentz(1)": (
        LinearAction(V(Lorentz(1)) + ~V(Lorentz(1))),
        polynomials(V(Lorentz(1)) + ~V(Lorentz(1)), 2),
    ),
    "T*S^2": (PENDULUM, lambda action: Mechanical(action.space, 2)),
    "T*H^2": (cotangent(TURNS, Hyperbolic(2)), lambda action: Mechanical(action.space, 0)),
}


def gradient_on(name):
    action = getattr(pairs, name)
    return GradientField(GRADIENTS[name](action), action)


def symplectic_on(name):
    action, potential = PHASES[name]
    return SymplecticGradientField(potential(action), action)


def runge_kutta(f, x, steps):
    """The classical method of order four, over one unit of time."""

    def step(_, x):
        h = 1 / steps
        k1 = f(x)
        k2 = f(moved(x, h / 2, k1))
        k3 = f(moved(x, h / 2, k2))
        k4 = f(moved(x, h, k3))
        return jax.tree.map(lambda a, b, c, d, e: a + h / 6 * (b + 2 * c + 2 * d + e), x, k1, k2, k3, k4)

    def moved(x, h, v):
        return jax.tree.map(lambda a, b: a + h * b, x, v)

    return jax.lax.fori_loop(0, steps, step, x)


def flow_checks(field, dtype, name=None):
    isometric = is_isometric(field.action) is True
    space = InvariantMetric(FRAMES[name][0]) if not isometric and name in FRAMES else None
    assert_equivariant_flow(field, space=space, adaptive=isometric or space is not None, dtype=dtype)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_equivariant(name):
    assert_equivariant_field(gradient_on(name))
    if name in some(GRADIENTS):
        assert_equivariant_field(gradient_on(name), dtype=jnp.float32)


@flows(GRADIENTS)
def test_flows_of_gradients_are(name, dtype):
    flow_checks(gradient_on(name), dtype, name)


@pytest.mark.parametrize("name", PHASES)
def test_symplectic_gradients_are_equivariant(name):
    assert_equivariant_field(symplectic_on(name))
    if name in some(PHASES):
        assert_equivariant_field(symplectic_on(name), dtype=jnp.float32)


@flows(name for name in PHASES if not name.startswith("T*"))
def test_flows_of_symplectic_gradients_are(name, dtype):
    flow_checks(symplectic_on(name), dtype)


@pytest.mark.parametrize("name", ["TWO_VECTORS_SO3", "TWO_MINKOWSKI", "CLOUD_SE2", "PLANE_D3"])
def test_derivatives_are_finite_where_vectors_vanish_and_coincide(name):
    field = gradient_on(name)
    x = point_of(field.action)
    assert_finite_derivatives(field, jnp.zeros_like(x))
    assert_finite_derivatives(field, jnp.broadcast_to(x[:1], x.shape))


def test_derivatives_are_finite_at_poles_and_at_rest():
    assert_finite_derivatives(gradient_on("SPHERE_AXIS"), jnp.asarray([0.0, 0.0, 1.0]))
    assert_finite_derivatives(symplectic_on("LinearAction(2 V), O(2)"), jnp.zeros(4))
    assert_finite_derivatives(symplectic_on("T*S^2"), (jnp.asarray([0.0, 0.0, 1.0]), jnp.zeros(3)))


# Gradients.


def test_gradients_are_dual_to_differentials_in_the_metric():
    """<grad V, v> = dV(v), on a space whose metric is not that of its coordinates."""
    for name in ("STIEFEL_AXIS", "SPD_CONGRUENCE_O", "TWO_HYPERBOLIC"):
        field = gradient_on(name)
        space = field.action.space
        x = point_of(field.action)
        v = space.random_tangent(x, key=KEY)
        slope = jax.jvp(lambda y, field=field: field.potential(0.3, y), (x,), (v,))[1]
        assert field.raised is None
        np.testing.assert_allclose(space.inner(x, field(0.3, x), v), slope, rtol=1e-9, atol=1e-12)


def test_the_metric_of_minkowski_space_is_found():
    """grad of t^2 - |x|^2 is twice the point itself, as that of a squared length should be."""

    def interval(t, x):
        return x[0] ** 2 - jnp.sum(x[1:] ** 2)

    x = jnp.asarray([0.3, 1.2, -0.4, 0.7])
    for n in (1, 3):
        found = GradientField(interval, LinearAction(V(Lorentz(n))))
        np.testing.assert_allclose(found(0.0, x[: n + 1]), 2 * x[: n + 1], atol=1e-12)
    given = GradientField(interval, LinearAction(V(Lorentz())), form=-2 * np.diag([1.0, -1.0, -1.0, -1.0]))
    np.testing.assert_allclose(given(0.0, x), -x, atol=1e-12)


def test_gradient_flows_climb():
    field = gradient_on("VECTORS_O2")
    x = point_of(field.action)
    potential = eqx.filter_jit(lambda x: field.potential(0.0, x))
    flow = Flow(lambda t, x, args: field(0.0, x), Euclidean((3, 2)), diffrax.Tsit5(), dt0=0.05, t1=0.5)
    assert float(potential(flow(x))) > float(potential(x)) + 1e-3


@pytest.mark.parametrize("name", ["VECTORS_O2", "CLOUD_SE2", "TWO_VECTORS_SO3"])
def test_scalar_potentials_are_invariant_and_no_more(name, getkey):
    action = getattr(pairs, name)
    potential = eqx.filter_jit(scalars(action))
    x, g = point_of(action), jnp.asarray(action.group.sample(key=getkey()))
    np.testing.assert_allclose(potential(0.2, action(g, x)), potential(0.2, x), rtol=1e-11)
    assert abs(float(potential(0.2, 1.3 * x) - potential(0.2, x))) > 1e-4
    assert abs(float(potential(0.9, x) - potential(0.2, x))) > 1e-4


@pytest.mark.parametrize(
    ("action", "form", "message"),
    [
        (LinearAction(V(GL(2))), None, "(?s)neither the metric.*NetworkField"),
        (LinearAction(V(Sp(1))), None, "SymplecticGradientField"),
        (LinearAction(V(Lorentz())), np.eye(4), "does not keep the form"),
        (LinearAction(V(O(2))), np.diag([1.0, 0.0]), "has an inverse"),
        (LinearAction(V(O(2))), np.eye(3), "3 x 3 entries"),
        (pairs.SPHERE_AXIS, np.eye(3), "3 x 3 entries"),
    ],
    ids=["no form", "symplectic", "wrong form", "singular", "size", "curved"],
)
def test_gradients_without_a_form_are_refused(action, form, message):
    with pytest.raises(GroupError, match=message):
        GradientField(lambda t, x: jnp.sum(x), action, form=form)


# Symplectic gradients.


@pytest.mark.parametrize("name", ["LinearAction(2 V), O(2)", "particles without names, O(2)", "Lorentz(2), q and p"])
def test_energy_is_conserved_to_the_order_of_the_solver(name):
    field = symplectic_on(name)
    x = point_of(field.action)

    @jax.jit
    def drift(steps):
        end = runge_kutta(lambda x: 3 * field(0.0, x), x, steps)
        return field.potential(0.0, end) - field.potential(0.0, x)

    coarse, fine = (abs(float(drift(n))) for n in (4, 16))
    assert fine < coarse / 4**3.5, "fourth order"
    assert fine < 1e-4


def test_the_harmonic_oscillator_agrees_with_scipy():
    action = LinearAction(2 * V(O(2)))

    def energy(t, x):
        return jnp.sum(x[2:] ** 2) / 2 + 2 * jnp.sum(x[:2] ** 2)

    field = SymplecticGradientField(energy, action)
    x = jnp.asarray([0.3, -0.2, 0.5, 1.0])
    end = jax.jit(lambda x: runge_kutta(lambda x: field(0.0, x), x, 1000))(x)
    oracle = scipy.integrate.solve_ivp(
        lambda t, y: np.concatenate([y[2:], -4 * y[:2]]), (0, 1), np.asarray(x), rtol=1e-12, atol=1e-12, method="DOP853"
    )
    np.testing.assert_allclose(end, oracle.y[:, -1], atol=1e-10)


def test_a_spherical_pendulum_keeps_energy_and_momentum():
    """In ambient coordinates x'' = -grad V - (|x'|^2 - x . grad V) x, solved by SciPy; and Noether's momentum."""
    space = CotangentBundle(Sphere(2))

    def energy(t, z):
        return jnp.sum(z[1] ** 2) / 2 + z[0][2]

    field = SymplecticGradientField(energy, PENDULUM)
    z = space.project((jnp.asarray([0.6, 0.2, -0.5]), jnp.asarray([0.3, 0.8, 0.4])))

    def oracle(t, y):
        x, p = y[:3], y[3:]
        down = np.array([0.0, 0.0, 1.0])
        return np.concatenate([p, -down - (p @ p - x @ down) * x])

    start = np.concatenate([np.asarray(a) for a in z])
    true = scipy.integrate.solve_ivp(oracle, (0, 1), start, rtol=1e-12, atol=1e-12, method="DOP853").y[:, -1]

    end = jax.jit(lambda z: runge_kutta(lambda z: field(0.0, z), z, 128))
    found = end(z)
    np.testing.assert_allclose(np.concatenate(found), true, atol=1e-8)
    spin = [float(a[0] * b[1] - a[1] * b[0]) for a, b in (z, found)]
    assert spin[1] == pytest.approx(spin[0], abs=1e-8)
    assert float(energy(0.0, found)) == pytest.approx(float(energy(0.0, z)), abs=1e-8)


def test_two_points_are_position_and_momentum():
    """Hamilton's equations, row by row; the same field whether the halves are rows or parts of one vector."""

    def energy(t, x):
        return jnp.sum(x[0] ** 2) + jnp.sum(x[0] * x[1]) + 2 * jnp.sum(x[1] ** 2)

    x = jnp.asarray([[0.3, 0.1, -0.4], [1.0, 0.2, 0.7]])
    field = SymplecticGradientField(energy, pairs.TWO_VECTORS_SO3)
    np.testing.assert_allclose(field(0.0, x), jnp.stack([x[0] + 4 * x[1], -2 * x[0] - x[1]]), atol=1e-12)
    flat = SymplecticGradientField(lambda t, y: energy(t, y.reshape(2, 3)), LinearAction(2 * V(SO(3))))
    np.testing.assert_allclose(flat(0.0, x.reshape(-1)), field(0.0, x).reshape(-1), atol=1e-12)
    # Another form, twice the canonical one: half the velocity.
    doubled = 2 * np.kron([[0.0, 1.0], [-1.0, 0.0]], np.eye(3))
    half = SymplecticGradientField(energy, pairs.TWO_VECTORS_SO3, form=doubled)
    np.testing.assert_allclose(2 * half(0.0, x), field(0.0, x), atol=1e-12)


def test_the_wrong_group_is_noticed():
    field = symplectic_on("Sp(1), two")
    larger = PowerAction(LinearAction(V(GL(2))), 2)
    assert field_equivariance(field, point_of(field.action), key=KEY, action=larger).exit_code == 1


@pytest.mark.parametrize(
    ("action", "form", "message"),
    [
        (LinearAction(V(SO(3))), None, "keeps no symplectic form"),
        (LinearAction(V(O(2))), None, r"(?s)keeps no symplectic form.*2 \* V"),
        (LinearAction(V(GL(2))), None, "keeps no symplectic form"),
        (LinearAction(V(Sp(1))), np.eye(2), "skew matrix"),
        (LinearAction(V(O(2)) + trivial(O(2))), None, "keeps no symplectic form"),
        (cotangent(AXIS_OF_SPHERE, Euclidean(3)), np.eye(2), "2 x 2 entries"),
    ],
    ids=["odd", "reflections", "volumes", "symmetric", "vector and number", "bundle"],
)
def test_actions_that_keep_no_symplectic_form_are_refused(action, form, message):
    with pytest.raises(GroupError, match=message):
        SymplecticGradientField(lambda t, x: jnp.sum(x), action, form=form)


def test_an_action_that_moves_momenta_as_positions_is_refused():
    wrong = FunctionAction(Sp(1), CotangentBundle(Euclidean(2)), lambda g, z: (g @ z[0], g @ z[1]))
    with pytest.raises(GroupError, match="keeps no symplectic form"):
        SymplecticGradientField(lambda t, z: jnp.sum(z[0]), wrong)
