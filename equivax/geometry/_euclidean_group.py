"""The rigid motions of R^n."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._numerics import cos_defect, cot_defect, sin_defect, sinc_sqrt
from .._rotations import cross, cross_dexp, cross_dexpinv
from .._types import Key
from ._lie_group import AbstractLieGroup
from ._matrix_functions import expm
from ._orthogonal import SpecialOrthogonal

Matrix = Float[Array, "d d"]
Block = Float[Array, "n n"]
Twist = Float[Array, " k"]


class SpecialEuclidean(AbstractLieGroup):
    """SE(n) = {x -> R x + t : R in SO(n), t in R^n}, n >= 2; a point is the matrix (n+1, n+1) [[R, t], [0, 1]].

    Algebra coordinates are twists xi = (v, omega), translation first, with omega as in `SpecialOrthogonal(n)`. Metric
    |v|^2 + |omega|^2 at the identity, carried by left translations: at [[R, t], [0, 1]] the squared speed is
    tr(R'^T R')/2 + |t'|^2, with lengths in the unit of t and angles in radians (rescale t to weigh them). So a geodesic
    `exp` turns along a geodesic of SO(n) while t moves straight; the one-parameter group `expm` is a screw motion.
    No metric is invariant on both sides. Cut locus of x: where R_x^-1 R_y turns some plane by pi.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.n < 2:
            raise ValueError(
                f"`SpecialEuclidean(n)` is the group of rigid motions of R^n, n >= 2; received n = {self.n}."
            )

    @property
    def rotations(self) -> SpecialOrthogonal:
        """SO(n)."""
        return SpecialOrthogonal(self.n)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n+1, n+1)."""
        return (self.n + 1, self.n + 1)

    @property
    def dim(self) -> int:
        """n(n+1)/2."""
        return self.n * (self.n + 1) // 2

    def _split(self, x: Matrix) -> tuple[Block, Float[Array, " n"]]:
        return x[: self.n, : self.n], x[: self.n, self.n]

    def _join(self, R: Block, t: Float[Array, " n"], corner: float = 1.0) -> Matrix:
        row = jnp.zeros((1, self.n + 1), R.dtype).at[0, self.n].set(corner)
        return jnp.concatenate([jnp.concatenate([R, t[:, None]], axis=1), row])

    # The group.

    @property
    def identity(self) -> Float[np.ndarray, "d d"]:
        """The unit matrix."""
        return np.eye(self.n + 1)

    def compose(self, x: Matrix, y: Matrix) -> Matrix:
        """The product of matrices: first y, then x."""
        return x @ y

    def inverse(self, x: Matrix) -> Matrix:
        """[[R^T, -R^T t], [0, 1]]."""
        R, t = self._split(x)
        return self._join(R.T, -R.T @ t)

    def hat(self, xi: Twist) -> Matrix:
        """[[hat(omega), v], [0, 0]]."""
        return self._join(self.rotations.hat(xi[self.n :]), xi[: self.n], 0.0)

    def vee(self, v: Matrix) -> Twist:
        """The last column, and the skew part of the block before it."""
        R, t = self._split(v)
        return jnp.concatenate([t, self.rotations.vee(R)])

    def left_invariant(self, x: Matrix, xi: Twist) -> Matrix:
        """x hat(xi)."""
        return x @ self.hat(xi)

    def right_invariant(self, x: Matrix, xi: Twist) -> Matrix:
        """hat(xi) x."""
        return self.hat(xi) @ x

    def left_trivialise(self, x: Matrix, v: Matrix) -> Twist:
        """The twist in the body's frame: (R^T t', vee(R^T R'))."""
        (R, _), (turn, shift) = self._split(x), self._split(v)
        return jnp.concatenate([R.T @ shift, self.rotations.vee(R.T @ turn)])

    def right_trivialise(self, x: Matrix, v: Matrix) -> Twist:
        """The twist in the frame of space: (t' - omega x t, omega) with omega = vee(R' R^T)."""
        (R, t), (turn, shift) = self._split(x), self._split(v)
        omega = self.rotations.vee(turn @ R.T)
        return jnp.concatenate([shift - self.rotations.hat(omega) @ t, omega])

    def expm(self, xi: Twist) -> Matrix:
        """The screw motion with R = exp(omega) and t = (e^omega - 1)/omega v; closed for n = 2 and n = 3."""
        v, omega = xi[: self.n], xi[self.n :]
        if self.n == 2:
            return self._join(self.rotations.expm(omega), _turned(*_dexp_factor(omega[0]), v))
        if self.n == 3:
            return self._join(self.rotations.expm(omega), cross_dexp(omega, v))
        return expm(self.hat(xi))

    def logm(self, x: Matrix) -> Twist:
        """The twist with omega = log(R), |omega| <= pi along every plane, and v = omega/(e^omega - 1) t."""
        R, t = self._split(x)
        omega = self.rotations.logm(R)
        if self.n == 2:
            v = _turned(*_dexpinv_factor(omega[0]), t)
        elif self.n == 3:
            v = cross_dexpinv(omega, t)
        else:
            a, eye = self.rotations.hat(omega), jnp.eye(self.n, dtype=x.dtype)
            block = jnp.concatenate([jnp.concatenate([a, eye], axis=1), jnp.zeros((self.n, 2 * self.n), x.dtype)])
            v = jnp.linalg.solve(expm(block)[: self.n, self.n :], t)
        return jnp.concatenate([v, omega])

    def bracket(self, xi: Twist, eta: Twist) -> Twist:
        """(omega b - beta v, [omega, beta]) for xi = (v, omega) and eta = (b, beta)."""
        if self.n == 3:
            return _dual(cross, xi, eta)
        a, b = self.hat(xi), self.hat(eta)
        return self.vee(a @ b - b @ a)

    def dexp(self, u: Twist, w: Twist) -> Twist:
        """Closed for n = 2 and n = 3: that of SO(3) over the dual numbers omega + epsilon v, for which se(3) stands."""
        if self.n == 3:
            return _dual(cross_dexp, u, w)
        if self.n == 2:
            return _plane(*_dexp_factor(u[2]), cos_defect(u[2] ** 2), u[2] * sin_defect(u[2] ** 2), u, w)
        return super().dexp(u, w)

    def dexpinv(self, u: Twist, w: Twist) -> Twist:
        """Closed for n = 2 and n = 3: that of SO(3) over the dual numbers omega + epsilon v, for which se(3) stands."""
        if self.n == 3:
            return _dual(cross_dexpinv, u, w)
        if self.n == 2:
            return _plane(*_dexpinv_factor(u[2]), jnp.full_like(u[2], -0.5), u[2] * cot_defect(u[2] ** 2), u, w)
        return super().dexpinv(u, w)

    @property
    def has_closed_dexpinv(self) -> bool:
        """For n = 2 and n = 3."""
        return self.n <= 3

    def ad_norm(self, u: Twist) -> Float[Array, ""]:
        """|omega| for n = 2 and 3, exactly, whatever v; else sqrt(2) |omega|."""
        omega = u[self.n :]
        return (1.0 if self.n <= 3 else math.sqrt(2)) * jnp.sqrt(jnp.dot(omega, omega))

    # The manifold: that of SO(n) x R^n.

    def project(self, x: Matrix) -> Matrix:
        """The nearest rotation in the first block, t as it is, (0, 1) in the last row."""
        R, t = self._split(x)
        return self._join(self.rotations.project(R), t)

    def nearby(self, x: Matrix) -> tuple[Matrix, Float[Array, ""]]:
        """The nearest rotation by steps of Newton and Schulz, t as it is, and (0, 1) in the last row."""
        R, t = self._split(x)
        R, square = self.rotations.nearby(R)
        return self._join(R, t), square

    def polish(self, x: Matrix) -> Matrix:
        """A step of Newton and Schulz on R, and (0, 1) in the last row."""
        R, t = self._split(x)
        return self._join(self.rotations.polish(R), t)

    def to_tangent(self, x: Matrix, v: Matrix) -> Matrix:
        """The tangential part of R', t' as it is, 0 in the last row."""
        (R, _), (turn, shift) = self._split(x), self._split(v)
        return self._join(self.rotations.to_tangent(R, turn), shift, 0.0)

    @property
    def constant_metric(self) -> bool:
        """True."""
        return True

    def inner(self, x: Matrix, v: Matrix, w: Matrix) -> Float[Array, ""]:
        """tr(R'^T S')/2 + <t', s'>."""
        del x
        (A, a), (B, b) = self._split(v), self._split(w)
        return jnp.vdot(A, B) / 2 + jnp.dot(a, b)

    def sharp(self, x: Matrix, p: Matrix) -> Matrix:
        """Twice the tangential part of p in R, p in t."""
        (R, _), (turn, shift) = self._split(x), self._split(p)
        return self._join(self.rotations.sharp(R, turn), shift, 0.0)

    def exp(self, x: Matrix, v: Matrix) -> Matrix:
        """The geodesic of SO(n), and t + t'."""
        (R, t), (turn, shift) = self._split(x), self._split(v)
        return self._join(self.rotations.exp(R, turn), t + shift)

    def log(self, x: Matrix, y: Matrix) -> Matrix:
        """The logarithm of SO(n), and the difference of the translations."""
        (R, t), (S, s) = self._split(x), self._split(y)
        return self._join(self.rotations.log(R, S), s - t, 0.0)

    def retract(self, x: Matrix, v: Matrix) -> Matrix:
        """The transform of Cayley, and t + t'."""
        (R, t), (turn, shift) = self._split(x), self._split(v)
        return self._join(self.rotations.retract(R, turn), t + shift)

    def transport(self, x: Matrix, v: Matrix, w: Matrix) -> Matrix:
        """The transport of SO(n), and t' as it is."""
        (R, _), (turn, _), (B, b) = self._split(x), self._split(v), self._split(w)
        return self._join(self.rotations.transport(R, turn, B), b, 0.0)

    def random_point(self, *, key: Key, dtype: Any = None) -> Matrix:
        """R uniform, t standard normal: SE(n) has no uniform probability."""
        first, second = jax.random.split(key)
        R = self.rotations.random_point(key=first, dtype=dtype)
        return self._join(R, jax.random.normal(second, (self.n,), R.dtype))

    @property
    def injectivity_radius(self) -> float:
        """The angle pi."""
        return math.pi

    @property
    def volume(self) -> float:
        """Infinite."""
        return math.inf


Pair = tuple[Float[Array, ""], Float[Array, ""]]


def _dexp_factor(a: Float[Array, ""]) -> Pair:
    """(e^z - 1)/z at z = i a: real and imaginary part."""
    return sinc_sqrt(a**2), a * cos_defect(a**2)


def _dexpinv_factor(a: Float[Array, ""]) -> Pair:
    """z/(e^z - 1) at z = i a."""
    return 1 - a**2 * cot_defect(a**2), -a / 2


def _turned(p: Float[Array, ""], q: Float[Array, ""], v: Float[Array, "2"]) -> Float[Array, "2"]:
    """(p + i q) v, for v = (v_1, v_2) = v_1 + i v_2."""
    return jnp.stack([p * v[0] - q * v[1], q * v[0] + p * v[1]])


def _plane(
    p: Float[Array, ""],
    q: Float[Array, ""],
    r: Float[Array, ""],
    s: Float[Array, ""],
    u: Float[Array, "3"],
    w: Float[Array, "3"],
) -> Float[Array, "3"]:
    """f(ad_u) w in se(2), u = (v, a), w = (b, c), f(0) = 1: (f b - i c g v, c), f = p + i q, g = (f - 1)/(i a) = r + i s."""
    shift = _turned(p, q, w[:2]) + w[2] * _turned(s, -r, u[:2])
    return jnp.concatenate([shift, w[2:]])


def _dual(f: Callable, u: Float[Array, "6"], w: Float[Array, "6"]) -> Float[Array, "6"]:
    """f over the dual numbers: ad of (v, omega) is [[omega x, v x], [0, omega x]], and f of it a derivative of f."""
    turn, shift = jax.jvp(f, (u[3:], w[3:]), (u[:3], w[:3]))
    return jnp.concatenate([shift, turn])
