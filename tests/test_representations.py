"""Representations as algebra, between groups, and the user's own: laws, and numbers by other means."""

import functools
import itertools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from objects import CUBE, CYLINDER, KEY, LORENTZ, SPECIAL_LINEAR

from equivax.laws import draw, representation_axioms
from equivax.symmetry import (
    GL,
    SO,
    SU,
    Alternating,
    Cyclic,
    Dicyclic,
    Dihedral,
    DirectSum,
    GroupError,
    Hom,
    MatrixGroup,
    O,
    Octahedral,
    Symmetric,
    Trivial,
    basis,
    defining,
    determinant,
    functions_on,
    induced,
    invariants,
    irrep,
    irreps,
    permutation,
    power_isometry,
    quotient,
    regular,
    representation,
    representation_from_generators,
    restricted,
    tensors,
    trivial,
)

VERTICES = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
# A change of coordinates in which rotations are not orthogonal.
SHEAR = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [1.0, 0.0, 1.0]])


def sheared(matrices):
    return SHEAR @ np.asarray(matrices) @ np.linalg.inv(SHEAR)


def kronecker(matrices):
    return functools.reduce(np.kron, matrices, np.ones((1, 1)))


def sample(group, n=1):
    return np.asarray(draw(group, n, KEY), np.float64)


# Symmetric and alternating powers.


@pytest.mark.parametrize("antisymmetric", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_powers_are_cut_out_of_the_full_tensor_power(n, antisymmetric):
    g, xi, one = *np.random.default_rng(n).normal(size=(2, n, n)), np.eye(n)
    V = defining(GL(n))
    for k in range(5):
        S = power_isometry(n, k, antisymmetric)
        power = V.alt(k) if antisymmetric else V.sym(k)
        assert S.shape[1] == power.dim == (math.comb(n, k) if antisymmetric else math.comb(n + k - 1, k))
        np.testing.assert_allclose(power.rho(g), S.T @ kronecker([g] * k) @ S, atol=1e-11)
        leibniz = sum((kronecker([xi if i == j else one for i in range(k)]) for j in range(k)), np.zeros((n**k, n**k)))
        np.testing.assert_allclose(power.drho(xi), S.T @ leibniz @ S, atol=1e-11)


def test_alternating_powers_are_minors():
    g = np.random.default_rng(0).normal(size=(5, 5))
    rows = list(itertools.combinations(range(5), 3))
    minors = [[np.linalg.det(g[np.ix_(r, c)]) for c in rows] for r in rows]
    np.testing.assert_allclose(defining(GL(5)).alt(3).rho(g), minors, atol=1e-12)
    np.testing.assert_allclose(defining(GL(5)).alt(5).rho(g), [[np.linalg.det(g)]], atol=1e-12)


def test_large_powers_stay_orthogonal():
    # The full tensor power would have 10^8 entries.
    rep, g = defining(SO(10)).sym(4), sample(SO(10))[0]
    matrix = rep.rho(g)
    assert matrix.shape == (715, 715)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(715), atol=1e-12)


def test_tensors_of_type_p_q():
    assert [tensors(SO(3), p, q).dim for p, q in ((0, 0), (1, 0), (1, 1), (2, 1))] == [1, 3, 9, 27]
    g = sample(SPECIAL_LINEAR)[0]
    expected = np.kron(np.kron(g, g), np.linalg.inv(g).T)
    np.testing.assert_allclose(tensors(SPECIAL_LINEAR, 2, 1).rho(g), expected, atol=1e-9)
    # First fundamental theorem for GL(n): only as many covectors as vectors, and then the k! permutations of them.
    counts = [len(invariants(tensors(GL(3), p, q))) for p, q in ((1, 1), (2, 2), (2, 1), (2, 0), (0, 2))]
    assert counts == [1, 2, 0, 0, 0]
    with pytest.raises(GroupError, match="p, q >= 0"):
        tensors(SO(3), -1)


# Permutations.


