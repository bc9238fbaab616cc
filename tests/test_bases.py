"""The tiers of the solver against each other and against integers found elsewhere; sparse, multilinear, cached bases."""

import dataclasses
import math

import e3nn_jax
import numpy as np
import pytest
import scipy.sparse

from equivax.symmetry import (
    SL,
    SO,
    SU,
    Basis,
    Cyclic,
    Dicyclic,
    Dihedral,
    GroupError,
    Hyperoctahedral,
    Lorentz,
    MatrixGroup,
    O,
    Octahedral,
    RankError,
    RubiksCube,
    Symmetric,
    Trivial,
    Unitriangular,
    basis,
    defining,
    determinant,
    invariants,
    invariants_by_blocks,
    invariants_by_orbits,
    invariants_by_projection,
    invariants_by_schur,
    invariants_by_svd,
    irrep,
    kernel_basis,
    multilinear,
    operator_basis,
    power_isometry,
    regular,
    rotation,
    trivial,
)
from equivax.symmetry import _cache as cache


def V(group):
    return defining(group)


def agree(found: Basis, other: Basis, tolerance: float = 1e-12):
    """The same vectors in the same order, orthonormal, by both."""
    assert len(found) == len(other)
    np.testing.assert_allclose(found.vectors, other.vectors, atol=tolerance)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(len(found)), atol=tolerance)
    assert min(found.gap, other.gap) > 1e10
    assert max(found.residual, other.residual) < 1e-13


# Each tier against the dense one.

PERMUTING = [
    V(Symmetric(4)) ** 2 >> V(Symmetric(4)),
    V(Symmetric(3)) + V(Symmetric(3)) ** 2 >> 2 * V(Symmetric(3)),
    regular(Dihedral(3)) >> 2 * regular(Dihedral(3)),
    V(Symmetric(4)).sym(2) * V(Symmetric(4)),
    V(Trivial(3)) >> V(Trivial(3)),
    # With signs: turns of a square, of a cube, of quaternions; determinants; alternating powers.
    V(Dihedral(4)) ** 4,
    V(Octahedral()) ** 3,
    V(Dicyclic(2)) ** 2,
    V(Hyperoctahedral(3)) ** 4,
    determinant(Symmetric(3)) * V(Symmetric(3)) ** 2,
    V(Symmetric(4)).alt(2) >> V(Symmetric(4)).alt(2),
    V(Cyclic(4)).sym(3) >> V(Cyclic(4)),
]


@pytest.mark.parametrize("rep", PERMUTING, ids=lambda rep: f"{rep} of {rep.group}")
def test_orbits_are_the_null_space(rep):
    found = invariants_by_orbits(rep)
    assert found.tier == "orbits"
    agree(found, invariants_by_svd(rep))
    agree(invariants(rep), found, tolerance=0)
    agree(found, invariants_by_projection(rep))


SPLIT = [
    2 * V(SO(3)) + trivial(SO(3)) >> V(SO(3)) ** 2 + 3 * trivial(SO(3)),
    (V(SO(2)) + trivial(SO(2))) * (V(SO(2)) + 2 * irrep(SO(2), 2)) * V(SO(2)),
    ~(2 * (V(Lorentz()) + trivial(Lorentz()))) * (V(Lorentz()) + V(Lorentz()) ** 2),
    2 * (regular(Cyclic(3)) + V(Cyclic(3))) >> regular(Cyclic(3)) + 2 * V(Cyclic(3)),
    (V(SL(2)) + V(SL(2)).sym(2)) ** 2 >> V(SL(2)).sym(2) + 2 * V(SL(2)),
    2 * (V(Unitriangular(3)) + ~V(Unitriangular(3))) >> V(Unitriangular(3)) + trivial(Unitriangular(3)),
    0 * V(SO(3)) + V(SO(3)) >> V(SO(3)) + 0 * trivial(SO(3)),
    (V(SO(3)) + trivial(SO(3))) * V(SO(3)) + V(SO(3)) >> V(SO(3)),
]


