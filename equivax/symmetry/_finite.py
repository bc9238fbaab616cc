"""Finite groups of everyday use: trivial, cyclic, dihedral, symmetric."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Matrices
from ._group import AbstractGroup, GroupError, sample_element


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

    def sample(self, *, key: Key) -> Float[Array, "d d"]:
        """The identity."""
        return sample_element(self.elements, key=key)


@dataclasses.dataclass(frozen=True)
class Cyclic(AbstractGroup):
    r"""The cyclic group $C_n$ of rotations of the plane by multiples of $2\pi/n$. `sample` is Haar measure."""

    n: int

    def __post_init__(self):
        _at_least_one("Cyclic", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 2, 2))

    @property
    def discrete_generators(self) -> Matrices:
        return rotation(2 * np.pi / self.n)[None]

    def sample(self, *, key: Key) -> Float[Array, "d d"]:
        """A uniformly random rotation of the group."""
        return sample_element(self.elements, key=key)


@dataclasses.dataclass(frozen=True)
class Dihedral(AbstractGroup):
    r"""The dihedral group $D_n$ of order $2n$: rotations by multiples of $2\pi/n$, and reflections. `sample` is Haar."""

    n: int

    def __post_init__(self):
        _at_least_one("Dihedral", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, 2, 2))

    @property
    def discrete_generators(self) -> Matrices:
        return np.stack([rotation(2 * np.pi / self.n), REFLECTION])

    def sample(self, *, key: Key) -> Float[Array, "d d"]:
        """A uniformly random element."""
        return sample_element(self.elements, key=key)


@dataclasses.dataclass(frozen=True)
class Symmetric(AbstractGroup):
    r"""The symmetric group $S_n$ by its $n \times n$ permutation matrices. `sample` is Haar measure."""

    n: int

    def __post_init__(self):
        _at_least_one("Symmetric", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.zeros((0, self.n, self.n))

    @property
    def discrete_generators(self) -> Matrices:
        identity = np.eye(self.n)
        swap, cycle = identity.copy(), np.roll(identity, 1, axis=0)
        swap[:2] = identity[1::-1][:2] if self.n > 1 else swap[:2]
        return np.stack([swap, cycle])

    def sample(self, *, key: Key) -> Float[Array, "d d"]:
        """A uniformly random permutation matrix."""
        return jax.random.permutation(key, np.eye(self.n))


def _at_least_one(name: str, n: int) -> None:
    if not isinstance(n, int) or n < 1:
        raise GroupError(f"{name}(n) takes a whole number n >= 1, received {n!r}.")
