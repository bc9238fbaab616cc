"""Rotations of R^3 and of the plane by vectors and angles: exponentials, logarithms, and their differentials.

A rotation vector omega in R^3 turns by |omega| radians about omega. The algebra so(3) is R^3 with the cross product:
ad_omega = omega x. All functions are straight-line code in |omega|^2, analytic at 0; the logarithm goes through a unit
quaternion (w, x, y, z), which is accurate at every angle up to and including pi.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._numerics import angle_over_sine, circular, cos_defect, cos_sqrt, sin_defect, sinc_sqrt

# The permutation symbol: (a x b)_i = sum_jk _SYMBOL[i, j, k] a_j b_k.
_SYMBOL = np.zeros((3, 3, 3))
_SYMBOL[[0, 1, 2], [1, 2, 0], [2, 0, 1]], _SYMBOL[[0, 1, 2], [2, 0, 1], [1, 2, 0]] = 1, -1
# Hamilton's product of quaternions (w, x, y, z): (p q)_i = sum_jk _HAMILTON[i, j, k] p_j q_k.
_HAMILTON = np.zeros((4, 4, 4))
_HAMILTON[1:, 1:, 1:] = _SYMBOL
_HAMILTON[0] = np.diag([1.0, -1.0, -1.0, -1.0])
_HAMILTON[1:, 0, 1:] = _HAMILTON[1:, 1:, 0] = np.eye(3)


def cross_matrix(w: Float[Array, "3"]) -> Float[Array, "3 3"]:
    """The skew matrix with cross_matrix(w) x = w x x."""
    zero = jnp.zeros_like(w[0])
    return jnp.stack([zero, -w[2], w[1], w[2], zero, -w[0], -w[1], w[0], zero]).reshape(3, 3)


def cross_vector(a: Float[Array, "3 3"]) -> Float[Array, "3"]:
    """The inverse of `cross_matrix` on skew matrices; of any other, that of its skew part."""
    return jnp.stack([a[2, 1] - a[1, 2], a[0, 2] - a[2, 0], a[1, 0] - a[0, 1]]) / 2


def cross(a: Float[Array, "3"], b: Float[Array, "3"]) -> Float[Array, "3"]:
    """a x b, as one sum over the 27 entries of the permutation symbol.

    `jnp.cross` takes the vectors apart and puts them together again, and so does each of its derivatives: in the gradient
    of a Lie group solver that is ten times slower, to compile and to run, than multiplications by zero.
    """
    return jnp.sum(jnp.asarray(_SYMBOL, a.dtype) * (a[None, :, None] * b[None, None, :]), axis=(1, 2))


def within_half_turn(w: Float[Array, "3"]) -> Float[Array, "3"]:
    """The shortest vector of the same rotation, |w| <= pi: w itself if it is, else w (1 - 2 pi k/|w|)."""
    s = jnp.sum(w * w)
    far = s > math.pi**2
    r = jnp.sqrt(jnp.where(far, s, 1))
    turns = jax.lax.stop_gradient(jnp.round(r / (2 * math.pi)))
    return w * jnp.where(far, 1 - 2 * math.pi * turns / r, 1)


def rotation_matrix(w: Float[Array, "3"]) -> Float[Array, "3 3"]:
    """exp(w x) = cos(r) + sin(r)/r w x + (1 - cos(r))/r^2 w w^T, r = |w| (Rodrigues)."""
    w = within_half_turn(w)
    s = jnp.sum(w * w)
    # In half angles, as a quaternion: |cos(r/2)|^2 + |sin(r/2)|^2 is 1 to rounding, and so the matrix orthogonal.
    a, b = circular(1, s / 4), circular(0, s / 4)
    turn, axis = a * b * w, a**2 / 2
    return (1 - axis * s) * jnp.eye(3, dtype=w.dtype) + cross_matrix(turn) + axis * (w[:, None] * w[None, :])


def rotate(w: Float[Array, "3"], x: Float[Array, "3"]) -> Float[Array, "3"]:
    """exp(w x) x, the rotation applied to one vector."""
    w = within_half_turn(w)
    s = jnp.sum(w * w) / 4
    a, turned = circular(1, s), cross(w, x)
    return x + a * circular(0, s) * turned + a**2 / 2 * cross(w, turned)


def quaternion_of(R: Float[Array, "3 3"]) -> Float[Array, "4"]:
    """The unit quaternion (w, x, y, z), w >= 0, of a rotation matrix; accurate and differentiable at every angle.

    4 q q^T is linear in R. Its largest row, which is 4 q_i q with |q_i| >= 1/2, gives q without cancellation.
    """
    d = jnp.diagonal(R)
    a, (x, y, z) = R - R.T, d
    v, m = (a[2, 1], a[0, 2], a[1, 0]), R + R.T
    rows = [
        (1 + x + y + z, *v),
        (v[0], 1 + x - y - z, m[0, 1], m[0, 2]),
        (v[1], m[0, 1], 1 - x + y - z, m[1, 2]),
        (v[2], m[0, 2], m[1, 2], 1 - x - y + z),
    ]
    outer = jnp.stack([jnp.stack(row) for row in rows])
    row = outer[jnp.argmax(jnp.diagonal(outer))]
    return row / jnp.where(row[0] < 0, -1, 1).astype(R.dtype) / jnp.sqrt(jnp.dot(row, row))


def rotation_vector(R: Float[Array, "3 3"]) -> Float[Array, "3"]:
    """log(R), |log(R)| <= pi, the inverse of `rotation_matrix`. At angle pi, where w and -w are both right, one of them."""
    return quaternion_vector(quaternion_of(R))


def quaternion_vector(q: Float[Array, "4"]) -> Float[Array, "3"]:
    """The rotation vector of a unit quaternion with w >= 0: twice its angle, along (x, y, z)."""
    w, v = q[0], q[1:]
    s = jnp.dot(v, v)
    return 2 * angle_over_sine((1 - w) ** 2 + s, (1 + w) ** 2 + s) * v


def vector_quaternion(w: Float[Array, "3"]) -> Float[Array, "4"]:
    """(cos(r/2), sin(r/2) w/r), r = |w|: the unit quaternion that turns by the rotation vector w."""
    s = jnp.dot(w, w) / 4
    return jnp.concatenate([cos_sqrt(s)[None], sinc_sqrt(s) / 2 * w])


def quaternion_product(p: Float[Array, "4"], q: Float[Array, "4"]) -> Float[Array, "4"]:
    """Hamilton's product p q: first q, then p, as rotations."""
    return jnp.sum(jnp.asarray(_HAMILTON, p.dtype) * (p[None, :, None] * q[None, None, :]), axis=(1, 2))


