"""Decomposition into irreps: multiplicities, types, and the change of basis."""

import dataclasses
import functools
import math
from typing import Literal

import numpy as np
import scipy.linalg
from jaxtyping import Float

from ._classical import SO, O
from ._compact import definite_form
from ._enumerate import ENUMERATION_CAP
from ._errors import GroupError
from ._expression import generator_matrices
from ._finite import Cyclic, Dihedral
from ._finite_table import element_table
from ._invariants import basis
from ._irreps import irreps
from ._rep import AbstractRep, DirectSum
from ._split import split
from ._subrep import Subrep
from ._unitary import SU

RealType = Literal["R", "C", "H"]


@dataclasses.dataclass(frozen=True)
class Component:
    r"""An isotypic component $m V$: an irrep, its multiplicity, and the type of the irrep (`real_type`)."""

    irrep: AbstractRep
    multiplicity: int
    type: RealType


@dataclasses.dataclass(frozen=True, eq=False)
class Decomposition:
    r"""A representation as a sum of irreps, $Q^{-1} \rho(g)\, Q = \bigoplus_i m_i V_i(g)$.

    - `rep`: the representation, of dimension $n$.
    - `components`: irreps with multiplicities and types.
    - `change`: $Q$, `(n, n)`, columns running over irreps, copies, and the irrep's coordinates; orthogonal when the group
      acts orthogonally.
    - `inverse`: $Q^{-1}$.
    """

    rep: AbstractRep
    components: tuple[Component, ...]
    change: Float[np.ndarray, "n n"]
    inverse: Float[np.ndarray, "n n"]

    @property
    def sum(self) -> DirectSum:
        r"""The direct sum $\bigoplus_i m_i V_i$, whose matrices are $Q^{-1} \rho(g)\, Q$."""
        return DirectSum(tuple((c.multiplicity, c.irrep) for c in self.components))

    def multiplicity(self, irrep: AbstractRep) -> int:
        """How often an irrep occurs; equal irreps are recognised, equivalent ones under another name are not."""
        return sum(c.multiplicity for c in self.components if c.irrep == irrep)

    def __str__(self) -> str:
        return f"{self.rep} = {self.sum}"


@functools.lru_cache(maxsize=1024)
def decompose(rep: AbstractRep) -> Decomposition:
    r"""A representation as a sum of irreps.

    For groups whose irreps have names (`irrep`: SO(2), O(2), SO(3), O(3), SU(2), and finite groups that can be listed),
    the blocks are those irreps, entry by entry. For other compact groups they are found as eigenspaces of a random
    matrix that commutes with the group, and each first copy is the irrep that the others are made equal to.

    An orthonormal basis of $\mathrm{Hom}_G(V, \rho)$ gives the copies of $V$: one intertwiner for each, with its products
    with $\mathrm{End}_G(V)$ taken out.

    **Raises:** `GroupError` when there is no invariant inner product, as for representations of groups that are not
    compact, in which an invariant subspace may have no invariant complement.
    """
    if rep.dim == 0:
        raise GroupError(f"{rep} has dimension 0: there is nothing to decompose.")
    components, columns = [], []
    for V in _candidates(rep):
        copies = _copies(V, rep)
        if copies:
            components.append(Component(V, len(copies), real_type(V)))
            columns += copies
    change = np.concatenate(columns, axis=1) if columns else np.zeros((rep.dim, 0))
    if change.shape[1] != rep.dim:
        raise GroupError(
            f"{rep} of {rep.group} is not a sum of irreps: of {rep.dim} dimensions {change.shape[1]} were decomposed. Do `rho` "
            "and `drho` satisfy the axioms? `laws.representation_axioms` tells."
        )
    inverse = change.T if np.allclose(change.T @ change, np.eye(rep.dim), atol=1e-9) else np.linalg.inv(change)
    return Decomposition(rep, tuple(components), change, inverse)


@functools.lru_cache(maxsize=1024)
def real_type(irrep: AbstractRep) -> RealType:
    r"""The type of a real irrep, by Frobenius and Schur: $\mathrm{End}_G(V)$ is $\mathbb{R}$, $\mathbb{C}$ or $\mathbb{H}$.

    Its dimension 1, 2 or 4 is that of the space of weights between two copies of the irrep.

    **Raises:** `GroupError` when the representation is reducible.
    """
    dimension = len(basis(irrep >> irrep))
    types: dict[int, RealType] = {1: "R", 2: "C", 4: "H"}
    if dimension not in types:
        raise GroupError(f"{irrep} is reducible: {dimension} independent matrices commute with it. Use `decompose`.")
    return types[dimension]


