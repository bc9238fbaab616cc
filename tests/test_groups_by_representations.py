"""All groups by all everyday representations: axioms, equivariance of each basis element, and the number of them.

The number is compared with an integer that is found without representations as matrices of floats: by averages of
characters for finite groups, by Weyl's integration formula for compact connected ones, by Gauss elimination modulo a
prime where generators are matrices of whole numbers, and by joining orbits for permutations.
"""

import functools
import itertools

import numpy as np
import pytest
import scipy.linalg
from objects import GROUPS, TWO_CIRCLES

from equivax.symmetry import SO, SU, U, USp, basis, defining, invariants, trivial

# name: the representation; its character from chi(g), chi(g^-1), chi(g^2).
REPRESENTATIONS = {
    "1": (trivial, lambda chi, inverse, square: 1 + 0 * chi),
    "V": (defining, lambda chi, inverse, square: chi),
    "V*": (lambda G: ~defining(G), lambda chi, inverse, square: inverse),
    "V V": (lambda G: defining(G) ** 2, lambda chi, inverse, square: chi**2),
    "V >> V": (lambda G: defining(G) >> defining(G), lambda chi, inverse, square: chi * inverse),
    "Sym2 V": (lambda G: defining(G).sym(2), lambda chi, inverse, square: (chi**2 + square) / 2),
}
# Bases of V >> R are asked of groups of matrices up to this size; elimination takes somewhat larger ones.
LARGEST, ELIMINATED = 6, 8
# Finite groups up to this order are averaged over.
LISTED = 2_000
PRIME = 2**31 - 1

few = pytest.mark.parametrize("group", GROUPS, ids=str)


