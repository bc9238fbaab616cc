"""Shooting: the initial velocity with which a geodesic hits its target, by damped least squares."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Levenberg-Marquardt converges quadratically from the chord; near the cut locus a dozen steps go into damping first.
_STEPS = 40


def least_squares(A: Float[Array, "N k"], b: Float[Array, " N"]) -> Float[Array, " k"]:
    """The c that minimises |A c - b|, for A of full column rank."""
    # Normal equations: QR would be kinder near conjugate points only, and takes several times longer to compile.
    return jnp.linalg.solve(A.T @ A, A.T @ b)


def linearised(f: Callable[..., Float[Array, " N"]], c: Float[Array, " k"]) -> tuple[Array, Array]:
    """f(c) and its Jacobian (N, k), tracing f once."""
    r, push = jax.linearize(f, c)
    return r, jax.vmap(push, out_axes=-1)(jnp.eye(c.size, dtype=c.dtype))


def shoot(miss: Callable[..., Float[Array, " N"]], start: Float[Array, " k"]) -> Float[Array, " k"]:
    """The c that minimises |miss(c)|^2, by Levenberg-Marquardt from `start`; stops when a step no longer helps."""
    eps = float(jnp.finfo(start.dtype).eps)

    def body(carry):
        c, damping, k, _ = carry
        r, J = linearised(miss, c)
        step = jnp.linalg.solve(J.T @ J + damping * jnp.eye(c.size, dtype=c.dtype), -J.T @ r)
        better = jnp.sum(miss(c + step) ** 2) < jnp.sum(r**2)
        done = jnp.linalg.norm(step) <= 4 * eps * (1 + jnp.linalg.norm(c))
        return jnp.where(better, c + step, c), jnp.where(better, damping * 0.1, damping * 10), k + 1, done

    def unfinished(carry):
        _, _, k, done = carry
        return (k < _STEPS) & ~done

    first = (start, jnp.asarray(1e-4, dtype=start.dtype), 0, jnp.asarray(False))
    return jax.lax.while_loop(unfinished, body, first)[0]
