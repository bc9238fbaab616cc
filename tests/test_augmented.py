"""Augmented flows reach what plain flows cannot, and respect isotropy; spurions, controls, second-order equations."""

import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest
from field_checks import (
    assert_equivariant_field,
    assert_equivariant_flow,
    assert_finite_derivatives,
    elements_of,
    gap,
    point_of,
)

from equivax.dynamics import Flow, InvariantController, Steps
from equivax.fields import (
    AbstractField,
    Augmentation,
    Augmented,
    AugmentedField,
    ControlledField,
    FrameAveragedField,
    GramSchmidtFrame,
    NetworkField,
    PlainMLP,
    SecondOrderField,
    SpurionField,
    SteeredField,
    Velocities,
    Vertical,
)
from equivax.geometry import Sphere, TangentBundle
from equivax.laws import equivariance, field_equivariance
from equivax.symmetry import (
    SE,
    SO,
    AbstractAction,
    Cyclic,
    DirectProduct,
    GroupError,
    LinearAction,
    MatrixGroup,
    O,
    Parity,
    SubgroupAction,
    TangentAction,
    Trivial,
    defining,
    pulled_back,
    stabiliser,
    trivial,
)

KEY = jax.random.key(6)
V = defining
LINE = LinearAction(V(Parity(1)))
SIGNS = DirectProduct(Parity(1), Parity(1))  # O(1) x O(1), the signs of the two coordinates of the plane
QUADRANTS = LinearAction(V(SIGNS))
# Little to compile, for what does not depend on the solver.
FEW = {"solver": diffrax.Heun(), "controller": Steps(4)}
TIGHT = InvariantController(diffrax.PIDController(rtol=1e-9, atol=1e-11))


class Turning(AbstractField):
    """f(t, (x, w)) = pi (-B w, B^T x): an intertwiner B from W to V, and half a turn at time 1 where B B^T = 1."""

    action: AbstractAction
    B: jax.Array

    def __call__(self, t, x, args=None):
        B = self.B.astype(x[0].dtype)
        return -math.pi * (B @ x[1]), math.pi * (x[0] @ B)


class Downwards(AbstractField):
    """c times the gradient of -z on the sphere: it leads from the north pole to the south pole."""

    action: AbstractAction
    c: jax.Array

    def __call__(self, t, x, args=None):
        return self.action.space.to_tangent(x, jnp.zeros_like(x).at[2].set(-self.c.astype(x.dtype)))


# What only augmented flows reach.


def test_the_line_is_turned_over():
    lift = Augmentation(LINE, V(Parity(1)))
    flow = Augmented(Flow(Turning(lift.action, jnp.eye(1)), lift.space, controller=TIGHT), lift)
    for x in (0.0, 0.3, -2.0):
        np.testing.assert_allclose(flow(jnp.asarray([x])), [-x], atol=1e-8)
    assert equivariance(flow, LINE, LINE, jnp.asarray([0.7]), key=KEY).passed


def test_the_line_is_turned_over_by_a_spring():
    field = SecondOrderField(lambda t, x, u, args: -(math.pi**2) * x, LINE)
    flow = Augmented(Flow(field, field.action.space, controller=TIGHT), Velocities(LINE))
    np.testing.assert_allclose(flow(jnp.asarray([1.3])), [-1.3], atol=1e-7)


def test_a_plain_flow_keeps_the_order_of_the_line_and_the_orientation_of_the_plane():
    wild = NetworkField(LINE, 4 * V(Parity(1)) + 4 * trivial(Parity(1)), key=KEY)
    flow = Flow(wild, LINE.space, **FEW, t1=2.0)
    ends = jax.jit(jax.vmap(lambda x: flow(x)))(jnp.linspace(-2, 2, 9)[:, None])[:, 0]
    assert np.all(np.diff(ends) > 0)
    plane = Flow(NetworkField(QUADRANTS, 4 * V(SIGNS) + 4 * trivial(SIGNS), key=KEY), QUADRANTS.space, **FEW)
    assert jnp.linalg.det(jax.jit(jax.jacrev(lambda x: plane(x)))(jnp.asarray([0.4, -1.1]))) > 0


