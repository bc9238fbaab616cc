"""What a model has learned, written out: known operators are named, small terms go, and the symmetry stays."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.fields import (
    DifferentialInvariantField,
    GaussianJet,
    Intertwiner,
    SteerableOperator,
    count_terms,
    equation,
    evolution_equation,
    prune,
    simplest,
)
from equivax.geometry import PixelGrid
from equivax.laws import field_equivariance
from equivax.symmetry import SO, Cyclic, O, defining, irrep, regular, trivial

KEY = jax.random.key(11)
GRID = PixelGrid(17, 17, 0.5)
JET = GaussianJet(GRID, GRID, 2, 0.6)
X, Y = GRID.points.T
CENTRE = GRID.size // 2

# By name: the operator applied by hand, at the origin, to the signal with the components below, whose derivatives are known.
SCALAR = 3 + 2 * X - 5 * Y + 0.5 * X**2 + 4 * X * Y - 1.5 * Y**2
VECTOR = np.stack([1 + 2 * X - Y + X**2 + 3 * X * Y, -2 + 4 * X + 7 * Y + 2 * Y**2 - X * Y], axis=1)
SMOOTHED = 3 + 0.6**2 / 2 * (1 - 3)
BY_HAND = {
    ("1", "1"): {"{u}": [SMOOTHED], "Δ{u}": [1 - 3]},
    ("1", "V"): {"∇{u}": [2, -5], "J∇{u}": [5, 2]},
    ("V", "1"): {"div {u}": [2 + 7], "rot {u}": [4 + 1]},
    ("V", "V"): {
        "{u}": [1 + 0.18 * 2, -2 + 0.18 * 4],
        "J {u}": [2 - 0.18 * 4, 1 + 0.18 * 2],
        "Δ{u}": [2, 4],
        "J Δ{u}": [-4, 2],
        # grad div = (u_xx + v_xy, u_xy + v_yy) = (2 - 1, 3 + 4)
        "(2∇div - Δ) {u}": [2 * 1 - 2, 2 * 7 - 4],
        "J (2∇div - Δ) {u}": [-(2 * 7 - 4), 2 * 1 - 2],
    },
}


def only(operator, term):
    """The operator with one of its terms alone, at coefficient 1: by the weights of the term's own equation."""
    flat, unravel = jax.flatten_util.ravel_pytree(operator.weights)
    columns = []
    for j in range(flat.size):
        part = eqx.tree_at(lambda o: o.weights, operator, unravel(jnp.zeros_like(flat).at[j].set(1.0)))
        columns.append({(t.source, t.target, t.operator): t.coefficient for t in equation(part)})
    keys = sorted({key for column in columns for key in column})
    matrix = np.array([[column.get(key, 0.0) for column in columns] for key in keys])
    wanted = np.array([float(key == (term.source, term.target, term.operator)) for key in keys])
    return eqx.tree_at(lambda o: o.weights, operator, unravel(jnp.asarray(np.linalg.solve(matrix, wanted), flat.dtype)))


@pytest.mark.parametrize("pair", BY_HAND, ids=" to ".join)
def test_terms_mean_what_they_say(pair):
    reps = {"1": trivial(SO(2)), "V": defining(SO(2))}
    P = SteerableOperator(reps[pair[0]], reps[pair[1]], JET, key=KEY)
    written = equation(P)
    assert {term.operator for term in written} == set(BY_HAND[pair])
    assert written.possible == len(written)
    np.testing.assert_allclose(sum(term.share for term in written), 1)
    u = jnp.asarray(SCALAR[:, None] if pair[0] == "1" else VECTOR)
    for term in written:
        np.testing.assert_allclose(only(P, term)(u)[CENTRE], BY_HAND[pair][term.operator], atol=2e-4)


def test_regular_features_are_written_in_the_frame_that_turns_with_them():
    G = Cyclic(4)
    P = SteerableOperator(trivial(G), regular(G), JET, key=KEY)
    u = jnp.asarray(SCALAR[:, None])
    by_hand = {"{u}": SMOOTHED, "∂x {u}": 2, "∂y {u}": -5, "∂xx {u}": 1, "∂xy {u}": 4, "∂yy {u}": -3}
    assert {term.operator for term in equation(P)} == set(by_hand)
    total = sum(term.coefficient * by_hand[term.operator] for term in equation(P))
    np.testing.assert_allclose(P(u)[CENTRE, 0], total, rtol=1e-4)


def test_reflections_leave_fewer_terms_and_other_irreps_have_theirs():
    V = defining(O(2))
    written = equation(SteerableOperator(V, trivial(O(2)) + V, JET, key=KEY))
    assert {term.operator for term in written} == {"div {u}", "{u}", "Δ{u}", "(2∇div - Δ) {u}"}
    harmonic = equation(SteerableOperator(trivial(SO(2)), irrep(SO(2), 2), JET, key=KEY))
    assert "(∂xx {u} - ∂yy {u})" in {term.operator for term in harmonic}
    assert "v[0,0] += " in str(harmonic)
    assert str(equation(Intertwiner(trivial(SO(2)), defining(SO(2)), key=KEY))) == "v = 0"
    with pytest.raises(TypeError, match="evolution_equation"):
        equation(JET)


@pytest.fixture(scope="module")
def field():
    grid = PixelGrid(6, 6)
    return DifferentialInvariantField(2 * regular(Cyclic(4)), grid, order=1, sigma=1.0, knots=2, key=KEY)


def test_pruning_leaves_the_largest_terms_and_the_symmetry(field):
    assert count_terms(field) == 2 * (2 * 2 * 4 * 3 + 2 * 2 * 4)
    assert prune(field, 1.0) is field
    small = prune(field, 0.25)
    before, after = evolution_equation(field, 0.0), evolution_equation(small, 0.0)
    assert 0 < len(after.operator) < len(before.operator) == after.operator.possible
    for ours, theirs in zip(after.operator, before.operator, strict=False):
        assert (ours.operator, ours.source, ours.target) == (theirs.operator, theirs.source, theirs.target)
        np.testing.assert_allclose(ours.coefficient, theirs.coefficient, rtol=1e-5)
    u = jax.random.normal(KEY, (36, 8))
    table = field_equivariance(small, u, key=KEY)
    assert table.passed, str(table)
    assert not table[0].vacuous
    assert float(jnp.abs(prune(field, 0.0)(0.0, u)).max()) == 0
    with pytest.raises(ValueError, match="from 0 to 1"):
        prune(field, 25.0)
    assert "R: " in str(after)
    assert "smaller terms" in after.text(1)


def test_the_simplest_model_is_as_good_on_validation_data(field):
    # A score that knows which terms matter: as good as before while a third of them is left.
    asked = []

    def score(model):
        left = sum(len(evolution_equation(model, t).operator) for t in (0.0, 0.5))
        asked.append(left)
        return 0.9 if left >= 32 else 0.5

    found = simplest(field, score, (1.0, 0.6, 0.4, 0.1))
    assert found.kept == min(part for part, value in found.curve if value == 0.9) < 1
    assert [value for _, value in found.curve] == [0.9 if n >= 32 else 0.5 for n in asked]
    assert found.terms == round(found.kept * count_terms(field))
    assert score(found.model) == 0.9
