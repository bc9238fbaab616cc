"""Representations as algebra: sums, tensor products, duals, symmetric and alternating powers."""

import abc
import dataclasses
import functools

import numpy as np
from jaxtyping import Array, Float

from .._types import AlgebraElement, Element
from ._group import AbstractGroup, GroupError
from ._powers import power_dim, power_matrix, power_rate

RepMatrix = Float[Array | np.ndarray, "dim dim"]


class AbstractRep(abc.ABC):
    r"""A real representation $\rho : G \to GL(\text{dim}, \mathbb{R})$ of a group.

    Three members define one: `dim`; `rho(g)`, the matrix of an element; `drho(xi)`, the matrix of an element of the Lie
    algebra, $d\rho(\xi) = \frac{d}{dt} \rho(e^{t\xi})|_{t=0}$. Both accept NumPy arrays (and answer in NumPy float64,
    for algebra at construction) and JAX arrays (traceable).

    | expression | representation |
    |---|---|
    | `V + W`, `3 * V` | direct sums $V \oplus W$, $V \oplus V \oplus V$ |
    | `V * W`, `V**2` | tensor products $V \otimes W$, $V \otimes V$ |
    | `~V` | the dual $V^*$ |
    | `V >> W` | linear maps $\mathrm{Hom}(V, W) = W \otimes V^*$ |
    | `V.sym(k)`, `V.alt(k)` | $\mathrm{Sym}^k V$, $\Lambda^k V$ |

    Representations are immutable, hashable values.

    **Raises:** `GroupError` when representations of different groups are composed.
    """

    @property
    @abc.abstractmethod
    def group(self) -> AbstractGroup:
        """The group that is represented."""

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """The dimension of the space it acts on."""

    @abc.abstractmethod
    def rho(self, g: Element) -> RepMatrix:
        """The matrix of a group element, `(dim, dim)`."""

    @abc.abstractmethod
    def drho(self, xi: AlgebraElement) -> RepMatrix:
        """The matrix of an element of the Lie algebra, `(dim, dim)`."""

    @property
    def blocks(self) -> tuple[tuple[int, "AbstractRep"], ...]:
        """The summands as `(multiplicity, representation)`; one block unless it is a direct sum."""
        return ((1, self),)

    @property
    def is_permutation(self) -> bool:
        """Whether every element permutes the coordinates, so that pointwise functions are equivariant."""
        matrices = [self.rho(h) for h in self.group.discrete_generators]
        zero_one = all(np.allclose(m * (m - 1), 0) and np.allclose(m.sum(0), 1) for m in matrices)
        return zero_one and all(np.allclose(self.drho(A), 0) for A in self.group.lie_algebra)

    @property
    def is_orthogonal(self) -> bool:
        """Whether every element acts by an orthogonal matrix."""
        turns = [self.rho(h) for h in self.group.discrete_generators]
        rates = [self.drho(A) for A in self.group.lie_algebra]
        return all(np.allclose(m @ m.T, np.eye(self.dim), atol=1e-10) for m in turns) and all(
            np.allclose(m + m.T, 0, atol=1e-10) for m in rates
        )

    def sym(self, k: int) -> "AbstractRep":
        r"""The symmetric power $\mathrm{Sym}^k V$, in the orthonormal basis of symmetrised monomials."""
        return TensorPower(self, k, antisymmetric=False)

    def alt(self, k: int) -> "AbstractRep":
        r"""The alternating power $\Lambda^k V$, in the orthonormal basis of wedge products."""
        return TensorPower(self, k, antisymmetric=True)

    def __add__(self, other: "AbstractRep") -> "DirectSum":
        if not isinstance(other, AbstractRep):
            return NotImplemented
        return DirectSum((*self.blocks, *other.blocks))

    def __mul__(self, other: "AbstractRep | int") -> "AbstractRep":
        if isinstance(other, AbstractRep):
            return TensorProduct(self, other)
        return other * self

    def __rmul__(self, multiplicity: int) -> "DirectSum":
        if not isinstance(multiplicity, int) or multiplicity < 0:
            raise GroupError(f"n * V takes a whole number n >= 0, received {multiplicity!r}.")
        return DirectSum(tuple((multiplicity * m, rep) for m, rep in self.blocks))

    def __pow__(self, exponent: int) -> "AbstractRep":
        if exponent < 1:
            raise GroupError(f"V**n takes n >= 1, received {exponent}; V.sym(0) is the trivial representation.")
        return functools.reduce(TensorProduct, [self] * exponent)

    def __invert__(self) -> "AbstractRep":
        return Dual(self)

    def __rshift__(self, other: "AbstractRep") -> "Hom":
        return Hom(self, other)


def same_group(*reps: AbstractRep) -> AbstractGroup:
    """The group shared by representations.

    **Raises:** `GroupError` when they belong to different groups.
    """
    groups = {rep.group for rep in reps}
    if len(groups) != 1:
        names = " and ".join(sorted(map(str, groups)))
        raise GroupError(
            f"These are representations of different groups ({names}), so they cannot be composed. Restrict both to a "
            "common subgroup, or pull both back to DirectProduct(...)."
        )
    return groups.pop()


def xp(array):
    """The array library of an array: NumPy for algebra at construction, JAX under tracing."""
    return array.__array_namespace__()