@pytest.mark.parametrize("rep", SPLIT, ids=lambda rep: f"{rep} of {rep.group}")
def test_blocks_are_the_null_space(rep):
    found = invariants_by_blocks(rep)
    assert found.tier == "blocks"
    agree(found, invariants_by_svd(rep))
    agree(invariants(rep), found)


WHOLE = [
    V(SO(3)) ** 5,
    V(SO(4)) ** 2 >> V(SO(4)) ** 2,
    V(O(2)) ** 6,
    V(SU(2)) ** 4,
    V(Lorentz()) ** 2 >> V(Lorentz()) * ~V(Lorentz()),
    V(SL(2)) ** 6,
    V(SL(3)) >> V(SL(3)) ** 4,
    V(Unitriangular(3)) ** 4,
    V(Unitriangular(4)) >> V(Unitriangular(4)) ** 2,
    V(Cyclic(7)) ** 7,
    V(Dihedral(5)) ** 5,
    V(Octahedral()).sym(4) * V(Octahedral()).sym(2),
    regular(Dihedral(5)) * V(Dihedral(5)) ** 3,
    V(SO(3)) * V(SO(3)).sym(2) * trivial(SO(3)),
]


@pytest.mark.parametrize("rep", WHOLE, ids=lambda rep: f"{rep} of {rep.group}")
def test_projection_is_the_null_space(rep):
    found = invariants_by_projection(rep)
    assert found.tier == "matrix-free"
    agree(found, invariants_by_svd(rep))
    agree(invariants(rep), found)


NAMED = [irrep(O(3), 1, odd=True), irrep(O(3), 2), irrep(O(3), 2, odd=True), irrep(O(3), 3, odd=True)]
NAMED += [irrep(SO(3), 1), irrep(SO(3), 4), irrep(SO(2), 1), irrep(SO(2), 2), irrep(O(2), 1), irrep(O(2), 3)]
NAMED += [irrep(SU(2), 0.5), irrep(SU(2), 1), irrep(SU(2), 1.5), irrep(Dihedral(5), 1), irrep(Dihedral(5), 2)]


def test_schur_is_the_null_space():
    spoken = 0
    for a in NAMED:
        agree(invariants_by_schur(a), invariants_by_svd(a))
        for b in NAMED:
            if a.group != b.group:
                continue
            found = invariants(a >> b)
            agree(found, invariants_by_svd(a >> b))
            spoken += found.tier == "Schur"
            assert len(found) == (0 if a != b else len(invariants_by_svd(a >> a)))
    assert spoken == 33
    with pytest.raises(GroupError, match="Schur"):
        invariants_by_schur(irrep(SO(2), 1) >> irrep(SO(2), 1))
    with pytest.raises(GroupError, match="Schur"):
        invariants_by_schur(V(SO(3)))


def test_the_tier_is_chosen():
    W = V(SO(3))
    chosen = {
        "orbits": V(RubiksCube()) >> V(RubiksCube()),
        "blocks": 2 * W >> W,
        "Schur": irrep(SO(3), 9) >> irrep(SO(3), 9),
        "dense": W >> W,
        "matrix-free": W**3 >> W**3,
    }
    assert {tier: invariants(rep).tier for tier, rep in chosen.items()} == {tier: tier for tier in chosen}


# Integers found elsewhere, in dimensions beyond the dense solver.


def bell(k: int, parts: int) -> int:
    """The number of partitions of k things into at most so many parts (Stirling's recursion)."""
    row = [1]
    for _ in range(k):
        row = [(row[j - 1] if j else 0) + (j * row[j] if j < len(row) else 0) for j in range(len(row) + 1)]
    return sum(row[: parts + 1])


@pytest.mark.parametrize(("n", "k"), [(2, 5), (3, 6), (4, 6), (8, 4), (10, 6)])
def test_invariant_tensors_of_permutations_are_set_partitions(n, k):
    found = invariants(V(Symmetric(n)) ** k)
    assert len(found) == bell(k, n)
    assert scipy.sparse.issparse(found.rows)
    assert found.sparse.nnz == n**k, "each coordinate is in one orbit"