def elements_of(group, count=4):
    """Elements as products of exponentials and discrete generators, not far from the identity where that can be far."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        g = np.eye(group.d)
        for _ in range(3):
            if len(group.lie_algebra):
                xi = np.tensordot(rng.normal(size=len(group.lie_algebra)), group.lie_algebra, 1)
                g = scipy.linalg.expm(0.4 * xi / max(1.0, np.linalg.norm(xi))) @ g
            if len(group.discrete_generators):
                g = group.discrete_generators[rng.integers(len(group.discrete_generators))] @ g
        found.append(g)
    return found


def bases_of(group):
    """(name, basis, rho_out, rho_in) of each: invariants of R as maps 1 -> R, and maps V -> R."""
    one, V = trivial(group), defining(group)
    for name, (make, _) in REPRESENTATIONS.items():
        yield name, make(group), one, invariants(make(group))
        if group.d <= LARGEST:
            yield f"V >> {name}", make(group), V, basis(V >> make(group))


def test_there_are_many():
    assert len(set(GROUPS)) >= 60
    assert len({type(group) for group in GROUPS}) >= 25
    assert len(REPRESENTATIONS) >= 6


@few
def test_homomorphisms_and_their_derivatives(group):
    g, h = elements_of(group, 2)
    rng = np.random.default_rng(1)
    for name, (make, _) in REPRESENTATIONS.items():
        rep = make(group)
        x = rng.normal(size=(rep.dim, min(rep.dim, 8)))
        size = np.linalg.norm(rep.rho(g)) * np.linalg.norm(rep.rho(h)) * np.linalg.norm(x)
        assert np.linalg.norm(rep.rho(g @ h) @ x - rep.rho(g) @ (rep.rho(h) @ x)) < 1e-13 * size, name
        np.testing.assert_allclose(rep.rho(np.eye(group.d)), np.eye(rep.dim), atol=1e-13, err_msg=name)
        for A, B in zip(group.lie_algebra, np.roll(group.lie_algebra, 1, axis=0), strict=True):
            a, b = rep.drho(A), rep.drho(B)
            np.testing.assert_allclose(rep.drho(A @ B - B @ A), a @ b - b @ a, atol=1e-12, err_msg=name)
            np.testing.assert_allclose(
                rep.rho(scipy.linalg.expm(0.5 * A)), scipy.linalg.expm(0.5 * a), atol=1e-12, rtol=1e-12, err_msg=name
            )


@few
def test_every_basis_element_is_equivariant(group):
    elements = elements_of(group)
    for name, rep, rep_in, found in bases_of(group):
        maps = found.vectors.reshape(len(found), rep.dim, rep_in.dim)
        np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(len(found)), atol=1e-12, err_msg=name)
        for A in group.lie_algebra:
            assert np.abs(rep.drho(A) @ maps - maps @ rep_in.drho(A)).max(initial=0) < 1e-10, name
        for g in elements:
            for dtype, bound in ((np.float64, 1e-10), (np.float32, 1e-5)):
                after, before = (r.rho(g.astype(dtype)) for r in (rep, rep_in))
                cast = maps.astype(dtype)
                assert after.dtype == before.dtype == dtype, name
                moved = np.tensordot(cast, after, ((1,), (1,))).swapaxes(1, 2)
                size = max(1.0, np.abs(after).sum(1).max())
                assert np.abs(moved - cast @ before).max(initial=0) < bound * size, name


# How many there are.


def by_characters(group):
    """Averages of characters over a finite group."""
    g = group.elements
    chi, inverse = np.trace(g, axis1=1, axis2=2), np.trace(np.linalg.inv(g), axis1=1, axis2=2)
    square = np.einsum("nij,nji->n", g, g)
    for name, (_, character) in REPRESENTATIONS.items():
        values = character(chi, inverse, square)
        yield name, np.mean(values)
        yield f"V >> {name}", np.mean(inverse * values)


@functools.lru_cache(maxsize=256)
def integer_generators(group):
    """The generators as matrices of whole numbers, those of the Lie algebra up to a multiple; None where they are not."""
    stacks = []
    for stack, scale in ((group.lie_algebra, True), (group.discrete_generators, False)):
        sizes = [np.abs(A[np.abs(A) > 1e-12]).min() if scale else 1.0 for A in stack]
        whole = [A / size for A, size in zip(stack, sizes, strict=True)]
        if any(np.abs(A - np.round(A)).max() > 1e-9 for A in whole):
            return None
        if any(abs(abs(np.linalg.det(h)) - 1) > 1e-6 for h in whole if not scale):
            return None
        stacks.append([np.round(A).astype(np.int64) for A in whole])
    return stacks


def rank_modulo_prime(C):
    """The rank of a matrix of whole numbers over the field of 2^31 - 1 elements."""
    C, rank = C % PRIME, 0
    for column in range(C.shape[1]):
        rows = np.flatnonzero(C[rank:, column]) + rank
        if len(rows) == 0:
            continue
        C[[rank, rows[0]]] = C[[rows[0], rank]]
        C[rank] = C[rank] * pow(int(C[rank, column]), -1, PRIME) % PRIME
        rows = rows[1:]
        C[rows] = (C[rows] - C[rows, column, None] * C[rank]) % PRIME
        rank += 1
    return rank


def on_quadratic_monomials(square, n):
    """The action on x_i x_j, i <= j, from the action on x_i tensor x_j; no roots of two, unlike our coordinates."""
    pairs = list(itertools.combinations_with_replacement(range(n), 2))
    columns = []
    for i, j in pairs:
        image = square[:, i * n + j].reshape(n, n)
        columns.append([image[a, b] + (image[b, a] if a != b else 0) for a, b in pairs])
    return np.array(columns, np.int64).T


def by_elimination(group):
    """Dimensions of null spaces over a prime field: a group's generators are matrices of whole numbers, det = +-1."""
    algebra, discrete = integer_generators(group)
    n, one = group.d, np.eye(group.d, dtype=np.int64)
    scalar = np.zeros((1, 1), np.int64)

    def plus(a, b):
        return np.kron(a, np.eye(len(b), dtype=np.int64)) + np.kron(np.eye(len(a), dtype=np.int64), b)

    constraints = {}
    for A in algebra:
        square = plus(A, A)
        rates = {"1": scalar, "V": A, "V*": -A.T, "V V": square, "V >> V": plus(A, -A.T)}
        rates["Sym2 V"] = on_quadratic_monomials(square, n)
        for name, rate in rates.items():
            constraints.setdefault(name, []).append(rate)
            if n <= LARGEST:
                constraints.setdefault(f"V >> {name}", []).append(plus(rate, -A.T))
    for h in discrete:
        dual = np.round(np.linalg.inv(h).T).astype(np.int64)
        assert (dual.T @ h == one).all()
        square = np.kron(h, h)
        turns = {"1": scalar + 1, "V": h, "V*": dual, "V V": square, "V >> V": np.kron(h, dual)}
        turns["Sym2 V"] = on_quadratic_monomials(square, n)
        for name, turn in turns.items():
            constraints.setdefault(name, []).append(turn - np.eye(len(turn), dtype=np.int64))
            if n <= LARGEST:
                both = np.kron(turn, dual)
                constraints.setdefault(f"V >> {name}", []).append(both - np.eye(len(both), dtype=np.int64))
    for name, rows in constraints.items():
        yield name, rows[0].shape[1] - rank_modulo_prime(np.concatenate(rows))


