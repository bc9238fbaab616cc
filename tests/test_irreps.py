"""Irreps: against e3nn, the character tables of the literature, and the formulas of Weyl, Frobenius and Schur."""

import itertools
import math

import e3nn_jax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objects import FINITE_PRODUCT, FULL_CUBE, GROUPS, KEY, QUATERNIONS, name_of

from equivax.laws import draw, orthogonality_relations, representation_axioms
from equivax.symmetry import (
    SO,
    SU,
    Alternating,
    Cyclic,
    Dicyclic,
    Dihedral,
    GroupError,
    Hyperoctahedral,
    Icosahedral,
    O,
    Symmetric,
    Trivial,
    WreathProduct,
    basis,
    clebsch_gordan,
    defining,
    determinant,
    from_e3nn,
    invariants,
    irrep,
    irreps,
    multilinear,
    real_type,
    regular,
    restricted,
    to_e3nn,
    trivial,
)

SMALL = [G for G in GROUPS if G.is_finite and G.order <= 60] + [
    Dicyclic(3),
    Dicyclic(5),
    Dihedral(15),
    Alternating(5),
    WreathProduct(Cyclic(2), Symmetric(3)),
    WreathProduct(Cyclic(3), Symmetric(2)),
]
SMALL = list({str(G): G for G in SMALL}.values())
GOLDEN = (1 + 5**0.5) / 2


def sample(group, n=4):
    return np.asarray(draw(group, n, KEY), np.float64)


# Every finite group.


def classes_of(group):
    """Conjugacy classes by their definition: all products, no words, no hashing."""
    elements = group.elements
    inverses = np.linalg.inv(elements)
    classes = []
    for g in elements:
        if not any(np.allclose(g, h, atol=1e-6) for found in classes for h in found):
            conjugates = elements @ g @ inverses
            _, first = np.unique(np.round(conjugates, 5) + 0.0, axis=0, return_index=True)
            classes.append(conjugates[first])
    return classes


@pytest.mark.parametrize("group", SMALL, ids=str)
def test_all_real_irreps_of_small_groups(group):
    found = irreps(group)
    table = orthogonality_relations(found)
    assert table.passed, str(table)
    # Frobenius and Schur: the real irreps are as many as the classes of g and g^-1 together.
    classes = classes_of(group)
    paired = {min(i, j) for i, j in ((i, where(classes, np.linalg.inv(c[0]))) for i, c in enumerate(classes))}
    assert len(found) == len(paired)
    assert found[0].dim == 1
    assert all(np.allclose(found[0].rho(g), 1) for g in group.elements)
    for V in found:
        assert V.is_orthogonal
        # The indicator: the mean of chi(g^2) is 1, 0 or -2 as the type is R, C or H.
        indicator = np.mean([np.trace(V.rho(g @ g)) for g in group.elements])
        assert round(indicator) == {"R": 1, "C": 0, "H": -2}[real_type(V)]
        assert indicator == pytest.approx(round(indicator), abs=1e-10)


def where(classes, g):
    return next(i for i, members in enumerate(classes) if np.allclose(members, g, atol=1e-6) or contains(members, g))


def contains(members, g):
    return bool(np.abs(members - g).max(axis=(1, 2)).min() < 1e-6)


def test_the_orthogonality_relations_can_fail():
    found = irreps(Symmetric(4))
    assert {v.name for v in orthogonality_relations(found[:-1]).failed} == {"completeness"}
    twice = orthogonality_relations([*found[:-1], found[-2]])
    assert {v.name for v in twice.failed} == {"orthogonality across"}
    reducible = orthogonality_relations([*found[:-2], found[0] + found[1], found[-1]])
    assert reducible.failed


def cycle_type(g):
    """The lengths of the cycles of a permutation matrix, longest first."""
    image, lengths, seen = g.argmax(axis=0), [], set()
    for start in range(len(g)):
        length, i = 0, start
        while i not in seen:
            seen.add(i)
            i, length = image[i], length + 1
        lengths += [length] if length else []
    return tuple(sorted(lengths, reverse=True))


