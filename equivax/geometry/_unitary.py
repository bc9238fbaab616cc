"""The unitary groups, as real matrices of twice the size."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._numerics import angle_over_sine, cos_sqrt, sinc_sqrt
from .._rotations import cross, cross_dexp, cross_dexpinv
from ._compact_group import AbstractCompactGroup
from ._matrix_functions import expm, newton_schulz, polar, unitary_log
from ._sphere import sphere_volume


def realify(m: Complex[Array, "n n"]) -> Float[Array, "d d"]:
    """The real 2n x 2n matrix [[Re m, -Im m], [Im m, Re m]] of a complex n x n matrix."""
    a, b = jnp.real(m), jnp.imag(m)
    return jnp.concatenate([jnp.concatenate([a, -b], axis=1), jnp.concatenate([b, a], axis=1)])


def complexify(x: Float[Array, "d d"]) -> Complex[Array, "n n"]:
    """The complex matrix whose `realify` is nearest to x: exactly the inverse of it where there is one."""
    n = x.shape[0] // 2
    return jax.lax.complex(x[:n, :n] + x[n:, n:], x[n:, :n] - x[:n, n:]) / 2


@functools.cache
def unitary_generators(n: int, special: bool) -> Float[np.ndarray, "k d d"]:
    """The basis -i lambda_a of su(n), realified, for the Gell-Mann matrices lambda_a in their usual order (n = 2: those
    of Pauli; n = 3: the eight), orthonormal in Re tr(v^H w)/2; of u(n) with -i sqrt(2/n) after them.
    """
    lambdas = []
    for k in range(1, n):
        for j in range(k):
            for entry in (1, -1j):
                m = np.zeros((n, n), complex)
                m[j, k], m[k, j] = entry, np.conj(entry)
                lambdas.append(m)
        lambdas.append(np.sqrt(2 / (k * (k + 1))) * np.diag([1.0] * k + [-k] + [0] * (n - k - 1)).astype(complex))
    if not special:
        lambdas.append(np.sqrt(2 / n) * np.eye(n, dtype=complex))
    basis = np.stack([np.block([[m.imag, m.real], [-m.real, m.imag]]) for m in lambdas])
    basis.setflags(write=False)
    return basis


class Unitary(AbstractCompactGroup):
    """U(n) = {m in C^(n x n) : m^H m = 1}, n >= 1; a point is the real matrix (2n, 2n) [[Re m, -Im m], [Im m, Re m]].

    Metric <v, w> = Re tr(v^H w)/2 of the complex matrices, invariant on both sides: SO(n) lies in U(n) isometrically.
    Algebra coordinates: those of -i times the Gell-Mann matrices and sqrt(2/n), see `unitary_generators`. Cut locus of
    x: the y for which x^-1 y has the eigenvalue -1; there `log` is one of the shortest vectors.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"`Unitary(n)` is the group of isometries of C^n, n >= 1; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(2n, 2n)."""
        return (2 * self.n, 2 * self.n)

    @property
    def dim(self) -> int:
        """n^2."""
        return self.n**2

    @property
    def lie_algebra(self) -> Float[np.ndarray, "k d d"]:
        """See `unitary_generators`."""
        return unitary_generators(self.n, False)

    def project(self, x: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """The nearest unitary matrix, u v^H of the singular value decomposition u s v^H."""
        return realify(polar(complexify(x)))

    def to_tangent(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x (a - a^H)/2 with a the complex part of x^-1 v."""
        a = complexify(x.T @ v)
        return x @ realify(a - jnp.conj(a.T)) / 2

    def expm(self, xi: Float[Array, " k"]) -> Float[Array, "d d"]:
        """The exponential of the complex matrix."""
        return realify(expm(complexify(self.hat(xi))))

    def logm(self, x: Float[Array, "d d"]) -> Float[Array, " k"]:
        """The shortest xi with expm(xi) = x: all angles in [-pi, pi]."""
        return self.vee(realify(unitary_log(complexify(x), complexify(self._generic(x.dtype)))))

    def polish(self, x: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """A step of Newton and Schulz on the complex matrix."""
        return realify(newton_schulz(complexify(x)))

    def ad_norm(self, u: Float[Array, " k"]) -> Float[Array, ""]:
        """2 |u|, a bound of the largest difference of two angles."""
        return 2 * jnp.sqrt(jnp.dot(u, u))

    @property
    def injectivity_radius(self) -> float:
        """pi/sqrt(2): half the circle of diag(e^(i t), 1, ..., 1)."""
        return math.pi / math.sqrt(2)

    @property
    def volume(self) -> float:
        """2^(-n/2) times the volumes of S^1, S^3, ..., S^(2n-1)."""
        return math.prod(sphere_volume(2 * k - 1) / math.sqrt(2) for k in range(1, self.n + 1))


class SpecialUnitary(AbstractCompactGroup):
    """SU(n) = {m in U(n) : det m = 1}, n >= 2; a point is the real matrix (2n, 2n) [[Re m, -Im m], [Im m, Re m]].

    Metric <v, w> = Re tr(v^H w)/2 of the complex matrices, invariant on both sides: SU(2) is the unit sphere S^3.
    Algebra coordinates: those of -i times the Gell-Mann matrices, see `unitary_generators`; for n = 2 the half of a
    rotation vector. Cut locus of x: for n = 2 the antipode -x; in general the y for which the eigenvalues of x^-1 y have
    more than one set of shortest angles that add up to 0. There `log` is one of the shortest vectors.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"`SpecialUnitary(n)` is the group SU(n), n >= 2; received n = {self.n}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """(2n, 2n)."""
        return (2 * self.n, 2 * self.n)

    @property
    def dim(self) -> int:
        """n^2 - 1."""
        return self.n**2 - 1

    @property
    def lie_algebra(self) -> Float[np.ndarray, "k d d"]:
        """See `unitary_generators`."""
        return unitary_generators(self.n, True)

    def project(self, x: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """The nearest unitary matrix, times the phase nearest to 1 that makes its determinant 1."""
        return _unit_determinant(polar(complexify(x)))

    def to_tangent(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """x times the traceless part of (a - a^H)/2, with a the complex part of x^-1 v."""
        a = complexify(x.T @ v)
        a = (a - jnp.conj(a.T)) / 2
        return x @ realify(a - jnp.trace(a) / self.n * jnp.eye(self.n, dtype=a.dtype))

    def expm(self, xi: Float[Array, " k"]) -> Float[Array, "d d"]:
        """The exponential of the complex matrix; for n = 2, cos(r) + sin(r)/r hat(xi) with r = |xi|."""
        if self.n > 2:
            return realify(expm(complexify(self.hat(xi))))
        s = jnp.dot(xi, xi)
        return cos_sqrt(s) * jnp.eye(4, dtype=xi.dtype) + sinc_sqrt(s) * self.hat(xi)

    def logm(self, x: Float[Array, "d d"]) -> Float[Array, " k"]:
        """The shortest xi with expm(xi) = x; closed for n = 2."""
        if self.n > 2:
            return self.vee(realify(unitary_log(complexify(x), complexify(self._generic(x.dtype)), traceless=True)))
        w, v = jnp.trace(x) / 4, self.vee(x)
        # At -1 every direction is shortest: the first.
        eps = float(jnp.finfo(x.dtype).eps)
        v = jnp.where((w < 0) & (jnp.max(jnp.abs(v)) < eps), jnp.asarray([eps, 0, 0], x.dtype), v)
        s = jnp.dot(v, v)
        return angle_over_sine((1 - w) ** 2 + s, (1 + w) ** 2 + s) * v

    def bracket(self, xi: Float[Array, " k"], eta: Float[Array, " k"]) -> Float[Array, " k"]:
        """The commutator; for n = 2 twice the cross product."""
        return 2 * cross(xi, eta) if self.n == 2 else super().bracket(xi, eta)

    def dexp(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Closed for n = 2: that of the rotation vector 2u."""
        return cross_dexp(2 * u, w) if self.n == 2 else super().dexp(u, w)

    def dexpinv(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """Closed for n = 2: that of the rotation vector 2u."""
        return cross_dexpinv(2 * u, w) if self.n == 2 else super().dexpinv(u, w)

    @property
    def has_closed_dexpinv(self) -> bool:
        """For n = 2."""
        return self.n == 2

    def ad_norm(self, u: Float[Array, " k"]) -> Float[Array, ""]:
        """2 |u|, a bound of the largest difference of two angles; exact for n = 2."""
        return 2 * jnp.sqrt(jnp.dot(u, u))

    def retract(self, x: Float[Array, "d d"], v: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """The transform of Cayley, times the phase that makes the determinant 1."""
        return _unit_determinant(complexify(super().retract(x, v)))

    def polish(self, x: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """A step of Newton and Schulz on the complex matrix and one of Newton on the phase of its determinant."""
        m = newton_schulz(complexify(x))
        phase = jnp.imag(jnp.linalg.det(m)) / self.n
        return realify(m * jax.lax.complex(jnp.ones_like(phase), -phase))

    @property
    def injectivity_radius(self) -> float:
        """Pi: half the circle of diag(e^(i t), e^(-i t), 1, ..., 1)."""
        return math.pi

    @property
    def volume(self) -> float:
        """That of U(n) times sqrt(2n)/(2 pi): 2 pi^2 for n = 2."""
        return Unitary(self.n).volume * math.sqrt(2 * self.n) / (2 * math.pi)


def _unit_determinant(m: Complex[Array, "n n"]) -> Float[Array, "d d"]:
    det = jnp.linalg.det(m)
    phase = jnp.arctan2(jnp.imag(det), jnp.real(det)) / m.shape[0]
    return realify(m * jax.lax.complex(jnp.cos(phase), -jnp.sin(phase)))
