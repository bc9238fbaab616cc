"""The axioms of Lie actions: what Lie group integrators assume of the motions of a manifold."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._types import Key, Point, PyTree
from ..geometry import AbstractLieAction, AbstractManifold
from ._verdict import Verdict, VerdictTable, equality, rounding

# Elements of the algebra that are tried are lifts of tangent vectors of this length.
LENGTH = 0.7
_STEPS = 0.5 ** np.arange(1, 5)
# The terms of dexpinv that a method of this order sees; what is left out is of that order less one.
_SERIES = 6

_STATEMENTS = {
    "identity": "act(0, x) = x",
    "stays": "P(act(xi, x)) = act(xi, x)",
    "one parameter": "act(xi, act(xi, x)) = act(2 xi, x)",
    "lift": "generator(lift(x, v), x) = v",
    "lift is linear": "lift(x, v + 2 w) = lift(x, v) + 2 lift(x, w)",
    "generator": "generator(xi, x) = d/ds act(s xi, x) at s = 0",
    "bracket is antisymmetric": "[xi, eta] = -[eta, xi]",
    "Jacobi": "[xi, [eta, zeta]] + [eta, [zeta, xi]] + [zeta, [xi, eta]] = 0",
    "bracket of fields": "generator([xi, eta], x) = -[xi_M, eta_M](x)",
}


def lie_action_axioms(
    manifold: AbstractManifold,
    action: AbstractLieAction | None = None,
    *,
    key: Key,
    isometry: Callable[[Point], Point] | None = None,
    dtype: Any = None,
    samples: int = 3,
    tolerance: float | None = None,
) -> VerdictTable:
    r"""The motions of a manifold (or another `action` on it) move as an action of a Lie group does.

    Identities at `samples` random points, for lifts of tangent vectors of length 0.7. By regression over four halvings:
    `compose` has an error of order 5, `dexpinv` (its series as for a method of order 6) one of order 5, against the
    derivative of `act`. With an `isometry` $g$, a map of the manifold, that the lift commutes with it:
    $g\,\exp(\mathrm{lift}(x, v))\,x = \exp(\mathrm{lift}(g x, g_* v))\,g x$.
    """
    dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    limit = rounding(dtype, tolerance)
    A = manifold.motions if action is None else action
    measured, composed, differentiated, carried = jax.tree.map(
        np.asarray, _measure(manifold, A, isometry, key, samples, dtype)
    )
    ordered = [(name, *measured[name]) for name in _STATEMENTS]
    verdicts = [equality(name, _STATEMENTS[name], gap, scale, limit) for name, gap, scale in ordered]
    verdicts.append(_order("compose", "act(compose(h u, h v), x) - act(h u, act(h v, x)) = O(h^5)", composed, limit))
    statement = "d/ds act(h u + s dexpinv(h u, w), x) - w_M(act(h u, x)) = O(h^5)"
    verdicts.append(_order("dexpinv", statement, differentiated, limit))
    if isometry is not None:
        gap, scale = carried
        statement = "g act(lift(x, v), x) = act(lift(g x, g v), g x)"
        verdicts.append(equality("equivariance", statement, gap, scale, limit))
    return VerdictTable(verdicts)


def _order(name: str, statement: str, gaps: Float[np.ndarray, "samples steps"], limit: float) -> Verdict:
    worst = gaps.max(axis=0)
    # Two halvings at least above the rounding; an action with closed forms has no error to measure.
    seen = worst > limit
    if seen.sum() < 2:
        return equality(name, statement, worst.max(), 1.0, limit)
    slope = float(np.polyfit(np.log(_STEPS[seen]), np.log(worst[seen]), 1)[0])
    return equality(name, statement, max(0.0, 5.0 - slope), 1.0, 0.4)


@eqx.filter_jit
def _measure(
    M: AbstractManifold, A: AbstractLieAction, g: Callable | None, key: Key, samples: int, dtype: Any
) -> tuple[dict, Float[Array, "samples steps"], Float[Array, "samples steps"], Any]:
    return jax.vmap(lambda k: _measure_one(M, A, g, k, dtype))(jax.random.split(key, samples))


def _measure_one(M: AbstractManifold, A: AbstractLieAction, g: Callable | None, key: Key, dtype: Any) -> tuple:
    point_key, *keys = jax.random.split(key, 6)
    x = M.random_point(key=point_key, dtype=dtype)

    def tangent(k, at):
        v = M.random_tangent(at, key=k)
        return _scaled(LENGTH / M.norm(at, v), v)

    v, w = tangent(keys[0], x), tangent(keys[1], x)
    # Lifts at one point span less than the algebra: the others are taken where v leads.
    xi, xi_w = A.lift(x, v), A.lift(x, w)
    y = A.act(xi, x)
    eta, zeta = A.lift(y, tangent(keys[2], y)), A.lift(y, tangent(keys[3], y))
    one = jnp.ones((), dtype)
    nothing = _scaled(0 * one, xi)

    def flow(u, point):
        return jax.jvp(lambda s: A.act(_scaled(s, u), point), (0 * one,), (one,))[1]

    def field(u):
        return lambda point: A.generator(u, point)

    bracket = A.bracket(xi, eta)
    _, there = jax.jvp(field(eta), (x,), (field(xi)(x),))
    _, back = jax.jvp(field(xi), (x,), (field(eta)(x),))
    cyclic = [
        A.bracket(xi, A.bracket(eta, zeta)), A.bracket(eta, A.bracket(zeta, xi)), A.bracket(zeta, bracket)
    ]  # fmt: skip
    measured = {
        "identity": (_gap(A.act(nothing, x), x), _size(x)),
        "stays": (M.residual(y), _size(y)),
        "one parameter": (_gap(A.act(xi, y), A.act(_scaled(2 * one, xi), x)), _size(y)),
        "lift": (_gap(A.generator(xi, x), v), _size(v)),
        "lift is linear": (_gap(A.lift(x, _sum(v, w, w)), _sum(xi, xi_w, xi_w)), _size(xi)),
        "generator": (_gap(A.generator(eta, x), flow(eta, x)), _size(x)),
        "bracket is antisymmetric": (_gap(bracket, _scaled(-one, A.bracket(eta, xi))), _size(xi)),
        "Jacobi": (_size(_sum(*cyclic)), _size(xi)),
        "bracket of fields": (_gap(A.generator(bracket, x), _sum(back, _scaled(-one, there))), _size(x)),
    }

    def composed(h):
        u, s = _scaled(h, eta), _scaled(h, xi)
        return _gap(A.act(A.compose(u, s), x), A.act(u, A.act(s, x)))

    def differentiated(h):
        u = _scaled(h, eta)
        z, moved = jax.jvp(lambda q: A.act(q, x), (u,), (A.dexpinv(u, xi, _SERIES),))
        return _gap(moved, A.generator(xi, z))

    steps = jnp.asarray(_STEPS, dtype)
    carried = None
    if g is not None:
        gx, gv = jax.jvp(g, (x,), (v,))
        carried = (_gap(g(y), A.act(A.lift(gx, gv), gx)), _size(y))
    return measured, jax.vmap(composed)(steps), jax.vmap(differentiated)(steps), carried


def _scaled(t: Float[Array, ""], v: PyTree) -> PyTree:
    return jax.tree.map(lambda a: t * a, v)


def _sum(*vs: PyTree) -> PyTree:
    return jax.tree.map(lambda *a: sum(a[1:], a[0]), *vs)


def _size(v: PyTree) -> Float[Array, ""]:
    return jnp.linalg.norm(ravel_pytree(v)[0])


def _gap(v: PyTree, w: PyTree) -> Float[Array, ""]:
    return jnp.linalg.norm(ravel_pytree(v)[0] - ravel_pytree(w)[0])