def test_functions_on_points_permute():
    cube = Octahedral()
    rep = functions_on(cube, VERTICES)
    assert rep.is_permutation
    for g in cube.elements[:6]:
        np.testing.assert_allclose(VERTICES.T @ rep.rho(g), g @ VERTICES.T, atol=1e-12)
    # Burnside: orbits of vertices; orbits of pairs of vertices are the distances 0, 1, sqrt 2, sqrt 3.
    assert (len(invariants(rep)), len(basis(rep >> rep))) == (1, 4)
    # The stabiliser of the first vertex has the cosets as its orbit.
    stabiliser = MatrixGroup(
        discrete_generators=[g for g in cube.elements if np.allclose(g @ VERTICES[0], VERTICES[0])]
    )
    fixed = [np.trace(rep.rho(g)) for g in cube.elements]
    np.testing.assert_allclose([np.trace(quotient(cube, stabiliser).rho(g)) for g in cube.elements], fixed, atol=1e-12)
    with pytest.raises(GroupError, match=r"discrete_generators\[0\] moves point 0"):
        functions_on(cube, VERTICES[:3])
    with pytest.raises(GroupError, match=r"R\^3"):
        functions_on(cube, VERTICES[:, :2])
    assert functions_on(Trivial(3), VERTICES).dim == 8


def test_permutations_must_be_an_action():
    rep = permutation(Cyclic(3), [[1, 2, 0, 3]])
    np.testing.assert_allclose(rep.rho(Cyclic(3).discrete_generators[0])[:, 0], [0, 1, 0, 0])
    for images, message in (
        ([[1, 0, 2]], r"images\[0\] breaks a relation"),
        ([[0, 0, 1]], "is no permutation"),
        ([[0], [0]], "one for each"),
    ):
        with pytest.raises(GroupError, match=message):
            permutation(Cyclic(3), images)


def test_the_regular_representation_is_the_quotient_by_nothing():
    group = Dihedral(3)
    one = MatrixGroup(discrete_generators=[np.eye(2)])
    for g in group.elements:
        np.testing.assert_array_equal(quotient(group, one).rho(g), regular(group).rho(g))
        np.testing.assert_array_equal(induced(trivial(one), group).rho(g), regular(group).rho(g))
        products = [np.argmax([np.allclose(g @ h, k) for k in group.elements]) for h in group.elements]
        np.testing.assert_array_equal(regular(group).rho(g), np.eye(6)[:, products])
    with pytest.raises(GroupError, match="no subgroup"):
        quotient(Cyclic(4), Cyclic(3))
    with pytest.raises(GroupError, match="size"):
        quotient(Cyclic(4), Symmetric(3))


# Restriction and induction.


@pytest.mark.parametrize(
    ("group", "subgroup"),
    [
        (Dihedral(6), Cyclic(3)),
        (Symmetric(4), Alternating(4)),
        (Symmetric(4), Symmetric(4)),
        (Dicyclic(2), Dicyclic(2)),
    ],
    ids=str,
)
def test_frobenius_reciprocity(group, subgroup):
    """Hom_G(Ind V, W) = Hom_H(V, Res W), and the character of Ind V is the sum over cosets."""
    elements = group.elements
    inside = [any(np.allclose(g, h) for h in subgroup.elements) for g in elements]
    for V in irreps(subgroup):
        rep = induced(V, group)
        assert rep.dim == V.dim * group.order // subgroup.order
        chi = {i: np.trace(V.rho(g)) for i, g in enumerate(elements) if inside[i]}
        for g in elements[:8]:
            conjugates = [next(i for i, k in enumerate(elements) if np.allclose(k, t.T @ g @ t)) for t in elements]
            mean = sum(chi.get(i, 0.0) for i in conjugates) / subgroup.order
            assert np.trace(rep.rho(g)) == pytest.approx(mean, abs=1e-10)
        for W in irreps(group):
            assert len(basis(rep >> W)) == len(basis(V >> restricted(W, subgroup)))


