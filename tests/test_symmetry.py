"""Groups, representations and the null-space solver: laws over objects, and dimensions against independent integers."""

import collections
import dataclasses
import math

import e3nn_jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from objects import CUBE, CYLINDER, FULL_CUBE, GROUPS, LORENTZ, QUATERNIONS, REPS, SHEARS, SPECIAL_LINEAR, name_of

from equivax.laws import draw, group_axioms, invariance_of_basis, representation_axioms
from equivax.symmetry import (
    SO,
    Cyclic,
    Dihedral,
    DirectProduct,
    GroupError,
    MatrixGroup,
    O,
    RankError,
    Symmetric,
    Trivial,
    basis,
    defining,
    determinant,
    invariants,
    irrep,
    irreps,
    null_space,
    operator_basis,
    power_isometry,
    pulled_back,
    regular,
    rotation,
    trivial,
)

FINITE_REPS = [rep for rep in REPS if rep.group.is_finite and rep.dim <= 30]


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_group_axioms(group, getkey):
    table = group_axioms(group, key=getkey())
    assert table.passed, str(table)


@pytest.mark.parametrize("rep", REPS, ids=name_of)
def test_representation_axioms(rep, getkey):
    table = representation_axioms(rep, key=getkey())
    assert table.passed, str(table)


@pytest.mark.parametrize("rep", [rep for rep in REPS if rep.dim <= 24], ids=name_of)
def test_bases_are_invariant_orthonormal_and_decided(rep, getkey):
    table = invariance_of_basis(invariants(rep), key=getkey()) + invariance_of_basis(basis(rep >> rep), key=getkey())
    assert table.passed, str(table)
    assert all(v.error < 1e-6 for v in table if v.name == "decided rank"), "honest gaps are far above 1e4"


# Orders of groups, by the textbook.


def test_orders():
    assert [Cyclic(n).order for n in (1, 2, 7)] == [1, 2, 7]
    assert [Dihedral(n).order for n in (1, 2, 7)] == [2, 4, 14]
    assert [Symmetric(n).order for n in (1, 2, 3, 4, 5)] == [math.factorial(n) for n in (1, 2, 3, 4, 5)]
    assert (CUBE.order, FULL_CUBE.order, QUATERNIONS.order, Trivial().order) == (24, 48, 8, 1)
    assert DirectProduct(Cyclic(3), Symmetric(3)).order == 18
    with pytest.raises(GroupError, match="is not finite"):
        _ = SO(2).order


# Dimensions of invariants, by integers computed another way.


@pytest.mark.parametrize("rep", FINITE_REPS, ids=name_of)
def test_dimensions_of_finite_groups_are_averages_of_characters(rep):
    characters = np.array([np.trace(rep.rho(g)) for g in rep.group.elements])
    assert len(invariants(rep)) == round(characters.mean())
    assert len(basis(rep >> rep)) == round((characters**2).mean())


def partitions(k: int, parts: list[int]) -> int:
    """How many ways to write k as a sum of given parts: the coefficient of t^k in prod 1 / (1 - t^part)."""
    ways = [1] + k * [0]
    for part in parts:
        for i in range(part, k + 1):
            ways[i] += ways[i - part]
    return ways[k]


@pytest.mark.parametrize(
    ("group", "degrees"),
    [
        (Dihedral(3), [2, 3]),
        (Dihedral(4), [2, 4]),
        (Dihedral(5), [2, 5]),
        (Symmetric(3), [1, 2, 3]),
        (Symmetric(4), [1, 2, 3, 4]),
        (FULL_CUBE, [2, 4, 6]),
        (O(2), [2]),
        (O(3), [2]),
        (SO(4), [2]),
        (CYLINDER, [2, 2]),
    ],
    ids=str,
)
def test_polynomial_invariants_by_molien(group, degrees):
    # Chevalley: the invariants of a reflection group (and of O(n)) are polynomials in generators of these degrees.
    for k in range(7 if group.d <= 3 else 5):
        assert len(invariants(defining(group).sym(k))) == partitions(k, degrees), k


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_polynomial_invariants_of_rotations(n):
    # z^a conj(z)^b with a + b = k is invariant when a - b is a multiple of n.
    for k in range(7):
        assert len(invariants(defining(Cyclic(n)).sym(k))) == sum((2 * a - k) % n == 0 for a in range(k + 1)), k


