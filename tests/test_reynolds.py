"""Averages over the whole group: exact for finite groups, by quadrature to a degree, in distribution when sampled."""

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
    flows,
    gap,
    point_of,
    random_like,
    size,
    some,
)

from equivax.fields import HaarRule, PlainMLP, ReynoldsField, haar_rule, sampled_rule
from equivax.laws import field_equivariance
from equivax.symmetry import (
    SO,
    SU,
    Cyclic,
    Dihedral,
    DirectProduct,
    GroupError,
    LinearAction,
    MatrixGroup,
    O,
    PermutingAction,
    Symmetric,
    U,
    defining,
    invariants,
    irrep,
)

KEY = jax.random.key(4)
POLYHEDRAL = LinearAction(defining(Dihedral(5)))


class Quadratic(eqx.Module):
    """N(t, x) = b + t c + A x + Q(x, x): of degree 2, and of no symmetry."""

    weights: dict

    def __init__(self, n):
        shapes = {"b": (n,), "c": (n,), "A": (n, n), "Q": (n, n, n)}
        self.weights = random_like({k: jnp.zeros(s, jnp.float32) for k, s in shapes.items()}, seed=n)

    def __call__(self, t, x, args=None):
        w, z = self.weights, x.reshape(-1)
        return (w["b"] + t * w["c"] + (w["A"] + w["Q"] @ z) @ z / z.size).reshape(x.shape) / 2


class Trigonometric(eqx.Module):
    """N(t, x) = b + A cos x + B sin x: of degree 1 on a torus."""

    weights: tuple

    def __init__(self, n):
        self.weights = random_like(tuple(jnp.zeros(s, jnp.float32) for s in ((n,), (n, n), (n, n))))

    def __call__(self, t, x, args=None):
        b, A, B = self.weights
        return b + A @ jnp.cos(x) + (1 + t) * B @ jnp.sin(x)


# A pair; the degree of g_* N(t, g^-1 x) in g for quadratic N.
PAIRS = {
    "plane SO(2)": (pairs.PLANE_SO2, 3),
    "plane O(2)": (pairs.PLANE_O2, 3),
    "plane C4": (pairs.PLANE_C4, 0),
    "plane D3": (pairs.PLANE_D3, 0),
    "space SO(3)": (pairs.SPACE_SO3, 3),
    "two vectors O(2)": (pairs.TWO_VECTORS_O2, 3),
    "two vectors SO(3)": (pairs.TWO_VECTORS_SO3, 3),
    "three vectors O(3)": (pairs.THREE_VECTORS_O3, 3),
    "space about an axis": (pairs.AXIS_SPACE, 3),
    "sphere about an axis": (pairs.SPHERE_AXIS, 3),
    "torus": (pairs.TORUS, 2),
    "rotations by conjugation": (pairs.ROTATIONS_CONJUGATION, 6),
    "rotations by SO(3)": (pairs.ROTATIONS_LEFT, 3),
    "Stiefel by SO(3)": (pairs.STIEFEL_LEFT, 3),
    "SPD by O(2)": (pairs.SPD_CONGRUENCE_O, 6),
    "hyperbolic plane turned": (pairs.HYPERBOLIC_TURNS, 3),
    "spinors SU(2)": (LinearAction(defining(SU(2))), 3),
    "phases U(1)": (LinearAction(2 * defining(U(1))), 3),
    "vectors O(2) x S3": (PermutingAction(pairs.PLANE_O2, 3), 3),
    "numbers S4": (LinearAction(defining(Symmetric(4))), 0),
}


def field_of(name):
    action, degree = PAIRS[name]
    network = Trigonometric(3) if name == "torus" else Quadratic(int(np.prod(action.space.shape)))
    return ReynoldsField(network, action, haar_rule(action.group, degree))


@pytest.mark.parametrize("name", PAIRS)
def test_averages_of_polynomials_are_equivariant_to_rounding(name):
    assert_equivariant_field(field_of(name))


@pytest.mark.parametrize("name", some(PAIRS))
def test_in_single_precision_too(name):
    assert_equivariant_field(field_of(name), dtype=jnp.float32)


@flows(PAIRS)
def test_flows_are_equivariant(name, dtype):
    assert_equivariant_flow(field_of(name), t1=0.2, dtype=dtype)


