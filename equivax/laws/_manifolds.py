"""The axioms of manifolds."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._types import Key, PyTree
from ..geometry import AbstractManifold
from ._verdict import Verdict, VerdictTable, equality, rounding

# Geodesics of this length are taken to be shortest (half the injectivity radius of the unit sphere is 1.57).
SHORT = 0.5

_STATEMENTS = {
    "projection": "P(P(x)) = P(x)",
    "random points": "P(x) = x",
    "polish": "P(polish(y)) = polish(y) for |y - x| = sqrt(eps)",
    "tangent projection": "P_x P_x v = P_x v",
    "orthogonal projection": "<P_x v, w> = <v, P_x w>",
    "sharp": "<p^#, w> = p . w for tangent w",
    "exp stays": "P(exp_x(v)) = exp_x(v)",
    "exp starts": "exp_x(0) = x",
    "exp velocity": "d/dt exp_x(t v) = v at t = 0",
    "log": "log_x(exp_x(v)) = v",
    "distance": "d(x, exp_x(v)) = |v| = d(exp_x(v), x)",
    "transport is isometric": "<T w, T u> = <w, u>",
    "transport is tangent": "P_y T w = T w at y = exp_x(v)",
    "geodesics": "T v = d/dt exp_x(t v) at t = 1",
    "frame": "<e_i, e_j> = delta_ij, P_x e_i = e_i",
}


def manifold_axioms(
    manifold: AbstractManifold, *, key: Key, dtype: Any = None, samples: int = 4, tolerance: float | None = None
) -> VerdictTable:
    r"""Projections project, geodesics stay and start as they should, `log` inverts `exp`, transport is isometric.

    At `samples` random points, with vectors of length 1/2: the shortest geodesic is assumed to be unique that far. The
    retractions are held against `exp` by the orders to which they agree, a regression over four halvings.
    """
    dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    limit = rounding(dtype, tolerance)
    measured, *misfits = jax.tree.map(np.asarray, _measure(manifold, key, samples, dtype))
    ordered = [(name, measured[name]) for name in _STATEMENTS]
    verdicts = [equality(name, _STATEMENTS[name], gap, scale, limit) for name, (gap, scale) in ordered]
    retractions = [
        _order("retraction", "retract(x, h v) - exp_x(h v) = O(h^3)", 3, misfits[0], limit),
        _order("first-order retraction", "first_order_retract(x, h v) - exp_x(h v) = O(h^2)", 2, misfits[1], limit),
    ]
    return VerdictTable((*verdicts, *retractions))


def _order(name: str, statement: str, order: int, gaps: Float[np.ndarray, "samples steps"], limit: float) -> Verdict:
    worst = gaps.max(axis=0)
    exact = bool(worst.max() <= limit)
    slope = order if exact else float(np.polyfit(np.log(_STEPS), np.log(np.maximum(worst, 1e-300)), 1)[0])
    return equality(name, statement, max(0.0, order - slope), 1.0, 0.2, vacuous=exact)


_STEPS = 0.5 ** np.arange(2, 6)


@eqx.filter_jit
def _measure(
    manifold: AbstractManifold, key: Key, samples: int, dtype: Any
) -> tuple[dict, Float[Array, "samples steps"], Float[Array, "samples steps"]]:
    return jax.vmap(lambda k: _measure_one(manifold, k, dtype))(jax.random.split(key, samples))


def _measure_one(
    M: AbstractManifold, key: Key, dtype: Any
) -> tuple[dict, Float[Array, " steps"], Float[Array, " steps"]]:
    point_key, vector_key = jax.random.split(key)
    x = M.random_point(key=point_key, dtype=dtype)
    flat, unravel = ravel_pytree(x)
    a, b, v, w, u = map(unravel, jax.random.normal(vector_key, (5, flat.size), dtype))
    v, w, u = (M.to_tangent(x, z) for z in (v, w, u))
    v = _scaled(SHORT / M.norm(x, v), v)
    y, velocity = jax.jvp(lambda t: M.exp(x, _scaled(t, v)), (jnp.ones((), dtype),), (jnp.ones((), dtype),))
    start = jax.jvp(lambda t: M.exp(x, _scaled(t, v)), (jnp.zeros((), dtype),), (jnp.ones((), dtype),))[1]
    Tw, Tu, Tv = (M.transport(x, v, z) for z in (w, u, v))
    near = M.project(jax.tree.map(lambda p, q: p + 0.1 * q, x, a))
    root = float(jnp.finfo(dtype).eps) ** 0.5
    polished = M.polish(jax.tree.map(lambda p, q: p + root / _size(a) * q, x, a))
    Pa, Pb = M.to_tangent(x, a), M.to_tangent(x, b)
    frame = M.frame(x)
    gram = jax.vmap(lambda e: jax.vmap(lambda f: M.inner(x, e, f))(frame))(frame)
    untangent = jax.vmap(lambda e: _gap(M.to_tangent(x, e), e))(frame)
    one, half = jnp.ones((), dtype), jnp.asarray(SHORT, dtype)
    measured = {
        "projection": (_gap(M.project(near), near), _size(near)),
        "random points": (_gap(M.project(x), x), _size(x)),
        "polish": (M.residual(polished), _size(x)),
        "tangent projection": (_gap(M.to_tangent(x, Pa), Pa), _size(a) + _size(Pa)),
        "orthogonal projection": (jnp.abs(M.inner(x, Pa, b) - M.inner(x, a, Pb)), M.norm(x, Pa) * M.norm(x, Pb)),
        "sharp": (jnp.abs(M.inner(x, M.sharp(x, a), w) - _dot(a, w)), _size(a) * _size(w)),
        "exp stays": (_gap(M.project(y), y), _size(y)),
        "exp starts": (_gap(M.exp(x, _scaled(0 * one, v)), x), _size(x)),
        "exp velocity": (_gap(start, v), half),
        "log": (_gap(M.log(x, y), v), half),
        "distance": (jnp.abs(M.dist(x, y) - half) + jnp.abs(M.dist(y, x) - half), half),
        "transport is isometric": (jnp.abs(M.inner(y, Tw, Tu) - M.inner(x, w, u)), M.norm(x, w) * M.norm(x, u)),
        "transport is tangent": (_gap(M.to_tangent(y, Tw), Tw), M.norm(x, w)),
        "geodesics": (_gap(Tv, velocity), half),
        "frame": (jnp.max(jnp.abs(gram - jnp.eye(M.dim, dtype=dtype))) + jnp.max(untangent), one),
    }

    def misfits(h):
        there = M.exp(x, _scaled(h, v))
        return tuple(_gap(f(x, _scaled(h, v)), there) for f in (M.retract, M.first_order_retract))

    return measured, *jax.vmap(misfits)(jnp.asarray(_STEPS, dtype))


def _scaled(t: Float[Array, ""], v: PyTree) -> PyTree:
    return jax.tree.map(lambda a: t * a, v)


def _dot(v: PyTree, w: PyTree) -> Float[Array, ""]:
    return jnp.dot(ravel_pytree(v)[0], ravel_pytree(w)[0])


def _size(v: PyTree) -> Float[Array, ""]:
    return jnp.linalg.norm(ravel_pytree(v)[0])


def _gap(v: PyTree, w: PyTree) -> Float[Array, ""]:
    return jnp.linalg.norm(ravel_pytree(v)[0] - ravel_pytree(w)[0])
