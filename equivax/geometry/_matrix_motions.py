"""Motions by matrices: rotations of vectors, orthonormal frames and subspaces, boosts, congruences.

In each of them an element of the algebra is a square matrix, exp is the exponential of matrices, and the preferred lift
of v is the generator of the geodesic that leaves x with velocity v: act(lift(x, v), x) = exp_x(v).
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ._lie_action import AbstractLieAction
from ._matrix_functions import expm, newton_schulz
from ._spectral import symmetric


def commutator(xi: Float[Array, "n n"], eta: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """xi eta - eta xi."""
    return xi @ eta - eta @ xi


def minkowski(x: Float[Array, "m *p"]) -> Float[Array, "m *p"]:
    """eta x = (-x_0, x_1, ..., x_n), time first: <x, y> = x . eta y."""
    return x.at[0].multiply(-1)


class Rotating(AbstractLieAction):
    """exp(xi) x of SO(n) on unit vectors (n,) and on orthonormal frames (n, p); xi is skew, (n, n).

    lift(x, v) = v x^T - x v^T + x v^T x x^T, of least norm tr(xi^T xi)/2 among all that move x by v, and therefore
    carried along by O(n): lift(g x, g v) = g lift(x, v) g^T.
    """

    def act(self, xi: Float[Array, "n n"], x: Float[Array, "n *p"]) -> Float[Array, "n *p"]:
        """exp(xi) x, made orthonormal once more."""
        y = expm(xi) @ _frame(x)
        return newton_schulz(y).reshape(x.shape)

    def lift(self, x: Float[Array, "n *p"], v: Float[Array, "n *p"]) -> Float[Array, "n n"]:
        """v x^T - x v^T + x v^T x x^T."""
        X, V = _frame(x), _frame(v)
        half = V @ X.T - X @ (X.T @ V) @ X.T / 2
        return half - half.T

    def bracket(self, xi: Float[Array, "n n"], eta: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """xi eta - eta xi."""
        return commutator(xi, eta)

    def generator(self, xi: Float[Array, "n n"], x: Float[Array, "n *p"]) -> Float[Array, "n *p"]:
        """xi x."""
        return xi @ x

    def ad_norm(self, u: Float[Array, "n n"]) -> Float[Array, ""]:
        """|u|: the eigenvalues of u are pairs +-i a, those of ad_u the i (a +- b), and |u|^2 = 2 (a^2 + b^2 + ...)."""
        return jnp.linalg.norm(u)


class Boosting(AbstractLieAction):
    """exp(xi) x of SO(1, n) on the hyperboloid; xi = x v^b - v x^b and sums of such, (n+1, n+1), x^b = x^T eta."""

    space: Any

    def act(self, xi: Float[Array, "m m"], x: Float[Array, " m"]) -> Float[Array, " m"]:
        """exp(xi) x, with the time that its place has on the hyperboloid."""
        return self.space.polish(expm(xi) @ x)

    def lift(self, x: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, "m m"]:
        """x v^b - v x^b, the boost along the geodesic."""
        return jnp.outer(x, minkowski(v)) - jnp.outer(v, minkowski(x))

    def bracket(self, xi: Float[Array, "m m"], eta: Float[Array, "m m"]) -> Float[Array, "m m"]:
        """xi eta - eta xi."""
        return commutator(xi, eta)

    def generator(self, xi: Float[Array, "m m"], x: Float[Array, " m"]) -> Float[Array, " m"]:
        """xi x."""
        return xi @ x

    def ad_norm(self, u: Float[Array, "m m"]) -> Float[Array, ""]:
        """|u|: the eigenvalues of u are +-b and pairs +-i a, and |u|^2 >= 2 (b^2 + a^2 + ...)."""
        return jnp.linalg.norm(u)


class Conjugating(AbstractLieAction):
    """exp(xi) x exp(-xi) of SO(n) on symmetric matrices, here projectors; xi is skew, (n, n), lift(x, v) = v x - x v."""

    def act(self, xi: Float[Array, "n n"], x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """exp(xi) x exp(-xi), purified to a projector."""
        e = newton_schulz(expm(xi))
        return purified(symmetric(e @ x @ e.T))

    def lift(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """v x - x v."""
        return commutator(v, x)

    def bracket(self, xi: Float[Array, "n n"], eta: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """xi eta - eta xi."""
        return commutator(xi, eta)

    def generator(self, xi: Float[Array, "n n"], x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """xi x - x xi."""
        return commutator(xi, x)

    def ad_norm(self, u: Float[Array, "n n"]) -> Float[Array, ""]:
        """|u|, as for `Rotating`."""
        return jnp.linalg.norm(u)


class Congruence(AbstractLieAction):
    """exp(xi) x exp(xi)^T of GL(n) on positive matrices; xi is any (n, n), lift(x, v) = v x^-1 / 2."""

    def act(self, xi: Float[Array, "n n"], x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """exp(xi) x exp(xi)^T."""
        e = expm(xi)
        return symmetric(e @ x @ e.T)

    def lift(self, x: Float[Array, "n n"], v: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """v x^-1 / 2."""
        return jnp.linalg.solve(x, v.T).T / 2

    def bracket(self, xi: Float[Array, "n n"], eta: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """xi eta - eta xi."""
        return commutator(xi, eta)

    def generator(self, xi: Float[Array, "n n"], x: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """xi x + x xi^T."""
        moved = xi @ x
        return moved + moved.T


def purified(P: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """3 P^2 - 2 P^3 (McWeeny): one step towards a projector, which squares the distance from one."""
    P2 = P @ P
    return 3 * P2 - 2 * P2 @ P


def _frame(x: Float[Array, "n *p"]) -> Float[Array, "n q"]:
    return x.reshape(x.shape[0], -1)
