"""Isotropy: what stays in place under part of the group can only move in directions that this part leaves alone."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._types import Point, Tangent
from ..symmetry import AbstractAction

# Orbits whose tangent vectors are shorter than about a fifth of the elements that made them count as nearly shrunk.
NEARLY = 0.05
# Steps of the square root: right where the distance from a singular orbit is at least .04 times that, smooth at it. Each
# step makes the rounding of what should be 0 larger by half.
_ROOT_STEPS = 8


def infinitesimal(action: AbstractAction, x: Point) -> Float[Array, "algebra coordinates"]:
    r"""The velocities $\xi_M(x)$ of a basis of the Lie algebra, each flattened to a row: they span the tangent of the orbit."""
    basis = jnp.asarray(action.group.lie_algebra, jnp.result_type(*jax.tree.leaves(x)))
    return jax.vmap(lambda xi: ravel_pytree(action.generator(xi, x))[0])(basis)


def settle(action: AbstractAction, x: Point, v: Tangent) -> Tangent:
    r"""The part of v that the stabiliser of x leaves alone, and continuously so where a stabiliser grows: $\sqrt P v$, where

    $$ P v = \operatorname{argmin}_w |w - v|^2 + \varepsilon \sum_{ab} (S^{-1})_{ab} \langle B_a w, B_b w\rangle $$

    with $S_{ab} = \langle \xi_a, \xi_b\rangle$, $\xi_a$ the velocities of a basis of the Lie algebra at x and $B_a w$ the
    derivative of that velocity along w. An element of the algebra that does not move x costs infinitely much unless it
    leaves w alone, too: w lies in the fixed space of the isotropy representation. One that hardly moves x costs a lot: as x
    approaches a singular orbit, w approaches the fixed space there. Solved in the dual form, in which nothing is infinite.

    What P leaves of a direction that is not fixed falls with the *square* of the distance from the singular orbit, in smooth
    fields only with the distance itself: hence the root, with which a bounded v makes every smooth field.
    """
    flat, unravel = ravel_pytree(v)
    algebra = jnp.asarray(action.group.lie_algebra, flat.dtype)
    if len(algebra) == 0:
        return v
    velocities = infinitesimal(action, x)
    # The result does not depend on the basis of the algebra: one in which the system has numbers of one size is the best.
    sizes, turn = jnp.linalg.eigh(jax.lax.stop_gradient(velocities @ velocities.T))
    turn = turn.T / jnp.sqrt(1 + jnp.abs(sizes) / NEARLY)[:, None]
    algebra, velocities = jnp.tensordot(turn, algebra, axes=1), turn @ velocities

    def turned(xi: Any, w: Any) -> Any:
        _, b = jax.jvp(lambda y: action.generator(xi, y), (x,), (unravel(w),))
        return ravel_pytree(b)[0]

    n = flat.size
    # (algebra, n, n): B_a as matrices.
    b = jax.vmap(lambda xi: jax.vmap(lambda w: turned(xi, w), out_axes=1)(jnp.eye(n, dtype=flat.dtype)))(algebra)
    stacked = b.reshape(-1, n)
    s = velocities @ velocities.T
    system = jnp.kron(s / NEARLY, jnp.eye(n, dtype=flat.dtype)) + stacked @ stacked.T
    rounding = 20 * float(jnp.finfo(flat.dtype).eps) * jax.lax.stop_gradient(jnp.max(jnp.diagonal(system)))
    factor = jax.scipy.linalg.cho_factor(system + rounding * jnp.eye(len(system), dtype=flat.dtype))
    dual = jax.scipy.linalg.cho_solve(factor, stacked)
    # What keeps the system regular is taken back by a step of refinement: `stacked` is in its range.
    dual = dual + jax.scipy.linalg.cho_solve(factor, stacked - system @ dual)
    return unravel(_root(jnp.eye(n, dtype=flat.dtype) - stacked.T @ dual) @ flat)


def _root(p: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The square root of a matrix with eigenvalues in [0, 1], by Newton and Schulz: a polynomial, with all its derivatives."""
    y, z = p, jnp.eye(len(p), dtype=p.dtype)
    for _ in range(_ROOT_STEPS):
        half = (3 * jnp.eye(len(p), dtype=p.dtype) - z @ y) / 2
        y, z = y @ half, half @ z
    return y


def average(action: AbstractAction, elements: tuple, x: Point, v: Tangent) -> Tangent:
    """The mean of v and of its images under `elements`, which leave x in place: a group together with the unit."""
    images = [v, *(action.push(jnp.asarray(h), x, v) for h in elements)]
    return jax.tree.map(lambda *a: sum(a[1:], a[0]) / len(a), *images)
