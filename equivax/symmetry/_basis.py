"""Invariants, intertwiners and equivariant differential operators: all of them invariants of one representation."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from ._group import GroupError
from ._nullspace import null_space
from ._rep import AbstractRep, Hom, same_group
from ._standard import defining

# A dense singular value decomposition beyond this many coordinates takes minutes and gigabytes.
DENSE_LIMIT = 6_000


@dataclasses.dataclass(frozen=True)
class Basis:
    r"""An orthonormal basis of the invariants of a representation, $\{ v : \rho(g) v = v \}$.

    - `rep`: the representation.
    - `vectors`: `(r, rep.dim)`.
    - `gap`: how decisively the rank was found (`NullSpace.gap`).
    - `residual`: the largest violated constraint.
    """

    rep: AbstractRep
    vectors: Float[np.ndarray, "r dim"]
    gap: float
    residual: float

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def matrices(self) -> Float[np.ndarray, "r out in"]:
        """For `V >> W`: the intertwiners as matrices, `(r, W.dim, V.dim)`."""
        if not isinstance(self.rep, Hom):
            raise GroupError(f"Only a basis of V >> W has matrices; this one is of {self.rep}.")
        return self.vectors.reshape(-1, self.rep.target.dim, self.rep.source.dim)


@functools.lru_cache(maxsize=4096)
def invariants(rep: AbstractRep) -> Basis:
    r"""The invariants of a representation: the null space of the constraints of its generators,

    $$ d\rho(A_i)\, v = 0, \qquad (\rho(h_j) - 1)\, v = 0, $$

    which for a group with finitely many generators is all of $\{ v : \rho(g) v = v \ \forall g \}$ (Finzi, Welling,
    Wilson, *A practical method for constructing equivariant multilayer perceptrons*, ICML 2021, theorem 1).

    **Raises:** `GroupError` when the representation is too large for the dense solver; `RankError` when the singular
    values do not decide the dimension.
    """
    if rep.dim > DENSE_LIMIT:
        raise GroupError(
            f"{rep} has dimension {rep.dim}: the dense null-space solver would need {8 * rep.dim**2 / 2**30:.1f} GiB and "
            f"more. Up to {DENSE_LIMIT} it answers in seconds; split the representation into its blocks first."
        )
    one = np.eye(rep.dim)
    constraints = [rep.drho(A) for A in rep.group.lie_algebra]
    constraints += [rep.rho(h) - one for h in rep.group.discrete_generators]
    space = null_space(np.concatenate(constraints) if constraints else np.zeros((0, rep.dim)))
    return Basis(rep, space.vectors, space.gap, space.residual)


def basis(hom: AbstractRep) -> Basis:
    """The equivariant linear maps `basis(rep_in >> rep_out)`; another name for `invariants`, where maps are meant."""
    return invariants(hom)


@functools.lru_cache(maxsize=4096)
def operator_basis(rep_in: AbstractRep, rep_out: AbstractRep, order: int) -> Float[np.ndarray, "r out in jets"]:
    r"""The equivariant linear differential operators of one order $k$ with constant coefficients.

    $$ (L u)_o = \sum_{i,\alpha} A_{o i \alpha}\, \partial^\alpha u_i, \qquad
       A \in (V_{out} \otimes V_{in}^* \otimes \mathrm{Sym}^k V)^G, $$

    for signals $(g \cdot u)(x) = \rho(g)\, u(g^{-1} x)$ on the plane $V$ on which the group acts by its own matrices.
    The last axis, of length $k + 1$, runs over $\sqrt{\binom{k}{a}}\, \partial_x^{k-a} \partial_y^a$.

    **Returns:** an orthonormal basis, `(r, rep_out.dim, rep_in.dim, k + 1)`.
    """
    group = same_group(rep_in, rep_out)
    if group.d != 2:
        raise GroupError(f"Differential operators on the plane need a group of 2 x 2 matrices; {group} has {group.d}.")
    found = invariants(Hom(rep_in, rep_out) * defining(group).sym(order))
    return found.vectors.reshape(-1, rep_out.dim, rep_in.dim, order + 1)
