"""Geodesics and parallel transport of any metric, as the differential equations that they are."""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from .._types import Point, PyTree, Tangent
from ._base import AbstractManifold
from ._bundles import CotangentBundle

# Equal steps of order 8 for unit time: an error of 1e-13 for curves as long as the radius of curvature, and a program
# that is the same for all, with derivatives in both modes.
_STEPS = 32


def spray(space: AbstractManifold, x: Point, u: Tangent) -> Tangent:
    """x'' in R^N of the geodesic with x' = u, quadratic in u, from `sharp` and `inner` of a space alone.

    Geodesics are the motions of H(x, p) = p . p^#/2 on T*M, and u is p^#.
    """
    bundle = CotangentBundle(space)
    z = bundle.flat_point((x, u))
    velocity = bundle.hamiltonian_vector(lambda z: bundle.one_form(z, (bundle.sharp_point(z)[1], None)) / 2, z)
    return jax.jvp(bundle.sharp_point, (z,), (velocity,))[1][1]


def geodesic(space: AbstractManifold, x: Point, v: Tangent) -> tuple[Point, Tangent]:
    """exp_x(v) and the velocity there."""
    y, u = _integrate(lambda y: (y[1], spray(space, *y)), (x, v))
    return space.project(y), u


def parallel(space: AbstractManifold, x: Point, v: Tangent, w: Tangent) -> Tangent:
    """The parallel transport of w along t -> exp_x(t v) to t = 1: w' = B_x(x', w), B_x(u, u) the spray at u."""

    def slope(state):
        x, u, w = state
        acceleration, twice = jax.jvp(lambda u: spray(space, x, u), (u,), (w,))
        return u, acceleration, jax.tree.map(lambda a: a / 2, twice)

    y, _, moved = _integrate(slope, (x, v, w))
    return space.to_tangent(space.project(y), moved)


def _integrate(slope: Callable[[PyTree], PyTree], state: PyTree) -> PyTree:
    flat, unravel = ravel_pytree(state)
    rows, weights = (jnp.asarray(a / _STEPS, flat.dtype) for a in _dormand_prince())

    def step(y, _):
        # One stage is compiled, not thirteen: the row of the tableau sees the slopes so far, and zeros after them.
        def stage(slopes, row_and_index):
            row, i = row_and_index
            new = ravel_pytree(slope(unravel(y + row @ slopes)))[0]
            return slopes.at[i].set(new), None

        slopes = jnp.zeros((weights.size, y.size), y.dtype)
        slopes, _ = jax.lax.scan(stage, slopes, (rows, jnp.arange(weights.size)))
        return y + weights @ slopes, None

    return unravel(jax.lax.scan(step, flat, length=_STEPS)[0])


def _dormand_prince() -> tuple[Float[np.ndarray, "s s"], Float[np.ndarray, " s"]]:
    tableau = diffrax.Dopri8.tableau
    rows = np.zeros((tableau.num_stages, tableau.num_stages))
    for i, row in enumerate(tableau.a_lower, start=1):
        rows[i, :i] = row
    return rows, np.asarray(tableau.b_sol)
