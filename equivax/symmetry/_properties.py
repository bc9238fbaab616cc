"""What a group's generators say about it: unimodular or not, reductive or not."""

import numpy as np
from jaxtyping import Float

from .._types import Matrices
from ._nullspace import RankError

# Relative to the largest: singular values below ZERO count as zero, and none may lie between it and CLEAR.
ZERO = 1e-9
CLEAR = 1e-6


def modulus(algebra: Matrices, discrete: Matrices) -> float:
    r"""How far the modular function $|\det \mathrm{Ad}(g)|$ is from 1 on the generators; zero for a unimodular group."""
    if not len(algebra):
        return 0.0
    read = np.linalg.pinv(algebra.reshape(len(algebra), -1).T)

    def trace(moved: Matrices) -> float:
        return float(np.trace(read @ moved.reshape(len(algebra), -1).T))

    rates = [trace(A @ algebra - algebra @ A) for A in algebra]
    stretches = []
    for h in discrete:
        Ad = read @ (h @ algebra @ np.linalg.inv(h)).reshape(len(algebra), -1).T
        stretches.append(np.log(abs(np.linalg.det(Ad))))
    return float(np.abs([*rates, *stretches]).max(initial=0.0))


def acts_reductively(algebra: Matrices, discrete: Matrices) -> bool:
    r"""Whether $\mathbb{R}^d$ is a direct sum of irreducible subspaces.

    It is when the algebra $\mathcal{A}$ of matrices that the generators span and multiply to has no radical, and the
    radical is $\{ x : \mathrm{tr}(xy) = 0\ \forall y \in \mathcal{A} \}$ (Dickson 1923).

    **Raises:** `RankError` when the singular values of the trace form do not decide.
    """
    return not len(radical(algebra, discrete))


def radical(algebra: Matrices, discrete: Matrices) -> Matrices:
    r"""A basis of the radical of the associative algebra of the group, `(r, d, d)`.

    **Raises:** `RankError` when the singular values of the trace form do not decide.
    """
    span = _associative(np.concatenate([algebra, discrete]))
    form = np.einsum("aij,bji->ab", span, span)
    _, values, vectors = np.linalg.svd(form)
    rank = _rank(values)
    return np.tensordot(vectors[rank:], span, 1)


def _associative(generators: Matrices) -> Matrices:
    """An orthonormal basis of the algebra with 1 that matrices generate."""
    d = generators.shape[-1]
    generators = generators / np.linalg.norm(generators, axis=(1, 2), keepdims=True)
    span = np.eye(d)[None] / d**0.5
    while True:
        products = np.einsum("aij,bjk->abik", span, generators).reshape(-1, d * d)
        candidates = np.concatenate([span.reshape(-1, d * d), products])
        _, values, vectors = np.linalg.svd(candidates, full_matrices=False)
        rank = _rank(values)
        if rank == len(span):
            return span
        span = vectors[:rank].reshape(-1, d, d)


def _rank(values: Float[np.ndarray, " n"]) -> int:
    relative = values / max(values.max(initial=0.0), 1e-300)
    unclear = relative[(relative > ZERO) & (relative < CLEAR)]
    if len(unclear):
        raise RankError(
            f"Whether this group acts reductively is not decided: a singular value is {unclear[0]:.1e} of the largest. "
            "Give the generators in float64, exact to rounding, in coordinates that are scaled alike."
        )
    return int(np.sum(relative >= CLEAR))