def test_invariant_tensors_of_space_rotations_are_the_riordan_numbers():
    assert [len(invariants(defining(SO(3)) ** k)) for k in range(1, 7)] == [0, 1, 1, 3, 6, 15]


def test_invariant_tensors_of_orthogonal_groups_count_pairings():
    # First fundamental theorem (Weyl): pairings of indices by delta span; they are independent while k <= n.
    assert [len(invariants(defining(O(3)) ** (2 * k))) for k in (1, 2)] == [1, 3]
    assert [len(invariants(defining(O(3)) ** k)) for k in (1, 3, 5)] == [0, 0, 0]
    assert [len(invariants(defining(SO(2)) ** (2 * k))) for k in (1, 2, 3)] == [math.comb(2 * k, k) for k in (1, 2, 3)]
    assert [len(invariants(defining(O(2)) ** (2 * k))) for k in (1, 2, 3)] == [
        math.comb(2 * k, k) // 2 for k in (1, 2, 3)
    ]
    assert [len(invariants(defining(G) ** 4)) for G in (SO(4), LORENTZ)] == [4, 4], "three pairings and the volume"


def test_invariants_of_groups_that_are_not_compact():
    metric = invariants(defining(LORENTZ).sym(2)).vectors @ power_isometry(4, 2).T
    np.testing.assert_allclose(abs(metric.reshape(4, 4)), np.eye(4) / 2, atol=1e-14)
    assert metric[0, 0] * metric[0, 5] < 0, "time and space have opposite signs"
    assert len(invariants(defining(SPECIAL_LINEAR).alt(2))) == 1
    assert len(basis(defining(SHEARS) >> defining(SHEARS))) == 2, "the commutant of a Jordan block of this algebra"
    assert len(invariants(defining(SHEARS))) == 1