def test_the_plane_is_reflected():
    second = pulled_back(V(Parity(1)), SIGNS, 1)
    lift = Augmentation(QUADRANTS, second)
    flow = Augmented(Flow(Turning(lift.action, jnp.asarray([[0.0], [1.0]])), lift.space, controller=TIGHT), lift)
    x = jnp.asarray([0.8, -1.1])
    np.testing.assert_allclose(flow(x), [0.8, 1.1], atol=1e-8)
    np.testing.assert_allclose(jnp.linalg.det(jax.jacrev(flow)(x)), -1, atol=1e-7)
    assert equivariance(flow, QUADRANTS, QUADRANTS, x, key=KEY).passed


def overshooting(x, c):
    """The map of the sphere that moves each point down its meridian, from colatitude a to a + c sin(a)."""
    across = np.linalg.norm(x[:2])
    a = np.arctan2(across, x[2])
    b = a + c * across
    return np.append(np.sin(b) * x[:2] / across, np.cos(b)) if across else x


def test_a_map_of_the_sphere_with_fixed_points_of_both_types():
    # From the north pole points are driven away, to the south pole they are led *beyond* it: on both sides of a circle
    # of latitude that goes to the pole as a whole. No flow of the sphere does this, as it would not be one-to-one.
    action, c = pairs.SPHERE_AXIS, 1.5
    moving = SecondOrderField(None, action)
    flow = Augmented(
        Flow(moving, moving.action.space, controller=TIGHT), Velocities(action, Downwards(action, jnp.asarray(c)))
    )
    f = jax.jit(lambda x: flow(x))
    for x in [point_of(action, seed=i) for i in range(6)]:
        np.testing.assert_allclose(f(x), overshooting(np.asarray(x), c), atol=1e-7)
    for pole in (1.0, -1.0):
        np.testing.assert_array_equal(f(jnp.asarray([0, 0, pole])), [0, 0, pole])
    # The derivative at the poles: 1 + c away from the north, 1 - c < 0 through the south.
    e = 1e-4
    np.testing.assert_allclose(f(action.space.project(jnp.asarray([e, 0, 1.0])))[0] / e, 1 + c, rtol=1e-3)
    np.testing.assert_allclose(f(action.space.project(jnp.asarray([e, 0, -1.0])))[0] / e, 1 - c, rtol=1e-3)
    a = 2.0
    for _ in range(50):  # the circle a + c sin(a) = pi
        a = a - (a + c * math.sin(a) - math.pi) / (1 + c * math.cos(a))
    assert math.pi / 2 < a < 3
    for turn in (0.0, 1.0, 4.0):
        x = jnp.asarray([math.sin(a) * math.cos(turn), math.sin(a) * math.sin(turn), math.cos(a)])
        np.testing.assert_allclose(f(x), [0, 0, -1], atol=1e-7)
    assert equivariance(flow, action, action, point_of(action), key=KEY).passed


def test_isotropy_binds_augmented_flows_as_well():
    # The stabiliser of a pole is all of SO(2): extra coordinates that start in Fix(SO(2)) stay there, and so does the pole.
    G = SO(2)
    lift = Augmentation(pairs.SPHERE_AXIS, V(G) + trivial(G))
    field = AugmentedField(lift, 4 * V(G) + 4 * trivial(G), key=KEY)
    flow = Flow(field, lift.space)
    for pole in (1.0, -1.0):
        x, w = flow(lift.lift(jnp.asarray([0, 0, pole])))
        np.testing.assert_allclose(x, [0, 0, pole], atol=1e-12)
        np.testing.assert_allclose(w[:2], 0, atol=1e-12)
        assert abs(w[2]) > 1e-3
    away, _ = flow(lift.lift(point_of(pairs.SPHERE_AXIS)))
    assert gap(away, point_of(pairs.SPHERE_AXIS)) > 1e-2


