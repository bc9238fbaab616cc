"""The tiers of the solver that stand alone: orbits, Schur's lemma, singular values, projection."""

import numpy as np
import scipy.sparse
from jaxtyping import Float

from ._basis import Basis
from ._errors import GroupError
from ._expression import generator_matrices
from ._memory import refuse_beyond_memory
from ._nullspace import null_space
from ._orbits import orbit_vectors, permutes, signed_permutations
from ._projection import constraints_of, project
from ._rep import AbstractRep
from ._schur import by_schur

# A dense singular value decomposition beyond this many coordinates takes minutes and gigabytes.
DENSE_LIMIT = 6_000
# A basis with fewer non-zero entries than this share is kept sparse.
SPARSE_SHARE = 0.25


def invariants_by_orbits(rep: AbstractRep) -> Basis:
    r"""The invariants of a representation that permutes coordinates up to sign: the indicators of orbits, normalised.

    **Raises:** `GroupError` when it does not permute coordinates, or when the lists of images would not fit in memory.
    """
    if not permutes(rep):
        raise GroupError(
            f"{rep} does not permute its coordinates up to sign, so it has no orbits: use `invariants(rep)`."
        )
    # Labels, images, signs and edges of a graph whose components are the orbits; twice that where there are signs.
    refuse_beyond_memory(
        96.0 * rep.dim, f"Following {rep.dim} coordinates of {rep}", "Split the representation into its blocks."
    )
    return Basis(rep, orbit_vectors(signed_permutations(rep), rep.dim), np.inf, 0.0, "orbits")


def invariants_by_schur(rep: AbstractRep) -> Basis:
    r"""The invariants of $V$ or $V \otimes W$, for irreps of planar groups, SO(3), O(3) and SU(2), by Schur's lemma.

    **Raises:** `GroupError` where it does not say: other representations, or irreps of complex or quaternionic type.
    """
    rows = by_schur(rep)
    if rows is None:
        raise GroupError(
            f"Schur's lemma alone does not give the invariants of {rep}: it speaks of one or two irreps known by name "
            "(`irrep(group, ...)`), of real type where they are equal. Use `invariants(rep)`."
        )
    return Basis(rep, rows, np.inf, 0.0, "Schur")


def invariants_by_svd(rep: AbstractRep) -> Basis:
    """The invariants as the null space of the dense matrix of all constraints.

    **Raises:** `GroupError` when that matrix would not fit in memory; `RankError` when its singular values do not decide.
    """
    count = len(rep.group.lie_algebra) + len(rep.group.discrete_generators)
    if rep.dim > DENSE_LIMIT:
        raise GroupError(
            f"{rep} has dimension {rep.dim}: the dense null-space solver would need {8 * rep.dim**2 / 2**30:.1f} GiB and "
            f"more. It takes up to {DENSE_LIMIT}; beyond, `invariants_by_projection` forms no matrices."
        )
    instead = "`invariants_by_projection` forms no matrices."
    refuse_beyond_memory(24.0 * count * rep.dim**2, f"The dense null-space solver of {rep} ({rep.dim})", instead)
    rates, turns = generator_matrices(rep)
    space = null_space(np.concatenate([rates, turns - np.eye(rep.dim)]).reshape(count * rep.dim, rep.dim))
    return Basis(rep, _kept_sparse(space.vectors), space.gap, space.residual, "dense")


def invariants_by_projection(rep: AbstractRep) -> Basis:
    r"""The invariants as projections of random vectors, by conjugate gradients, from products $d\rho(A)\, v$ only.

    The matrices of tensor factors are formed, not those of their product. The result does not depend on the random
    vectors, which come from a fixed seed.

    **Raises:** `GroupError` when the vectors would not fit in memory; `RankError` when conjugate gradients do not
    converge, which for dimensions up to a few thousand the dense solver may still decide.
    """
    found = project(constraints_of(rep), str(rep))
    return Basis(rep, _kept_sparse(found.vectors), found.gap, found.residual, "matrix-free")


def _kept_sparse(vectors: Float[np.ndarray, "r n"]) -> Float[np.ndarray, "r n"] | scipy.sparse.csr_array:
    return scipy.sparse.csr_array(vectors) if np.count_nonzero(vectors) < SPARSE_SHARE * vectors.size else vectors
