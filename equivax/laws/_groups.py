"""The axioms of groups, and what a group claims of its elements."""

import functools
import itertools
import math

import numpy as np
import scipy.linalg

from .._types import Element, Key, Matrices
from ..symmetry import AbstractGroup, GroupError, RankError
from ._elements import draw, probe_elements
from ._verdict import Verdict, VerdictTable, equality, rounding

# Up to this order a finite group is compared with the list of its elements, which is exact; beyond it, it is asked.
LISTED = 2_000


def group_axioms(group: AbstractGroup, *, key: Key, samples: int = 4, tolerance: float | None = None) -> VerdictTable:
    r"""Associativity, identity and inverse on sampled elements; closure; and that elements are what the group says.

    Asked where they apply: brackets of the Lie algebra and its conjugates by discrete generators stay in its span;
    samples are orthogonal, or keep the group's invariant form, of the right determinant, and for a finite group among
    its elements, which are closed under products. Errors are relative to the product of the norms of the factors, as
    large boosts need it.
    """
    drawn = draw(group, samples, key)
    limit = rounding(drawn.dtype, tolerance)
    sampled = np.asarray(drawn, np.float64)
    probes = probe_elements(group, key=key, samples=samples)
    rng = np.random.default_rng(0)
    a, b, c = (probes[rng.permutation(len(probes))] for _ in range(3))
    verdicts = [
        equality(
            "associativity",
            "(g h) k = g (h k)",
            [
                _norm(group.compose(group.compose(g, h), k) - group.compose(g, group.compose(h, k)))
                for g, h, k in zip(a, b, c, strict=True)
            ],
            _norm(a) * _norm(b) * _norm(c),
            limit,
        ),
        equality(
            "identity",
            "1 g = g = g 1",
            [_norm(group.compose(group.identity, g) - g) + _norm(group.compose(g, group.identity) - g) for g in probes],
            _norm(probes),
            limit,
        ),
        equality(
            "inverse",
            "g g^-1 = 1 = g^-1 g",
            [
                _norm(group.compose(g, group.inverse(g)) - group.identity)
                + _norm(group.compose(group.inverse(g), g) - group.identity)
                for g in probes
            ],
            [_norm(g) * _norm(group.inverse(g)) for g in probes],
            limit,
        ),
    ]
    verdicts += _closure(group, limit) + _claims(group, sampled, limit)
    if group.is_finite:
        verdicts += _finite(group, sampled, limit)
    return VerdictTable(verdicts)


def _closure(group: AbstractGroup, limit: float) -> list[Verdict]:
    algebra, discrete = group.lie_algebra, group.discrete_generators
    verdicts = []
    if len(algebra) > 1:
        pairs = [(A, B) for A, B in itertools.combinations(algebra, 2)]
        gaps = [_outside(A @ B - B @ A, algebra) for A, B in pairs]
        scales = [_norm(A) * _norm(B) for A, B in pairs]
        verdicts.append(equality("closure of brackets", "[xi, eta] in Lie(G)", gaps, scales, limit))
    if len(algebra) and len(discrete):
        moved = [h @ A @ np.linalg.inv(h) for h in discrete for A in algebra]
        gaps = [_outside(M, algebra) for M in moved]
        verdicts.append(equality("closure of conjugates", "h xi h^-1 in Lie(G)", gaps, _norm(np.stack(moved)), limit))
    return verdicts


def _claims(group: AbstractGroup, sampled: Matrices, limit: float) -> list[Verdict]:
    elements = (
        np.concatenate([sampled, [scipy.linalg.expm(A) for A in group.lie_algebra]])
        if len(group.lie_algebra)
        else sampled
    )
    verdicts = []
    if group.is_orthogonal:
        gaps = _norm(np.swapaxes(elements, 1, 2) @ elements - group.identity)
        verdicts.append(equality("orthogonality", "g^T g = 1", gaps, _norm(elements), limit))
    elif _keeps_a_form(group):
        S = group.invariant_form
        gaps = _norm(np.swapaxes(elements, 1, 2) @ S @ elements - S)
        verdicts.append(equality("invariant form", "g^T S g = S", gaps, _norm(S) * _norm(elements) ** 2, limit))
    traceless = np.abs(np.trace(group.lie_algebra, axis1=1, axis2=2)).max(initial=0.0) < limit
    signs = np.linalg.det(group.discrete_generators)
    if traceless and np.abs(np.abs(signs) - 1).max(initial=0.0) < limit:
        determinants = np.linalg.det(elements)
        proper = signs.min(initial=1.0) > 0
        gaps = np.abs(determinants - 1) if proper else np.abs(np.abs(determinants) - 1)
        statement = "det g = 1" if proper else "|det g| = 1"
        # Hadamard: |det g| <= |g_1| ... |g_d|, and rounding is relative to that product.
        bounds = np.prod(np.linalg.norm(elements, axis=2), axis=1)
        verdicts.append(equality("determinant", statement, gaps, bounds, limit))
    return verdicts


def _keeps_a_form(group: AbstractGroup) -> bool:
    try:
        return group.is_compact
    except (GroupError, RankError):  # undecided, so nothing is claimed
        return False


def _finite(group: AbstractGroup, sampled: Matrices, limit: float) -> list[Verdict]:
    if group.order > LISTED:
        drawn, products = sampled, [group.compose(g, h) for g in sampled for h in group.discrete_generators]
        distance = functools.partial(_outside_of, group)
    else:
        elements, drawn = group.elements, sampled
        products = [group.compose(g, h) for g in elements[:16] for h in elements[-16:]]
        distance = functools.partial(_nearest, elements)
    gaps, sizes = [distance(g) for g in products], _norm(np.stack(products))
    return [
        equality("samples", "g in elements", [distance(g) for g in drawn], _norm(drawn), limit),
        equality("closure of products", "g h in elements", gaps, sizes, limit),
    ]


def _nearest(elements: Matrices, g: Element) -> float:
    return float(np.linalg.norm(elements - g, axis=(1, 2)).min())


def _outside_of(group: AbstractGroup, g: Element) -> float:
    return 0.0 if group.contains(g) else math.inf


def _norm(matrices):
    return np.linalg.norm(matrices, axis=(-2, -1))


def _outside(matrix: np.ndarray, algebra: Matrices) -> float:
    span = np.linalg.qr(algebra.reshape(len(algebra), -1).T)[0]
    vector = matrix.reshape(-1)
    return float(np.linalg.norm(vector - span @ (span.T @ vector)))
