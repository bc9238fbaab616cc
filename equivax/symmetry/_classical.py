"""The rotation groups SO(n) and O(n), with Haar measure."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Matrices
from ._errors import check_size
from ._group import AbstractGroup


def skew_basis(n: int) -> Matrices:
    r"""The basis $E_{ji} - E_{ij}$, $i < j$, of $\mathfrak{so}(n)$, `(n (n - 1) / 2, n, n)`."""
    rows, columns = np.triu_indices(n, 1)
    basis = np.zeros((len(rows), n, n))
    basis[np.arange(len(rows)), columns, rows] = 1.0
    basis[np.arange(len(rows)), rows, columns] = -1.0
    return basis


@dataclasses.dataclass(frozen=True)
class SO(AbstractGroup):
    r"""Rotations, $SO(n) = \{ R : R^\top R = 1,\ \det R = 1 \}$. Haar measure: Mezzadri 2007."""

    n: int

    def __post_init__(self):
        check_size("SO", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return skew_basis(self.n)

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, self.n, self.n))

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """A rotation from Haar measure."""
        g = haar_orthogonal(self.n, key=key)
        return g.at[:, 0].multiply(jnp.sign(jnp.linalg.det(g)))


@dataclasses.dataclass(frozen=True)
class O(AbstractGroup):  # noqa: E742  (the group's name in every textbook)
    r"""Rotations and reflections, $O(n) = \{ R : R^\top R = 1 \}$. Haar measure: Mezzadri 2007."""

    n: int

    def __post_init__(self):
        check_size("O", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return skew_basis(self.n)

    @property
    def discrete_generators(self) -> Matrices:
        return np.diag([1.0] * (self.n - 1) + [-1.0])[None]

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """An orthogonal matrix from Haar measure."""
        return haar_orthogonal(self.n, key=key)


def haar_orthogonal(n: int, *, key: Key) -> Float[Array, "d d"]:
    """A Haar-distributed orthogonal matrix: the Q of a Gaussian matrix, with the signs of R's diagonal made positive."""
    q, r = jnp.linalg.qr(jax.random.normal(key, (n, n)))
    return q * jnp.sign(jnp.diagonal(r))[None, :]
