"""The user's own representation, from the matrices of the generators."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float

from .._types import AlgebraElement, Element, Matrices
from ._errors import GroupError
from ._expression import generator_matrices
from ._finite_table import element_table, nearest
from ._group import AbstractGroup
from ._own import agree, check_brackets
from ._projection import Constraints, project
from ._rep import AbstractRep, DirectSum, RepMatrix, xp
from ._standard import defining, tensors
from ._subrep import Subrep

# Tensor powers V^p x V*^q up to this dimension, times that of the representation, are searched for it.
SEARCHED = 20_000


@dataclasses.dataclass(frozen=True)
class TableRep(AbstractRep):
    """A representation of a finite group by the matrices of its generators, as nested tuples `(m, dim, dim)`."""

    of: AbstractGroup
    images: tuple[tuple[tuple[float, ...], ...], ...]
    name: str

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return len(self.images[0])

    def rho(self, g: Element) -> RepMatrix:
        return xp(g).asarray(_table(self.of, self.images), dtype=g.dtype)[nearest(g, self.of.elements)]

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).zeros((self.dim, self.dim), dtype=xi.dtype)

    def __str__(self) -> str:
        return self.name


@functools.lru_cache(maxsize=256)
def _table(group: AbstractGroup, images: tuple) -> Matrices:
    return element_table(group).extend(np.array(images))


def representation_from_generators(
    group: AbstractGroup,
    lie_algebra=None,
    discrete_generators=None,
    name: str = "own",
) -> AbstractRep:
    r"""The representation with given matrices $d\rho(A_i)$ and $\rho(h_j)$ of the group's generators, in their order,
    stacks `(k, dim, dim)` and `(m, dim, dim)` or `None` where there are none.

    For a finite group every element is a word in the generators. Otherwise the representation is sought among the
    tensors $V^{\otimes p} \otimes V^{* \otimes q}$ of the group's own matrices, where all representations of a compact
    group are (Peter and Weyl), and $\rho$ is then a polynomial in the entries of $g$ (and of $g^{-1}$).

    **Raises:** `GroupError` when the matrices do not satisfy the relations of the generators, naming one that breaks
    them and by how much; or when the tensors searched do not hold the representation, as is the case for spinors of
    $SO(3)$, which are no representation of it.
    """
    rates = _images("lie_algebra", lie_algebra, len(group.lie_algebra))
    turns = _images("discrete_generators", discrete_generators, len(group.discrete_generators))
    sizes = {matrices.shape[1] for matrices in (rates, turns) if len(matrices)}
    if len(sizes) != 1:
        raise GroupError(f"The matrices of the generators need one size (dim, dim); received sizes {sorted(sizes)}.")
    (n,) = sizes
    rates, turns = (m if len(m) else np.zeros((0, n, n)) for m in (rates, turns))
    if not group.is_finite:
        check_brackets(rates, group.lie_algebra)
        return _among_tensors(group, rates, turns, name)
    table = element_table(group).extend(turns)
    for j, (h, left) in enumerate(zip(turns, element_table(group).left, strict=True)):
        complaint = f"The matrices do not satisfy the relations of {group}: discrete_generators[{j}] breaks one of them"
        agree(table[left], h @ table, complaint)
    return TableRep(group, tuple(tuple(tuple(map(float, row)) for row in h) for h in turns), name)


def _images(what: str, matrices, count: int) -> Float[np.ndarray, "k n n"]:
    stack = np.zeros((0, 0, 0)) if matrices is None else np.asarray(matrices, np.float64)
    if len(stack) != count or stack.ndim != 3 or stack.shape[1] != stack.shape[2] or not np.isfinite(stack).all():
        raise GroupError(
            f"`{what}` takes one square matrix for each of the group's {count} generators, shape ({count}, dim, dim), "
            f"all finite numbers; received shape {stack.shape}."
        )
    return stack


def _among_tensors(group: AbstractGroup, rates: Matrices, turns: Matrices, name: str) -> AbstractRep:
    """The representation as a quotient of a sum of tensor powers, by maps that carry generators to generators."""
    n = rates.shape[1]
    found: list[AbstractRep] = []
    maps = np.zeros((n, 0))
    rank, total = 0, 0
    while group.d**total * n <= SEARCHED:
        for q in range(1 if group.is_orthogonal else total + 1):
            for map_ in _intertwiners(defining(group), total - q, q, rates, turns):
                grown = np.concatenate([maps, map_], axis=1)
                if np.linalg.matrix_rank(grown, tol=1e-6) > rank:
                    maps, rank = grown, int(np.linalg.matrix_rank(grown, tol=1e-6))
                    found.append(tensors(group, total - q, q))
                if rank == n:
                    whole = DirectSum(tuple((1, rep) for rep in found))
                    return Subrep(whole, np.linalg.pinv(maps), maps, name)
        total += 1
    raise GroupError(
        f"These matrices of the generators of {group} belong to no representation found in its tensors up to degree "
        f"{total - 1}. They may represent a covering group only, as spinors of SO(3) do (use SU(2)); or one that is not "
        "polynomial, for which `representation(group, rho, drho)` takes the functions themselves."
    )


def _intertwiners(V: AbstractRep, p: int, q: int, rates: Matrices, turns: Matrices) -> Float[np.ndarray, "r n dim"]:
    r"""The maps $T(p, q) \to W$ that carry generators to the given matrices, orthonormal: invariants of $W \otimes T(q, p)$."""
    factors = [(rates, turns), *p * [generator_matrices(~V)], *q * [generator_matrices(V)]]
    constraints = Constraints(tuple(r for r, _ in factors), tuple(t for _, t in factors))
    return project(constraints, f"the maps from T({p}, {q})").vectors.reshape(-1, rates.shape[1], V.dim ** (p + q))