# Fields on larger spaces, by the same questions as any.

AUGMENTED = {
    "line": (LINE, V(Parity(1)), 4 * V(Parity(1)) + 4 * trivial(Parity(1))),
    "plane O(2)": (pairs.PLANE_O2, V(O(2)) + trivial(O(2)), 4 * V(O(2)) + 4 * trivial(O(2))),
    "sphere about an axis": (pairs.SPHERE_AXIS, V(SO(2)) + trivial(SO(2)), 4 * V(SO(2)) + 4 * trivial(SO(2))),
    "space SO(3)": (pairs.SPACE_SO3, V(SO(3)), 4 * V(SO(3)) + 4 * trivial(SO(3))),
}


@pytest.mark.parametrize("name", AUGMENTED)
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_augmented_fields_are_equivariant(name, dtype):
    base, rep, hidden = AUGMENTED[name]
    assert_equivariant_field(AugmentedField(Augmentation(base, rep), hidden, depth=1, key=KEY), dtype=dtype)


@pytest.mark.parametrize("name", ["plane O(2)", "sphere about an axis"])
def test_augmented_flows_are_equivariant(name):
    base, rep, hidden = AUGMENTED[name]
    field = AugmentedField(Augmentation(base, rep), hidden, depth=1, key=KEY)
    assert_equivariant_flow(field)
    zero = field.action.space.project(jax.tree.map(jnp.zeros_like, point_of(field.action)))
    corner = (jnp.asarray([0, 0, 1.0]), zero[1]) if base is pairs.SPHERE_AXIS else zero
    assert_finite_derivatives(field, corner)


def second_order(name):
    """An acceleration from a network that knows no symmetry, averaged over frames on the tangent bundle."""
    base, vectors = {
        "plane O(2)": (pairs.PLANE_O2, lambda z: jnp.stack(z)),
        "two vectors SO(3)": (pairs.TWO_VECTORS_SO3, lambda z: jnp.concatenate(z)[:3]),
        "sphere about an axis": (pairs.SPHERE_AXIS, lambda z: jnp.stack([z[0][:2], z[1][:2]])),
        "hyperbolic plane turned": (pairs.HYPERBOLIC_TURNS, lambda z: jnp.stack([z[0][1:], z[1][1:]])),
    }[name]
    action = TangentAction(base)
    network = PlainMLP(TangentBundle(base.space), 8, 1, key=KEY)
    field = FrameAveragedField(network, GramSchmidtFrame(base.group, vectors), action)
    return SecondOrderField(Vertical(field), base)


SECOND_ORDER = ["plane O(2)", "two vectors SO(3)", "sphere about an axis", "hyperbolic plane turned"]


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_second_order_fields_are_equivariant(name):
    field = second_order(name)
    assert_equivariant_field(field)
    x, u = point_of(field.action)
    velocity, _ = field.action.space.split((x, u), field(0.3, (x, u)))
    np.testing.assert_array_equal(velocity, u)


@pytest.mark.parametrize("name", ["plane O(2)", "sphere about an axis"])
def test_flows_of_second_order_are_equivariant(name):
    assert_equivariant_flow(second_order(name))


def test_without_acceleration_points_move_on_geodesics():
    field = SecondOrderField(None, pairs.HYPERBOLIC_TURNS)
    flow = Flow(field, field.action.space, controller=TIGHT)
    x, u = point_of(field.action)
    y, _ = flow((x, u))
    np.testing.assert_allclose(y, pairs.HYPERBOLIC_TURNS.space.exp(x, u), atol=1e-7)


# Spurions.


def under_gravity(group=None):
    action = LinearAction(V(SO(3)))
    field = AugmentedField(Augmentation(action, V(SO(3))), 4 * V(SO(3)) + 4 * trivial(SO(3)), depth=1, key=KEY)
    return SpurionField(field, jnp.asarray([0, 0, -9.81]), group)


