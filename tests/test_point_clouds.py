"""Clouds of points: message passing as a field, first and second order, lists of neighbours, boxes; EGNN, SEGNO."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from field_checks import (
    THOROUGH,
    assert_equivariant_field,
    assert_equivariant_flow,
    assert_finite_derivatives,
    elements_of,
    flows,
    gap,
    point_of,
    size,
)

from equivax.dynamics import Flow, Steps
from equivax.fields import (
    EGNN,
    Cloud,
    EGNNLayer,
    PointCloudField,
    cloud_action,
    field_of_layer,
    layer_of_field,
    neighbours,
    symplectic_euler_step,
)
from equivax.geometry import Sphere
from equivax.laws import field_equivariance
from equivax.symmetry import (
    SE,
    SO,
    AffineAction,
    AngleAction,
    Cyclic,
    E,
    LinearAction,
    O,
    PowerAction,
    Similarity,
    TangentAction,
    Translations,
    defining,
)

O1, O2, SO2, O3, SO3 = (LinearAction(defining(G)) for G in (O(1), O(2), SO(2), O(3), SO(3)))
E1, E2, E3, SE2, SE3 = (AffineAction(G) for G in (E(1), E(2), E(3), SE(2), SE(3)))
T1, T2, T3 = (AffineAction(Translations(n)) for n in (1, 2, 3))
SCALES = (0.5, 2.0)
NEAR = {"cutoff": 3.0, "scales": SCALES}
LISTED = NEAR | {"capacity": 3}

# (name, action, options)
PAIRS = [
    ("two points of the line under E(1)", cloud_action(E1, 2), {}),
    ("three points of the line under O(1), order 2", cloud_action(O1, 3, order=2), {}),
    ("line under translations, order 2", cloud_action(T1, 3, order=2), {"scales": SCALES}),
    ("two points of the plane under O(2)", cloud_action(O2, 2), {}),
    ("plane under SO(2)", cloud_action(SO2, 3), {"scales": SCALES}),
    ("plane under E(2)", cloud_action(E2, 4), {"rounds": 2, "scales": SCALES}),
    ("plane under SE(2), order 2", cloud_action(SE2, 3, order=2), {}),
    ("plane under E(2), near points only", cloud_action(E2, 4), NEAR),
    ("plane under E(2), lists of neighbours", cloud_action(E2, 4), LISTED),
    ("plane under translations in a box", cloud_action(T2, 4), NEAR | {"box": (6.0, 7.0)}),
    ("plane under translations in a box, lists, order 2", cloud_action(T2, 4, order=2), LISTED | {"box": (6.0, 7.0)}),
    ("turns of the torus", cloud_action(AngleAction((1, 2)), 3), {"cutoff": 3.0, "scales": SCALES}),
    (
        "plane under quarter turns in a square box",
        cloud_action(LinearAction(defining(Cyclic(4))), 3),
        NEAR | {"box": (6.0, 6.0)},
    ),
    ("space under E(3)", cloud_action(E3, 5), {"mean": True}),
    (
        "isolated particles",
        cloud_action(E3, 3, order=2),
        {"isolated": True, "friction": True, "scales": SCALES, "core": 0.5},
    ),
    ("space under E(3), order 2", cloud_action(E3, 4, order=2), {"rounds": 2, "velocity_scalars": False}),
    ("space under SE(3), lists of neighbours, order 2", cloud_action(SE3, 5, order=2), LISTED | {"capacity": 4}),
    ("space under O(3), named points", PowerAction(O3, 2), {}),
    ("space under SO(3), named points, order 2", TangentAction(PowerAction(SO3, 2)), {}),
    ("charges that are carried along", cloud_action(E2, 3, order=2, features=1), {}),
    ("features that evolve", cloud_action(E2, 3, features=2), {"evolve": True, "rounds": 2}),
]
NAMES = [name for name, _, _ in PAIRS]


def field_of(action, options, seed=0):
    field = PointCloudField(action, width=8, key=jax.random.key(seed), **options)
    # Forces are small at first; here they shall show.
    return eqx.tree_at(lambda f: f.push.layers[-1].weight, field, 10 * field.push.layers[-1].weight)


@pytest.mark.parametrize(("action", "options"), [pair[1:] for pair in PAIRS], ids=NAMES)
def test_fields_are_equivariant_and_so_are_their_derivatives_by_the_weights(action, options):
    field = field_of(action, options)
    assert_equivariant_field(field)
    if THOROUGH or options.keys() & {"rounds", "capacity", "isolated"}:
        assert_equivariant_field(field, dtype=jnp.float32)


@flows(NAMES)
def test_flows_are_equivariant(name, dtype):
    _, action, options = PAIRS[NAMES.index(name)]
    assert_equivariant_flow(field_of(action, options), dtype=dtype)


def test_permutations_move_charges_that_come_in_args():
    action = cloud_action(E3, 4, order=2)
    field = field_of(action, {"nodes": 2, "edges": 1})
    rng = np.random.default_rng(0)
    args = Cloud(jnp.asarray(rng.normal(size=(4, 2))), jnp.asarray(rng.normal(size=(4, 4, 1))))
    x, at = point_of(action), eqx.filter_jit(field)
    v = at(0.0, x, args)
    worst = 0.0
    for g in elements_of(action, samples=4):
        moved = action(g, x)
        pushed = action.push(g, x, v)
        p = g[4:, 4:]
        assert gap(at(0.0, moved, args.permuted(p)), pushed) < 1e-10 * size(pushed)
        worst = max(worst, gap(at(0.0, moved, args), pushed))
    assert worst > 1e-2, "charges that stay where they are break the symmetry"


def test_charges_of_the_point_are_part_of_the_law_and_do_what_charges_in_args_do():
    action = cloud_action(E2, 3, order=2, features=1)
    field = field_of(action, {})
    x = point_of(action)
    assert field_equivariance(field, x, key=jax.random.key(0)).passed
    outside = field_of(cloud_action(E2, 3, order=2), {"nodes": 1})
    outside = eqx.tree_at(lambda f: (f.message, f.push, f.drag), outside, (field.message, field.push, field.drag))
    assert gap(outside(0.0, x[0], Cloud(nodes=x[1])), field(0.0, x, None)[0]) < 1e-14


def test_the_wrong_group_is_rejected():
    # Of the plane the field sees distances, which shears and scalings change; with named charges, no permutation is left.
    action = cloud_action(E2, 3)
    field = field_of(action, {})
    wrong = cloud_action(AffineAction(Similarity(2)), 3)
    assert not field_equivariance(field, point_of(action), action=wrong, key=jax.random.key(0)).passed
    with pytest.raises(ValueError, match="isometries"):
        field_of(wrong, {})
    with pytest.raises(ValueError, match="cloud_action"):
        field_of(E2, {})
    with pytest.raises(ValueError, match="cloud_action"):
        field_of(PowerAction(LinearAction(defining(SO(3)), Sphere(2)), 2), {})
    with pytest.raises(ValueError, match="half of the shortest side"):
        field_of(cloud_action(T2, 3), {"box": (2.0, 4.0), "cutoff": 1.5})
    with pytest.raises(ValueError, match="sides"):
        field_of(cloud_action(T2, 3), {"box": (2.0,), "cutoff": 1.0})
    for action, box in (
        (cloud_action(E2, 3), (4.0, 4.0)),
        (cloud_action(LinearAction(defining(Cyclic(4))), 3), (4.0, 5.0)),
    ):
        with pytest.raises(ValueError, match="to itself"):
            field_of(action, {"box": box, "cutoff": 1.0})
    with pytest.raises(ValueError, match="cutoff"):
        field_of(cloud_action(E2, 3), {"capacity": 2})
    with pytest.raises(ValueError, match="evolve"):
        field_of(cloud_action(E2, 3), {"evolve": True})
    with pytest.raises(ValueError, match="order"):
        cloud_action(E2, 3, order=3)
    charged = field_of(cloud_action(E2, 3), {"nodes": 2})
    for args in (None, Cloud(nodes=jnp.ones((3, 1))), Cloud(nodes=jnp.ones((3, 2)), edges=jnp.ones((3, 3, 1)))):
        with pytest.raises(ValueError, match="shapes"):
            charged(0.0, jnp.ones((3, 2)), args)


@pytest.mark.parametrize("options", [{}, LISTED | {"rounds": 2}], ids=["all pairs", "lists"])
def test_coincident_points_and_points_at_rest_have_finite_derivatives(options):
    action = cloud_action(E2, 3, order=2)
    field = field_of(action, options)
    places = jnp.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    assert_finite_derivatives(field, (places, jnp.zeros((3, 2))))
    single = jax.tree.map(lambda a: a.astype(jnp.float32), (places, jnp.zeros((3, 2))))
    assert_finite_derivatives(field, single, jnp.float32)


def test_lists_of_neighbours_are_complete_sorted_and_say_when_they_overflow():
    x = jax.random.normal(jax.random.key(0), (7, 2))
    distances = np.linalg.norm(x[:, None] - x[None], axis=-1)
    near = (distances < 1.2) & ~np.eye(7, dtype=bool)
    found = jax.jit(neighbours, static_argnums=(1, 2))(x, 1.2, 6)
    assert not found.overflow
    assert np.array_equal(found.count, near.sum(1))
    for i in range(7):
        listed = [int(j) for j in found.index[i] if j != i]
        assert listed == sorted(np.flatnonzero(near[i]), key=lambda j: distances[i, j])
    tight = neighbours(x, 1.2, int(near.sum(1).max()) - 1)
    assert tight.overflow
    for options in ((0.0, 3), (1.0, 0)):
        with pytest.raises(ValueError, match="capacity"):
            neighbours(x, *options)
    # The field by lists is the field by all pairs, and not a number where the lists are too short.
    action = cloud_action(T2, 7)
    everyone, listed, short = (
        field_of(action, {"cutoff": 1.2} | more) for more in ({}, {"capacity": 6}, {"capacity": 1})
    )
    everyone, listed, short = map(eqx.filter_jit, (everyone, listed, short))
    value = everyone(0.0, x, None)
    assert gap(listed(0.0, x, None), value) < 1e-13
    assert gap(everyone(0.0, x, Cloud(neighbours=found)), value) < 1e-13
    assert np.all(np.isnan(short(0.0, x, None)))
    one = eqx.filter_jit(field_of(cloud_action(T2, 7), {"edges": 1, "cutoff": 1.2}))
    a = jnp.asarray(np.random.default_rng(0).normal(size=(7, 7, 1)))
    assert gap(one(0.0, x, Cloud(edges=a)), one(0.0, x, Cloud(edges=a, neighbours=found))) < 1e-13


def test_messages_fade_out_smoothly():
    # Across the cut-off the field and its derivatives to second order go to nothing.
    action = cloud_action(T1, 2)
    field = field_of(action, {"cutoff": 1.0})
    force = jax.jit(lambda r: field(0.0, jnp.stack([jnp.zeros(1), r[None]]), None)[0, 0])
    slope, bend = jax.grad(force), jax.grad(jax.grad(force))
    for r in (0.999, 1.0, 1.001):
        assert max(abs(float(f(jnp.asarray(r)))) for f in (force, slope, bend)) < 1e-12
    assert abs(float(force(jnp.asarray(0.5)))) > 1e-3
    ramp = np.array([float(slope(jnp.asarray(r))) for r in np.linspace(0.8, 1.0, 201)])
    assert np.abs(np.diff(ramp)).max() < 0.1 * np.abs(ramp).max()


def test_a_box_has_no_walls():
    box = (6.0, 7.0)
    action = cloud_action(T2, 4, order=2)
    field = eqx.filter_jit(field_of(action, LISTED | {"box": box}))
    x, u = point_of(action)
    v = field(0.0, (x, u), None)
    shifts = jnp.asarray([[1.0, 0.0], [0.0, -2.0], [3.0, 1.0], [0.0, 0.0]]) * jnp.asarray(box)[None]
    assert gap(field(0.0, (x + shifts, u), None), v) < 1e-12
    plain = eqx.filter_jit(field_of(action, LISTED))
    assert gap(plain(0.0, (x + shifts, u), None), v) > 1e-3


@pytest.mark.parametrize("velocity", [False, True])
def test_an_egnn_layer_is_a_step_of_the_field_and_back(velocity):
    layer = EGNNLayer(3, edges=2, width=8, velocity=velocity, key=jax.random.key(1))
    rng = np.random.default_rng(0)
    h, x, v, a = (jnp.asarray(rng.normal(size=s)) for s in ((5, 3), (5, 3), (5, 3), (5, 5, 2)))
    field = field_of_layer(layer, 5)
    args = Cloud(edges=a)
    expected = layer(h, x, v if velocity else None, a)
    if velocity:
        (y, w), k = symplectic_euler_step(field, ((x, v), h), 1.0, args)
        assert gap(w, expected[2]) < 1e-6
        point = ((x, v), h)
    else:
        flow = Flow(field, field.action.space, diffrax.Euler(), Steps(1))
        y, k = flow((x, h), args)
        point = (x, h)
    assert gap((k, y), expected[:2]) < 1e-6
    assert size(y - x) > 1e-3
    again = layer_of_field(field)
    assert gap(again(h, x, v if velocity else None, a), expected) < 1e-6
    assert field_equivariance(
        field_of_layer(EGNNLayer(3, width=8, velocity=velocity, key=jax.random.key(1)), 5),
        point,
        key=jax.random.key(0),
        tolerance=1e-10,
    ).passed
    with pytest.raises(ValueError, match="evolve"):
        layer_of_field(field_of(cloud_action(E3, 3), {}))


def test_isolated_particles_conserve_their_momentum_and_do_not_feel_a_boost():
    action = cloud_action(E3, 4, order=2)
    field = field_of(action, {"nodes": 1, "isolated": True, "friction": True, "scales": SCALES, "core": 0.5})
    (x, u), args = point_of(action), Cloud(nodes=jnp.asarray([[1.0], [-1.0], [0.5], [2.0]]))
    at = eqx.filter_jit(field)
    force = at(0.0, (x, u), args)[1]
    assert size(force) > 1e-2
    assert size(jnp.sum(force, axis=0)) < 1e-14
    assert gap(at(0.0, (x, u + jnp.asarray([[3.0, -2.0, 1.0]])), args)[1], force) < 1e-12
    assert gap(at(0.0, (x, 2 * u), args)[1], force) > 1e-3, "velocities are felt, relative ones"
    for wrong in ({"capacity": 2, "cutoff": 1.0}, {"first": True}):
        order = cloud_action(E3, 4, order=1 if wrong.pop("first", False) else 2)
        with pytest.raises(ValueError, match="isolated"):
            field_of(order, {"isolated": True} | wrong)


def test_egnn_layers_in_a_row_share_the_first_velocities():
    egnn = EGNN(1, edges=1, width=8, depth=2, velocity=True, key=jax.random.key(0))
    rng = np.random.default_rng(0)
    h, x, v, a = (jnp.asarray(rng.normal(size=s)) for s in ((4, 1), (4, 3), (4, 3), (4, 4, 1)))
    at = eqx.filter_jit(egnn)
    y = at(h, x, v, a)
    hidden = h @ egnn.embedding.weight.astype(h.dtype).T + egnn.embedding.bias.astype(h.dtype)[None]
    place = x
    for layer in egnn.layers:
        step = eqx.filter_jit(lambda f, z: symplectic_euler_step(f, z, 1.0, Cloud(edges=a)))
        (place, _), hidden = step(field_of_layer(layer, 4), ((place, v), hidden))
    assert gap(y, place) < 1e-6
    turn = np.asarray(SO(3).sample(key=jax.random.key(2)))
    assert gap(at(h, x @ turn.T + 1.0, v @ turn.T, a), y @ turn.T + 1.0) < 1e-10


def test_segno_is_one_field_stepped_many_times():
    # Steps of half the size come nearer to the flow of the field at the order of the method, one.
    action = cloud_action(E3, 3, order=2)
    field = PointCloudField(action, width=8, mean=True, velocity_scalars=False, scales=SCALES, key=jax.random.key(0))
    start = point_of(action)
    exact = Flow(field, action.space, diffrax.Dopri8(), diffrax.ConstantStepSize(), dt0=0.01)(start)
    errors = []
    for n in (16, 32, 64):
        steps = jax.jit(lambda x, n=n: jax.lax.fori_loop(0, n, lambda _, y: symplectic_euler_step(field, y, 1 / n), x))
        errors.append(gap(steps(start), exact))
    orders = np.log2(np.asarray(errors[:-1]) / np.asarray(errors[1:]))
    assert np.all(np.abs(orders - 1) < 0.1), errors