def compose_vectors(u: Float[Array, "3"], w: Float[Array, "3"]) -> Float[Array, "3"]:
    """log(exp(u) exp(w)) of two rotation vectors, the one of length <= pi."""
    q = quaternion_product(vector_quaternion(u), vector_quaternion(w))
    return quaternion_vector(jnp.where(q[0] < 0, -q, q))


def cross_dexp(u: Float[Array, "3"], w: Float[Array, "3"]) -> Float[Array, "3"]:
    """dexp_u(w) = (e^ad - 1)/ad w with ad = u x: w + (1 - cos(r))/r^2 u x w + (r - sin(r))/r^3 u x (u x w)."""
    s = jnp.dot(u, u)
    once = cross(u, w)
    return w + cos_defect(s) * once + sin_defect(s) * cross(u, once)


def cross_dexpinv(u: Float[Array, "3"], w: Float[Array, "3"]) -> Float[Array, "3"]:
    """dexp_u^-1(w) = w - u x w/2 + (1 - r/2 cot(r/2))/r^2 u x (u x w); exact, regular for |u| < 2 pi."""
    s = jnp.sum(u * u) / 4
    once = cross(u, w)
    # (1 - a cot a)/4 a^2 with a = r/2.
    return w - once / 2 + circular(2, s) / (4 * circular(1, s)) * cross(u, once)