# Fulton and Harris, Representation Theory, sections 2.3 and 3.1; real irreps sum complex ones with their conjugates.
S4 = [(1, 1, 1, 1, 1), (1, -1, 1, 1, -1), (2, 0, 2, -1, 0), (3, 1, -1, 0, -1), (3, -1, -1, 0, 1)]
S4_CLASSES = [(1, 1, 1, 1), (2, 1, 1), (2, 2), (3, 1), (4,)]
S5 = [
    (1, 1, 1, 1, 1, 1, 1),
    (1, -1, 1, 1, -1, -1, 1),
    (4, 2, 0, 1, -1, 0, -1),
    (4, -2, 0, 1, 1, 0, -1),
    (5, 1, 1, -1, 1, -1, 0),
    (5, -1, 1, -1, -1, 1, 0),
    (6, 0, -2, 0, 0, 0, 1),
]
S5_CLASSES = [(1,) * 5, (2, 1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2), (4, 1), (5,)]
A4 = [(1, 1, 1), (2, 2, -1), (3, -1, 0)]
A4_CLASSES = [(1, 1, 1, 1), (2, 2), (3, 1)]


@pytest.mark.parametrize(
    ("group", "classes", "table"),
    [(Symmetric(4), S4_CLASSES, S4), (Symmetric(5), S5_CLASSES, S5), (Alternating(4), A4_CLASSES, A4)],
    ids=["S4", "S5", "A4"],
)
def test_character_tables_of_permutation_groups(group, classes, table):
    ours = []
    for V in irreps(group):
        values = {c: {round(np.trace(V.rho(g)), 8) for g in group.elements if cycle_type(g) == c} for c in classes}
        assert all(len(v) == 1 for v in values.values()), "characters are class functions"
        ours.append(tuple(values[c].pop() for c in classes))
    np.testing.assert_allclose(sorted(ours), sorted(table), atol=1e-7)


@pytest.mark.parametrize("group", [Alternating(5), Icosahedral()], ids=str)
def test_the_character_table_of_the_icosahedral_group(group):
    order = {
        tuple(g.reshape(-1)): next(n for n in range(1, 6) if is_one(np.linalg.matrix_power(g, n)))
        for g in group.elements
    }
    expected = {
        1: [{1: {1}, 2: {1}, 3: {1}, 5: {1}}],
        3: [{1: {3}, 2: {-1}, 3: {0}, 5: {GOLDEN, 1 - GOLDEN}}] * 2,
        4: [{1: {4}, 2: {0}, 3: {1}, 5: {-1}}],
        5: [{1: {5}, 2: {1}, 3: {-1}, 5: {0}}],
    }
    found = irreps(group)
    assert [V.dim for V in found] == [1, 3, 3, 4, 5]
    for V in found:
        values = {n: [] for n in (1, 2, 3, 5)}
        for g in group.elements:
            values[order[tuple(g.reshape(-1))]].append(np.trace(V.rho(g)))
        for n, expect in expected[V.dim][0].items():
            assert sorted(set(np.round(values[n], 6))) == pytest.approx(sorted(map(float, expect)), abs=1e-5)
    # The two of dimension 3 are told apart by a rotation of order 5, and exchanged by its square.
    g = next(g for g in group.elements if order[tuple(g.reshape(-1))] == 5)
    a, b = found[1], found[2]
    assert np.trace(a.rho(g)) == pytest.approx(np.trace(b.rho(g @ g)), abs=1e-9)
    assert abs(np.trace(a.rho(g)) - np.trace(b.rho(g))) == pytest.approx(5**0.5, abs=1e-9)


def is_one(g):
    return np.allclose(g, np.eye(len(g)), atol=1e-9)


def test_the_quaternions_have_one_quaternionic_irrep():
    for group in (QUATERNIONS, Dicyclic(2)):
        found = irreps(group)
        assert [V.dim for V in found] == [1, 1, 1, 1, 4]
        assert [real_type(V) for V in found] == ["R"] * 4 + ["H"]
        assert sorted(round(np.trace(found[-1].rho(g))) for g in group.elements) == [-4] + 6 * [0] + [4]


def hook_length_dimensions(n):
    """f^lambda = n! / prod of hook lengths (Frame, Robinson, Thrall 1954), over the partitions of n."""

    def partitions(rest, largest):
        if rest == 0:
            yield ()
        for part in range(min(rest, largest), 0, -1):
            yield from ((part, *others) for others in partitions(rest - part, part))

    dimensions = []
    for shape in partitions(n, n):
        columns = [sum(part > j for part in shape) for j in range(shape[0])]
        hooks = [shape[i] - j + columns[j] - i - 1 for i in range(len(shape)) for j in range(shape[i])]
        dimensions.append(math.factorial(n) // math.prod(hooks))
    return sorted(dimensions)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 7])
