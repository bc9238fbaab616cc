"""Stability: maps that do not take points further apart, and fields whose flows do not."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .._types import Key, Point, RealScalar
from ._points import dtype_of
from ._verdict import Verdict, equality, rounding

# Pairs are this far apart, relative to the size of the point: near ones see the derivative, far ones the nonlinearity.
DISTANCES = (1e-2, 0.3, 3.0)
# Rounds of the power method, each a jvp and a vjp: what is found is at most the true value, and seldom much below it.
ROUNDS = 20


def lipschitz(
    f: Callable[[Point], Point],
    x: Point,
    *,
    bound: float = 1.0,
    name: str = "Lipschitz bound",
    key: Key,
    tolerance: float | None = None,
) -> Verdict:
    r"""The verdict on $|f(x) - f(y)| \le L\, |x - y|$, with $L$ = `bound`; of 1, that the map is non-expansive.

    Distances are Euclidean, of all numbers in a point. Asked are random pairs near and far, and the largest singular value
    of $Df$, which the power method finds, at `x` and at another point: a search for a counterexample, so that what passes has
    not been proved. The error is the excess of the largest ratio over $L$, relative to $L$. Vacuous for a constant map.
    """
    flat, unravel = ravel_pytree(x)
    ratios = np.asarray(_expansion(f, flat, _probes(flat, key), key, unravel))
    worst = int(np.argmax(np.where(np.isnan(ratios), np.inf, ratios)))
    excess = float(ratios[worst]) / bound - 1
    return equality(
        name,
        "|f(x) - f(y)| <= L |x - y|",
        max(excess, 0.0) if np.isfinite(excess) else np.nan,
        1.0,
        rounding(dtype_of(x), tolerance),
        vacuous=bool(ratios.max() == 0),
        detail=f"L = {bound:g}, the largest ratio seen is {ratios[worst]:.6g}, {_where(worst)}",
    )


def dissipativity(
    field: Callable[[Any, Any, Any], Any],
    x: Point,
    *,
    t: RealScalar = 0.0,
    args: Any = None,
    key: Key,
    tolerance: float | None = None,
) -> Verdict:
    r"""The verdict on $\langle F(x) - F(y), x - y \rangle \le 0$: then any two solutions of $\dot x = F(t, x)$ come closer.

    Asked as in `lipschitz`; locally, of the largest eigenvalue of the symmetric part of $DF$. The error is the positive part
    of the product over $|F(x) - F(y)|\, |x - y|$, and locally over $|DF|$. Vacuous for a constant field.
    """
    flat, unravel = ravel_pytree(x)
    time = jnp.asarray(t, dtype_of(x))
    angles = np.asarray(_growth(field, time, flat, args, _probes(flat, key), key, unravel))
    worst = int(np.argmax(np.where(np.isnan(angles), np.inf, angles)))
    return equality(
        "dissipativity",
        "<F(x) - F(y), x - y> <= 0",
        np.maximum(angles[worst], 0.0),
        1.0,
        rounding(dtype_of(x), tolerance),
        vacuous=bool(np.all(angles == 0)),
        detail=f"the largest relative product is {angles[worst]:.3g}, {_where(worst)}",
    )


def _where(worst: int) -> str:
    return f"between points {DISTANCES[worst]:g} apart" if worst < len(DISTANCES) else "of the derivative"


def _probes(flat: Any, key: Key) -> Any:
    steps = jax.random.normal(key, (len(DISTANCES), flat.size), flat.dtype)
    lengths = jnp.maximum(jnp.linalg.norm(flat), jnp.asarray(1, flat.dtype)) / jnp.linalg.norm(
        steps, axis=1, keepdims=True
    )
    return steps * (lengths * jnp.asarray(DISTANCES, flat.dtype)[:, None])


@eqx.filter_jit
def _expansion(f: Any, x: Any, steps: Any, key: Key, unravel: Any) -> Any:
    def g(a):
        return ravel_pytree(f(unravel(a)))[0]

    y = g(x)
    ratios = jax.vmap(lambda s: jnp.linalg.norm(g(x + s) - y) / jnp.linalg.norm(s))(steps)
    tops = jax.vmap(lambda s: _power(lambda a: jax.jvp(g, (x + s,), (a,))[1], g, x + s, key))(_centres(steps))
    return jnp.concatenate([ratios, tops])


@eqx.filter_jit
def _growth(field: Any, t: Any, x: Any, args: Any, steps: Any, key: Key, unravel: Any) -> Any:
    def F(a):
        return ravel_pytree(field(t, unravel(a), args))[0]

    def angle(s):
        change = F(x + s) - F(x)
        return _over(change @ s, jnp.linalg.norm(change) * jnp.linalg.norm(s))

    def local(s):
        at = x + s
        norm = _power(lambda a: jax.jvp(F, (at,), (a,))[1], F, at, key)
        pull = jax.vjp(F, at)[1]

        def symmetric(a):
            return (jax.jvp(F, (at,), (a,))[1] + pull(a)[0]) / 2

        # The largest eigenvalue of S is that of S + |DF|, which is positive, less |DF|.
        v = jax.random.normal(key, at.shape, at.dtype)
        v = jax.lax.fori_loop(0, ROUNDS, lambda _, a: _unit(symmetric(a) + norm * a), _unit(v))
        return _over(v @ symmetric(v), norm)

    return jnp.concatenate([jax.vmap(angle)(steps), jax.vmap(local)(_centres(steps))])


def _centres(steps: Any) -> Any:
    # Where derivatives are looked at: at the point, and away from it.
    return jnp.stack([jnp.zeros_like(steps[0]), steps[1]])


def _power(push: Any, g: Any, at: Any, key: Key) -> Any:
    pull = jax.vjp(g, at)[1]
    v = _unit(jax.random.normal(key, at.shape, at.dtype))
    v = jax.lax.fori_loop(0, ROUNDS, lambda _, a: _unit(pull(push(a))[0]), v)
    return jnp.linalg.norm(push(v))


def _unit(v: Any) -> Any:
    return _over(v, jnp.linalg.norm(v))


def _over(a: Any, b: Any) -> Any:
    # 0 / 0 = 0: of a constant.
    return jnp.where(b == 0, jnp.zeros_like(a), a / jnp.where(b == 0, jnp.ones_like(b), b))
