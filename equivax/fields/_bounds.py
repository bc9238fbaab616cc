"""Norms of operators, bounded from above: what a proof of stability rests on."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from ._intertwiner import Intertwiner
from ._jets import GaussianJet, along_axes, dense_jet, jet_factors
from ._steerable import SteerableOperator

# Up to this many pixels the norm of a jet is the root of an eigenvalue; beyond, a sum of norms along the axes bounds it.
EXACT_POINTS = 1024
# Bounds are computed in the precision of the weights, whose rounding this covers many times.
ROUNDING = 1e-5


@functools.lru_cache(maxsize=64)
def jet_norm(jet: GaussianJet) -> float:
    r"""$|J|_2$, the norm of the whole jet from `(source.size,)` to `(jets, target.size)`, or a bound on it, in float64.

    $|J|_2^2 = \lambda_{max}(J^\top J)$ for grids of up to 1,024 pixels; for larger ones
    $\sum_{k, a} c_k^2 \binom{k}{a} |\partial_y^a|_2^2\, |\partial_x^{k-a}|_2^2$, from the stencils along the axes.
    """
    # By name: the stencils take what a jet is made of, all but the turn of its axes, which leaves norms alone.
    made_of = {field.name: getattr(jet, field.name) for field in dataclasses.fields(jet) if field.name != "turn"}
    if jet.source.size <= EXACT_POINTS:
        J = dense_jet(**made_of)
        n = jet.source.size
        return float(np.sqrt(scipy.linalg.eigvalsh(J.T @ J, subset_by_index=(n - 1, n - 1))[0]))
    x, y = (np.linalg.norm(m, 2, axis=(1, 2)) for m in along_axes(**made_of))
    factors = jet_factors(jet.order)
    squares = [(factors[k][a] * y[a] * x[k - a]) ** 2 for k in range(jet.order + 1) for a in range(k + 1)]
    return float(np.sqrt(sum(squares)))


def matrix_norm_bound(A: Float[Array, "rows columns"]) -> Float[Array, ""]:
    r"""$|A|_2 \le |A|_{S_{16}} = (\mathrm{tr}\,(A^\top A)^8)^{1/16}$: a few matrix products, differentiable but at 0.

    It exceeds the norm by at most the 16th root of the rank: 1.3 times for 64 equal singular values, and less for others.
    """
    M = A.T @ A if A.shape[0] >= A.shape[1] else A @ A.T
    trace = jnp.maximum(jnp.trace(M), jnp.finfo(M.dtype).tiny)
    M = M / trace
    for _ in range(2):
        M = M @ M
    # M is symmetric: the trace of its square is the sum of the squares of its entries.
    return jnp.sqrt(trace) * jnp.sum(M**2) ** (1 / 16) * (1 + ROUNDING)


def operator_bound(part: SteerableOperator | Intertwiner) -> Float[Array, ""]:
    r"""$|P|_2 \le |A|_{S_{16}}\, |J|_2$, for $P = A J$ with the jet $J$ and the symbol $A$; of an intertwiner, $|A|_{S_{16}}$.

    Of signals as plain vectors, `(size, channels)`; quadrature weights change it by the ratio of the grids' spacings. It
    holds for every signal and is computed from weights alone.
    """
    if isinstance(part, Intertwiner):
        return matrix_norm_bound(part.matrix)
    A = part.symbol
    return matrix_norm_bound(A.reshape(-1, A.shape[-1])) * jnp.asarray(jet_norm(part.jet), A.dtype)