def test_irreps_of_symmetric_groups_have_the_dimensions_of_young(n):
    assert [V.dim for V in irreps(Symmetric(n))] == hook_length_dimensions(n)


def test_irreps_of_large_groups_are_representations(getkey):
    group = Symmetric(6)
    V = irreps(group)[-1]
    assert V.dim == 16
    g, h = sample(group, 2)
    np.testing.assert_allclose(V.rho(g @ h), V.rho(g) @ V.rho(h), atol=1e-12)
    # Hyperoctahedral groups: pairs of partitions; dimensions squared add up to 2^n n!.
    dims = [V.dim for V in irreps(Hyperoctahedral(4))]
    assert (len(dims), sum(d**2 for d in dims)) == (20, 384)
    assert [V.dim for V in irreps(Trivial(3))] == [1]


def test_irreps_do_not_depend_on_the_run():
    from equivax.symmetry._irreps_finite import finite_irreps

    first = finite_irreps(Icosahedral())
    again = finite_irreps.__wrapped__(Icosahedral())
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_planar_irreps_are_those_of_the_finite_group():
    """Two routes to one list: by frequency, and by splitting products."""
    from equivax.symmetry._irreps_finite import FiniteIrrep, finite_irreps

    for group in (Cyclic(1), Cyclic(5), Cyclic(6), Dihedral(1), Dihedral(4), Dihedral(5)):
        numeric = [FiniteIrrep(group, i) for i in range(len(finite_irreps(group)))]
        characters = [
            sorted(tuple(np.round([np.trace(V.rho(g)) for g in group.elements], 8) + 0.0) for V in found)
            for found in (irreps(group), numeric)
        ]
        assert characters[0] == characters[1]


# Rotations, and spins.


@pytest.mark.parametrize("degree", range(7))
def test_wigner_matrices_agree_with_e3nn(degree):
    for parity in (1, -1):
        V, theirs = irrep(O(3), degree, odd=parity == -1), e3nn_jax.Irrep(degree, parity)
        elements = sample(O(3))
        expected = np.asarray(jax.jit(jax.vmap(theirs.D_from_matrix))(jnp.asarray(elements)))
        np.testing.assert_allclose([V.rho(g) for g in elements], expected, atol=1e-12)
    rotation = sample(SO(3), 1)[0]
    np.testing.assert_array_equal(irrep(SO(3), degree).rho(rotation), restricted_rho(degree, rotation))


def restricted_rho(degree, g):
    return irrep(O(3), degree, odd=degree % 2 == 1).rho(g)


def test_spherical_harmonics_turn_with_the_wigner_matrices():
    x = np.array([0.3, -0.8, 0.5])
    for g in sample(O(3), 2):
        for degree in range(5):
            odd = degree % 2 == 1
            ir = e3nn_jax.Irrep(degree, -1 if odd else 1)
            here, there = (
                np.asarray(e3nn_jax.spherical_harmonics([ir], jnp.asarray(p), normalize=True).array) for p in (x, g @ x)
            )
            np.testing.assert_allclose(irrep(O(3), degree, odd=odd).rho(g) @ here, there, atol=1e-10)


def test_characters_of_rotations_and_spins_by_weyl():
    """chi_j = sin((2j + 1) a / 2) / sin(a / 2) at the rotation by the angle a."""
    for g in sample(SU(2)):
        half_angle = math.acos(np.clip(np.trace(g) / 4, -1, 1))
        for twice in range(8):
            character = math.sin((twice + 1) * half_angle) / math.sin(half_angle) * (1 + twice % 2)
            assert np.trace(irrep(SU(2), twice / 2).rho(g)) == pytest.approx(character, abs=1e-10)
    for g in sample(SO(3)):
        angle = math.acos((np.trace(g) - 1) / 2)
        for degree in range(6):
            character = math.sin((2 * degree + 1) * angle / 2) / math.sin(angle / 2)
            assert np.trace(irrep(SO(3), degree).rho(g)) == pytest.approx(character, abs=1e-10)