def test_restriction_keeps_the_matrices_and_needs_a_subgroup():
    V = 2 * irrep(O(3), 2) + trivial(O(3))
    rep = restricted(V, CYLINDER)
    assert rep.blocks == ((2, restricted(irrep(O(3), 2), CYLINDER)), (1, restricted(trivial(O(3)), CYLINDER)))
    np.testing.assert_array_equal(rep.rho(CYLINDER.discrete_generators[0]), V.rho(CYLINDER.discrete_generators[0]))
    # l = 2 of the axis: m = 0, a pair m = 1 that z -> -z turns round, a pair m = 2 that it keeps.
    assert [len(basis(restricted(irrep(O(3), 2), G) >> restricted(irrep(O(3), 2), G))) for G in (CYLINDER, CUBE)] == [
        5,
        2,
    ]
    for larger, smaller, message in (
        (SO(3), O(3), r"discrete_generators\[0\] of O"),
        (SO(3), LORENTZ, "size"),
        (SO(4), LORENTZ, r"lie_algebra\[0\]"),
        (Cyclic(4), Dihedral(4), r"discrete_generators\[1\]"),
        (SU(2), O(4), r"lie_algebra\[0\]"),
    ):
        with pytest.raises(GroupError, match=f"{message}.*no subgroup"):
            restricted(defining(larger), smaller)


def test_induction_needs_a_finite_group_and_a_subgroup():
    with pytest.raises(GroupError, match="is not finite"):
        induced(defining(SO(2)), O(2))
    with pytest.raises(GroupError, match="no subgroup"):
        induced(defining(Cyclic(5)), Dihedral(4))


# The user's own.


def test_own_representations_from_functions(getkey):
    pseudovector = representation(O(3), lambda g: jnp.linalg.det(g) * g, lambda xi: xi, name="axial")
    assert str(pseudovector) == "axial"
    g = sample(O(3))[0]
    np.testing.assert_allclose(pseudovector.rho(g), irrep(O(3), 1).rho(g), atol=1e-12)
    assert representation_axioms(pseudovector, key=getkey()).passed
    # The derivative is worked out where it is not given.
    cube = representation(SO(2), lambda g: g @ g @ g)
    np.testing.assert_allclose(cube.drho(SO(2).lie_algebra[0]), 3 * SO(2).lie_algebra[0], atol=1e-12)
    assert representation_axioms(cube, key=getkey()).passed
    assert len(basis(cube >> irrep(SO(2), 3))) == 2


def spinors():
    """Spin 1/2 on the generators of SO(3): right brackets, yet a full turn is -1."""
    vectors, spins = ([irrep(SU(2), j).drho(B) for B in SU(2).lie_algebra] for j in (1, 0.5))
    coordinates = SO(3).lie_algebra.reshape(3, 9) @ np.linalg.pinv(np.reshape(vectors, (3, 9)))
    return np.tensordot(coordinates, spins, 1)


def test_own_representations_that_are_none_are_refused():
    swap = np.array([[0.0, 1.0], [1.0, 0.0]])
    for make, message in (
        (
            lambda: representation(SO(3), lambda g: g, lambda xi: 1.1 * xi),
            r"disagree at lie_algebra\[0\].*differ by \d",
        ),
        (lambda: representation(SO(3), lambda g: g.T, lambda xi: xi.T), "no homomorphism: rho"),
        (lambda: representation(Dihedral(3), lambda g: g * abs(g), lambda xi: xi), r"g = discrete_generators\[0\]"),
        (lambda: representation(SO(3), lambda g: 2 * g, lambda xi: xi), r"rho\(1\)"),
        (lambda: representation(SO(3), lambda g: g[0], lambda xi: xi), "square"),
        (lambda: representation_from_generators(SO(3), 2 * SO(3).lie_algebra), "drho is no homomorphism"),
        (lambda: representation_from_generators(Cyclic(3), None, [swap]), r"discrete_generators\[0\] breaks"),
        (lambda: representation_from_generators(Cyclic(3), None, [swap, swap]), r"shape \(1, dim, dim\)"),
        (lambda: representation_from_generators(SO(3), spinors()), "covering group"),
    ):
        with pytest.raises(GroupError, match=message):
            make()


