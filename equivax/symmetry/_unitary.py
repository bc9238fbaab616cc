"""The unitary groups U(n), SU(n) and USp(n), complex matrices written as real ones."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._types import Key, Matrices
from ._classical import skew_basis
from ._errors import check_size
from ._group import AbstractGroup


def realified(M: Complex[Array | np.ndarray, "*_ n n"]) -> Float[Array | np.ndarray, "*_ d d"]:
    r"""A complex matrix as the real matrix of the same map of $\mathbb{C}^n = \mathbb{R}^n \oplus i\, \mathbb{R}^n$,

    $$ M \mapsto \begin{pmatrix} \mathrm{Re}\, M & -\mathrm{Im}\, M \\ \mathrm{Im}\, M & \mathrm{Re}\, M \end{pmatrix}, $$

    `(..., n, n)` to `(..., 2n, 2n)`: a homomorphism of rings.
    """
    xp = M.__array_namespace__()
    upper = xp.concatenate([M.real, -M.imag], axis=-1)
    return xp.concatenate([upper, xp.concatenate([M.imag, M.real], axis=-1)], axis=-2)


def skew_hermitian_basis(n: int) -> Complex[np.ndarray, "k n n"]:
    r"""A basis of $\mathfrak{u}(n)$, `(n^2, n, n)`: first $n^2 - 1$ matrices of $\mathfrak{su}(n)$, last $i\, 1$."""
    skew = skew_basis(n)
    diagonal = [np.diag([float(j == i) - float(j == i + 1) for j in range(n)]) for i in range(n - 1)] + [np.eye(n)]
    return np.concatenate([skew, 1j * np.abs(skew), 1j * np.stack(diagonal)])


@dataclasses.dataclass(frozen=True)
class U(AbstractGroup):
    r"""The unitary group $U(n) = \{ M \in \mathbb{C}^{n \times n} : M^* M = 1 \}$, of dimension $n^2$.

    An element is the real $2n \times 2n$ matrix of $M$ (`realified`), so `d` is $2n$. Haar measure: Mezzadri 2007.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("U", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.asarray(realified(skew_hermitian_basis(self.n)))

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, 2 * self.n, 2 * self.n))

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """The Q of a complex Gaussian matrix, with the phases of R's diagonal taken out."""
        return jnp.asarray(realified(haar_unitary(self.n, key=key)))


@dataclasses.dataclass(frozen=True)
class SU(AbstractGroup):
    r"""The special unitary group $SU(n) = \{ M \in U(n) : \det M = 1 \}$, of dimension $n^2 - 1$.

    An element is the real $2n \times 2n$ matrix of $M$ (`realified`), so `d` is $2n$. Haar measure: Mezzadri 2007.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("SU", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return np.asarray(realified(skew_hermitian_basis(self.n)[:-1]))

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, 2 * self.n, 2 * self.n))

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """A Haar-distributed unitary matrix, whose first column is divided by the determinant."""
        M = haar_unitary(self.n, key=key)
        return jnp.asarray(realified(M.at[:, 0].multiply(jnp.conj(jnp.linalg.det(M)))))


@dataclasses.dataclass(frozen=True)
class USp(AbstractGroup):
    r"""The compact symplectic group $USp(n) = U(2n) \cap Sp(2n, \mathbb{C})$: unitary matrices of $n \times n$ quaternions.

    $$ M^* M = 1, \qquad M J = J \bar{M}, \qquad J = 1_n \otimes \begin{pmatrix} 0 & -1 \\ 1 & 0 \end{pmatrix} $$

    Its dimension is $n (2n + 1)$, and $USp(1) = SU(2)$. An element is the real $4n \times 4n$ matrix of $M$
    (`realified`), so `d` is $4n$. Haar measure: Mezzadri 2007.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int

    def __post_init__(self):
        check_size("USp", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        # Skew times 1, and symmetric times i, j, k: the skew-Hermitian matrices of quaternions.
        skew, units = skew_basis(self.n), _QUATERNIONS
        symmetric = np.concatenate([np.abs(skew), np.eye(self.n)[:, :, None] * np.eye(self.n)[:, None, :]])
        parts = [np.kron(A, units[0]) for A in skew]
        parts += [np.kron(S, unit) for S in symmetric for unit in units[1:]]
        return np.asarray(realified(np.stack(parts)))

    @property
    def discrete_generators(self) -> Matrices:
        return np.zeros((0, 4 * self.n, 4 * self.n))

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """The Q of a Gaussian matrix of quaternions: Gram-Schmidt on pairs of columns $(v, J \\bar v)$ keeps the pairs."""
        parts = jax.random.normal(key, (4, self.n, self.n))
        units = jnp.asarray(_QUATERNIONS)
        gaussian = jnp.einsum("uij,uab->iajb", parts.astype(units.dtype), units).reshape(2 * self.n, 2 * self.n)
        return jnp.asarray(realified(_without_phases(gaussian)))


# The units 1, i, j, k of the quaternions in SU(2).
_QUATERNIONS = np.array([[[1, 0], [0, 1]], [[1j, 0], [0, -1j]], [[0, 1], [-1, 0]], [[0, 1j], [1j, 0]]])


def haar_unitary(n: int, *, key: Key) -> Complex[Array, "n n"]:
    """A Haar-distributed unitary matrix."""
    real, imaginary = jax.random.normal(key, (2, n, n))
    return _without_phases(jax.lax.complex(real, imaginary))


def _without_phases(gaussian: Complex[Array, "n n"]) -> Complex[Array, "n n"]:
    """The unitary factor of the decomposition $Q R$ in which the diagonal of R is positive."""
    q, r = jnp.linalg.qr(gaussian)
    diagonal = jnp.diagonal(r)
    return q * (diagonal / jnp.abs(diagonal).astype(diagonal.dtype))[None, :]
