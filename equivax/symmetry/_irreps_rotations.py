"""The irreps of SO(3), O(3) and SU(2): spherical harmonics and spins, as polynomials in the entries of an element."""

import dataclasses
import math

import numpy as np
from jaxtyping import Array, Complex, Float

from .._types import AlgebraElement, Element
from ._classical import SO, O
from ._coupling import complex_from_real, real_coupling
from ._errors import GroupError
from ._group import AbstractGroup
from ._powers import power_matrix, power_rate
from ._rep import AbstractRep, RepMatrix, xp
from ._unitary import SU, realified


@dataclasses.dataclass(frozen=True)
class HarmonicIrrep(AbstractRep):
    r"""The irreducible representation of $SO(3)$ or $O(3)$ on spherical harmonics of degree $l$, of dimension $2l + 1$.

    $$ D^{l+1}(R) = C_l^\top\, (D^l(R) \otimes R)\, C_l, \qquad D^0 = 1,\ D^1(R) = R, $$

    with $C_l$ the coupling of $l$ and 1 to $l + 1$: a polynomial of degree $l$, without angles and their singularities.
    The basis is that of e3nn: $m = -l, \dots, l$ about the $y$ axis, so that $D^1$ is the defining representation.

    On $O(3)$ the parity is $\rho(-1) = \pm 1$: `odd` is e3nn's `o`, so vectors are `irrep(O(3), 1, odd=True)`.

    **Raises:** `GroupError` for another group, a degree that is not a whole number from 0 on, or `odd` on SO(3).
    """

    of: AbstractGroup
    degree: int
    odd: bool = False

    def __post_init__(self):
        if self.of not in (SO(3), O(3)):
            raise GroupError(f"Spherical harmonics are irreps of SO(3) and O(3), not of {self.of}.")
        if not isinstance(self.degree, int) or self.degree < 0:
            raise GroupError(f"The irreps of {self.of} have whole degrees l >= 0, received {self.degree!r}.")
        if self.odd and self.of != O(3):
            raise GroupError("`odd` tells apart irreps of groups with reflections; leave it False for SO(3).")

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return 2 * self.degree + 1

    @property
    def _is_pseudo(self) -> bool:
        return self.of == O(3) and self.odd != (self.degree % 2 == 1)

    def rho(self, g: Element) -> RepMatrix:
        library = xp(g)
        matrix = library.linalg.det(g)[None, None] if self._is_pseudo else library.ones((1, 1), dtype=g.dtype)
        for degree in range(self.degree):
            left = library.asarray(real_coupling(degree, 1, degree + 1), dtype=g.dtype)
            right = library.tensordot(library.tensordot(matrix, left, 1), g, ((1,), (1,)))  # (p, r, i)
            matrix = library.tensordot(left, right, ((0, 1), (0, 2)))
        return matrix

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        library = xp(xi)
        rate = library.zeros((1, 1), dtype=xi.dtype)
        for degree in range(self.degree):
            left = library.asarray(real_coupling(degree, 1, degree + 1), dtype=xi.dtype)
            right = library.tensordot(left, xi, ((1,), (1,))).transpose(0, 2, 1) + library.tensordot(rate, left, 1)
            rate = library.tensordot(left, right, ((0, 1), (0, 1)))
        return rate

    def __str__(self) -> str:
        return f"{self.degree}{'o' if self.odd else 'e'}" if self.of == O(3) else f"D^{self.degree}"


@dataclasses.dataclass(frozen=True)
class SpinIrrep(AbstractRep):
    r"""The irreducible representation of $SU(2)$ of spin $j$, over the reals.

    The complex one is $\mathrm{Sym}^{2j} \mathbb{C}^2$, of dimension $2j + 1$, in the basis $m = j, \dots, -j$.

    - Whole $j$: it is real, of dimension $2j + 1$, in the basis of spherical harmonics: $D^j$ of the rotation that
      the element stands for.
    - Half-odd $j$: it is quaternionic; its real form has dimension $2 (2j + 1)$ and is written as the group is, real
      parts before imaginary parts. Spin 1/2 is the defining representation.

    `twice` is $2j$.

    **Raises:** `GroupError` for another group than SU(2), or a spin that is not a multiple of 1/2 from 0 on.
    """

    of: AbstractGroup
    twice: int

    def __post_init__(self):
        if self.of != SU(2):
            raise GroupError(f"Spins are irreps of SU(2), not of {self.of}.")
        if not isinstance(self.twice, int) or self.twice < 0:
            raise GroupError(f"Spins are 0, 1/2, 1, ...: twice the spin is a whole number, received {self.twice!r}.")

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return (self.twice + 1) * (1 + self.twice % 2)

    def rho(self, g: Element) -> RepMatrix:
        return self._real(power_matrix(_complex(g), self.twice, antisymmetric=False))

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return self._real(power_rate(_complex(xi), self.twice, antisymmetric=False))

    def _real(self, matrix: Complex[Array | np.ndarray, "n n"]) -> RepMatrix:
        if self.twice % 2:
            return realified(matrix)
        library = xp(matrix)
        to_complex = library.asarray(complex_from_real(self.twice // 2)[::-1], dtype=matrix.dtype)
        return library.real(library.conj(to_complex).T @ matrix @ to_complex)

    def __str__(self) -> str:
        return f"spin {self.twice // 2}" if self.twice % 2 == 0 else f"spin {self.twice}/2"


def _complex(g: Float[Array | np.ndarray, "d d"]) -> Complex[Array | np.ndarray, "n n"]:
    """The complex matrix of which `g` is the real form."""
    n, kind = len(g) // 2, np.result_type(g.dtype, np.complex64)
    return g[:n, :n].astype(kind) + 1j * g[n:, :n].astype(kind)


def spin_irrep(group: AbstractGroup, spin: int | float) -> SpinIrrep:
    """The irrep of SU(2) of a spin 0, 1/2, 1, ...

    **Raises:** `GroupError` for a number that is not a spin.
    """
    twice = 2 * spin
    if not math.isfinite(twice) or twice != round(twice):
        raise GroupError(f"Spins are 0, 1/2, 1, 3/2, ...; received {spin!r}.")
    return SpinIrrep(group, round(twice))