def test_coordinates_of_named_irreps_are_the_expected_ones():
    g, u = sample(O(3), 1)[0], sample(SU(2), 1)[0]
    np.testing.assert_allclose(irrep(O(3), 1, odd=True).rho(g), g, atol=1e-14)
    np.testing.assert_allclose(irrep(O(3), 0, odd=True).rho(g), [[np.linalg.det(g)]], atol=1e-14)
    np.testing.assert_array_equal(irrep(SU(2), 0.5).rho(u), u)
    # Spin 1 is a rotation, and whole spins are its Wigner matrices.
    rotation = irrep(SU(2), 1).rho(u)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-13)
    assert np.linalg.det(rotation) == pytest.approx(1)
    for spin in (2, 3):
        np.testing.assert_allclose(irrep(SU(2), spin).rho(u), irrep(SO(3), spin).rho(rotation), atol=1e-12)
    assert [real_type(irrep(SU(2), twice / 2)) for twice in range(5)] == ["R", "H", "R", "H", "R"]
    assert [irrep(SU(2), twice / 2).dim for twice in range(5)] == [1, 4, 3, 8, 5]


@pytest.mark.parametrize(
    "rep",
    [irrep(SO(3), 3), irrep(O(3), 2, odd=True), irrep(SU(2), 1), irrep(SU(2), 1.5), irrep(FULL_CUBE, 4)],
    ids=name_of,
)
def test_named_irreps_are_representations(rep, getkey):
    table = representation_axioms(rep, key=getkey())
    assert table.passed, str(table)


def test_wigner_matrices_have_no_singular_angles():
    V = irrep(SO(3), 3)
    for g in (np.eye(3), np.diag([-1.0, 1.0, -1.0]), np.diag([-1.0, -1.0, 1.0])):
        slopes = jax.jacfwd(V.rho)(jnp.asarray(g))
        moved = np.einsum("ijab,ab->ij", slopes, SO(3).lie_algebra[0] @ g)
        np.testing.assert_allclose(moved, V.drho(SO(3).lie_algebra[0]) @ V.rho(g), atol=1e-12)


def test_lists_of_irreps():
    assert [V.dim for V in irreps(SO(3), 3)] == [1, 3, 5, 7]
    assert [str(V) for V in irreps(O(3), 1)] == ["0e", "0o", "1e", "1o"]
    assert [V.dim for V in irreps(SU(2), 1.5)] == [1, 4, 3, 8]
    assert [V.dim for V in irreps(O(2), 2)] == [1, 1, 2, 2]
    assert [V.dim for V in irreps(SO(2), 2)] == [1, 2, 2]
    for V, W in itertools.combinations((*irreps(O(3), 2),), 2):
        assert len(basis(V >> W)) == 0


# Clebsch-Gordan coefficients.


def test_clebsch_gordan_agrees_with_e3nn():
    for a, b, c in itertools.product(range(5), range(4), range(6)):
        ours = clebsch_gordan(irrep(SO(3), a), irrep(SO(3), b), irrep(SO(3), c))
        if not abs(a - b) <= c <= a + b:
            assert ours.shape == (0, 2 * c + 1, 2 * a + 1, 2 * b + 1)
            continue
        theirs = np.asarray(e3nn_jax.clebsch_gordan(a, b, c), np.float64)
        np.testing.assert_allclose(ours[0].transpose(1, 2, 0), theirs / np.linalg.norm(theirs), atol=1e-12)


def test_clebsch_gordan_agrees_with_the_null_space():
    for degrees in ((1, 1, 1), (1, 2, 2), (2, 2, 3), (3, 2, 4)):
        a, b, c = (irrep(SO(3), degree) for degree in degrees)
        (ours,), (solved,) = clebsch_gordan(a, b, c), multilinear((a, b), c)
        assert abs(np.sum(ours * solved)) == pytest.approx(1, abs=1e-12)
    for odd in itertools.product((False, True), repeat=3):
        a, b, c = (irrep(O(3), degree, o) for degree, o in zip((1, 2, 2), odd, strict=True))
        assert len(clebsch_gordan(a, b, c)) == len(multilinear((a, b), c)) == (odd[0] ^ odd[1] == odd[2])


