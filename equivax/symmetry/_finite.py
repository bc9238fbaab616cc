"""Small finite groups: trivial, cyclic, dihedral, dicyclic, parity, time reversal."""

import dataclasses

import numpy as np
from jaxtyping import Float

from .._types import Matrices
from ._errors import check_size
from ._group import AbstractGroup


def rotation(angle: float) -> Float[np.ndarray, "2 2"]:
    """The counter-clockwise rotation of the plane by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


# The reflection of the plane across the x axis: y -> -y.
REFLECTION = np.diag([1.0, -1.0])


@dataclasses.dataclass(frozen=True)
class Trivial(AbstractGroup):
    r"""The group $\{1\}$, acting on $\mathbb{R}^d$. Nothing is required to be equivariant."""

    size: int = 2

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, self.size, self.size))

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.size, self.size))


@dataclasses.dataclass(frozen=True)
class Cyclic(AbstractGroup):
    r"""The cyclic group $C_n$ of rotations of the plane by multiples of $2\pi/n$."""

    n: int

    def __post_init__(self):
        check_size("Cyclic", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 2, 2))

    @property
    def discrete_generators(self) -> Matrices:
        return rotation(2 * np.pi / self.n)[None]


@dataclasses.dataclass(frozen=True)
class Dihedral(AbstractGroup):
    r"""The dihedral group $D_n$ of order $2n$: rotations by multiples of $2\pi/n$, and reflections."""

    n: int

    def __post_init__(self):
        check_size("Dihedral", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 2, 2))

    @property
    def discrete_generators(self) -> Matrices:
        return np.stack([rotation(2 * np.pi / self.n), REFLECTION])


@dataclasses.dataclass(frozen=True)
class Dicyclic(AbstractGroup):
    r"""The dicyclic group of order $4n$, $\langle a, j : a^{2n} = 1,\ j^2 = a^n,\ j a j^{-1} = a^{-1} \rangle$.

    Unit quaternions $a = e^{i\pi/n}$ and $j$, which multiply $\mathbb{H} = \mathbb{R}^4$ from the left. `Dicyclic(2)` is
    the quaternion group $Q_8 = \{ \pm 1, \pm i, \pm j, \pm k \}$.

    **Raises:** `GroupError` unless `n` is a whole number from 2 on.
    """

    n: int

    def __post_init__(self):
        check_size("Dicyclic", self.n, least=2)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 4, 4))

    @property
    def discrete_generators(self) -> Matrices:
        half_turn = np.kron(np.array([[0.0, -1.0], [1.0, 0.0]]), REFLECTION)
        return np.stack([np.kron(np.eye(2), rotation(np.pi / self.n)), half_turn])


@dataclasses.dataclass(frozen=True)
class Parity(AbstractGroup):
    r"""Parity, $\{ 1, P \}$ with $P x = -x$ on $\mathbb{R}^n$: the inversion of space.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int = 3

    def __post_init__(self):
        check_size("Parity", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, self.n, self.n))

    @property
    def discrete_generators(self) -> Matrices:
        return -np.eye(self.n)[None]


@dataclasses.dataclass(frozen=True)
class TimeReversal(AbstractGroup):
    r"""Time reversal, $\{ 1, T \}$ with $T (t, x) = (-t, x)$ on space-time $\mathbb{R}^{1+n}$, time first.

    **Raises:** `GroupError` unless `n` is a whole number from 0 on.
    """

    n: int = 3

    def __post_init__(self):
        check_size("TimeReversal", self.n, least=0)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, self.n + 1, self.n + 1))

    @property
    def discrete_generators(self) -> Matrices:
        return np.diag([-1.0] + self.n * [1.0])[None]