def _copies(V: AbstractRep, rep: AbstractRep) -> list[Float[np.ndarray, "n d"]]:
    """Embeddings of an irrep whose images add up to its isotypic component; isometric if `rep` is orthogonal."""
    maps = basis(V >> rep).matrices
    if not len(maps):
        return []
    units = basis(V >> V).matrices * math.sqrt(V.dim)  # an orthonormal basis of End(V), by its action on maps
    copies: list[np.ndarray] = []
    while len(maps):
        copy = maps[0] / np.linalg.norm(maps[0])
        copies.append(copy * math.sqrt(V.dim))
        spent = (copy @ units).reshape(len(units), -1)
        rest = maps.reshape(len(maps), -1)
        rest = rest - (rest @ spent.T) @ spent
        maps = _independent(rest, len(maps) - len(units)).reshape(-1, rep.dim, V.dim)
    return copies


def _independent(rows: Float[np.ndarray, "k n"], count: int) -> Float[np.ndarray, "c n"]:
    """`count` orthonormal rows spanning those given, the first ones that are independent of those before them."""
    chosen: list[np.ndarray] = []
    for row in rows:
        for other in chosen + chosen:
            row = row - (other @ row) * other
        if len(chosen) < count and np.linalg.norm(row) > 1e-6:
            chosen.append(row / np.linalg.norm(row))
    return np.array(chosen).reshape(len(chosen), rows.shape[1])


def _candidates(rep: AbstractRep) -> tuple[AbstractRep, ...]:
    """Irreps among which all those of a representation are."""
    group = rep.group
    if group in (SO(2), O(2), SO(3), O(3), SU(2)):
        # The largest eigenvalue of a generator, in units of its smallest, the highest weight.
        units = np.abs(np.linalg.eigvals(group.lie_algebra[0])).max()
        weights = np.abs(np.linalg.eigvals(rep.drho(group.lie_algebra[0])).imag) / units
        return irreps(group, highest=float(np.round(weights.max())) / (2 if group == SU(2) else 1))
    if isinstance(group, Cyclic | Dihedral) or (group.is_finite and group.order <= ENUMERATION_CAP):
        table = element_table(group)

        def character(V: AbstractRep) -> Float[np.ndarray, " c"]:
            return np.array([np.trace(V.rho(g)) for g in table.elements[table.representatives]])

        chi = character(rep)
        return tuple(V for V in irreps(group) if table.inner(chi, character(V)) > 0.5)
    return _found_by_splitting(rep)


def _found_by_splitting(rep: AbstractRep) -> tuple[AbstractRep, ...]:
    """One of each kind of the irreducible subspaces, by dimension, trivial ones first."""
    rates, turns = generator_matrices(rep)
    form = np.eye(rep.dim) if rep.is_orthogonal else definite_form(rates, turns)
    if form is None:
        raise GroupError(
            f"{rep} of {rep.group} has no invariant inner product, so it need not be a sum of irreps: the complement of an "
            "invariant subspace may not be invariant (as for translations). Only representations with one are decomposed, "
            "as all those of compact groups are; restrict to a compact subgroup."
        )
    change = scipy.linalg.cholesky(form)
    back = np.linalg.inv(change)
    pieces = split(change @ np.concatenate([rates, turns]) @ back)
    found: list[Subrep] = []
    for piece in sorted(pieces, key=lambda p: p.shape[1]):
        candidate = Subrep(rep, back @ piece, piece.T @ change)
        if not any(V.dim == candidate.dim and len(basis(V >> candidate)) for V in found):
            found.append(candidate)
    return tuple(sorted(found, key=lambda V: (V.dim, not _is_trivial(V))))


def _is_trivial(V: AbstractRep) -> bool:
    rates, turns = generator_matrices(V)
    return bool(np.abs(rates).max(initial=0.0) < 1e-9 and np.abs(turns - np.eye(V.dim)).max(initial=0.0) < 1e-9)


def isotypic_projection(rep: AbstractRep, irrep: AbstractRep) -> Float[np.ndarray, "n n"]:
    r"""The equivariant projection on the sum of all copies of an irrep in a representation, zero if there are none.

    **Raises:** as `decompose`.
    """
    found, start = decompose(rep), 0
    for component in found.components:
        size = component.multiplicity * component.irrep.dim
        if component.irrep == irrep:
            return found.change[:, start : start + size] @ found.inverse[start : start + size]
        start += size
    return np.zeros((rep.dim, rep.dim))
