r"""Coupling of angular momenta: Clebsch-Gordan coefficients by Racah's formula, in the real basis of spherical harmonics."""

import functools
import math
from fractions import Fraction

import numpy as np
from jaxtyping import Complex, Float


@functools.lru_cache(maxsize=512)
def spin_coupling(twice_a: int, twice_b: int, twice_c: int) -> Float[np.ndarray, "p q r"]:
    r"""The coefficients $\langle a\, m\; b\, n \,|\, c\, m{+}n \rangle$ of spins $a, b, c$, given by their doubles.

    Condon-Shortley phases; magnetic numbers ascend, $m = -a, \dots, a$. Shape `(2a + 1, 2b + 1, 2c + 1)`; zero unless
    $|a - b| \le c \le a + b$ and $a + b + c$ is whole. Racah, *Theory of Complex Spectra II*, Phys. Rev. 62 (1942),
    equation (16), in exact integers up to one square root.
    """
    a, b, c = (Fraction(t, 2) for t in (twice_a, twice_b, twice_c))
    table = np.zeros((twice_a + 1, twice_b + 1, twice_c + 1))
    if not abs(a - b) <= c <= a + b or (a + b + c).denominator != 1:
        return table
    for i, j in np.ndindex(*table.shape[:2]):
        m, n = i - a, j - b
        if abs(m + n) <= c:
            table[i, j, int(c + m + n)] = _racah(a, m, b, n, c)
    table.flags.writeable = False
    return table


def _racah(a: Fraction, m: Fraction, b: Fraction, n: Fraction, c: Fraction) -> float:
    square = Fraction((2 * c + 1) * _product(c + a - b, c - a + b, a + b - c), _product(a + b + c + 1))
    square *= _product(c + m + n, c - m - n, a - m, a + m, b - n, b + n)
    low = max(int(b - c - m), int(a - c + n), 0)
    total = Fraction(0)
    for k in range(low, min(int(a + b - c), int(a - m), int(b + n)) + 1):
        terms = _product(k, a + b - c - k, a - m - k, b + n - k, c - b + m + k, c - a - n + k)
        total += Fraction((-1) ** k, terms)
    exact = square * total * total  # one rounding, however the terms cancel
    return math.copysign(math.sqrt(exact), total)


def _product(*arguments: Fraction | int) -> int:
    """The product of factorials."""
    return math.prod(math.factorial(int(x)) for x in arguments)


@functools.lru_cache(maxsize=64)
def complex_from_real(degree: int) -> Complex[np.ndarray, "m m"]:
    r"""The unitary matrix whose columns are the real spherical harmonics of a degree in terms of the complex ones.

    $\sqrt{2}\, Y^{re}_{\pm m} = $ sums and differences of $(-1)^m Y_m$ and $Y_{-m}$, and a factor $(-i)^l$ that makes all
    couplings real.
    """
    q = np.zeros((2 * degree + 1,) * 2, complex)
    q[degree, degree] = 1.0
    for m in range(1, degree + 1):
        q[degree - m, [degree + m, degree - m]] = np.array([1.0, -1j]) / math.sqrt(2)
        q[degree + m, [degree + m, degree - m]] = (-1) ** m * np.array([1.0, 1j]) / math.sqrt(2)
    return (-1j) ** degree * q


@functools.lru_cache(maxsize=512)
def real_coupling(l1: int, l2: int, l3: int) -> Float[np.ndarray, "p q r"]:
    r"""The coupling of degrees $l_1, l_2$ to $l_3$ in the real basis, `(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)`.

    An isometry from the last axis into the first two where the triangle inequality holds, zero elsewhere. Its phases make
    it e3nn's `clebsch_gordan`, sign included.
    """
    table = np.einsum(
        "ijk,ip,jq,kr->pqr",
        spin_coupling(2 * l1, 2 * l2, 2 * l3),
        complex_from_real(l1),
        complex_from_real(l2),
        complex_from_real(l3).conj(),
        optimize=True,
    ).real
    table.flags.writeable = False
    return table
