"""Splitting an orthogonal representation: eigenspaces of a random element of its commutant are irreducible."""

import numpy as np
from jaxtyping import Float

from ._errors import GroupError
from ._nullspace import canonical

Square = Float[np.ndarray, "_n _n"]
Isometry = Float[np.ndarray, "_n _d"]

# Eigenvalues of a random matrix nearer than this, relative to the largest, are those of one irreducible subspace.
DISTINCT = 1e-7
# Steps of conjugate gradients: in exact arithmetic one for each Casimir eigenvalue of V >> V.
STEPS = 2_000


def split(generators: Float[np.ndarray, "k n n"]) -> list[Isometry]:
    r"""Irreducible subspaces of a space on which a group acts orthogonally, `(n, d)` each, that add up to the whole.

    A symmetric $X$ is projected on the matrices that commute with the group. On an isotypic component
    $V \otimes_D D^m$, $D = \mathrm{End}_G(V)$, it is an $m \times m$ Hermitian matrix over $D$, and for a random $X$ its $m$
    eigenvalues are distinct: each eigenspace is one copy of $V$ (Dixon, *Computing irreducible representations of
    groups*, Math. Comp. 24, 1970). Eigenspaces are split again until nothing but multiples of the identity is left, so
    that a coincidence of eigenvalues does no harm. `generators` are orthogonal or skew matrices.
    """
    n = generators.shape[-1]
    noise = np.random.default_rng(n).standard_normal((n, n))
    X = commuting_part(generators, (noise + noise.T) / np.linalg.norm(noise))
    values, vectors = np.linalg.eigh((X + X.T) / 2)
    cuts = np.flatnonzero(np.diff(values) > DISTINCT * np.abs(values).max(initial=0.0)) + 1
    if not len(cuts):
        return [np.eye(n)]
    pieces = []
    for part in np.split(vectors, cuts, axis=1):
        piece = canonical(part.T).T
        pieces += [piece @ inner for inner in split(piece.T @ generators @ piece)]
    return pieces


def commuting_part(generators: Float[np.ndarray, "k n n"], X: Square) -> Square:
    r"""The orthogonal projection of $X$ on $\{ X : A X = X A \}$, over `generators` $A$, by conjugate gradients.

    Solves $K Y = K X$ for $K = \sum_A \mathrm{ad}_A^\top \mathrm{ad}_A$, a positive operator whose null space is the commutant:
    for the Lie algebra of a compact group the Casimir operator, with few different eigenvalues.

    **Raises:** `GroupError` when it does not converge.
    """

    def K(Y: Square) -> Square:
        brackets = generators @ Y - Y @ generators
        transposed = generators.transpose(0, 2, 1)
        return np.sum(transposed @ brackets - brackets @ transposed, axis=0)

    def violation(Y: Square) -> float:
        return float(np.linalg.norm(generators @ Y - Y @ generators))

    scale = max(1.0, float(np.linalg.norm(generators))) * float(np.linalg.norm(X))
    for _ in range(3):  # a second pass removes what rounding left of the first
        residual = K(X)
        direction, square = residual, float(np.sum(residual**2))
        start = square
        for _ in range(STEPS):
            if square <= 1e-28 * start or square == 0:
                break
            image = K(direction)
            rate = square / float(np.sum(direction * image))
            X, residual = X - rate * direction, residual - rate * image
            square, previous = float(np.sum(residual**2)), square
            direction = residual + square / previous * direction
        if violation(X) < 1e-13 * scale:
            break
    if violation(X) > 1e-10 * scale:
        raise GroupError(
            f"The matrices that commute with this representation were not found: after {STEPS} steps the best still "
            f"violates the generators by {violation(X) / scale:.1e}. Are the generators exact to rounding?"
        )
    return X