@pytest.mark.parametrize("name", ["plane O(2)", "space SO(3)", "sphere about an axis", "SPD by O(2)", "numbers S4"])
def test_averages_are_smooth_at_every_stabiliser(name):
    field = field_of(name)
    x = point_of(field.action)
    symmetric = (
        jnp.eye(2) if name == "SPD by O(2)" else jnp.zeros_like(x).at[-1].set(1.0 if name.startswith("sphere") else 0.0)
    )
    assert_finite_derivatives(field, symmetric)
    # Not only finite: the difference quotient finds the derivative.
    v = field.action.space.to_tangent(symmetric, jnp.ones_like(x))
    f = jax.jit(lambda s: field(0.0, field.action.space.retract(symmetric, s * v), None))
    slope = (f(1e-6) - f(-1e-6)) / 2e-6
    np.testing.assert_allclose(slope, jax.jvp(f, (0.0,), (1.0,))[1], atol=1e-7)


# The rules.


@pytest.mark.parametrize(
    ("group", "degree"),
    [(SO(2), 5), (O(2), 4), (U(1), 4), (SO(3), 4), (SO(3), 5), (O(3), 3), (SU(2), 3), (SU(2), 4), (Cyclic(5), 0)],
    ids=str,
)
def test_a_rule_projects_on_invariants_up_to_its_degree_and_no_further(group, degree):
    rule = haar_rule(group, degree)
    np.testing.assert_allclose(rule.weights.sum(), 1, rtol=1e-14)
    assert np.all(rule.weights > 0)
    errors = []
    for k in range(1, degree + 2 if degree else 7):
        rep, vectors = defining(group).sym(k), invariants(defining(group).sym(k)).vectors
        mean = sum(w * np.asarray(rep.rho(g)) for w, g in zip(rule.weights, rule.elements, strict=True))
        errors.append(np.abs(mean - vectors.T @ vectors).max())
    if degree:
        assert max(errors[:-1]) < 1e-13
        assert errors[-1] > 1e-2, "sharp: one degree more is not integrated"
    else:
        assert max(errors) < 1e-13


@pytest.mark.parametrize("degree", [2, 5])
def test_wigner_matrices_are_orthogonal_under_the_rule(degree):
    # int D^l_mn(g) D^k_pq(g) dg = delta / (2 l + 1) needs degree l + k, here j and k; real irreps of SO(3).
    rule = haar_rule(SO(3), degree)
    j = degree // 2
    for k in (j, degree - j):
        D, B = (np.stack([np.asarray(irrep(SO(3), i).rho(g)) for g in rule.elements]) for i in (j, k))
        gram = np.einsum("g,gmn,gpq->mnpq", rule.weights, D, B)
        n = 2 * j + 1
        expected = np.einsum("mp,nq->mnpq", np.eye(n), np.eye(n)) / n if k == j else np.zeros_like(gram)
        np.testing.assert_allclose(gram, expected, atol=1e-13)


def test_a_network_that_is_no_polynomial_is_equivariant_up_to_an_error_that_falls_exponentially():
    action = pairs.TWO_VECTORS_O2
    network = PlainMLP(action.space, 8, 1, activation=jnp.tanh, key=KEY)
    x = 0.5 * point_of(action)
    errors = []
    for degree in (3, 7, 15, 31):
        field = eqx.filter_jit(eqx.Partial(ReynoldsField(network, action, haar_rule(O(2), degree)), 0.3))
        g = elements_of(action)
        errors.append(max(gap(field(action(h, x)), action.push(h, x, field(x))) for h in g))
    assert errors[0] > 1e-6
    assert errors[3] < 1e-12
    # The number of correct digits is proportional to the degree: at least doubled by twice as many nodes.
    assert np.log(errors[1]) < 1.5 * np.log(errors[0])
    assert np.log(errors[2]) < 1.5 * np.log(errors[1])


def test_nodes_that_are_permuted_are_kept_to_rounding_whatever_the_network():
    # The quadrature's own finite symmetry: eight equally spaced turns are the group C_8.
    network = PlainMLP(pairs.PLANE_SO2.space, 8, 1, key=KEY)
    field = ReynoldsField(network, pairs.PLANE_SO2, haar_rule(SO(2), 7))
    x = point_of(pairs.PLANE_SO2)
    for g in Cyclic(8).elements:
        assert gap(field(0.3, g @ x), g @ field(0.3, x)) < 1e-14
    assert gap(ReynoldsField(network, LinearAction(defining(Cyclic(8))))(0.3, x), field(0.3, x)) < 1e-14


def test_an_equivariant_network_stays_what_it_was():
    def network(t, x, args):
        return jnp.cross(x[0], x[1])[None] * jnp.sin(t) + x * jnp.sum(x[0] * x[1])

    x = point_of(pairs.TWO_VECTORS_SO3)
    field = ReynoldsField(network, pairs.TWO_VECTORS_SO3, haar_rule(SO(3), 4))
    np.testing.assert_allclose(field(0.3, x), network(0.3, x, None), atol=1e-13)


