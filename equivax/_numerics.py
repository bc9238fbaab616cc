"""Dangerous arithmetic, named: functions whose naive formula has a 0/0, or a derivative of one, at an ordinary point.

Every `where` here is two-sided: the branch that is not taken is fed a harmless value *before* the singular operation,
so that neither it nor its first or second derivative is ever NaN (a one-sided `where` multiplies 0 by inf on the way
back). Functions of an angle take its *square*, in which they are analytic; what is left of the square root stays here.
"""

import functools
import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

# sinh(r)/r and cosh(r) in s = r^2 < 1: ten terms, of which the first one left out is below 1/20! < 5e-19.
_SINHC_COEFFICIENTS = tuple(1 / math.factorial(2 * n + 1) for n in range(10))
_COSH_COEFFICIENTS = tuple(1 / math.factorial(2 * n) for n in range(10))
# a/sin(a) in q = 4 sin^2(a/2) < 1/8: the series behaves as (q/4)^n, twelve terms leave 1e-18.
_ANGLE_COEFFICIENTS = tuple(math.factorial(n) ** 2 / math.factorial(2 * n + 1) for n in range(12))
_ANGLE_SWITCH = 0.125
# (r - sin(r))/r^3 in s = r^2 < 4: the first term left out is below 4^14/31! < 4e-26.
_SIN_DEFECT_COEFFICIENTS = tuple((-1.0) ** n / math.factorial(2 * n + 3) for n in range(14))


def _bernoulli(count: int) -> tuple[Fraction, ...]:
    """B_k/k!, the Taylor coefficients of z/(e^z - 1) for k < count: sum_j b_j/(k + 1 - j)! = 0 for k > 0."""
    b = [Fraction(1)]
    for k in range(1, count):
        b.append(-sum((b[j] / math.factorial(k + 1 - j) for j in range(k)), Fraction(0)))
    return tuple(b)


# (1 - r/2 cot(r/2))/r^2 = sum |B_2n|/(2n)! s^(n-1): behaves as (s/4 pi^2)^n, below s = 2 fourteen terms leave 1e-19.
_COT_DEFECT_COEFFICIENTS = tuple(float(abs(b)) for b in _bernoulli(29)[2::2])
_DEFECT_SWITCHES = {"sin": 4.0, "cot": 2.0}