def block_diagonal(blocks: list, like: Float[Array | np.ndarray, "..."]) -> RepMatrix:
    """The block-diagonal matrix of square blocks, in the array library of `like`."""
    library = xp(like)
    total = sum(len(b) for b in blocks)
    rows, start = [], 0
    for b in blocks:
        rows.append(library.pad(b, ((0, 0), (start, total - start - len(b)))))
        start += len(b)
    return library.concatenate(rows) if rows else library.zeros((0, 0), like.dtype)


@dataclasses.dataclass(frozen=True)
class DirectSum(AbstractRep):
    r"""The direct sum $\bigoplus_b m_b V_b$; coordinates run over blocks, then copies, then the coordinates of $V_b$."""

    summands: tuple[tuple[int, AbstractRep], ...]

    def __post_init__(self):
        same_group(*(rep for _, rep in self.summands))

    @property
    def group(self) -> AbstractGroup:
        return self.summands[0][1].group

    @property
    def dim(self) -> int:
        return sum(m * rep.dim for m, rep in self.summands)

    @property
    def blocks(self) -> tuple[tuple[int, AbstractRep], ...]:
        return self.summands

    def rho(self, g: Element) -> RepMatrix:
        return block_diagonal([matrix for m, rep in self.summands for matrix in [rep.rho(g)] * m], g)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return block_diagonal([matrix for m, rep in self.summands for matrix in [rep.drho(xi)] * m], xi)

    def __str__(self) -> str:
        return " + ".join(f"{m} {rep}" if m != 1 else str(rep) for m, rep in self.summands)


@dataclasses.dataclass(frozen=True)
class TensorProduct(AbstractRep):
    r"""The tensor product $V \otimes W$, $\rho(g) = \rho_V(g) \otimes \rho_W(g)$ (Kronecker)."""

    left: AbstractRep
    right: AbstractRep

    def __post_init__(self):
        same_group(self.left, self.right)

    @property
    def group(self) -> AbstractGroup:
        return self.left.group

    @property
    def dim(self) -> int:
        return self.left.dim * self.right.dim

    def rho(self, g: Element) -> RepMatrix:
        return xp(g).kron(self.left.rho(g), self.right.rho(g))

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        library = xp(xi)
        left, right = self.left.drho(xi), self.right.drho(xi)
        return library.kron(left, library.eye(self.right.dim, dtype=xi.dtype)) + library.kron(
            library.eye(self.left.dim, dtype=xi.dtype), right
        )

    def __str__(self) -> str:
        return f"({self.left} ⊗ {self.right})"


@dataclasses.dataclass(frozen=True)
class Dual(AbstractRep):
    r"""The dual representation, $\rho^*(g) = \rho(g^{-1})^\top$."""

    of: AbstractRep

    @property
    def group(self) -> AbstractGroup:
        return self.of.group

    @property
    def dim(self) -> int:
        return self.of.dim

    def rho(self, g: Element) -> RepMatrix:
        return self.of.rho(self.group.inverse(g)).T

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return -self.of.drho(xi).T

    def __invert__(self) -> AbstractRep:
        return self.of

    def __str__(self) -> str:
        return f"{self.of}*"


@dataclasses.dataclass(frozen=True)
class Hom(AbstractRep):
    r"""Linear maps $\mathrm{Hom}(V, W)$: $g \cdot A = \rho_W(g)\, A\, \rho_V(g)^{-1}$ on matrices `(W.dim, V.dim)`, row by row.

    Its invariants are the equivariant linear maps, or intertwiners: `basis(V >> W)`.
    """

    source: AbstractRep
    target: AbstractRep

    def __post_init__(self):
        same_group(self.source, self.target)

    @property
    def group(self) -> AbstractGroup:
        return self.source.group

    @property
    def dim(self) -> int:
        return self.source.dim * self.target.dim

    def rho(self, g: Element) -> RepMatrix:
        return TensorProduct(self.target, ~self.source).rho(g)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return TensorProduct(self.target, ~self.source).drho(xi)

    def __str__(self) -> str:
        return f"({self.source} >> {self.target})"


@dataclasses.dataclass(frozen=True)
class TensorPower(AbstractRep):
    r"""The symmetric or alternating power of a representation, as a subspace of $V^{\otimes k}$.

    With $S$ the isometry onto the subspace, $\rho_k(g) = S^\top \rho(g)^{\otimes k} S$. An orthogonal $V$ has orthogonal
    powers. For $V = \mathbb{R}^2$, coordinates of $\mathrm{Sym}^k$ are $\sqrt{\binom{k}{a}}\, x^{k-a} y^a$, $a = 0 \dots k$.
    """

    of: AbstractRep
    k: int
    antisymmetric: bool

    def __post_init__(self):
        if not isinstance(self.k, int) or self.k < 0:
            raise GroupError(f"A power takes a whole number k >= 0, received {self.k!r}.")

    @property
    def group(self) -> AbstractGroup:
        return self.of.group

    @property
    def dim(self) -> int:
        return power_dim(self.of.dim, self.k, self.antisymmetric)

    def rho(self, g: Element) -> RepMatrix:
        return power_matrix(self.of.rho(g), self.k, self.antisymmetric)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return power_rate(self.of.drho(xi), self.k, self.antisymmetric)

    def __str__(self) -> str:
        return f"{'Λ' if self.antisymmetric else 'Sym'}^{self.k}({self.of})"