def count_orbits(images, points):
    """The number of classes of points that maps join."""
    parent = {x: x for x in points}

    def root(x):
        while parent[x] != x:
            parent[x] = x = parent[parent[x]]
        return x

    for image in images:
        for x in points:
            parent[root(image(x))] = root(x)
    return sum(root(x) == x for x in points)


def by_orbits(group):
    """Orbits of points, of ordered and of unordered pairs, under permutation matrices."""
    n = group.d
    moves = [np.argmax(h, axis=0).tolist() for h in group.discrete_generators]
    points = count_orbits([p.__getitem__ for p in moves], range(n))
    pairs = count_orbits(
        [lambda x, p=p: (p[x[0]], p[x[1]]) for p in moves], list(itertools.product(range(n), repeat=2))
    )
    unordered = count_orbits(
        [lambda x, p=p: tuple(sorted((p[x[0]], p[x[1]]))) for p in moves],
        list(itertools.combinations_with_replacement(range(n), 2)),
    )
    return zip(REPRESENTATIONS, (1, points, points, pairs, pairs, unordered), strict=True)


def permutes(group):
    h = group.discrete_generators
    return len(group.lie_algebra) == 0 and np.isin(h, (0, 1)).all() and (h.sum(1) == 1).all() and len(h) > 0


def expected_counts(group):
    """All integers that are known for a group: (which method, which representation, how many)."""
    if group.is_finite and not (permutes(group) and group.d > LARGEST) and group.order <= LISTED:
        yield from (("characters", *count) for count in by_characters(group))
    if integer_generators(group) is not None and group.d <= ELIMINATED and not (group.is_finite and group.order == 1):
        yield from (("elimination", *count) for count in by_elimination(group))
    if permutes(group):
        yield from (("orbits", *count) for count in by_orbits(group))


@few
def test_dimensions_are_integers_found_another_way(group):
    found = {name: len(basis_found) for name, _, _, basis_found in bases_of(group)}
    compared = set()
    for method, name, count in expected_counts(group):
        if name in found:
            assert abs(count - found[name]) < 1e-6, f"{name}: {found[name]}, by {method} {count}"
            compared.add(name)
    assert compared == set(found), "every basis has an integer to be compared with"


# Weights of V and positive roots, in coordinates of the torus; the order of the Weyl group.
ROOTS = [
    (SO(2), [[1], [-1]], [], 1),
    (SO(3), [[1], [0], [-1]], [[1]], 2),
    (SO(4), [[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 1], [1, -1]], 4),
    (SO(5), [[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]], [[1, 1], [1, -1], [1, 0], [0, 1]], 8),
    (TWO_CIRCLES, [[1, 0], [-1, 0], [0, 1], [0, -1]], [], 1),
    (U(1), [[1], [-1]], [], 1),
    (U(2), [[1, 0], [0, 1], [-1, 0], [0, -1]], [[1, -1]], 2),
    (SU(2), [[1], [-1], [1], [-1]], [[2]], 2),
    (SU(3), [[1, 0], [0, 1], [-1, -1], [-1, 0], [0, -1], [1, 1]], [[1, -1], [2, 1], [1, 2]], 6),
    (USp(2), 2 * [[1, 0], [-1, 0], [0, 1], [0, -1]], [[2, 0], [0, 2], [1, 1], [1, -1]], 8),
]


@pytest.mark.parametrize(("group", "weights", "roots", "order"), ROOTS, ids=lambda x: str(x) if x in GROUPS else "")
def test_dimensions_are_integrals_over_the_torus(group, weights, roots, order):
    # Weyl: the average over G is that over the torus, with weight prod |1 - e^(i alpha)|^2 / |W|; exact on a fine grid.
    weights, rank = np.array(weights), len(weights[0])
    assert len(weights) == group.d
    assert len(group.lie_algebra) == rank + 2 * len(roots)
    angles = np.stack(np.meshgrid(*[2 * np.pi * np.arange(24) / 24] * rank), axis=-1).reshape(-1, rank)
    density = np.ones(len(angles)) / order
    for alpha in roots:
        density *= np.abs(1 - np.exp(1j * angles @ np.array(alpha))) ** 2
    chi, square = (np.exp(1j * k * angles @ weights.T).sum(1).real for k in (1, 2))
    for name, (_, character) in REPRESENTATIONS.items():
        values = character(chi, chi, square) * density
        rep = REPRESENTATIONS[name][0](group)
        assert abs(np.mean(values) - len(invariants(rep))) < 1e-9, name
        if group.d <= LARGEST:
            assert abs(np.mean(values * chi) - len(basis(defining(group) >> rep))) < 1e-9, name