@pytest.mark.parametrize("group", [Symmetric(4), Alternating(4), Dihedral(5), Icosahedral(), FINITE_PRODUCT], ids=str)
def test_clebsch_gordan_of_finite_groups_by_characters(group):
    found = irreps(group)
    chi = {V: np.array([np.trace(V.rho(g)) for g in group.elements]) for V in found}
    g = group.elements[group.order // 2]
    for a, b, c in itertools.product(found[-3:], found[-3:], found):
        maps = clebsch_gordan(a, b, c)
        assert maps.shape == (round(np.mean(chi[a] * chi[b] * chi[c])), c.dim, a.dim, b.dim)
        turned = np.einsum("rkij,ia,jb->rkab", maps, a.rho(g), b.rho(g))
        np.testing.assert_allclose(turned, np.einsum("kl,rlab->rkab", c.rho(g), maps), atol=1e-12)


def test_clebsch_gordan_of_any_representations():
    spin, vector = irrep(SU(2), 0.5), irrep(SU(2), 1)
    # H x H = 4 (0 + 1) over the reals, so four maps to vectors, and as many from vectors and spinors to spinors.
    assert [len(clebsch_gordan(*t)) for t in ((spin, spin, vector), (vector, spin, spin), (spin, spin, spin))] == [
        4,
        4,
        0,
    ]
    V = defining(SO(3))
    (cross,) = clebsch_gordan(V, V, V)
    x, y = np.random.default_rng(0).normal(size=(2, 3))
    ratio = np.einsum("kij,i,j->k", cross, x, y) / np.cross(x, y)
    np.testing.assert_allclose(ratio, ratio[0], atol=1e-12)
    with pytest.raises(GroupError, match="different groups"):
        clebsch_gordan(V, V, defining(O(3)))


# e3nn.


def test_representations_as_e3nn_writes_them():
    rep = from_e3nn("8x0e + 4x1o+2e")
    assert rep == 8 * irrep(O(3), 0) + 4 * irrep(O(3), 1, odd=True) + irrep(O(3), 2)
    assert to_e3nn(rep) == "8x0e+4x1o+1x2e"
    theirs = e3nn_jax.Irreps("3x0o + 2x1e + 1x3o")
    assert from_e3nn(theirs) == from_e3nn(str(theirs))
    assert e3nn_jax.Irreps(to_e3nn(from_e3nn(theirs))) == theirs
    assert from_e3nn("1y + 2y") == from_e3nn("1o + 2e")
    g = sample(O(3), 1)[0]
    np.testing.assert_allclose(from_e3nn(theirs).rho(g), np.asarray(theirs.D_from_matrix(jnp.asarray(g))), atol=1e-12)
    V = defining(O(3))
    assert to_e3nn(trivial(O(3)) + 2 * V + determinant(O(3))) == "1x0e+2x1o+1x0o"
    for bad, message in (
        (lambda: from_e3nn("8x0e + 4xo"), "'4xo' in"),
        (lambda: from_e3nn(""), "not an e3nn irrep"),
        (lambda: from_e3nn("-1x0e"), "not an e3nn irrep"),
        (lambda: to_e3nn(V * V), r"decompose\(rep\)"),
        (lambda: to_e3nn(irrep(SO(3), 1)), r"of SO\("),
    ):
        with pytest.raises(GroupError, match=message):
            bad()


# Errors.


def test_irreps_that_do_not_exist_are_refused():
    for make, message in (
        (lambda: irrep(SU(2), 0.3), "Spins are"),
        (lambda: irrep(SU(2), -1), "Spins are"),
        (lambda: irrep(SU(2), math.inf), "Spins are"),
        (lambda: irrep(SO(3), 1.5), "whole numbers"),
        (lambda: irrep(SO(3), -1), "l >= 0"),
        (lambda: irrep(SO(3), 1, odd=True), "`odd`"),
        (lambda: irrep(Symmetric(4), 0, odd=True), "`odd`"),
        (lambda: irrep(Symmetric(4), 5), "numbered 0 to 4"),
        (lambda: irrep(SO(5), 1), "decompose"),
        (lambda: irreps(SO(3)), "`highest`"),
        (lambda: irreps(SO(5), 1), "knows the irreps"),
        (lambda: irreps(Symmetric(8)), "40320"),
        (lambda: real_type(regular(Cyclic(3))), "is reducible"),
    ):
        with pytest.raises(GroupError, match=message):
            make()
    assert len(invariants(restricted(irrep(SO(3), 2), Icosahedral()))) == 0