def _horner(coefficients: tuple[float, ...], s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    total = jnp.full_like(s, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * s + coefficient
    return total


def _circular_coefficients(m: int, count: int) -> tuple[float, ...]:
    """The Taylor coefficients of phi_m: phi_0(s) = cos(sqrt(s)), phi_(m+1) = -2 phi_m'."""
    c = [Fraction((-1) ** n, math.factorial(2 * n)) for n in range(count + m)]
    for _ in range(m):
        c = [-2 * (n + 1) * a for n, a in enumerate(c[1:])]
    return tuple(map(float, c))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def circular(m: int, s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """phi_m(s) for |s| <= pi^2: phi_0 = cos(r), phi_1 = sin(r)/r, phi_2 = (sin(r)/r - cos(r))/r^2, ... with s = r^2.

    In general j_(m-1)(r)/r^(m-1), with j the spherical Bessel functions; phi_m' = -phi_(m+1)/2, which is how it is
    differentiated, to any order. Seventeen terms of the series: no branch, and less to compile than a cosine, which is why
    the Lie group solvers use it in their inner loop. Absolute error below 8 units in the last place of 1. Grows without
    bound beyond r = pi: reduce the angle first.
    """
    return _horner(_circular_coefficients(m, 17), s)


@circular.defjvp
def _circular_jvp(m, primals, tangents):
    (s,), (ds,) = primals, tangents
    return circular(m, s), -circular(m + 1, s) / 2 * ds


def safe_sqrt(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """sqrt(s) for s > 0, and 0 with all derivatives 0 for s <= 0. NaN stays NaN.

    Correctly rounded wherever `jnp.sqrt` is. The derivative 1/(2 sqrt(s)) is unbounded as s falls to 0 and 0 *at* 0:
    the choice that makes the gradient of a norm at the origin the one element of its subdifferential that is invariant.
    """
    positive = ~(s <= 0)
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, s, 1)), 0)


def safe_norm(
    x: Float[Array, "*dims"], axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """|x| = sqrt(sum x^2) over `axis`, with gradient and Hessian 0 where x = 0.

    Relative error a few units in the last place, as long as x^2 neither overflows nor underflows
    (1e-19 < |x| < 1e19 in float32, 1e-154 < |x| < 1e154 in float64; below, the norm is 0).
    """
    return safe_sqrt(jnp.sum(x * x, axis=axis, keepdims=keepdims))


def cos_sqrt(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """cos(sqrt(s)) for s >= 0: the cosine of an angle given by its square; analytic at s = 0, where the slope is -1/2.

    Series below s = 1, closed form above. Absolute error below 4 units in the last place of 1, in value and in the
    first two derivatives, on both sides of the switch.
    """
    return _circular_anywhere(0, s)


def sinc_sqrt(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """sin(sqrt(s))/sqrt(s) for s >= 0, and 1 at s = 0, where the slope is -1/6.

    Series below s = 1, closed form above. Absolute error below 4 units in the last place of 1, in value and in the
    first two derivatives.
    """
    return _circular_anywhere(1, s)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _circular_anywhere(m: int, s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    # phi_m as in `circular`, for every s >= 0: further out by phi_(k+1) = ((2k - 1) phi_k - phi_(k-1))/s, which loses
    # digits to cancellation as s falls, so that the switch is the later the higher m.
    switch = 1.0 if m < 2 else math.pi**2
    small = s < switch
    series = _horner(_circular_coefficients(m, 10 if m < 2 else 17), jnp.where(small, s, 0))
    far = jnp.where(small, switch, s)
    r = jnp.sqrt(far)
    phi = [jnp.cos(r), jnp.sin(r) / r]
    for k in range(1, m):
        phi.append(((2 * k - 1) * phi[k] - phi[k - 1]) / far)
    return jnp.where(small, series, phi[m])


@_circular_anywhere.defjvp
def _circular_anywhere_jvp(m, primals, tangents):
    (s,), (ds,) = primals, tangents
    return _circular_anywhere(m, s), -_circular_anywhere(m + 1, s) / 2 * ds


def angle_between(q: Float[Array, "*dims"], p: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """a = 2 atan2(sqrt(q), sqrt(p)), the angle in [0, pi] between unit vectors x, y: q = |x - y|^2, p = |x + y|^2.

    Kahan's form: relative error of a few units in the last place at every angle, where arccos(<x, y>) loses half of the
    digits near 0 and near pi. Derivatives are 0 at both ends, where the angle has a cone point.
    """
    return 2 * jnp.arctan2(safe_sqrt(q), safe_sqrt(p))


def angle_over_sine(q: Float[Array, "*dims"], p: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """a / sin(a) for the angle a between unit vectors x, y, from q = |x - y|^2 and p = |x + y|^2; 1 at q = 0.

    Analytic in q: the series sum (n!)^2/(2n+1)! q^n below q = 1/8, the closed form above. Relative error a few units in
    the last place. At the cut locus (p = 0) the true value is infinite: p is held above eps^2, which keeps the value
    below pi/eps and all derivatives finite.
    """
    small = q < _ANGLE_SWITCH
    series = _horner(_ANGLE_COEFFICIENTS, jnp.where(small, q, 0))
    q_far = jnp.where(small, 1, q)
    p_far = jnp.where(small, 3, jnp.maximum(p, float(jnp.finfo(p.dtype).eps) ** 2))
    # sin(a) = 2 sin(a/2) cos(a/2), with |x - y| = 2 sin(a/2) and |x + y| = 2 cos(a/2).
    closed = angle_between(q_far, p_far) / (jnp.sqrt(q_far * p_far) / 2)
    return jnp.where(small, series, closed)


def cos_defect(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """(1 - cos(r))/r^2 with s = r^2 >= 0: 1/2 at s = 0. As (sin(r/2)/(r/2))^2/2, without cancellation or a switch."""
    return sinc_sqrt(s / 4) ** 2 / 2


def sin_defect(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """(r - sin(r))/r^3 = (1 - sin(r)/r)/s with s = r^2 >= 0: 1/6 at s = 0, where the slope is -1/120.

    Series below s = 4, closed form above, where the difference has lost less than one bit.
    """
    small = s < _DEFECT_SWITCHES["sin"]
    series = _horner(_SIN_DEFECT_COEFFICIENTS, jnp.where(small, s, 0))
    far = jnp.where(small, 4, s)
    r = jnp.sqrt(far)
    return jnp.where(small, series, (1 - jnp.sin(r) / r) / far)


def cot_defect(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """(1 - r/2 cot(r/2))/r^2 with s = r^2: 1/12 at s = 0, where the slope is 1/720; the even part of z/(1 - e^-z).

    Series below s = 2, closed form above. Infinite at r = 2 pi, where it is held finite: |sin(r/2)| stays above eps.
    """
    small = s < _DEFECT_SWITCHES["cot"]
    series = _horner(_COT_DEFECT_COEFFICIENTS, jnp.where(small, s, 0))
    far = jnp.where(small, 2, s)
    r = jnp.sqrt(far) / 2
    sine, tiny = jnp.sin(r), float(jnp.finfo(s.dtype).eps)
    closed = (1 - r * jnp.cos(r) / jnp.where(jnp.abs(sine) > tiny, sine, tiny)) / far
    return jnp.where(small, series, closed)


def cosh_sqrt(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """cosh(sqrt(s)) for s >= 0; analytic at s = 0, where the slope is 1/2. Relative error as that of `cos_sqrt`."""
    small = s < 1
    series = _horner(_COSH_COEFFICIENTS, jnp.where(small, s, 0))
    closed = jnp.cosh(jnp.sqrt(jnp.where(small, 1, s)))
    return jnp.where(small, series, closed)


def sinhc_sqrt(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """sinh(sqrt(s))/sqrt(s) for s >= 0, and 1 at s = 0, where the slope is 1/6. Relative error as that of `sinc_sqrt`."""
    small = s < 1
    series = _horner(_SINHC_COEFFICIENTS, jnp.where(small, s, 0))
    r = jnp.sqrt(jnp.where(small, 1, s))
    return jnp.where(small, series, jnp.sinh(r) / r)


def length_over_sinh(q: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """a / sinh(a) for q = 4 sinh^2(a/2) >= 0: `angle_over_sine` at -q; 1 at q = 0, with no singularity further out."""
    small = q < _ANGLE_SWITCH
    series = _horner(_ANGLE_COEFFICIENTS, -jnp.where(small, q, 0))
    far = jnp.where(small, 1, q)
    closed = 2 * jnp.arcsinh(jnp.sqrt(far) / 2) / jnp.sqrt(far * (1 + far / 4))
    return jnp.where(small, series, closed)


def det(a: Float[Array, "*dims n n"]) -> Float[Array, "*dims"]:
    """det(a), by rows: the minors of the first k rows from those of the first k - 1. n 2^n operations, for small n.

    A polynomial, and so are its derivatives of all orders, at singular matrices as elsewhere; those of `jnp.linalg.det` go
    through a factorisation, and are NaN there from JAX 0.12 on. Absolute error a few units in the last place of |a|^n.
    """
    n = a.shape[-1]
    minors: dict[tuple[int, ...], Array] = {(): jnp.ones(a.shape[:-2], a.dtype)}
    for row in range(n):
        minors = {
            columns: jnp.asarray(
                sum(
                    (-1) ** (row + at) * a[..., row, column] * minors[columns[:at] + columns[at + 1 :]]
                    for at, column in enumerate(columns)
                )
            )
            for columns in itertools.combinations(range(n), row + 1)
        }
    return minors[tuple(range(n))]


def product(a: Inexact[Array, "*dims n m"], b: Inexact[Array, "*dims m k"]) -> Inexact[Array, "*dims n k"]:
    """The matrix product a b; of matrices with at most four columns the plain sum, which XLA fuses with what stands around it.

    A call of a library for each of hundreds of small matrices costs more than their arithmetic.
    """
    if a.shape[-1] > 4:
        return a @ b
    return jnp.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)
