"""The laws of irreps: orthogonality of matrix elements, and that a decomposition is one."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key
from ..symmetry import AbstractRep, Decomposition, basis
from ._elements import probe_elements
from ._verdict import VerdictTable, equality, rounding


def orthogonality_relations(irreps: Sequence[AbstractRep], *, tolerance: float | None = None) -> VerdictTable:
    r"""Schur's orthogonality of matrix elements, over all elements of a finite group, and that no irrep is missing.

    $$ \frac{1}{|G|} \sum_g \rho_{ij}(g)\, \rho_{kl}(g) = \frac{1}{\dim V} \sum_a (J_a)_{ik} (J_a)_{jl}, \qquad
       \frac{1}{|G|} \sum_g \rho_{ij}(g)\, \sigma_{kl}(g) = 0 \text{ for } \rho \not\cong \sigma, \qquad
       \sum_i \frac{(\dim V_i)^2}{e_i} = |G| $$

    for real irreps, $J_1, \dots, J_e$ an orthogonal basis of $\mathrm{End}_G(V)$ with $|J_a|^2 = \dim V$: the identity alone
    when $V$ is of real type. (Serre, *Linear Representations of Finite Groups*, 1977, sections 2.2 and 13.2.)
    """
    group = irreps[0].group
    limit = rounding(jnp.result_type(float), tolerance)
    elements = [np.stack([V.rho(g) for g in group.elements]).reshape(group.order, -1) for V in irreps]
    inside, across = [], [0.0]
    endomorphisms = [basis(V >> V).matrices for V in irreps]
    for i, (V, units) in enumerate(zip(irreps, endomorphisms, strict=True)):
        mean = (elements[i].T @ elements[i] / group.order).reshape(4 * (V.dim,))
        inside.append(float(np.abs(mean - np.einsum("aik,ajl->ijkl", units, units)).max()))
        across += [float(np.abs(elements[i].T @ elements[j]).max()) / group.order for j in range(i)]
    count = sum(V.dim**2 / len(units) for V, units in zip(irreps, endomorphisms, strict=True))
    return VerdictTable(
        [
            equality("orthogonality within", "<rho_ij, rho_kl> = sum_a J_ik J_jl / dim", max(inside), 1.0, limit),
            equality("orthogonality across", "<rho_ij, sigma_kl> = 0", max(across), 1.0, limit),
            equality("completeness", "sum dim^2 / dim End = |G|", abs(count - group.order), 1.0, limit),
        ]
    )


def decomposition_axioms(
    decomposition: Decomposition, *, key: Key, samples: int = 4, tolerance: float | None = None
) -> VerdictTable:
    r"""That a decomposition is one, $Q^{-1} \rho(g)\, Q = \bigoplus_i m_i V_i(g)$, with $d\rho$ too, and into irreps.

    Errors are relative to the condition of $Q$, which is orthogonal when $\rho$ is. An irrep has 1, 2 or 4 endomorphisms as
    its type says, and there are no intertwiners between different ones.
    """
    limit = rounding(jnp.result_type(float), tolerance)
    rep, total = decomposition.rep, decomposition.sum
    Q, inverse = decomposition.change, decomposition.inverse
    stretch = float(np.linalg.cond(Q))
    probes = probe_elements(rep.group, key=key, samples=samples)
    pairs = [(rep.rho(g), total.rho(g)) for g in probes]
    rates = [(rep.drho(A), total.drho(A)) for A in rep.group.lie_algebra]
    irreps = [c.irrep for c in decomposition.components]
    sizes = {"R": 1, "C": 2, "H": 4}
    schur = [
        abs(len(basis(c.irrep >> W)) - sizes[c.type] * (c.irrep == W)) for c in decomposition.components for W in irreps
    ]
    verdicts = [
        equality("inverse", "Q^-1 Q = 1", _norm(inverse @ Q - np.eye(rep.dim)), stretch * rep.dim**0.5, limit),
        equality(
            "blocks",
            "Q^-1 rho(g) Q = sum of irreps(g)",
            [_norm(inverse @ r @ Q - s) for r, s in pairs],
            [stretch * _norm(r) for r, _ in pairs],
            limit,
        ),
        equality(
            "infinitesimal blocks",
            "Q^-1 drho(xi) Q = sum of irreps(xi)",
            [_norm(inverse @ r @ Q - s) for r, s in rates],
            [stretch * max(_norm(r), 1.0) for r, _ in rates],
            limit,
        ),
        equality("Schur", "dim Hom(V, W) = 1, 2, 4 or 0", float(max(schur)), 1.0, limit),
    ]
    if rep.is_orthogonal:
        gap = _norm(Q.T @ Q - np.eye(rep.dim))
        verdicts.append(equality("orthogonality", "Q^T Q = 1", gap, rep.dim**0.5, limit))
    return VerdictTable(verdicts)


def _norm(matrix: Float[Array | np.ndarray, "..."]) -> float:
    return float(np.linalg.norm(matrix))