def test_invariant_tensors_in_thousands_of_dimensions():
    # Riordan numbers, pairings (with the volume form for SO(4)), Catalan numbers.
    assert [len(invariants(V(SO(3)) ** k)) for k in (6, 7, 8)] == [15, 36, 91]
    assert len(invariants(V(O(5)) ** 4)) == 3
    assert len(invariants(V(SL(2)) ** 10)) == math.comb(10, 5) // 6
    # Over the reals 3 is in Sym^3(3 + 3*) once, by |z|^2 z: a complex multiple, so two real ones.
    assert len(invariants(V(SU(3)) >> V(SU(3)).sym(3))) == 2
    # First fundamental theorem of Lorentz: 15 pairings and 10 independent products of the volume form and the metric.
    assert len(invariants(V(Lorentz()) ** 3 >> V(Lorentz()) ** 3)) == 25


def test_burnside_counts_the_orbits_of_the_cube():
    faces = regular(Octahedral())
    characters = [np.trace(faces.rho(g)) for g in Octahedral().elements]
    assert len(invariants(faces**3)) == round(np.mean(np.power(characters, 3)))


def test_what_is_sparse_stays_sparse():
    W = 100 * trivial(SO(3)) + 60 * V(SO(3))
    found = basis(W >> W)
    assert found.sparse.shape == (100**2 + 60**2, 280**2)
    assert found.sparse.nnz == 100**2 + 3 * 60**2
    with pytest.raises(GroupError, match=r"dense array .* `basis.sparse`"):
        _ = basis(4 * W >> 4 * W).vectors
    product = (found.sparse @ found.sparse.T - scipy.sparse.eye_array(len(found))).tocoo()
    assert abs(product.data).max(initial=0) < 1e-14


def test_empty_spaces_have_empty_bases():
    W = V(SO(3))
    for rep in (W.alt(4), W >> W.alt(4), 0 * W >> W):
        assert len(invariants(rep)) == 0
        assert basis(rep).vectors.shape == (0, rep.dim)
    assert basis(W >> W.alt(4)).matrices.shape == (0, 0, 3)
    assert len(invariants(trivial(SO(3)))) == 1


# Refusals.


def test_an_undecided_rank_is_refused_by_every_tier():
    rounded = MatrixGroup(discrete_generators=rotation(2 * np.pi / 3).astype(np.float32)[None])
    for solve in (invariants, invariants_by_projection, invariants_by_svd):
        with pytest.raises(RankError, match="float64"):
            solve(V(rounded) ** 7)
    nudged = MatrixGroup([np.diag([1.0, -1.0, 0.0]), np.diag([1e-7, 1e-7, 0.0])])
    for solve in (invariants_by_projection, invariants_by_svd):
        with pytest.raises(RankError, match="float64"):
            solve(V(nudged) ** 2)


def test_more_memory_than_there_is_is_refused():
    with pytest.raises(GroupError, match=r"dimension 59049, about \d+ vectors\) needs [\d.]+ GiB"):
        invariants(V(SO(3)) ** 10)
    with pytest.raises(GroupError, match="`invariants_by_projection`"):
        invariants_by_svd(V(SO(3)) ** 8)
    with pytest.raises(GroupError, match=r"needs .* GiB"):
        invariants(V(Symmetric(10)) ** 8)
    with pytest.raises(GroupError, match="300000000 non-zero entries"):
        basis(10_000 * V(SO(3)) >> 10_000 * V(SO(3)))
    with pytest.raises(GroupError, match="does not permute"):
        invariants_by_orbits(V(SO(2)))


# Multilinear maps, operators, kernels.