def test_a_spurion_leaves_its_stabiliser():
    field = under_gravity()
    assert field.remaining_algebra.shape == (1, 3, 3)
    np.testing.assert_allclose(np.abs(field.remaining_algebra[0]) > 1e-12, [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert isinstance(field.action, SubgroupAction)
    assert_equivariant_field(field)
    assert_equivariant_flow(field)
    x = point_of(pairs.SPACE_SO3)
    assert not field_equivariance(BrokenClaim(field), x, t=0.3, key=KEY).passed


class BrokenClaim(AbstractField):
    """The field, under the action that it has no longer."""

    field: SpurionField

    @property
    def action(self):
        return self.field.field.action.actions[0]

    def __call__(self, t, x, args=None):
        return self.field(t, x, args)


def test_the_whole_group_moves_the_spurion_along():
    field, x = under_gravity(), point_of(pairs.SPACE_SO3)
    for g in elements_of(pairs.SPACE_SO3):
        np.testing.assert_allclose(field.moved(g)(0.3, g @ x), g @ field(0.3, x), atol=1e-5)  # s is in float32


def test_a_spurion_of_zero_breaks_nothing():
    field = under_gravity()
    unbroken = SpurionField(field.field, jnp.zeros(3))
    assert unbroken.group == SO(3)
    assert unbroken.action == pairs.SPACE_SO3


def test_training_moves_the_spurion_within_what_its_stabiliser_keeps():
    field, x = under_gravity(), point_of(pairs.SPACE_SO3)
    grads = eqx.filter_grad(lambda f: jnp.sum(f(0.3, x) ** 2))(field)
    assert grads.spurion[2] != 0
    np.testing.assert_allclose(grads.spurion[:2], 0, atol=1e-6)
    pushed = eqx.tree_at(lambda f: f.spurion, field, field.spurion + 1)
    assert_equivariant_field(pushed)
    free = eqx.filter_grad(lambda f: jnp.sum(f(0.3, x) ** 2))(under_gravity(Trivial(3)))
    assert np.all(np.abs(free.spurion) > 1e-8)


def test_stabilisers_of_finite_groups_and_of_other_components():
    assert len(stabiliser(V(Cyclic(4)), np.array([1.0, 0])).elements) == 1
    flips = stabiliser(V(O(2)), np.array([1.0, 0]))
    assert len(flips.lie_algebra) == 0
    assert len(flips.elements) == 2
    assert stabiliser(V(SO(3)).sym(2), np.zeros(6)) == SO(3)
    tensor = stabiliser(V(SO(3)) * V(SO(3)), np.diag([1.0, 1, 2]).reshape(-1))
    assert len(tensor.lie_algebra) == 1


def test_spurions_that_do_not_fit_are_refused():
    field = under_gravity().field
    with pytest.raises(ValueError, match=r"shape \(3,\); received \(2,\)"):
        SpurionField(field, jnp.ones(2))
    with pytest.raises(GroupError, match="does not keep the spurion"):
        SpurionField(field, jnp.ones(3), SO(3))
    with pytest.raises(GroupError, match="ProductAction"):
        SpurionField(NetworkField(pairs.PLANE_SO2, 2 * V(SO(2)), key=KEY), jnp.ones(2))
    with pytest.raises(GroupError, match="subgroup"):
        SubgroupAction(pairs.SPACE_SO3, SO(2))


# Controls.


def channel(seed):
    return NetworkField(pairs.PLANE_O2, 3 * V(O(2)) + 3 * trivial(O(2)), depth=1, key=jax.random.key(seed))


def test_numbers_as_controls_leave_the_symmetry():
    field = ControlledField(channel(0), (channel(1), channel(2)), lambda t: jnp.stack([jnp.sin(t), 1 + t]))
    assert_equivariant_field(field)
    assert_equivariant_flow(field)
    x = point_of(pairs.PLANE_O2)
    expected = channel(0)(0.5, x) + math.sin(0.5) * channel(1)(0.5, x) + 1.5 * channel(2)(0.5, x)
    np.testing.assert_allclose(field(0.5, x), expected, rtol=1e-12)


def test_controls_come_from_interpolations_and_in_args():
    ts = jnp.linspace(0.0, 1.0, 5)
    path = diffrax.LinearInterpolation(ts, jnp.stack([jnp.sin(ts)], axis=1))
    x = point_of(pairs.PLANE_O2)
    given = ControlledField(channel(0), (channel(1),), path.evaluate)
    free = ControlledField(channel(0), (channel(1),))
    flow = Flow(free, pairs.PLANE_O2.space, **FEW)
    np.testing.assert_allclose(Flow(given, pairs.PLANE_O2.space, **FEW)(x), flow(x, path.evaluate), rtol=1e-12)
    slope = jax.grad(lambda c: jnp.sum(flow(x, c) ** 2))(jnp.ones(1))
    assert abs(slope[0]) > 1e-3
    with pytest.raises(ValueError, match="no control"):
        free(0.0, x)
    with pytest.raises(ValueError, match=r"shape \(1,\); received \(2,\)"):
        free(0.0, x, jnp.ones(2))
    with pytest.raises(ValueError, match="one and the same action"):
        ControlledField(channel(0), (NetworkField(pairs.PLANE_SO2, 2 * V(SO(2)), key=KEY),))


def test_a_control_in_a_representation_is_moved_with_the_point():
    G = O(2)
    rep = V(G)
    inner = AugmentedField(Augmentation(pairs.PLANE_O2, rep), 3 * V(G) + 3 * trivial(G), depth=1, key=KEY)

    def wind(t):
        return jnp.stack([jnp.cos(3 * t), jnp.sin(3 * t)])

    field, x = SteeredField(inner), point_of(pairs.PLANE_O2)
    flow = Flow(field, pairs.PLANE_O2.space, **FEW)
    for g in elements_of(pairs.PLANE_O2)[-2:]:
        y = flow(g @ x, field.moved_control(g, wind))
        np.testing.assert_allclose(y, g @ flow(x, wind), atol=1e-10)
    assert gap(flow(x, wind), Flow(inner, inner.action.space, **FEW)((x, jnp.zeros(2)))[0]) > 1e-3
    # A wind along the first axis keeps one reflection.
    along = SteeredField(inner, lambda t: jnp.stack([1 + t, 0 * t]), MatrixGroup(None, [np.diag([1.0, -1.0])]))
    assert field_equivariance(along, x, t=0.3, key=KEY).passed
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        field(0.0, x, jnp.ones(3))


# What is refused.


def test_lifts_that_do_not_fit_are_refused():
    with pytest.raises(GroupError, match="extra coordinates"):
        Augmentation(pairs.PLANE_SO2, V(O(2)))
    with pytest.raises(GroupError, match="LinearAction"):
        AugmentedField(Augmentation(pairs.TWO_POINTS_SE2, trivial(SE(2))), 2 * trivial(SE(2)), key=KEY)
    with pytest.raises(ValueError, match="shape of the velocity"):
        SecondOrderField(lambda t, x, u, args: jnp.zeros(3), pairs.PLANE_SO2)(0.0, (jnp.ones(2), jnp.ones(2)))
    with pytest.raises(ValueError, match="TangentBundle"):
        Vertical(channel(0))(0.0, jnp.ones(2), jnp.ones(2))


def test_a_lift_may_be_a_linear_map():
    lift = Augmentation(pairs.PLANE_O2, V(O(2)), start=lambda x: 2 * x)
    x = point_of(pairs.PLANE_O2)
    np.testing.assert_array_equal(lift.lift(x)[1], 2 * x)
    assert isinstance(Velocities(pairs.SPHERE_AXIS).space, TangentBundle)
    assert lift.drop(lift.lift(x)) is x
    assert Sphere(2) == pairs.SPHERE_AXIS.space
