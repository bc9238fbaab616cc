r"""Functions of symmetric matrices with two right derivatives, whatever eigenvalues coincide.

Derivatives of eigenvectors divide by gaps between eigenvalues, and are NaN where two coincide, though the function of
the matrix is smooth there. Here eigenvectors are constants, and a function is its own Taylor series about them:

    f(V (Lambda + D) V^T) = V (f(Lambda) + f[i, j] D_ij + sum_k f[i, k, j] D_ik D_kj + ...) V^T,

f[i, j] and f[i, k, j] being divided differences of f at the eigenvalues. D is zero in value and carries all derivatives
with respect to S. The series is cut there: third derivatives are not those of f.
Higham, *Functions of Matrices*, theorem 3.11 (Daleckii, Krein).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._matrix_functions import expm, newton_schulz

Differences = tuple[Float[Array, " n"], Float[Array, "n n"], Float[Array, "n n n"]]


def symmetric(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """(a + a^T)/2."""
    return (a + a.T) / 2


def spectral(S: Float[Array, "n n"], f: Callable[[Float[Array, " n"]], Differences]) -> Float[Array, "n n"]:
    """f(S) for a symmetric S, from the values and divided differences of f at eigenvalues in ascending order."""
    fixed = jax.lax.stop_gradient(S)
    eigenvalues, V = jnp.linalg.eigh(fixed)
    values, first, second = f(eigenvalues)
    D = V.T @ (S - fixed) @ V
    series = jnp.diag(values) + first * D + jnp.einsum("ikj,ik,kj->ij", second, D, D)
    return V @ series @ V.T


def inverse_root(S: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """S^(-1/2) for a positive S; eigenvalues are held above eps^2 of the largest."""

    def differences(s: Float[Array, " n"]) -> Differences:
        r = jnp.sqrt(jnp.maximum(s, float(jnp.finfo(s.dtype).eps) ** 2 * jnp.maximum(s[-1], 1e-30)))
        a, b, c = r[:, None, None], r[None, :, None], r[None, None, :]
        pairs = r[:, None] + r[None, :]
        first = -1 / (r[:, None] * r[None, :] * pairs)
        second = (a + b + c) / (a * b * c * (a + b) * (b + c) * (a + c))
        return 1 / r, first, second

    return spectral(S, differences)


def orthonormalised(x: Float[Array, "n p"]) -> Float[Array, "n p"]:
    """x (x^T x)^(-1/2), the nearest matrix with orthonormal columns: the orthogonal factor of the polar decomposition."""
    return newton_schulz(x @ inverse_root(x.T @ x))


def leading_projector(S: Float[Array, "n n"], p: int) -> Float[Array, "n n"]:
    """The projector onto the p eigenvectors of S with the largest eigenvalues; p < n, and a gap below the p-th of them.

    The function that is 1 above the gap and 0 below. Where there is no gap, its differences are held finite.
    """

    def differences(s: Float[Array, " n"]) -> Differences:
        n = s.size
        top = jnp.arange(n) >= n - p
        across = top[:, None] != top[None, :]
        gap = jnp.abs(s[:, None] - s[None, :])
        least = float(jnp.finfo(s.dtype).eps) * jnp.maximum(jnp.max(jnp.abs(s)), 1e-30)
        first = jnp.where(across, 1 / jnp.maximum(jnp.where(across, gap, 1), least), 0)
        # f[i, k, j] where one of the three stands alone: the product of its two differences, with the sign of its side.
        i, k, j = top[:, None, None], top[None, :, None], top[None, None, :]
        pairs = (first[:, :, None], first[:, None, :], first[None, :, :])  # (i, k), (i, j), (k, j)
        ones = jnp.ones((n, n, n), dtype=bool)
        alone = [(i != k) & (k == j) & ones, (k != i) & (i == j) & ones, (j != i) & (i == k) & ones]
        lone_is_top = [i & ones, k & ones, j & ones]
        products = [pairs[0] * pairs[1], pairs[0] * pairs[2], pairs[1] * pairs[2]]
        second = jnp.zeros((n, n, n), s.dtype)
        for where, high, product in zip(alone, lone_is_top, products, strict=True):
            second = second + jnp.where(where, jnp.where(high, product, -product), 0)
        return top.astype(s.dtype), first, second

    return spectral(S, differences)


def symmetric_log(S: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """log(S) for a positive S: the inverse of `expm`, with derivatives by Newton's method on expm(Y) = S.

    The relative error of the logarithm of an eigenvalue is that of the eigenvalue, eps times the condition number.
    """
    fixed = jax.lax.stop_gradient(S)
    s, V = jnp.linalg.eigh(fixed)
    s = jnp.maximum(s, float(jnp.finfo(s.dtype).tiny))
    mu = jnp.log(s)
    a, b = s[:, None], s[None, :]
    # (log a - log b)/(a - b) = 2 artanh(z)/z / (a + b) at z = (a - b)/(a + b), whose series serves below z^2 = 1e-3.
    z = (a - b) / (a + b)
    near = z * z < 1e-3
    apart = jnp.where(near, 1, a - b)
    q = jnp.where(near, z * z, 0)
    series = 1 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q / 11))))
    slope = jnp.where(near, 2 * series / (a + b), (mu[:, None] - mu[None, :]) / apart)
    change = V.T @ (S - fixed) @ V

    def corrected(D: Float[Array, "n n"]) -> Float[Array, "n n"]:
        # The second step of Newton's method, with the constant slope: exact to second order, and zero in value.
        E = expm(jnp.diag(mu) + D)
        return D - slope * (E - jax.lax.stop_gradient(E) - change)

    return V @ (jnp.diag(mu) + corrected(slope * change)) @ V.T