def test_own_representations_from_generators(getkey):
    V = representation_from_generators(SO(3), sheared(SO(3).lie_algebra), name="sheared")
    g = sample(SO(3))[0]
    np.testing.assert_allclose(V.rho(g), sheared(g), atol=1e-12)
    assert not V.is_orthogonal
    assert representation_axioms(V, key=getkey()).passed
    # Spin 1 + spin 2 of SU(2), in scrambled coordinates: found among tensors of degree 2 and 4.
    spins = irrep(SU(2), 1) + irrep(SU(2), 2)
    mix = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    found = representation_from_generators(SU(2), [mix @ spins.drho(A) @ mix.T for A in SU(2).lie_algebra])
    u = sample(SU(2))[0]
    np.testing.assert_allclose(found.rho(u), mix @ spins.rho(u) @ mix.T, atol=1e-11)
    # Components: the reflection of O(2) as it acts on frequency 2, and twisted by its determinant.
    W = irrep(O(2), 2) + determinant(O(2))
    rates, turns = ([m(x) for x in X] for m, X in ((W.drho, O(2).lie_algebra), (W.rho, O(2).discrete_generators)))
    r = sample(O(2))[0]
    np.testing.assert_allclose(representation_from_generators(O(2), rates, turns).rho(r), W.rho(r), atol=1e-12)
    # A group that is not orthogonal: covectors of the Lorentz group.
    dual = representation_from_generators(LORENTZ, -LORENTZ.lie_algebra.transpose(0, 2, 1))
    boost = sample(LORENTZ)[0]
    np.testing.assert_allclose(dual.rho(boost), np.linalg.inv(boost).T, atol=1e-8)


def test_own_representations_of_finite_groups_from_generators(getkey):
    group = Dihedral(4)
    images = [scipy.linalg.block_diag(h, np.linalg.det(h)) for h in group.discrete_generators]
    rep = representation_from_generators(group, discrete_generators=images)
    for g in group.elements:
        np.testing.assert_allclose(rep.rho(g), scipy.linalg.block_diag(g, np.linalg.det(g)), atol=1e-12)
    assert representation_axioms(rep, key=getkey()).passed
    assert rep == representation_from_generators(group, discrete_generators=images)


# Values.


def test_representations_are_values():
    makers = [
        lambda: restricted(irrep(SO(3), 2), Octahedral()),
        lambda: induced(irrep(Cyclic(3), 1), Dihedral(3)),
        lambda: quotient(Symmetric(4), Symmetric(4)),
        lambda: functions_on(Octahedral(), VERTICES),
        lambda: irrep(Alternating(4), 2),
        lambda: irrep(SU(2), 1.5),
        lambda: representation_from_generators(SO(3), sheared(SO(3).lie_algebra)),
    ]
    values = [make() for make in makers]
    assert values == [make() for make in makers]
    assert len({*values, *(make() for make in makers)}) == len(makers)
    assert all(operator.eq(Hom(V, V), Hom(V, V)) and isinstance(2 * V, DirectSum) for V in values)


def test_representations_answer_in_the_type_they_are_asked_in():
    cube = Octahedral()
    for rep in (
        irrep(SU(2), 0.5),
        irrep(SU(2), 1),
        irrep(O(3), 2, odd=True),
        irrep(cube, 3),
        functions_on(cube, VERTICES),
        quotient(Dihedral(4), Cyclic(2)),
        induced(irrep(Cyclic(3), 1), Dihedral(3)),
        representation(SO(2), lambda g: g @ g),
    ):
        one = jnp.eye(rep.group.d, dtype=jnp.float32)
        traced = jax.jit(rep.rho)(one)
        assert traced.dtype == jnp.float32
        np.testing.assert_allclose(traced, np.eye(rep.dim), atol=1e-6)
        assert isinstance(rep.rho(np.eye(rep.group.d)), np.ndarray)
        assert rep.rho(np.eye(rep.group.d)).dtype == np.float64
