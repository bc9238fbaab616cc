"""Invariants, intertwiners and multilinear maps: all of them invariants of one representation, by the tier that fits."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from ._basis import Basis
from ._cache import stored
from ._errors import GroupError
from ._expression import product_of, tensor_factors
from ._nullspace import RankError
from ._orbits import permutes
from ._rep import AbstractRep, TensorProduct, same_group
from ._schur import Solved, assemble_blocks, by_schur, is_split
from ._standard import TrivialRep
from ._tiers import DENSE_LIMIT, invariants_by_orbits, invariants_by_projection, invariants_by_schur, invariants_by_svd

# From this dimension on the matrix-free solver is faster than the dense one.
DENSE_BELOW = 96


@functools.lru_cache(maxsize=4096)
def invariants(rep: AbstractRep) -> Basis:
    r"""The invariants of a representation: the null space of the constraints of its generators,

    $$ d\rho(A_i)\, v = 0, \qquad (\rho(h_j) - 1)\, v = 0, $$

    which for a group with finitely many generators is all of $\{ v : \rho(g) v = v \ \forall g \}$ (Finzi, Welling,
    Wilson, *A practical method for constructing equivariant multilayer perceptrons*, ICML 2021, theorem 1).

    The first of these tiers that applies finds them, and each finds the same orthonormal vectors in the same order:

    | tier | for | by |
    |---|---|---|
    | `invariants_by_orbits` | coordinates permuted up to sign | orbits of the generators, without arithmetic |
    | `invariants_by_blocks` | products of direct sums | each product of blocks once, by the other tiers |
    | `invariants_by_schur` | one irrep, or two, known by name | Schur's lemma |
    | `invariants_by_svd` | small dimensions | a singular value decomposition |
    | `invariants_by_projection` | large dimensions | random vectors projected by conjugate gradients |

    What took longer than a moment is kept in the user's cache folder (`EQUIVAX_CACHE=0` turns that off).

    **Raises:** `GroupError` when the basis would not fit in memory; `RankError` when the singular values do not decide the
    dimension.
    """
    if permutes(rep):
        return invariants_by_orbits(rep)
    if is_split(rep):
        return invariants_by_blocks(rep)
    found = _of_product(_without_scalars(rep))
    return dataclasses.replace(found, rep=rep)


def basis(hom: AbstractRep) -> Basis:
    """The equivariant linear maps `basis(rep_in >> rep_out)`; another name for `invariants`, where maps are meant.

    **Raises:** as `invariants`.
    """
    return invariants(hom)


def multilinear(reps_in: tuple[AbstractRep, ...], rep_out: AbstractRep) -> Float[np.ndarray, "r out *ins"]:
    r"""The equivariant multilinear maps $\mu : V_1 \times \dots \times V_n \to W$, an orthonormal basis of

    $$ \{ \mu : \mu(g v_1, \dots, g v_n) = g\, \mu(v_1, \dots, v_n) \} = (W \otimes V_1^* \otimes \dots \otimes V_n^*)^G. $$

    **Returns:** `(r, rep_out.dim, V_1.dim, ..., V_n.dim)`; the order is that of `basis(V_1 * ... * V_n >> rep_out)`.

    **Raises:** `GroupError` for no input, or representations of different groups; else as `invariants`.
    """
    if not reps_in:
        raise GroupError("A multilinear map takes one input or more; the invariant vectors of W are `invariants(W)`.")
    same_group(*reps_in, rep_out)
    source = functools.reduce(TensorProduct, reps_in)
    found = basis(source >> rep_out)
    return found.vectors.reshape(len(found), rep_out.dim, *(V.dim for V in reps_in))


def invariants_by_blocks(rep: AbstractRep) -> Basis:
    r"""The invariants of a tensor product of direct sums, from those of the products of their blocks.

    $$ \Bigl(\bigoplus_a V_a \otimes \bigoplus_b W_b\Bigr)^G = \bigoplus_{a, b} (V_a \otimes W_b)^G $$

    Each product of different blocks is solved once, however many copies there are.

    **Raises:** as `invariants`.
    """
    rows, gap, residual = assemble_blocks(rep, _solved)
    return Basis(rep, rows, gap, residual, "blocks")


def _without_scalars(rep: AbstractRep) -> AbstractRep:
    """A tensor product without its trivial factors, whose invariants are the same numbers."""
    return product_of(tuple(f for f in tensor_factors(rep) if not isinstance(f, TrivialRep)), rep.group)


def _solved(rep: AbstractRep) -> Solved:
    found = invariants(rep)
    return found.sparse, found.gap, found.residual


@functools.lru_cache(maxsize=4096)
def _of_product(rep: AbstractRep) -> Basis:
    """The invariants of a tensor product of factors that are not sums: dense where small, else matrix-free."""
    if isinstance(rep, TrivialRep):
        return invariants_by_orbits(rep)
    if by_schur(rep) is not None:
        return invariants_by_schur(rep)
    if rep.dim < DENSE_BELOW:
        return invariants_by_svd(rep)
    return stored(rep, _of_large_product)


def _of_large_product(rep: AbstractRep) -> Basis:
    try:
        return invariants_by_projection(rep)
    except RankError:
        if rep.dim > DENSE_LIMIT:
            raise
        return invariants_by_svd(rep)
