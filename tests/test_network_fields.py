"""Intertwiners with gates and products as fields: on any linear action, isometric or not."""

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
    flows,
    point_of,
    some,
)
from frames import FRAMES

from equivax.fields import (
    Bilinear,
    EquivariantMLP,
    InvariantMetric,
    NetworkField,
    features,
    restrict,
)
from equivax.geometry import Sphere
from equivax.laws import equivariance, field_equivariance
from equivax.symmetry import (
    SO,
    AffineAction,
    Cyclic,
    DirectProduct,
    E,
    FunctionAction,
    GroupError,
    LinearAction,
    Lorentz,
    O,
    PermutingAction,
    Sp,
    Symmetric,
    defining,
    irrep,
    is_isometric,
    trivial,
)

KEY = jax.random.key(12)
V = defining
# Hidden features: how many of each block, or the representation where other blocks than the point's are needed.
PAIRS = {
    "PLANE_C4": 2,
    "PLANE_D3": 2 * trivial(pairs.PLANE_D3.group) + 2 * V(pairs.PLANE_D3.group),
    "TWO_VECTORS_O2": 2,
    "TWO_VECTORS_SO3": 2,
    "AXIS_SPACE": 2,
    "NUMBERS_S3": 2,
    "SPACE_TETRAHEDRAL": 2,
    "BOOSTS": 2,
    "TWO_MINKOWSKI": 2,
    "TWO_VECTORS_LORENTZ": 2,
    "TWO_VECTORS_SL2": 2,
    "TWO_VECTORS_SP1": 2,
    "THREE_VECTORS_GL2": 2,
    "SIMILARITY": 2,
    "THREE_POINTS_E2": 2,
    "VECTORS_O2": 1,
    "CLOUD_E2": 1,
    "TORUS": 2 * trivial(SO(2)) + 2 * irrep(SO(2), 1) + 2 * irrep(SO(2), 2),
    "SPHERE_AXIS": 2,
    "ROTATIONS_CONJUGATION": 1,
    "STIEFEL_AXIS": 1,
    "SPD_CONGRUENCE_GL": 1,
    "HYPERBOLIC_TURNS": 2,
    "TWO_HYPERBOLIC": 2,
}


def field_on(name, depth=2):
    return NetworkField(getattr(pairs, name), PAIRS[name], depth, key=KEY)


@pytest.mark.parametrize("name", PAIRS)
def test_network_fields_are_equivariant(name):
    field = field_on(name)
    assert_equivariant_field(field)
    if name in some(PAIRS):
        assert_equivariant_field(field, dtype=jnp.float32)


@flows(PAIRS)
def test_their_flows_are(name, dtype):
    isometric = is_isometric(getattr(pairs, name)) is not False
    space = InvariantMetric(FRAMES[name][0]) if not isometric and name in FRAMES else None
    adaptive = isometric or space is not None
    assert_equivariant_flow(field_on(name, depth=1), space=space, adaptive=adaptive, dtype=dtype)


@pytest.mark.parametrize("name", ["TWO_VECTORS_SO3", "TWO_MINKOWSKI", "VECTORS_O2"])
def test_derivatives_are_finite_where_vectors_vanish_and_coincide(name):
    field = field_on(name, depth=1)
    x = point_of(field.action)
    assert_finite_derivatives(field, jnp.zeros_like(x))
    assert_finite_derivatives(field, jnp.broadcast_to(x[:1], x.shape))


def test_derivatives_are_finite_at_poles():
    assert_finite_derivatives(field_on("SPHERE_AXIS", depth=1), jnp.asarray([0.0, 0.0, 1.0]))
    assert_finite_derivatives(field_on("ROTATIONS_CONJUGATION", depth=1), jnp.eye(3))


# Products.


@pytest.mark.parametrize(
    "rep",
    [
        2 * V(Lorentz()) + trivial(Lorentz()),
        2 * V(SO(3)),
        2 * V(Sp(1)) + V(Sp(1)).sym(2),
        trivial(Cyclic(3)) + 2 * irrep(Cyclic(3), 1),
    ],
    ids=str,
)
def test_products_are_equivariant_and_quadratic(rep, getkey):
    out = rep + trivial(rep.group)
    product = Bilinear(rep, out, key=KEY)
    x = jax.random.normal(getkey(), (rep.dim,))
    assert equivariance(product, LinearAction(rep), LinearAction(out), x, key=getkey()).passed
    y = eqx.filter_jit(product)(x)
    assert float(jnp.abs(y).max()) > 1e-2
    vectors = np.array([block.dim > 1 for m, block in out.blocks for _ in range(m * block.dim)])
    np.testing.assert_allclose(eqx.filter_jit(product)(3 * x)[vectors], 9 * y[vectors], atol=1e-12)
    assert np.abs(y[~vectors]).max() < 1


