"""The symmetry groups of the Platonic solids."""

import dataclasses

import numpy as np

from .._types import Matrices
from ._group import AbstractGroup

# Turns of space: a third about (1, 1, 1), a quarter and a half about z.
THIRD = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
QUARTER = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
HALF = np.diag([-1.0, -1.0, 1.0])


@dataclasses.dataclass(frozen=True)
class Tetrahedral(AbstractGroup):
    r"""The symmetries of the tetrahedron with vertices $(1,1,1), (1,-1,-1), (-1,1,-1), (-1,-1,1)$.

    The 12 rotations $T \cong A_4$; with `reflections=True` all 24 symmetries $T_d \cong S_4$.
    """

    reflections: bool = False

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 3, 3))

    @property
    def discrete_generators(self) -> Matrices:
        swap = np.eye(3)[[1, 0, 2]]
        return np.stack([THIRD, HALF, swap] if self.reflections else [THIRD, HALF])


@dataclasses.dataclass(frozen=True)
class Octahedral(AbstractGroup):
    r"""The symmetries of the cube and the octahedron, with axes along the coordinates.

    The 24 rotations $O \cong S_4$; with `reflections=True` all 48 symmetries $O_h = O \times \{1, -1\}$.
    """

    reflections: bool = False

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 3, 3))

    @property
    def discrete_generators(self) -> Matrices:
        return np.stack([QUARTER, THIRD, -np.eye(3)] if self.reflections else [QUARTER, THIRD])


@dataclasses.dataclass(frozen=True)
class Icosahedral(AbstractGroup):
    r"""The symmetries of the icosahedron with vertices $(0, \pm 1, \pm \varphi)$ and their cyclic permutations.

    The 60 rotations $I \cong A_5$; with `reflections=True` all 120 symmetries $I_h = I \times \{1, -1\}$.
    $\varphi = (1 + \sqrt 5) / 2$.
    """

    reflections: bool = False

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 3, 3))

    @property
    def discrete_generators(self) -> Matrices:
        # A fifth of a turn about the vertex (0, 1, phi): 2 cos 72 = phi - 1 and 2 cos 36 = phi.
        phi = (1 + 5**0.5) / 2
        fifth = np.array([[phi - 1, -phi, 1.0], [phi, 1.0, phi - 1], [-1.0, phi - 1, phi]]) / 2
        return np.stack([fifth, THIRD, -np.eye(3)] if self.reflections else [fifth, THIRD])