def test_labels_say_how_far_a_rule_is_to_be_trusted():
    assert haar_rule(Symmetric(3)).label == "exact"
    assert haar_rule(SO(3), 5).label == "quadrature of degree 5"
    assert haar_rule(DirectProduct(O(2), Symmetric(3)), 2).label == "quadrature of degree 2"
    assert haar_rule(DirectProduct(Cyclic(2), Symmetric(3))).label == "exact"
    sampled = sampled_rule(SO(4), 16, key=KEY)
    assert sampled.label == "in distribution"
    assert ReynoldsField(
        PlainMLP(LinearAction(defining(SO(4))).space, key=KEY), LinearAction(defining(SO(4))), sampled
    ).label == ("in distribution")


def test_rules_are_values():
    same = haar_rule(SO(3), 2)
    assert HaarRule(same.group, same.elements, same.weights, same.label) == same
    assert hash(HaarRule(same.group, same.elements, same.weights, same.label)) == hash(same)
    assert same != haar_rule(SO(3), 3)


def test_a_sampled_average_is_equivariant_in_distribution_only():
    # Over many draws the mean of g_* f(g^-1 x) - f(x) vanishes, while each draw is off.
    action, x = pairs.PLANE_SO2, point_of(pairs.PLANE_SO2)
    network = Quadratic(2)
    g = elements_of(action)[-1]

    def mismatch(key):
        rule = sampled_rule(SO(2), 16, key=key)
        field = ReynoldsField(network, action, rule)
        return action.push(g, x, field(0.0, x)) - field(0.0, action(g, x))

    each = np.stack([mismatch(key) for key in jax.random.split(KEY, 60)])
    spread = each.std(axis=0)
    assert spread.max() > 1e-2
    assert np.all(np.abs(each.mean(axis=0)) < 4 * spread / np.sqrt(60))


def test_a_circle_of_any_speed_has_a_period():
    J = np.array([[0.0, -1], [1, 0]])
    zero = np.zeros((2, 2))
    slow = MatrixGroup([np.block([[2 * J / 3, zero], [zero, J]])])  # closes after 6 pi
    assert_equivariant_field(ReynoldsField(Quadratic(4), LinearAction(defining(slow)), haar_rule(slow, 9)))
    dense = MatrixGroup([np.block([[J, zero], [zero, np.sqrt(2) * J]])])
    with pytest.raises(GroupError, match="winds"):
        haar_rule(dense)


# What is refused.


def test_groups_without_an_average_are_refused():
    with pytest.raises(GroupError, match="not compact"):
        ReynoldsField(Quadratic(2), pairs.BOOSTS)
    with pytest.raises(GroupError, match="not compact"):
        ReynoldsField(Quadratic(4), pairs.TWO_POINTS_SE2)
    with pytest.raises(GroupError, match="sampled_rule"):
        haar_rule(SO(4))
    with pytest.raises(GroupError, match="not compact"):
        sampled_rule(pairs.SCALING.group, 4, key=KEY)
    with pytest.raises(ValueError, match="averages over SO"):
        ReynoldsField(Quadratic(2), pairs.PLANE_O2, haar_rule(SO(2)))


def test_a_network_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"f64\[2\].*returned f64\[3\]"):
        ReynoldsField(lambda t, x, args: jnp.zeros(3), pairs.PLANE_C4)(0.0, jnp.ones(2))
    with pytest.raises(ValueError, match=r"f32\[2\]"):
        ReynoldsField(lambda t, x, args: jnp.zeros(2), pairs.PLANE_C4)(0.0, jnp.ones(2, jnp.float32))


def test_the_wrong_group_is_noticed():
    field = ReynoldsField(Quadratic(2), LinearAction(defining(SO(2))), haar_rule(SO(2), 3))
    wider = eqx.tree_at(lambda f: f.action, field, pairs.PLANE_O2)
    assert not field_equivariance(wider, point_of(pairs.PLANE_O2), t=0.3, key=KEY).passed
    coarse = ReynoldsField(Quadratic(2), LinearAction(defining(SO(2))), haar_rule(SO(2), 1))
    assert not field_equivariance(coarse, point_of(pairs.PLANE_SO2), t=0.3, key=KEY).passed
    assert size(field(0.3, point_of(pairs.PLANE_SO2))) > 1e-3