def test_lorentz_vectors_reach_their_products():
    """Without products a network of Lorentz vectors would be linear: with them gates open with t^2 - |x|^2."""
    rep, hidden = V(Lorentz()), 2 * trivial(Lorentz()) + 2 * V(Lorentz())
    x, y = jnp.asarray([1.3, 0.2, 0.1, 0.4]), jnp.asarray([0.3, 0.2, 1.1, 0.4])
    with_products = eqx.filter_jit(EquivariantMLP(rep, trivial(Lorentz()), hidden, 2, key=KEY))
    without = eqx.filter_jit(EquivariantMLP(rep, trivial(Lorentz()), hidden, 2, bilinear=False, key=KEY))
    np.testing.assert_allclose(without(x), without(y), atol=1e-12)
    assert float(jnp.abs(with_products(x) - with_products(y)).max()) > 1e-3


def test_products_are_variance_preserving():
    rep = 6 * V(O(3)) + 4 * V(O(3)).sym(2)
    product = Bilinear(rep, rep, key=KEY)
    y = eqx.filter_jit(product)(jax.random.normal(KEY, (300, rep.dim)))
    assert 0.3 < float(jnp.var(y)) < 3


def test_orthogonal_networks_have_the_weights_they_always_had():
    rep = V(O(2))
    hidden = 3 * trivial(O(2)) + 2 * rep
    plain, more = (EquivariantMLP(rep, rep, hidden, key=KEY, bilinear=b) for b in (None, True))
    assert plain.products == ()
    assert len(more.products) == 2
    for a, b in zip(jax.tree.leaves(plain.layers), jax.tree.leaves(more.layers), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_with_products_restricts_to_a_subgroup(getkey):
    group, subgroup = O(3), SO(3)
    rep = V(group)
    network = EquivariantMLP(rep, rep, 2 * trivial(group) + 2 * rep, 1, bilinear=True, key=KEY)
    smaller = restrict(network, group, subgroup)
    x = jax.random.normal(getkey(), (3,))
    np.testing.assert_allclose(eqx.filter_jit(smaller)(x), eqx.filter_jit(network)(x), atol=1e-6)
    assert smaller.products[0].rep_in.group == subgroup


# What a network is told about points.


def test_features_follow_the_points():
    assert features(pairs.PLANE_O2) == V(O(2))
    assert features(pairs.TWO_VECTORS_O2) == 2 * V(O(2))
    assert features(pairs.THREE_POINTS_E2).group == O(2)
    assert features(pairs.CLOUD_E2).group == DirectProduct(O(2), Symmetric(3))
    assert features(pairs.TORUS).dim == 6


@pytest.mark.parametrize("name", ["AXIS_SPACE", "PLANE_O2"])
@pytest.mark.parametrize("permuted", [False, True])
def test_points_are_put_into_blocks_as_the_representation_moves_them(name, permuted, getkey):
    """rho(g) flat(x) = flat(g x), also where a point has blocks of several kinds."""
    from equivax.fields._coordinates import coordinates_of

    one = getattr(pairs, name)
    action = PermutingAction(one, 3) if permuted else pairs.PowerAction(one, 3)
    view = coordinates_of(action, "test")
    x, g = point_of(action), np.asarray(action.group.sample(key=getkey()))
    np.testing.assert_allclose(view.flat(action(g, x)), view.rep.rho(g) @ view.flat(x), atol=1e-12)
    np.testing.assert_allclose(view.tangent(view.flat(x)), x, atol=1e-15)


def test_the_network_of_a_torus_needs_no_more_than_differences_of_angles(getkey):
    """2 x_1 + x_2 is all that is invariant of the first two angles with weights 1 and -2."""
    field = eqx.filter_jit(field_on("TORUS"))
    x = point_of(pairs.TORUS)
    np.testing.assert_allclose(field(0.1, x + jnp.asarray([0.7, -1.4, 0.0])), field(0.1, x), atol=1e-12)
    for other in ([0.7, 0.0, 0.0], [0.0, 0.7, 0.0], [0.0, 0.0, 0.7]):
        assert float(jnp.abs(field(0.1, x + jnp.asarray(other)) - field(0.1, x)).max()) > 1e-4


def test_the_wrong_group_is_noticed():
    x = point_of(pairs.TWO_VECTORS_SP1)
    larger = pairs.PowerAction(LinearAction(V(pairs.GL(2))), 2)
    table = field_equivariance(field_on("TWO_VECTORS_SP1"), x, key=KEY, action=larger)
    assert table.exit_code == 1


@pytest.mark.parametrize(
    ("action", "hidden", "message"),
    [
        (AffineAction(E(2)), 2, "differences of points"),
        (FunctionAction(SO(2), Sphere(2), lambda g, x: x), 2, "moves linearly"),
        (pairs.CLOUD_E2, 2 * V(O(2)), r"features\(action\)\.group"),
        (LinearAction(V(Sp(1)) + trivial(Sp(1)), Sphere(2)), 2, "does not keep that projection"),
    ],
    ids=["one point", "nonlinear", "hidden", "projection"],
)
def test_what_does_not_fit_is_refused(action, hidden, message):
    with pytest.raises(GroupError, match=message):
        NetworkField(action, hidden, key=KEY)