def test_schur():
    """Real irreps: Hom(V, V) is R for reflections, C for rotations; Hom(V, W) = 0."""
    assert [len(basis(irrep(G, 1) >> irrep(G, 1))) for G in (SO(2), O(2), Cyclic(5), Dihedral(5))] == [2, 1, 2, 1]
    assert len(basis(irrep(SO(2), 1) >> irrep(SO(2), 2))) == 0
    for group in (Cyclic(6), Cyclic(7), Dihedral(6), Dihedral(7)):
        found = irreps(group)
        homs = np.array([[len(basis(a >> b)) for b in found] for a in found])
        assert (homs == np.diag(np.diagonal(homs))).all()
        # The regular representation holds each irrep dim / dim Hom times.
        counts = [len(basis(a >> regular(group))) for a in found]
        assert counts == [a.dim for a in found]
        assert sum(c * a.dim // h for c, a, h in zip(counts, found, np.diagonal(homs), strict=True)) == group.order


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_operators_between_regular_fields(order):
    for group in (Cyclic(4), Dihedral(3)):
        found = operator_basis(regular(group), regular(group), order)
        assert found.shape == (group.order * (order + 1), group.order, group.order, order + 1)


def test_operators_of_vector_calculus():
    scalar, vector = trivial(O(2)), defining(O(2))
    assert [len(operator_basis(scalar, scalar, k)) for k in range(5)] == [1, 0, 1, 0, 1], "powers of the Laplacian"
    (laplace,) = operator_basis(scalar, scalar, 2)
    np.testing.assert_allclose(laplace[0, 0] / laplace[0, 0, 0], [1, 0, 1], atol=1e-14)
    (gradient,) = operator_basis(scalar, vector, 1)
    np.testing.assert_allclose(gradient[:, 0] / gradient[0, 0, 0], np.eye(2), atol=1e-14)
    curl = operator_basis(vector, determinant(O(2)), 1)[0, 0]
    np.testing.assert_allclose(curl / curl[0, 1], [[0, 1], [-1, 0]], atol=1e-14)
    # In space the curl takes vectors to vectors, and no flip leaves it as it is.
    (curl,) = operator_basis(defining(SO(3)), defining(SO(3)), 1)
    np.testing.assert_allclose(curl + curl.transpose(1, 0, 2), 0, atol=1e-14)
    assert abs(curl[0, 1, 2]) == pytest.approx(6**-0.5)
    assert len(operator_basis(defining(O(3)), defining(O(3)), 1)) == 0


# Oracles.


def test_e3nn_counts_the_same_invariants():
    powers = {e3nn_jax.Irrep("0e"): 1}
    for k in range(1, 6):
        product = collections.Counter()
        for left, m in powers.items():
            for ir in left * e3nn_jax.Irrep("1o"):
                product[ir] += m
        powers = product
        assert len(invariants(defining(O(3)) ** k)) == powers[e3nn_jax.Irrep("0e")]
        assert len(invariants(defining(SO(3)) ** k)) == powers[e3nn_jax.Irrep("0e")] + powers[e3nn_jax.Irrep("0o")]


def test_e3nn_clebsch_gordan_coefficients_lie_in_our_bases():
    V = defining(SO(3))
    # 1 x 1 -> 0 and 1 x 1 -> 1 keep their coordinates, so there our basis is theirs up to a sign.
    for rep, degree in ((trivial(SO(3)), 0), (V, 1)):
        (ours,) = basis(V * V >> rep).matrices
        theirs = np.asarray(e3nn_jax.clebsch_gordan(1, 1, degree), np.float64).reshape(9, -1).T
        assert abs(np.sum(ours * theirs)) / np.linalg.norm(theirs) == pytest.approx(1, abs=1e-6)
    # 1 x 1 -> 2 ends in coordinates of their choice: compare the projectors, which lie in Hom(V V, V V).
    theirs = np.asarray(e3nn_jax.clebsch_gordan(1, 1, 2), np.float64).reshape(9, 5)
    theirs /= np.linalg.norm(theirs, axis=0)
    (trace,) = invariants(V.sym(2)).vectors @ power_isometry(3, 2).T
    symmetric = power_isometry(3, 2) @ power_isometry(3, 2).T
    np.testing.assert_allclose(theirs @ theirs.T, symmetric - np.outer(trace, trace), atol=1e-6)
    vectors = basis(V * V >> V * V).vectors
    projector = (theirs @ theirs.T).reshape(-1)
    np.testing.assert_allclose(vectors.T @ (vectors @ projector), projector, atol=1e-6)


def test_null_space_agrees_with_scipy():
    rng = np.random.default_rng(0)
    for shape, rank in (((7, 12), 5), ((30, 12), 9), ((5, 5), 5), ((4, 6), 0)):
        C = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
        ours, theirs = null_space(C), scipy.linalg.null_space(C) if rank else np.eye(shape[1])
        assert len(ours.vectors) == shape[1] - rank
        np.testing.assert_allclose(ours.vectors.T @ ours.vectors, theirs @ theirs.T, atol=1e-12)
        np.testing.assert_allclose(ours.vectors @ ours.vectors.T, np.eye(shape[1] - rank), atol=1e-12)
        assert ours.residual < 1e-12


def test_the_basis_is_a_function_of_the_space_alone():
    rep = regular(Dihedral(3)) >> 2 * regular(Dihedral(3))
    C = np.concatenate([rep.rho(h) - np.eye(rep.dim) for h in rep.group.discrete_generators])
    mixing = np.linalg.qr(np.random.default_rng(1).normal(size=(len(C), len(C))))[0]
    np.testing.assert_allclose(null_space(mixing @ C).vectors, null_space(C).vectors, atol=1e-12)
    # Permutations: the basis is the orbit indicators, each with a single non-zero value.
    vectors = null_space(C).vectors
    assert len(vectors) == 12
    assert all(len(np.unique(np.round(v[v != 0], 12))) == 1 for v in vectors)
    assert invariants(rep) is invariants(regular(Dihedral(3)) >> 2 * regular(Dihedral(3))), "equal reps share a cache"


def test_an_undecided_rank_is_refused():
    with pytest.raises(RankError, match="float64"):
        null_space(np.diag([1.0, 1e-7, 0.0]))
    with pytest.raises(RankError, match="do not decide"):
        null_space(np.diag([1.0, 2e-9, 0.9e-9]))
    assert len(null_space(np.diag([1.0, 1e-4, 1e-15])).vectors) == 1
    # A third of a turn, rounded to float32: its cube misses the identity by 1e-8, and x^2 + y^2 would be lost.
    rounded = MatrixGroup(discrete_generators=rotation(2 * np.pi / 3).astype(np.float32)[None])
    with pytest.raises(RankError, match="float64"):
        invariants(defining(rounded).sym(2))
    with pytest.raises(GroupError, match="dimension 59049"):
        invariants(defining(SO(3)) ** 10)


# Representations as algebra.


def test_expressions_have_the_dimensions_of_what_they_say():
    V, one = defining(SO(3)), trivial(SO(3))
    dims = [
        (V + one).dim,
        (2 * V).dim,
        (V * V).dim,
        (V**3).dim,
        (V >> one + V).dim,
        V.sym(4).dim,
        V.alt(2).dim,
        V.alt(4).dim,
    ]
    assert dims == [4, 6, 9, 27, 12, 15, 3, 0]
    assert ~~V == V
    assert V * 2 == 2 * V
    assert (2 * (V + one)).blocks == ((2, V), (2, one))
    assert str(2 * V + one) == "2 V + 1"
    assert basis(V >> V).matrices.shape == (1, 3, 3)
    assert basis(V * one >> V + one).matrices.shape == (1, 4, 3)


def test_what_permutes_and_what_turns():
    assert regular(Dihedral(4)).is_permutation
    assert defining(Symmetric(4)).is_permutation
    assert trivial(SO(2)).is_permutation
    assert not defining(SO(2)).is_permutation
    assert not determinant(O(2)).is_permutation
    assert irrep(O(2), 3).is_orthogonal
    assert not defining(LORENTZ).is_orthogonal
    assert not (trivial(LORENTZ) + defining(LORENTZ)).is_orthogonal


def test_equal_groups_are_equal_values():
    again = MatrixGroup(discrete_generators=CUBE.discrete_generators, name="another name")
    assert again == CUBE
    assert hash(again) == hash(CUBE)
    assert CUBE != FULL_CUBE
    with pytest.raises(ValueError, match="read-only"):
        CUBE.discrete_generators[0, 0, 0] = 2.0


def test_random_walks_reach_every_component(getkey):
    signs = np.asarray(draw(CYLINDER, 12, getkey()))[:, 2, 2]
    assert set(np.round(signs)) == {-1, 1}


# Errors.


def test_generators_that_make_no_group_are_refused():
    x, y = np.eye(3)[:2]
    turn_x, turn_y, _ = SO(3).lie_algebra
    for arguments, message in (
        ((None, None), "needs generators"),
        (([turn_x, turn_y], None), r"\[A_1, A_0\] leaves the span"),
        (([turn_x], [np.eye(3)[[0, 2, 1]] + np.outer(x, y)]), "h_0 A_0"),
        (([turn_x, 2 * turn_x], None), "linearly dependent"),
        ((None, [rotation(1.0)]), "do not close into a finite group"),
        ((None, [np.zeros((2, 2))]), "singular"),
        ((None, np.eye(2)), r"\(k, d, d\)"),
        (([turn_x], [np.eye(2)]), "different sizes"),
        ((None, [[[np.nan]]]), "not finite"),
    ):
        with pytest.raises(GroupError, match=message):
            MatrixGroup(*arguments)


def test_representations_of_different_groups_do_not_compose():
    V, W = defining(SO(2)), defining(O(2))
    for compose in (lambda: V + W, lambda: V * W, lambda: V >> W):
        with pytest.raises(GroupError, match="different groups"):
            compose()


def test_representations_that_do_not_exist_are_refused():
    for make, message in (
        (lambda: regular(SO(2)), "is infinite"),
        (lambda: irrep(SO(4), 1), "knows the irreps"),
        (lambda: irrep(Cyclic(4), 3), "frequencies 0 to 2"),
        (lambda: irrep(Cyclic(4), 0, odd=True), "`odd`"),
        (lambda: irreps(O(2)), "needs `irrep"),
        (lambda: O(0), "n >= 1"),
        (lambda: -1 * defining(SO(2)), "n >= 0"),
        (lambda: defining(SO(2)) ** 0, "n >= 1"),
        (lambda: defining(SO(2)).sym(-1), "k >= 0"),
        (lambda: pulled_back(defining(SO(2)), DirectProduct(SO(3), SO(2)), 0), "Factor 0"),
        (lambda: invariants(defining(SO(2))).matrices, "has matrices"),
    ):
        with pytest.raises(GroupError, match=message):
            make()


def test_representations_compute_in_the_type_of_the_element():
    for rep in (regular(Cyclic(4)), defining(SO(2)).sym(3), irrep(SO(2), 2), ~defining(SO(2))):
        assert rep.rho(jnp.eye(2, dtype=jnp.float32)).dtype == jnp.float32
        assert rep.rho(np.eye(2)).dtype == np.float64
    assert dataclasses.is_dataclass(regular(Cyclic(4)))
