"""The axioms of representations, and the invariance of bases."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from .._types import Key, Matrices
from ..symmetry import AbstractRep, Basis
from ._elements import probe_elements
from ._verdict import Verdict, VerdictTable, equality, rounding

# Representations answer in the array library they are asked in; here that is NumPy, which types cannot say.
NumberArray = Float[Array | np.ndarray, "..."]
# What the null-space solver promises: non-zero singular values are at least this factor above those that count as zero.
DECISIVE_GAP = 1e4


def representation_axioms(
    rep: AbstractRep, *, key: Key, samples: int = 4, tolerance: float | None = None
) -> VerdictTable:
    r"""A homomorphism of groups, a homomorphism of Lie algebras, and the one the derivative of the other.

    $$ \rho(gh) = \rho(g) \rho(h), \quad \rho(1) = 1, \quad
       \tfrac{d}{dt} \rho(e^{t\xi} g)|_0 = d\rho(\xi) \rho(g), \quad
       \rho(e^\xi) = e^{d\rho(\xi)}, \quad d\rho([\xi, \eta]) = [d\rho(\xi), d\rho(\eta)] $$

    The derivative is one `jax.jvp` through the traced `rho`, which must also give the numbers that NumPy gives.
    Vacuous when $\rho(g) = 1$ on all samples.
    """
    dtype = jnp.result_type(float)
    limit = rounding(dtype, tolerance)
    group = rep.group
    g = probe_elements(group, key=key, samples=samples)
    h = np.roll(g, 1, axis=0)
    rho = [rep.rho(x) for x in g]
    stretch = np.linalg.cond(g) * np.linalg.cond(h)  # 1 for orthogonal groups
    blind = max((_norm(r - np.eye(rep.dim)) for r in rho), default=0.0) <= limit
    verdicts = [
        equality(
            "product",
            "rho(g h) = rho(g) rho(h)",
            [_norm(rep.rho(group.compose(x, y)) - r @ s) for x, y, r, s in zip(g, h, rho, _rolled(rho), strict=True)],
            [_norm(r) * _norm(s) * c for r, s, c in zip(rho, _rolled(rho), stretch, strict=True)],
            limit,
            vacuous=blind,
        ),
        equality("unit", "rho(1) = 1", _norm(rep.rho(group.identity) - np.eye(rep.dim)), max(rep.dim, 1) ** 0.5, limit),
    ]
    # One random direction xi at each g; none for finite groups.
    algebra = group.lie_algebra
    coefficients = np.asarray(jax.random.normal(key, (2, len(g), len(algebra))), np.float64)
    xi, eta = np.einsum("snk,kij->snij", coefficients, algebra)
    values, velocities = map(np.asarray, _along(rep, jnp.asarray(g), jnp.asarray(xi @ g)))
    gaps = [_norm(v - r) for v, r in zip(values, rho, strict=True)]
    # Inverses and powers of g lose digits as its condition says.
    scales = [_norm(r) * np.linalg.cond(x) for x, r in zip(g, rho, strict=True)]
    verdicts.append(equality("tracing", "rho(g) traced = rho(g) in NumPy", gaps, scales, limit, vacuous=blind))
    if len(algebra):
        verdicts += _differential(rep, g, rho, xi, eta, velocities, limit)
    return VerdictTable(verdicts)


@functools.partial(jax.jit, static_argnums=0)
def _along(rep: AbstractRep, g: Float[Array, "n d d"], v: Float[Array, "n d d"]) -> tuple[Array, Array]:
    """rho(g) and its derivative along v, for each pair."""
    return jax.vmap(lambda a, b: jax.jvp(rep.rho, (a,), (b,)))(g, v)


def _differential(
    rep: AbstractRep,
    g: Matrices,
    rho: list,
    xi: Matrices,
    eta: Matrices,
    velocities: Float[np.ndarray, "n dim dim"],
    limit: float,
) -> list[Verdict]:
    rates = [rep.drho(x) for x in xi]
    still = max(map(_norm, rates)) <= limit
    small = [x / max(1.0, _norm(x)) for x in xi]
    verdicts = [
        equality(
            "derivative",
            "d/dt rho(exp(t xi) g) = drho(xi) rho(g)",
            [_norm(v - rate @ r) for v, rate, r in zip(velocities, rates, rho, strict=True)],
            [
                (_norm(rate) + _norm(x)) * _norm(r) * np.linalg.cond(h)
                for x, rate, h, r in zip(xi, rates, g, rho, strict=True)
            ],
            limit,
            vacuous=still,
        ),
        equality(
            "exponential",
            "rho(exp(xi)) = exp(drho(xi))",
            [_norm(rep.rho(scipy.linalg.expm(x)) - scipy.linalg.expm(rep.drho(x))) for x in small],
            [_norm(scipy.linalg.expm(rep.drho(x))) for x in small],
            limit,
            vacuous=still,
        ),
        equality(
            "linearity",
            "drho(xi + 2 eta) = drho(xi) + 2 drho(eta)",
            [_norm(rep.drho(x + 2 * y) - rep.drho(x) - 2 * rep.drho(y)) for x, y in zip(xi, eta, strict=True)],
            [_norm(rep.drho(x)) + 2 * _norm(rep.drho(y)) for x, y in zip(xi, eta, strict=True)],
            limit,
            vacuous=still,
        ),
    ]
    if len(rep.group.lie_algebra) > 1:
        verdicts.append(
            equality(
                "bracket",
                "drho([xi, eta]) = [drho(xi), drho(eta)]",
                [
                    _norm(rep.drho(_bracket(x, y)) - _bracket(rep.drho(x), rep.drho(y)))
                    for x, y in zip(xi, eta, strict=True)
                ],
                [_norm(rep.drho(x)) * _norm(rep.drho(y)) for x, y in zip(xi, eta, strict=True)],
                limit,
                vacuous=still,
            )
        )
    return verdicts


def invariance_of_basis(basis: Basis, *, key: Key, samples: int = 4, tolerance: float | None = None) -> VerdictTable:
    r"""That a basis is orthonormal, that its vectors are invariant, and that its rank was decided.

    $$ \rho(g) v = v, \qquad d\rho(A_i) v = 0, \qquad \langle v_r, v_s \rangle = \delta_{rs} $$

    Whether it is *all* of the invariants is a question of dimension, which characters answer. Vacuous when it is empty,
    or when the group acts by the identity.
    """
    limit = rounding(jnp.result_type(float), tolerance)
    rep, vectors = basis.rep, basis.vectors
    rho = [rep.rho(g) for g in probe_elements(rep.group, key=key, samples=samples)]
    rates = [rep.drho(A) for A in rep.group.lie_algebra]
    empty = len(basis) == 0
    blind = empty or max(_norm(r - np.eye(rep.dim)) for r in rho) <= limit
    verdicts = [
        equality(
            "finite invariance",
            "rho(g) v = v",
            [_norm(vectors @ r.T - vectors) for r in rho],
            [max(_norm(r), 1.0) * max(len(basis), 1) ** 0.5 for r in rho],
            limit,
            vacuous=blind,
        )
    ]
    if rates:
        gaps = [_norm(vectors @ rate.T) for rate in rates]
        scales = [max(_norm(rate), 1.0) * max(len(basis), 1) ** 0.5 for rate in rates]
        verdicts.append(equality("infinitesimal invariance", "drho(xi) v = 0", gaps, scales, limit, vacuous=blind))
    gram = _norm(vectors @ vectors.T - np.eye(len(basis)))
    verdicts.append(
        equality("orthonormality", "<v_r, v_s> = delta_rs", gram, max(len(basis), 1) ** 0.5, limit, vacuous=empty)
    )
    verdicts.append(Verdict("decided rank", "1e4 / gap <= 1", DECISIVE_GAP / basis.gap, 1.0, 1.0))
    return VerdictTable(verdicts)


def _rolled(items: list) -> list:
    return items[-1:] + items[:-1]


def _bracket(a: NumberArray, b: NumberArray) -> NumberArray:
    return a @ b - b @ a


def _norm(matrix: NumberArray) -> float:
    return float(np.linalg.norm(matrix))