def test_multilinear_maps():
    W = V(SO(3))
    (cross,) = multilinear((W, W), W)
    levi_civita = np.linalg.det(np.eye(3)[np.stack(np.indices((3, 3, 3)), axis=-1)])
    np.testing.assert_allclose(abs(np.sum(cross * levi_civita)), math.sqrt(6), rtol=1e-12)
    (triple,) = multilinear((W, W, W), trivial(SO(3)))
    np.testing.assert_allclose(triple[0], cross, atol=1e-12)
    assert multilinear((W, W.sym(2)), W + W.sym(2)).shape == (len(basis(W * W.sym(2) >> W + W.sym(2))), 9, 3, 6)
    # Products of numbers: real, complex (C_3 turns the plane) and of permutations.
    assert multilinear((V(Symmetric(3)),) * 2, V(Symmetric(3))).shape == (5, 3, 3, 3)
    rng = np.random.default_rng(0)
    L = Lorentz()
    mu = multilinear((V(L), ~V(L), V(L)), V(L))
    x, y, z = rng.normal(size=(3, 4))
    boost = np.array([[1.25, 0.75, 0, 0], [0.75, 1.25, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    moved = np.einsum("roijk,i,j,k->ro", mu, boost @ x, np.linalg.inv(boost).T @ y, boost @ z)
    np.testing.assert_allclose(moved, np.einsum("roijk,i,j,k->ro", mu, x, y, z) @ boost.T, atol=1e-12)
    assert len(mu) == 4
    with pytest.raises(GroupError, match="one input or more"):
        multilinear((), W)
    with pytest.raises(GroupError, match="different groups"):
        multilinear((W, V(SO(2))), W)


def test_operators_in_space_are_those_of_vector_calculus():
    G = SO(3)
    scalar, vector = trivial(G), V(G)
    (gradient,) = operator_basis(scalar, vector, 1)
    np.testing.assert_allclose(gradient[:, 0, :], np.eye(3) / 3**0.5, atol=1e-14)
    (divergence,) = operator_basis(vector, scalar, 1)
    np.testing.assert_allclose(divergence[0], np.eye(3) / 3**0.5, atol=1e-14)
    (curl,) = operator_basis(vector, vector, 1)
    np.testing.assert_allclose(curl, -curl.transpose(1, 0, 2), atol=1e-14)
    (laplacian,) = operator_basis(scalar, scalar, 2)
    np.testing.assert_allclose(power_isometry(3, 2) @ laplacian[0, 0], np.eye(3).reshape(9) / 3**0.5, atol=1e-14)
    assert [len(operator_basis(scalar, scalar, k)) for k in range(5)] == [1, 0, 1, 0, 1]
    # The wave operator, and operators for a group that acts on space through another representation.
    wave = power_isometry(4, 2) @ operator_basis(trivial(Lorentz()), trivial(Lorentz()), 2)[0, 0, 0]
    np.testing.assert_allclose(wave, np.diag([1.0, -1, -1, -1]).reshape(16) / 2, atol=1e-14)
    spin = operator_basis(V(SU(2)), V(SU(2)), 1, irrep(SU(2), 1))
    assert spin.shape == (4, 4, 4, 3), "the Dirac operators on spinors of the space: sigma . nabla, times quaternions"
    with pytest.raises(GroupError, match="different groups"):
        operator_basis(scalar, scalar, 1, V(SO(2)))


def test_kernels_of_rotations_are_spherical_harmonics():
    # K(x): scalars -> D^l of degree l is Y_l(x), the only one.
    points = np.random.default_rng(1).normal(size=(5, 3))
    for degree in (1, 2, 3):
        (kernel,) = kernel_basis(trivial(SO(3)), irrep(SO(3), degree), degree)
        powers = points
        for _ in range(degree - 1):
            powers = np.einsum("ni,nj->nij", powers, points).reshape(len(points), -1)
        ours = powers @ power_isometry(3, degree) @ kernel[:, 0, :].T
        theirs = np.asarray(
            e3nn_jax.spherical_harmonics(
                e3nn_jax.Irreps([(1, (degree, (-1) ** degree))]), points, normalize=False
            ).array,
            np.float64,
        )
        scale = np.sum(ours * theirs) / np.sum(theirs**2)
        np.testing.assert_allclose(ours, scale * theirs, atol=1e-6)
    # Coordinates are not derivatives: under SL(2), x goes to itself, and the gradient to its quarter turn.
    one, plane = trivial(SL(2)), V(SL(2))
    np.testing.assert_allclose(kernel_basis(one, plane, 1)[0, :, 0], np.eye(2) / 2**0.5, atol=1e-14)
    np.testing.assert_allclose(abs(operator_basis(one, plane, 1)[0, :, 0]), np.eye(2)[::-1] / 2**0.5, atol=1e-14)


# The cache on disk.


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EQUIVAX_CACHE", raising=False)
    monkeypatch.setattr(cache, "WORTH_STORING", 0.0)
    return tmp_path / "equivax" / "bases"


def solver(found: Basis):
    """A solver that knows the answer, and counts how often it is asked."""

    def solve(rep):
        solve.calls += 1
        return found

    solve.calls = 0
    return solve


@pytest.mark.parametrize("rep", [V(SO(3)) ** 3, V(Symmetric(3)) ** 3], ids=["dense", "sparse"])
def test_bases_are_read_back_as_they_were(rep, folder):
    found = invariants(rep)
    solve = solver(found)
    assert cache.stored(rep, solve) is found
    again = cache.stored(rep, solve)
    assert solve.calls == 1
    assert type(again.rows) is type(found.rows)
    assert (again.gap, again.residual, again.tier) == (found.gap, found.residual, found.tier)
    np.testing.assert_array_equal(again.vectors, found.vectors)
    assert [path.suffix for path in folder.iterdir()] == [".npz"]


def test_a_broken_file_is_written_anew(folder):
    rep = V(SO(3)) ** 3
    solve = solver(invariants(rep))
    cache.stored(rep, solve)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    pickled = [np.array([object()])]
    for k, broken in enumerate([b"", b"no zip", whole[: len(whole) // 2], whole[:200] + b"x" * 50 + whole[250:]]):
        path.write_bytes(broken)
        np.testing.assert_array_equal(cache.stored(rep, solve).vectors, invariants(rep).vectors)
        assert solve.calls == k + 2
        assert path.read_bytes() != broken
    np.savez(path, data=pickled, indices=[0], indptr=[0], shape=[1, 27], gap=1.0, residual=0.0, tier="", dense=True)
    cache.stored(rep, solve)
    assert solve.calls == 6, "pickles are not read"


def test_a_file_of_another_basis_is_written_anew(folder):
    rep = V(SO(3)) ** 3
    right = invariants(rep)
    cache.stored(rep, solver(dataclasses.replace(right, rows=np.roll(right.vectors, 1, axis=1))))
    assert cache.stored(rep, solver(right)) is right
    np.testing.assert_array_equal(cache.stored(rep, solver(right)).vectors, right.vectors)


def test_the_cache_is_off_or_out_of_reach(folder, monkeypatch):
    rep = V(SO(3)) ** 3
    solve = solver(invariants(rep))
    monkeypatch.setenv("EQUIVAX_CACHE", "0")
    cache.stored(rep, solve)
    assert not folder.exists()
    monkeypatch.setenv("EQUIVAX_CACHE", "1")
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    assert len(cache.stored(rep, solve)) == 1
    assert solve.calls == 2


def test_keys_are_contents():
    first = MatrixGroup(discrete_generators=[rotation(np.pi / 2).round()], name="turns")
    renamed = MatrixGroup(discrete_generators=[rotation(np.pi / 2).round()], name="other")
    other = MatrixGroup(discrete_generators=[rotation(np.pi)], name="turns")
    keys = [cache.content_key(V(G) ** 2) for G in (first, renamed, other)]
    assert keys[0] == keys[1] != keys[2]
    expressions = [V(SO(3)), ~V(SO(3)), V(SO(3)) ** 2, V(SO(3)).sym(2), V(SO(3)).alt(2), V(SO(3)) >> V(SO(3))]
    expressions += [V(SO(4)), V(O(3)), irrep(SO(3), 1), irrep(SO(3), 2), 2 * V(SO(3)), V(SO(3)) + trivial(SO(3))]
    assert len({cache.content_key(rep) for rep in expressions}) == len(expressions)
