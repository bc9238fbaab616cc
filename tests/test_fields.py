"""Fields, layers and nonlinearities: equivariant, smooth, convergent; and the wrong group is refused."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objects import FIELDS, GRID, KEY, MAPS, MIXED, name_of, signal_field

from equivax.fields import (
    Bias,
    DifferentialInvariantField,
    EquivariantMLP,
    Gated,
    GaussianJet,
    Intertwiner,
    InvariantPotential,
    Knots,
    NetworkField,
    NormGate,
    Pointwise,
    SteerableLayer,
    SteerableOperator,
    default_nonlinearity,
    in_turned_frame,
)
from equivax.fields._bounds import jet_norm
from equivax.fields._jets import dense_jet
from equivax.geometry import Euclidean, PixelGrid
from equivax.laws import (
    equivariance,
    equivariance_by_element,
    field_equivariance,
    infinitesimal_equivariance,
    rejects,
    rounding,
)
from equivax.symmetry import (
    SO,
    Cyclic,
    Dihedral,
    GroupError,
    LinearAction,
    MatrixGroup,
    O,
    SignalAction,
    TrivialAction,
    basis,
    defining,
    irrep,
    regular,
    rotation,
    trivial,
)

# Every field and every map, under its own action.


@pytest.mark.parametrize("item", FIELDS, ids=name_of)
def test_fields_are_equivariant(item, getkey):
    field = item[1]()
    x = field.action.space.random_point(key=getkey())
    table = field_equivariance(field, x, t=0.3, key=getkey())
    assert table.passed, str(table)
    assert not table[0].vacuous


@pytest.mark.parametrize("item", MAPS, ids=name_of)
def test_maps_are_equivariant(item, getkey):
    f, action_in, action_out = item[1]()
    x = action_in.space.random_point(key=getkey())
    verdict = equivariance(f, action_in, action_out, x, key=getkey())
    assert verdict.passed, str(verdict)
    if not isinstance(action_in, SignalAction):
        table = infinitesimal_equivariance(f, action_in, action_out, x)
        assert table.passed, str(table)
        assert all(v.passed for v in table)


def test_everything_is_equivariant_in_float32_as_well(getkey):
    for f, action_in, action_out in (MAPS[i][1]() for i in (3, 7)):
        x = action_in.space.random_point(key=getkey(), dtype=jnp.float32)
        verdict = equivariance(f, action_in, action_out, x, key=getkey())
        assert verdict.passed, str(verdict)
        assert verdict.tolerance == rounding(jnp.float32)


# The wrong group is refused.


def test_rotations_of_vectors_are_not_reflections(getkey):
    # Equivariant under C_8, whose commutant on the plane is C: i v turns, and a mirror turns it the other way.
    jet = GaussianJet(GRID, GRID, 1, 1.0)
    layer = SteerableOperator(irrep(Cyclic(8), 1), irrep(Cyclic(8), 1), jet, key=KEY)
    u = jax.random.normal(getkey(), (GRID.size, 2))
    small, large = (SignalAction(irrep(G, 1), GRID) for G in (Cyclic(8), Dihedral(8)))
    assert equivariance(layer, small, small, u).passed
    assert rejects(layer, large, large, u).passed
    marks = {v.name.split()[0]: v.mark for v in equivariance_by_element(layer, large, large, u)}
    assert marks == {"identity": "vacuous", "rotation": "pass", "reflection": "FAIL"}


def test_a_field_refuses_a_group_that_is_too_large(getkey):
    field = NetworkField(LinearAction(defining(Cyclic(3))), 2 * regular(Cyclic(3)), 1, key=KEY)
    x = jax.random.normal(getkey(), (2,))
    assert field_equivariance(field, x, key=getkey()).passed
    assert field_equivariance(field, x, key=getkey(), action=LinearAction(defining(SO(2)))).exit_code == 1


def test_a_constant_layer_is_vacuous(getkey):
    layer = MAPS[6][1]()[0]
    silent = eqx.tree_at(lambda s: s.operator.weights, layer, tuple(0 * w for w in layer.operator.weights))
    u = jax.random.normal(getkey(), (GRID.size, 1))
    verdict = equivariance(silent, layer.action_in, layer.action_out, u)
    assert verdict.vacuous
    assert not verdict.passed
    assert equivariance(layer, layer.action_in, layer.action_out, u).passed


def test_a_bias_that_is_not_invariant_is_noticed(getkey):
    layer = MAPS[6][1]()[0]

    def tilted(u):
        return layer(u) + 0.01 * u[:, :1] * jnp.arange(8.0)[None]

    u = jax.random.normal(getkey(), (GRID.size, 1))
    assert rejects(tilted, layer.action_in, layer.action_out, u).passed


# Gaussian jets.


def exact_jet(x, order, sigma, centre=(0.7, -0.4), width=0.9):
    """Derivatives of (G_sigma * bump) at points x, where bump = exp(-|x - c|^2 / (2 w^2)): a Gaussian again."""
    wider = width**2 + sigma**2

    def smoothed(p):
        return width**2 / wider * jnp.exp(-jnp.sum((p - jnp.asarray(centre)) ** 2) / (2 * wider))

    rows, derivative = [], smoothed
    for k in range(order + 1):
        tensor = np.asarray(jax.jit(jax.vmap(derivative))(jnp.asarray(x))).reshape(len(x), -1)
        # Entry with a last indices equal to y: d_x^(k-a) d_y^a.
        rows += [math.sqrt(math.comb(k, a)) * sigma**k * tensor[:, 2**a - 1] for a in range(k + 1)]
        derivative = jax.jacfwd(derivative)
    return np.stack(rows)


def normalisation(order):
    """c_k: on white noise, each component of order k has the same mean energy for all k; one number for each jet."""
    gamma = math.gamma
    factors = []
    for k in range(order + 1):
        energy = [math.comb(k, a) * gamma(a + 0.5) * gamma(k - a + 0.5) for a in range(k + 1)]
        factors += (k + 1) * [2 * math.pi / math.sqrt(sum(energy) / (k + 1))]
    return np.array(factors)[:, None]


def bump_on(grid, centre=(0.7, -0.4), width=0.9):
    return jnp.asarray(np.exp(-np.sum((grid.points - np.asarray(centre)) ** 2, axis=1) / (2 * width**2))[:, None])


def test_jets_are_derivatives_of_the_smoothed_signal():
    order, sigma = 3, 0.8
    target = PixelGrid(3, 3, 0.6)
    truth = normalisation(order) * exact_jet(target.points, order, sigma)
    errors = []
    for n in (10, 14, 32):
        source = PixelGrid(n, n, 14.0 / n)
        jet = GaussianJet(source, target, order, sigma)
        errors.append(np.abs(np.asarray(jet(bump_on(source)))[..., 0] - truth).max() / np.abs(truth).max())
    # Aliasing falls as exp(-2 (pi sigma / h)^2 ...): faster than any power of the spacing, down to rounding.
    assert errors[0] < 0.5
    assert errors[1] < errors[0] * (10 / 14) ** 6, "sixth order at least"
    assert errors[2] < 1e-12


def test_dense_and_separable_jets_agree(getkey):
    jet = GaussianJet(PixelGrid(6, 9), PixelGrid(4, 6, 1.5), 3, 1.1)
    u = jax.random.normal(getkey(), (54, 2))
    assert jet(u).shape == (jet.size, 24, 2)
    np.testing.assert_allclose(jet(u), jet._separable(u), atol=1e-12)


def test_jets_turn_by_symmetric_powers(getkey):
    jet = GaussianJet(GRID, GRID, 2, 1.0)
    u = jax.random.normal(getkey(), (GRID.size, 1))
    action = SignalAction(trivial(O(2)), GRID)
    V = defining(O(2))
    blocks = V.sym(0) + V.sym(1) + V.sym(2)
    for g in (rotation(np.pi / 2), np.diag([1.0, -1.0])):
        turned, before = jet(action(g, u))[..., 0].T, jet(u)[..., 0].T
        np.testing.assert_allclose(turned, SignalAction(blocks, GRID)(g, before), atol=1e-12)


def test_jets_weigh_orders_alike_on_noise(getkey):
    jet = GaussianJet(PixelGrid(17, 17), PixelGrid(1, 1), 3, 2.0)
    kernels = jet(jnp.eye(17 * 17))[:, 0]
    energy = np.asarray(jnp.sum(kernels**2, axis=1))
    means = [energy[k * (k + 1) // 2 :][: k + 1].mean() for k in range(4)]
    np.testing.assert_allclose(means, means[0], rtol=1e-2)


def test_jets_that_miss_the_gaussian_are_refused():
    with pytest.raises(ValueError, match=r"under 0\.4"):
        GaussianJet(GRID, GRID, 1, 0.2)
    with pytest.raises(ValueError, match="order >= 0"):
        GaussianJet(GRID, GRID, -1, 1.0)


# The continuous symmetry of discretised operators, by its order.


@pytest.mark.parametrize("entries", [0, 10**9], ids=["along axes", "dense"])
def test_a_turned_jet_is_the_jet_of_the_turned_signal(entries, monkeypatch):
    monkeypatch.setattr("equivax.fields._jets.DENSE_ENTRIES", entries)
    grid, angle = PixelGrid(24, 24), 0.4

    def sampled(points):
        return jnp.exp(-((points[:, :1] - 2) ** 2 + 2 * (points[:, 1:] + 1) ** 2) / 16)

    points = jnp.asarray(grid.points)
    u, v = sampled(points), sampled(points @ rotation(angle).T)  # v(x) = u(R x)
    jet = GaussianJet(grid, PixelGrid(1, 1), 4, 2.0)
    turned = in_turned_frame(jet, angle)
    np.testing.assert_allclose(turned(u), jet(v), rtol=0, atol=1e-8)
    assert float(jnp.abs(jet(u) - jet(v)).max()) > 0.1
    # The same in both its forms: applied, and contracted with signals of its own for every coordinate.
    w = jax.random.normal(jax.random.key(1), (jet.size, grid.size, 2), jnp.float64)
    each = sum(turned(w[k])[k] for k in range(jet.size))
    np.testing.assert_allclose(turned.contract(w), each, rtol=0, atol=1e-12)
    # Norms, which bounds rest on, do not see it.
    assert jet_norm(turned) == jet_norm(jet)
    np.testing.assert_allclose(
        np.linalg.norm(dense_jet(grid, jet.target, 4, 2.0, turn=angle), 2), jet_norm(jet), rtol=1e-10
    )


def test_a_model_in_a_turned_frame_turns_back_after_its_own_turn():
    grid, rep = PixelGrid(14, 14), regular(Cyclic(4))
    field = DifferentialInvariantField(rep, grid, order=2, sigma=1.2, knots=2, key=KEY)
    u = jax.random.normal(jax.random.key(1), (grid.size, 4), jnp.float64)
    rate = field(0.3, u)
    # F commutes with a quarter turn of pixels and fibres together: turning the pixels alone is turning the fibres back.
    quarter = jnp.asarray(rep.rho(rotation(np.pi / 2)))
    np.testing.assert_allclose(in_turned_frame(field, np.pi / 2)(0.3, u @ quarter), rate @ quarter, rtol=0, atol=1e-6)
    between = in_turned_frame(field, np.pi / 4)
    assert float(jnp.abs(between(0.3, u) - rate).max()) > 1e-2
    np.testing.assert_allclose(in_turned_frame(between, -np.pi / 4)(0.3, u), rate, rtol=0, atol=1e-12)


def test_equivariance_at_other_angles_converges():
    """A layer on a band-limited signal, rotated by 30 degrees exactly: what is left falls faster than any power."""
    rep_in, rep_out = trivial(SO(2)), irrep(SO(2), 2)
    angle, errors = math.pi / 6, []
    for n in (8, 12, 24):
        grid = PixelGrid(n, n, 12.0 / n)
        point = PixelGrid(1, 1, 1.0)
        op = SteerableOperator(rep_in, rep_out, GaussianJet(grid, point, 2, 1.0), key=KEY)
        turned = rotation(angle) @ [0.7, -0.4]
        left = op(bump_on(grid, turned))[0]
        right = rep_out.rho(rotation(angle)) @ op(bump_on(grid))[0]
        errors.append(float(jnp.linalg.norm(left - right) / jnp.linalg.norm(right)))
    assert errors[1] < errors[0] / 10
    assert errors[2] < 1e-9


# Nonlinearities.


@pytest.mark.parametrize("make", [NormGate, Gated], ids=["norm gate", "gated"])
def test_nonlinearities_are_smooth_at_zero(make):
    s = make(trivial(O(2)) + 2 * irrep(O(2), 1))
    zero = jnp.zeros(s.rep_in.dim)
    derivatives = jax.jit(lambda x: (jax.jacfwd(s)(x), jax.jacfwd(jax.jacrev(s))(x)))
    first, second = derivatives(zero)
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()
    assert np.abs(first).max() > 0.1
    # The same derivatives nearby: no kink that a value at 0 would hide.
    first_near, second_near = derivatives(jnp.full_like(zero, 1e-6))
    np.testing.assert_allclose(first_near, first, atol=1e-5)
    np.testing.assert_allclose(second_near, second, atol=1e-4)


def test_nonlinearities_are_refused_where_they_are_not_equivariant():
    with pytest.raises(GroupError, match="does not permute"):
        Pointwise(regular(Cyclic(4)) + irrep(Cyclic(4), 1))
    shear = MatrixGroup([[[0.0, 1.0], [0.0, 0.0]]])
    with pytest.raises(GroupError, match="orthogonal"):
        NormGate(defining(shear))


def test_the_default_nonlinearity_follows_the_representation():
    assert isinstance(default_nonlinearity(2 * regular(Cyclic(4)) + trivial(Cyclic(4))), Pointwise)
    assert isinstance(default_nonlinearity(MIXED), NormGate)


def test_gates_are_counted_by_copies():
    s = Gated(MIXED)
    assert s.gates == 3
    assert s.rep_in.dim == MIXED.dim + 3
    assert Gated(2 * regular(Cyclic(4))).rep_in == 2 * regular(Cyclic(4))


# Linear maps.


def test_weights_count_dimensions_of_bases():
    rep_in, rep_out = 3 * regular(Cyclic(4)) + 2 * trivial(Cyclic(4)), 2 * regular(Cyclic(4))
    f = Intertwiner(rep_in, rep_out, use_bias=False, key=KEY)
    assert sum(w.size for w in f.weights) == len(basis(rep_in >> rep_out))
    op = SteerableOperator(rep_in, rep_out, GaussianJet(GRID, GRID, 2, 1.0), key=KEY)
    assert sum(w.size for w in op.weights) == (3 * 2 * 4 + 2 * 2) * (1 + 2 + 3)
    assert sum(w.size for w in Bias(rep_out).weights) == 2


def test_maps_start_with_unit_variance():
    rep = 16 * trivial(O(2)) + 16 * irrep(O(2), 1) + 16 * irrep(O(2), 2)
    x = jax.random.normal(KEY, (200, rep.dim))
    y = eqx.filter_jit(Intertwiner(rep, rep, use_bias=False, key=KEY))(x)
    assert 0.6 < float(jnp.var(y)) < 1.6


def test_a_map_without_intertwiners_is_zero():
    f = Intertwiner(irrep(SO(2), 1), irrep(SO(2), 2), key=KEY)
    np.testing.assert_array_equal(f(jnp.ones(2)), [0.0, 0.0])


# Time.


def test_hats_sum_to_one_and_hit_their_knots():
    knots = Knots(lambda k: {"w": jax.random.normal(k, (2,))}, 4, t0=1.0, t1=3.0, key=KEY)
    for t in (1.0, 1.23, 2.0, 2.9, 3.0):
        assert float(jnp.sum(knots.hats(t, jnp.float64))) == pytest.approx(1, abs=1e-14)
    for j in range(4):
        np.testing.assert_allclose(knots(1.0 + 0.5 * j)["w"], knots.stack["w"][j])
    np.testing.assert_allclose(knots(1.25)["w"], knots.stack["w"][:2].mean(0))
    np.testing.assert_allclose(knots(3.0)["w"], knots.stack["w"][3])
    one = Knots(lambda k: jnp.ones(2), 1, key=KEY)
    np.testing.assert_allclose(one(0.7), 1.0)


def test_dropout_is_equivariant_and_continuous_in_time(getkey):
    field = signal_field(2 * regular(Cyclic(4)), hidden=6 * regular(Cyclic(4)), knots=3, dropout=0.5)
    u, key = jax.random.normal(getkey(), (GRID.size, 8)), getkey()
    table = field_equivariance(field, u, t=0.2, args=key)
    assert table.passed, str(table)
    rhs = eqx.filter_jit(field)
    full, dropped = rhs(0.2, u, None), rhs(0.2, u, key)
    assert float(jnp.abs(full - dropped).max()) > 1e-3
    np.testing.assert_array_equal(dropped, rhs(0.2, u, key))
    hidden = 6 * regular(Cyclic(4))

    def mask(t):
        return np.asarray(field._mask(t, hidden, key))

    assert set(np.unique(mask(0.0))) <= {0.0, 2.0}
    copies = mask(0.2).reshape(6, 4)
    np.testing.assert_array_equal(copies, np.repeat(copies[:, :1], 4, axis=1))
    for t in (1 / 3, 0.5, 2 / 3):
        assert np.abs(mask(t + 1e-3) - mask(t - 1e-3)).max() < 0.02
    masks = np.stack([np.asarray(field._mask(0.1, hidden, k)) for k in jax.random.split(getkey(), 100)])
    assert masks.mean() == pytest.approx(1, abs=0.1)


def test_a_pure_reaction_has_order_zero(getkey):
    field = signal_field(regular(Cyclic(4)))
    reaction = SteerableLayer(regular(Cyclic(4)), regular(Cyclic(4)), GaussianJet(GRID, GRID, 0, 1.0), key=KEY)
    assert reaction.operator.symbol.shape == (1, 4, 4)
    assert field.terms(0.0).layer.operator.symbol.shape == (6, 4, 4)


# Fields.


def test_fields_add_only_under_one_action():
    def network(rep):
        return NetworkField(LinearAction(rep), 2 * trivial(SO(2)), 1, key=KEY)

    f, g = network(irrep(SO(2), 1)), network(irrep(SO(2), 2))
    x = jnp.asarray([0.3, 0.4])
    sums, thrice = (eqx.filter_jit(h)(0.1, x, None) for h in (f + 2 * f, 3 * f))
    np.testing.assert_allclose(sums, thrice, rtol=1e-12)
    with pytest.raises(ValueError, match="different actions"):
        _ = f + g


def test_potentials_are_invariant_and_need_invariants(getkey):
    V = InvariantPotential(defining(Cyclic(3)), 3, width=8, key=KEY)
    action = LinearAction(defining(Cyclic(3)))
    x = jax.random.normal(getkey(), (2,))
    numbers = TrivialAction(Cyclic(3), Euclidean(()))
    assert equivariance(lambda x: V(0.1, x), action, numbers, x, key=getkey()).passed
    larger = LinearAction(defining(SO(2)))
    assert rejects(lambda x: V(0.1, x), larger, TrivialAction(SO(2), Euclidean(())), x, key=getkey()).passed
    with pytest.raises(ValueError, match="raise `degree`"):
        InvariantPotential(defining(Cyclic(3)), 1, key=KEY)


def test_fields_vanish_where_the_stabiliser_leaves_nothing():
    """Isotropy: f(p) is fixed by the stabiliser of p, so on the sphere a field of turns about z is 0 at the poles."""
    field = FIELDS[1][1]()
    pole = jnp.asarray([0.0, 0.0, 1.0])
    at_pole, at_equator = (eqx.filter_jit(field)(0.3, x, None) for x in (pole, pole[::-1]))
    np.testing.assert_allclose(at_pole, 0, atol=1e-14)
    assert float(jnp.linalg.norm(at_equator)) > 1e-3


def test_networks_use_their_hidden_layers(getkey):
    rep = defining(O(2))
    network = eqx.filter_jit(EquivariantMLP(rep, rep, 4 * trivial(O(2)) + 4 * rep, 1, key=KEY))
    x = jax.random.normal(getkey(), (2,))
    assert not np.allclose(network(2 * x), 2 * network(x)), "gates make it more than linear"


def test_bases_are_as_exact_as_the_data(getkey):
    """Weights are float32; a basis with irrational entries must not be rounded to float32 with them."""
    for rep in (regular(Cyclic(3)), irrep(O(2), 1) ** 2):
        f = Intertwiner(rep, rep, key=KEY)
        x = jax.random.normal(getkey(), (rep.dim,))
        assert equivariance(f, LinearAction(rep), LinearAction(rep), x, key=getkey()).error < 1e-14
