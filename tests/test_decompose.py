"""Decomposition into irreps: multiplicities by characters and weights, splittings of the literature, laws."""

import collections
import dataclasses

import numpy as np
import pytest
from objects import CYLINDER, FINITE_PRODUCT, FULL_CUBE, QUATERNIONS, SHEARS, TWO_CIRCLES, name_of

from equivax.laws import decomposition_axioms
from equivax.symmetry import (
    SE,
    SL,
    SO,
    SU,
    Alternating,
    Cyclic,
    CyclicShifts,
    Dihedral,
    DirectProduct,
    GroupError,
    Icosahedral,
    Lorentz,
    MatrixGroup,
    O,
    RubiksCube,
    Symmetric,
    U,
    decompose,
    defining,
    determinant,
    from_e3nn,
    irrep,
    irreps,
    isotypic_projection,
    regular,
    representation_from_generators,
    restricted,
    to_e3nn,
    trivial,
)

V = defining
SHEAR = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [1.0, 0.0, 1.0]])
SHEARED = MatrixGroup(SHEAR @ SO(3).lie_algebra @ np.linalg.inv(SHEAR), name="SO(3), sheared")
SHEARED_TRIANGLE = MatrixGroup(
    discrete_generators=SHEAR[:2, :2] @ Dihedral(3).discrete_generators @ np.linalg.inv(SHEAR[:2, :2]),
    name="D3, sheared",
)
SHEARED_VECTORS = representation_from_generators(SO(3), SHEARED.lie_algebra)

CASES = [
    V(SO(3)) ** 3,
    V(SO(3)).sym(5),
    2 * V(SO(3)) + trivial(SO(3)) + V(SO(3)),
    V(O(3)) ** 2 * determinant(O(3)),
    V(SU(2)) ** 2,
    irrep(SU(2), 1.5) * irrep(SU(2), 1),
    V(SO(2)) ** 3,
    V(O(2)) ** 3 + determinant(O(2)),
    regular(Cyclic(6)),
    regular(Dihedral(5)),
    regular(Alternating(4)),
    regular(QUATERNIONS),
    regular(FINITE_PRODUCT),
    V(Symmetric(5)) ** 2,
    V(CyclicShifts(7)) ** 2,
    restricted(irrep(O(3), 4), FULL_CUBE),
    # Groups whose irreps have no names.
    V(CYLINDER) ** 2,
    V(TWO_CIRCLES) ** 2,
    V(SO(4)) ** 2,
    V(SU(3)),
    V(SU(3)) * ~V(SU(3)),
    V(U(2)),
    # Representations that are not orthogonal, and groups.
    2 * SHEARED_VECTORS,
    SHEARED_VECTORS**2,
    V(SHEARED) ** 2,
    V(SHEARED_TRIANGLE) ** 2,
]


@pytest.mark.parametrize("rep", CASES, ids=name_of)
def test_decompositions_are_block_diagonal(rep, getkey):
    table = decomposition_axioms(decompose(rep), key=getkey())
    assert table.passed, str(table)
    assert not all(v.vacuous for v in table)


def test_what_is_no_decomposition_is_caught(getkey):
    good = decompose(V(SO(3)) ** 2)
    swapped = dataclasses.replace(good, components=good.components[::-1])
    assert {v.name for v in decomposition_axioms(swapped, key=getkey()).failed} == {"blocks", "infinitesimal blocks"}
    lost = dataclasses.replace(good, inverse=good.inverse[::-1])
    assert "inverse" in {v.name for v in decomposition_axioms(lost, key=getkey()).failed}


@pytest.mark.parametrize("rep", [r for r in CASES if r.group.is_finite], ids=name_of)
def test_multiplicities_of_finite_groups_are_those_of_characters(rep):
    elements = rep.group.elements
    chi = np.array([np.trace(rep.rho(g)) for g in elements])
    found = decompose(rep)
    for irrep_ in irreps(rep.group):
        psi = np.array([np.trace(irrep_.rho(g)) for g in elements])
        assert found.multiplicity(irrep_) == round(np.mean(chi * psi) / np.mean(psi**2))


@pytest.mark.parametrize("k", range(1, 6))
def test_tensor_powers_of_vectors_by_the_clebsch_gordan_series(k):
    series = collections.Counter({0: 1})
    for _ in range(k):
        following = collections.Counter()
        for degree, m in series.items():
            for up in range(abs(degree - 1), degree + 2):
                following[up] += m
        series = following
    found = decompose(V(SO(3)) ** k)
    assert {c.irrep.degree: c.multiplicity for c in found.components} == dict(series)


