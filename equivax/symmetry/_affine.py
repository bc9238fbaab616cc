r"""Groups with translations: maps $x \mapsto A x + b$ as matrices that act on $(x, 1)$."""

import dataclasses

import numpy as np
from jaxtyping import Float

from .._types import Matrices
from ._classical import SO, O
from ._errors import check_size
from ._group import AbstractGroup
from ._indefinite import Lorentz
from ._linear import GL, Scaling


def with_shifts(algebra: Matrices) -> Float[np.ndarray, "_m e e"]:
    r"""The Lie algebra of $\mathbb{R}^n \rtimes G$ from that of $G$: $x' = A x$, then $x' = b$; `(k + n, n + 1, n + 1)`."""
    n = algebra.shape[-1]
    shifts = np.zeros((n, n + 1, n + 1))
    shifts[np.arange(n), np.arange(n), n] = 1.0
    return np.concatenate([np.pad(algebra, ((0, 0), (0, 1), (0, 1))), shifts])


def homogeneous(matrices: Matrices) -> Float[np.ndarray, "_m e e"]:
    r"""Linear maps $x \mapsto g x$ as matrices on homogeneous coordinates $(x, 1)$, `(m, n + 1, n + 1)`."""
    padded = np.pad(matrices, ((0, 0), (0, 1), (0, 1)))
    padded[:, -1, -1] = 1.0
    return padded


@dataclasses.dataclass(frozen=True)
class Translations(AbstractGroup):
    r"""The translations $x \mapsto x + b$ of $\mathbb{R}^n$.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("Translations", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return with_shifts(np.zeros((0, self.n, self.n)))

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.n + 1, self.n + 1))


@dataclasses.dataclass(frozen=True)
class Inhomogeneous(AbstractGroup):
    r"""The inhomogeneous group $\mathbb{R}^n \rtimes G$ of any group of $n \times n$ matrices: $x \mapsto g x + b$.

    `SE`, `E`, `Poincare`, `Similarity` and `Affine` are of this kind.
    """

    linear: AbstractGroup

    @property
    def lie_algebra(self) -> Matrices:
        return with_shifts(self.linear.lie_algebra)

    @property
    def discrete_generators(self) -> Matrices:
        return homogeneous(self.linear.discrete_generators)

    @property
    def is_connected(self) -> bool:
        """Whether the linear group is."""
        return self.linear.is_connected

    @property
    def components(self) -> Matrices:
        """One element of each component, as many as the linear group has."""
        return homogeneous(self.linear.components)


@dataclasses.dataclass(frozen=True)
class SE(AbstractGroup):
    r"""The special Euclidean group $SE(n) = \mathbb{R}^n \rtimes SO(n)$: rigid motions, $x \mapsto R x + b$.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("SE", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return with_shifts(SO(self.n).lie_algebra)

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.n + 1, self.n + 1))


@dataclasses.dataclass(frozen=True)
class E(AbstractGroup):
    r"""The Euclidean group $E(n) = \mathbb{R}^n \rtimes O(n)$: rigid motions and reflections.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("E", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return with_shifts(O(self.n).lie_algebra)

    @property
    def discrete_generators(self) -> Matrices:
        return homogeneous(O(self.n).discrete_generators)


@dataclasses.dataclass(frozen=True)
class Similarity(AbstractGroup):
    r"""The similarity group of $\mathbb{R}^n$: $x \mapsto e^t R x + b$ with $R \in O(n)$, maps that keep angles and ratios.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("Similarity", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return with_shifts(np.concatenate([O(self.n).lie_algebra, Scaling(self.n).lie_algebra]))

    @property
    def discrete_generators(self) -> Matrices:
        return homogeneous(O(self.n).discrete_generators)


@dataclasses.dataclass(frozen=True)
class Affine(AbstractGroup):
    r"""The affine group $\mathbb{R}^n \rtimes GL(n)$: $x \mapsto A x + b$ with $A$ invertible.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("Affine", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return with_shifts(GL(self.n).lie_algebra)

    @property
    def discrete_generators(self) -> Matrices:
        return homogeneous(GL(self.n).discrete_generators)


@dataclasses.dataclass(frozen=True)
class Poincare(AbstractGroup):
    r"""The Poincaré group of space-time $\mathbb{R}^{1+n}$: Lorentz maps and translations, $x \mapsto \Lambda x + b$.

    Of the restricted Lorentz group, connected, unless `full=True`: then with time reversal and reflections of space.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int = 3
    full: bool = False

    def __post_init__(self):
        check_size("Poincare", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return with_shifts(Lorentz(self.n, self.full).lie_algebra)

    @property
    def discrete_generators(self) -> Matrices:
        return homogeneous(Lorentz(self.n, self.full).discrete_generators)


@dataclasses.dataclass(frozen=True)
class Galilei(AbstractGroup):
    r"""The Galilei group of space-time $\mathbb{R}^{1+n}$, time first, connected:

    $$ t \mapsto t + s, \qquad x \mapsto R x + v t + b, \qquad R \in SO(n). $$

    Matrices on $(t, x, 1)$, so `d` is $n + 2$; the dimension is $n (n - 1) / 2 + 2 n + 1$.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int = 3

    def __post_init__(self):
        check_size("Galilei", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        boosts = np.zeros((self.n, self.n + 1, self.n + 1))
        boosts[np.arange(self.n), 1 + np.arange(self.n), 0] = 1.0
        rotations = np.pad(SO(self.n).lie_algebra, ((0, 0), (1, 0), (1, 0)))
        return with_shifts(np.concatenate([rotations, boosts]))

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.n + 2, self.n + 2))
