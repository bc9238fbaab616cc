"""Linear groups that are not compact: GL(n), SL(n), Sp(n), scalings, unitriangular matrices."""

import dataclasses

import numpy as np

from .._types import Matrices
from ._errors import check_size
from ._group import AbstractGroup


def matrix_units(n: int) -> Matrices:
    r"""The matrices $E_{ij}$ with a single 1, row by row, `(n^2, n, n)`."""
    return np.eye(n * n).reshape(n * n, n, n)


@dataclasses.dataclass(frozen=True)
class GL(AbstractGroup):
    r"""The general linear group $GL(n) = \{ g : \det g \ne 0 \}$: two components, and Lie algebra $\mathbb{R}^{n \times n}$.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("GL", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return matrix_units(self.n)

    @property
    def discrete_generators(self) -> Matrices:
        return np.diag([1.0] * (self.n - 1) + [-1.0])[None]


@dataclasses.dataclass(frozen=True)
class SL(AbstractGroup):
    r"""The special linear group $SL(n) = \{ g : \det g = 1 \}$: volume-preserving, of dimension $n^2 - 1$.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("SL", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        units = matrix_units(self.n)
        off_diagonal = units[np.trace(units, axis1=1, axis2=2) == 0]
        diagonal = units[:: self.n + 1]
        return np.concatenate([off_diagonal, diagonal[:-1] - diagonal[1:]])

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.n, self.n))


@dataclasses.dataclass(frozen=True)
class Sp(AbstractGroup):
    r"""The real symplectic group $Sp(2n, \mathbb{R}) = \{ g : g^\top J g = J \}$: linear canonical transformations.

    $$ J = \begin{pmatrix} 0 & 1_n \\ -1_n & 0 \end{pmatrix}, \qquad
       \mathfrak{sp}(2n) = \{ J S : S = S^\top \}, \quad \dim = n (2n + 1) $$

    Coordinates are $(q_1 \dots q_n, p_1 \dots p_n)$, so `d` is $2n$. The compact group of that name is `USp(n)`.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("Sp", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        units = matrix_units(2 * self.n)
        upper = np.array([i <= j for i in range(2 * self.n) for j in range(2 * self.n)])
        symmetric = np.maximum(units, units.transpose(0, 2, 1))[upper]
        return np.kron(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(self.n)) @ symmetric

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, 2 * self.n, 2 * self.n))


@dataclasses.dataclass(frozen=True)
class Scaling(AbstractGroup):
    r"""Uniform scalings $\{ e^t\, 1 : t \in \mathbb{R} \}$ of $\mathbb{R}^n$.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("Scaling", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.eye(self.n)[None]

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.n, self.n))


@dataclasses.dataclass(frozen=True)
class Unitriangular(AbstractGroup):
    r"""Upper triangular matrices with ones on the diagonal; for $n = 3$ the Heisenberg group.

    Nilpotent, and so unimodular, but not reductive: $V$ has invariant subspaces without invariant complements.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("Unitriangular", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        above = np.array([i < j for i in range(self.n) for j in range(self.n)], bool)
        return matrix_units(self.n)[above]

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.n, self.n))
