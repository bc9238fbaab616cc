"""Dangerous arithmetic, named: functions whose naive formula has a 0/0, or a derivative of one, at an ordinary point.

Every `where` here is two-sided: the branch that is not taken is fed a harmless value *before* the singular operation,
so that neither it nor its first or second derivative is ever NaN (a one-sided `where` multiplies 0 by inf on the way
back). Functions of an angle take its *square*, in which they are analytic; what is left of the square root stays here.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

# sin(r)/r and cos(r) in s = r^2 < 1: ten terms, of which the first one left out is below 1/20! < 5e-19.
_SINC_COEFFICIENTS = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(10))
_COS_COEFFICIENTS = tuple((-1.0) ** n / math.factorial(2 * n) for n in range(10))
# a/sin(a) in q = 4 sin^2(a/2) < 1/8: the series behaves as (q/4)^n, twelve terms leave 1e-18.
_ANGLE_COEFFICIENTS = tuple(math.factorial(n) ** 2 / math.factorial(2 * n + 1) for n in range(12))
_ANGLE_SWITCH = 0.125


def _horner(coefficients: tuple[float, ...], s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    total = jnp.full_like(s, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * s + coefficient
    return total


def safe_sqrt(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """sqrt(s) for s > 0, and 0 with all derivatives 0 for s <= 0.

    Correctly rounded wherever `jnp.sqrt` is. The derivative 1/(2 sqrt(s)) is unbounded as s falls to 0 and 0 *at* 0:
    the choice that makes the gradient of a norm at the origin the one element of its subdifferential that is invariant.
    """
    positive = s > 0
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
    small = s < 1
    series = _horner(_COS_COEFFICIENTS, jnp.where(small, s, 0))
    closed = jnp.cos(jnp.sqrt(jnp.where(small, 1, s)))
    return jnp.where(small, series, closed)


def sinc_sqrt(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """sin(sqrt(s))/sqrt(s) for s >= 0, and 1 at s = 0, where the slope is -1/6.

    Series below s = 1, closed form above. Absolute error below 4 units in the last place of 1, in value and in the
    first two derivatives: the closed form's derivative loses a factor 1/s to cancellation, so the switch is late.
    """
    small = s < 1
    series = _horner(_SINC_COEFFICIENTS, jnp.where(small, s, 0))
    r = jnp.sqrt(jnp.where(small, 1, s))
    return jnp.where(small, series, jnp.sin(r) / r)


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