def test_the_regular_representation_holds_each_irrep_as_its_type_says():
    for group in (Cyclic(5), Alternating(4), QUATERNIONS, Icosahedral()):
        sizes = {"R": 1, "C": 2, "H": 4}
        found = decompose(regular(group))
        assert [c.irrep for c in found.components] == list(irreps(group))
        assert all(c.multiplicity == c.irrep.dim // sizes[c.type] for c in found.components)


def test_crystal_fields_split_as_in_the_literature():
    """Bethe 1929: d to E + T2, f to A2 + T1 + T2, g to A1 + E + T1 + T2 in a cube; the icosahedron keeps l <= 2."""
    splittings = {0: [1], 1: [3], 2: [2, 3], 3: [1, 3, 3], 4: [1, 2, 3, 3], 5: [2, 3, 3, 3], 6: [1, 1, 2, 3, 3, 3]}
    for degree, dims in splittings.items():
        found = decompose(restricted(irrep(O(3), degree, odd=degree % 2 == 1), FULL_CUBE))
        assert sorted(c.irrep.dim for c in found.components for _ in range(c.multiplicity)) == dims
    ball = {2: [5], 3: [3, 4], 4: [4, 5], 5: [3, 3, 5], 6: [1, 3, 4, 5]}
    for degree, dims in ball.items():
        found = decompose(restricted(irrep(SO(3), degree), Icosahedral()))
        assert sorted(c.irrep.dim for c in found.components for _ in range(c.multiplicity)) == dims


def test_physics_by_name():
    assert to_e3nn(decompose(V(O(3)) ** 2).sum) == "1x0e+1x1e+1x2e", "stress: pressure, torque, shear"
    assert to_e3nn(decompose(from_e3nn("1o + 2e") * from_e3nn("1o")).sum) == "1x0e+1x1e+1x1o+1x2e+1x2o+1x3o"
    # Elasticity: Sym^2(Sym^2 V) has 21 constants, 2 of them isotropic.
    assert to_e3nn(decompose(V(O(3)).sym(2).sym(2)).sum) == "2x0e+2x2e+1x4e"
    # The curvature tensor in four dimensions, self-dual and anti-self-dual two-forms.
    two_forms = decompose(V(SO(4)).alt(2))
    assert [(c.irrep.dim, c.multiplicity, c.type) for c in two_forms.components] == [(3, 1, "R"), (3, 1, "R")]
    # Mesons: 3 x 3* = 1 + 8, and over the reals the rest of the product, 3 x 3 = 3* + 6.
    mesons = decompose(V(SU(3)) * ~V(SU(3)))
    assert [(c.irrep.dim, c.multiplicity, c.type) for c in mesons.components] == [
        (1, 2, "R"),
        (6, 1, "C"),
        (8, 2, "R"),
        (12, 1, "C"),
    ]


def test_groups_too_large_to_list_are_decomposed_too():
    # Stickers of corners: 8 places, their twists (complex, 8), constants; of edges: 12 places and their flips.
    found = decompose(defining(RubiksCube()))
    assert [(c.irrep.dim, c.multiplicity, c.type) for c in found.components] == [
        (1, 2, "R"),
        (7, 1, "R"),
        (11, 1, "R"),
        (12, 1, "R"),
        (16, 1, "C"),
    ]


def test_copies_of_one_irrep_are_identical_and_the_basis_is_kept_simple():
    rep = V(SO(3)) + trivial(SO(3)) + V(SO(3))
    found = decompose(rep)
    assert [(str(c.irrep), c.multiplicity) for c in found.components] == [("D^0", 1), ("D^1", 2)]
    np.testing.assert_allclose(np.sort(np.abs(found.change).max(axis=0)), np.ones(7), atol=1e-12)
    xi = SO(3).lie_algebra[1]
    blocks = found.inverse @ rep.drho(xi) @ found.change
    np.testing.assert_allclose(blocks[1:4, 1:4], blocks[4:7, 4:7], atol=1e-12)
    assert decompose.__wrapped__(rep).change.tolist() == found.change.tolist()
    assert str(found) == "V + 1 + V = D^0 + 2 D^1"
    assert found.multiplicity(irrep(SO(3), 2)) == 0


def test_isotypic_projections():
    rep = V(Symmetric(4)) ** 2
    parts = [isotypic_projection(rep, irrep_) for irrep_ in irreps(rep.group)]
    np.testing.assert_allclose(sum(parts), np.eye(16), atol=1e-12)
    g = rep.group.elements
    for irrep_, part in zip(irreps(rep.group), parts, strict=True):
        # Serre, section 2.6: dim / |G| times the mean of the character over the group.
        mean = irrep_.dim * np.mean([np.trace(irrep_.rho(x)) * rep.rho(x) for x in g], axis=0)
        np.testing.assert_allclose(part, mean, atol=1e-12)


def test_what_need_not_be_a_sum_of_irreps_is_refused():
    for rep in (defining(SE(2)), defining(SHEARS), defining(Lorentz()), defining(SL(2)) + trivial(SL(2))):
        with pytest.raises(GroupError, match="no invariant inner product"):
            decompose(rep)
    with pytest.raises(GroupError, match="dimension 0"):
        decompose(defining(SO(2)).alt(3))
    # A group that is not compact may well act through a compact one.
    scalars = decompose(determinant(SL(2)) + trivial(SL(2)))
    assert [(c.irrep.dim, c.multiplicity) for c in scalars.components] == [(1, 2)]
    product = decompose(defining(DirectProduct(SO(2), SO(3))))
    assert [(c.irrep.dim, c.type) for c in product.components] == [(2, "C"), (3, "R")]
