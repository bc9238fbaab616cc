"""Functions of square matrices, real or complex, that differentiate twice wherever they are continuous."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from .._numerics import cot_defect, product

# 1/k!, k = 0 ... 16. Left out below |A|_1 = 3/4: 0.75^17/17! < 3e-17.
_TAYLOR = tuple(1 / math.factorial(k) for k in range(17))
_TAYLOR_RADIUS = 0.75
# Norms up to 0.75 2^10 = 768: far beyond the steps of any integrator, and ten products in the worst case.
_SQUARINGS = 10


def expm(a: Inexact[Array, "d d"]) -> Inexact[Array, "d d"]:
    """e^A by scaling and squaring of the Taylor polynomial of degree 16: six products, no linear solve.

    Straight-line but for the squarings, whose number follows |A|_1 (at most ten: |A|_1 <= 768); reverse and forward
    derivatives of any order. Relative error a few units in the last place times max(1, |A|_1) for normal matrices.
    Higham, *Functions of Matrices*, 2008, ch. 10; evaluated by Paterson and Stockmeyer's scheme.
    """
    real = jnp.finfo(a.dtype).dtype
    size = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(a), axis=0)))
    count = jnp.clip(jnp.ceil(jnp.log2(jnp.maximum(size, _TAYLOR_RADIUS) / _TAYLOR_RADIUS)), 0, _SQUARINGS)
    b = a * jnp.exp2(-count).astype(real).astype(a.dtype)
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)
    b2 = b @ b
    b3, b4 = b2 @ b, b2 @ b2
    total = _TAYLOR[16] * b4
    for k in (12, 8, 4, 0):
        total = total + (_TAYLOR[k] * eye + _TAYLOR[k + 1] * b + _TAYLOR[k + 2] * b2 + _TAYLOR[k + 3] * b3)
        if k:
            total = b4 @ total

    def square(y, k):
        return jax.lax.cond(k < count, lambda y: y @ y, lambda y: y, y), None

    return jax.lax.scan(square, total, jnp.arange(_SQUARINGS, dtype=count.dtype))[0]


def newton_schulz(x: Inexact[Array, "n p"]) -> Inexact[Array, "n p"]:
    """x (3 - x^H x)/2: one step towards orthonormal columns, which squares the distance from them."""
    return (3 * x - product(x, product(_adjoint(x), x))) / 2


def near_polar(x: Inexact[Array, "n p"]) -> tuple[Inexact[Array, "n p"], Float[Array, ""]]:
    """The nearest matrix with orthonormal columns to an X that nearly has them, and |X^H X - 1|^2, which says how nearly.

    Two steps of Newton and Schulz: each squares that gap and takes 3/4 of it, the two of them make 4e-17 of 1e-4.
    """
    gram = product(_adjoint(x), x)
    square = jnp.sum(jnp.abs(gram - jnp.eye(x.shape[-1], dtype=x.dtype)) ** 2)
    return newton_schulz((3 * x - product(x, gram)) / 2), square


def polar(x: Inexact[Array, "d d"], special: bool = False) -> Inexact[Array, "d d"]:
    """The unitary matrix nearest to X: u v^H of the singular value decomposition u s v^H; `special`: of determinant 1
    (X real), the smallest singular value s_d negated if need be.

    The decomposition is not differentiated, for its derivatives are infinite at repeated singular values, such as those
    of every unitary matrix. Instead two Newton steps from the solution: W S + S W = Q^H X - X^H Q with S the Hermitian
    factor, Q <- Q e^W. Each makes one more derivative exact; so first and second ones are.
    """
    u, s, vh = jnp.linalg.svd(jax.lax.stop_gradient(x))
    if special:
        sign = jnp.ones_like(s).at[-1].set(jnp.sign(jnp.linalg.det(u @ vh)))
        u, s = u * sign[None], s * sign
    v, q = _adjoint(vh), u @ vh
    sums = s[:, None] + s[None]
    regular = sums > 8 * float(jnp.finfo(s.dtype).eps) * s[0]
    weights = jnp.where(regular, 1 / jnp.where(regular, sums, 1), 0).astype(x.dtype)
    for _ in range(2):
        a = _adjoint(q) @ x
        w = v @ (weights * (vh @ (a - _adjoint(a)) @ v)) @ vh
        q = q + q @ (w + w @ w / 2)
    return q


def unitary_log(
    q: Inexact[Array, "d d"], generic: Inexact[Array, "d d"], traceless: bool = False
) -> Inexact[Array, "d d"]:
    """The shortest skew-Hermitian U with e^U = Q, for Q unitary (complex) or a rotation (real); `traceless`: the
    shortest of trace 0, for det Q = 1.

    `generic` is a skew-Hermitian matrix of norm near 1 without symmetries, in the algebra: where an eigenvalue is -1, and
    the logarithm is not unique, it decides. Not differentiated: two square roots, each the unitary factor of 1 + R, leave
    angles below pi/4, where the sine tells all eigenspaces apart. Then two Newton steps, U <- U + dexpinv_U(log(Q e^-U)),
    in the eigenbasis of U: they take the rounding errors out and put the first and second derivatives in, also at
    repeated eigenvalues. Near the cut locus derivatives are large; where they are infinite, they are 0.
    """
    real = jnp.finfo(q.dtype).dtype
    eps = float(jnp.finfo(real).eps)
    fixed = jax.lax.stop_gradient(q)
    root = fixed + fixed @ (64 * eps * generic)
    for _ in range(2):
        u, _, vh = jnp.linalg.svd(root + jnp.eye(q.shape[-1], dtype=q.dtype))
        root = u @ vh
    sine = jax.lax.complex(jnp.imag(root - _adjoint(root)), -jnp.real(root - _adjoint(root))) / 2
    sines, vectors = jnp.linalg.eigh(sine)
    cosines = jnp.real(jnp.sum(jnp.conj(vectors) * (root.astype(vectors.dtype) @ vectors), axis=0))
    angles = 4 * jnp.arctan2(sines, cosines)
    if traceless:
        angles = _without_trace(angles)
    dual = _adjoint(vectors)

    def cast(a):
        return a.astype(q.dtype) if jnp.iscomplexobj(q) else jnp.real(a)

    gaps = angles[:, None] - angles[None]
    # At a gap of 2 pi, two shortest vectors meet and dexpinv is infinite.
    regular = jnp.abs(gaps) < 2 * math.pi - 1e4 * eps
    gaps = jnp.where(regular, gaps, 0)
    weights = jax.lax.complex(jnp.where(regular, 1 - gaps**2 * cot_defect(gaps**2), 0), -gaps / 2)
    log = cast((vectors * jax.lax.complex(jnp.zeros_like(angles), angles)[None]) @ dual)
    for _ in range(2):
        r = q @ expm(-log)
        r = (r - _adjoint(r)).astype(vectors.dtype) / 2
        log = log + cast(vectors @ (weights * (dual @ r @ vectors)) @ dual)
    return (log - _adjoint(log)) / 2


def _without_trace(angles: Float[Array, " d"]) -> Float[Array, " d"]:
    """Angles that add up to 2 pi m, turned back to a sum of 0: the m largest by -2 pi (or the -m smallest by 2 pi)."""
    turns = jnp.round(jnp.sum(angles) / (2 * math.pi))
    rank = jnp.argsort(jnp.argsort(jnp.sign(turns) * -angles)).astype(angles.dtype)
    return jnp.where(rank < jnp.abs(turns), angles - 2 * math.pi * jnp.sign(turns), angles)


def _adjoint(a: Inexact[Array, "n p"]) -> Inexact[Array, "p n"]:
    return jnp.conj(a.T)
