"""Random walks on groups: one that converges to Haar measure, where there is one, and one that only wanders."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Matrices

# After STEPS steps a wave on the group is damped by exp(-REACH^2 c / (2 c_min)), c the Casimir of its representation and
# c_min the least in the defining one: 1e-195 there, and still 5e-13 where c is 16 times smaller.
STEPS = 64
REACH = 30.0
# How far a walk that only wanders goes along each generator, on average.
WANDER = 0.5
# Of a matrix of norm 1/2, the rest of the exponential series from here on is 1e-19.
TAYLOR_DEGREE = 14


def walk_to_haar(
    algebra: Matrices, components: Matrices, form: Float[np.ndarray, "d d"], *, key: Key
) -> Float[Array, "d d"]:
    r"""An element of a compact group from Haar measure, up to rounding, by a walk on the identity component.

    $$ g = h\, e^{\xi_1} \cdots e^{\xi_{64}}, \qquad \xi_i \sim N(0, \sigma^2), \quad h \text{ uniform in } G / G_0 $$

    The Gaussian on the Lie algebra belongs to the invariant inner product, so each step is invariant under conjugation:
    by Schur it multiplies every irreducible representation by one number less than 1 (Diaconis, *Group Representations
    in Probability and Statistics*, 1988, chapter 3), and $\sigma$ is chosen so that 64 of them leave nothing.
    """
    factor = np.linalg.cholesky(form).T  # in these coordinates the elements are orthogonal matrices
    skew = factor @ algebra @ np.linalg.inv(factor)
    orthonormal = np.linalg.qr(skew.reshape(len(skew), -1).T)[0].T.reshape(skew.shape)
    casimir = np.linalg.eigvalsh(-np.einsum("kij,kjl->il", orthonormal, orthonormal))
    sigma = REACH / np.sqrt(STEPS * casimir[casimir > 1e-9].min())
    start_key, walk_key = jax.random.split(key)
    directions = jnp.asarray(sigma * orthonormal)

    def step(g: Float[Array, "d d"], step_key: Key) -> tuple[Float[Array, "d d"], None]:
        xi = jnp.tensordot(jax.random.normal(step_key, (len(directions),)), directions, 1)
        return exponential(xi) @ g, None

    steps = jax.random.split(walk_key, STEPS)
    walked = jax.lax.scan(step, jnp.eye(len(form)), steps)[0]
    # Sixty-four exponentials leave 1e-14 of rounding; one step of Newton's iteration takes it out.
    walked = walked @ (1.5 * jnp.eye(len(form)) - 0.5 * walked.T @ walked)
    walked = jnp.asarray(np.linalg.inv(factor)) @ walked @ jnp.asarray(factor)
    return jnp.asarray(components)[jax.random.randint(start_key, (), 0, len(components))] @ walked


def exponential(xi: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """The matrix exponential by a Taylor polynomial, scaled and squared: small, so that it compiles in no time."""
    one = jnp.eye(len(xi), dtype=xi.dtype)
    doublings = jnp.maximum(0, jnp.ceil(jnp.log2(jnp.linalg.norm(xi) + 1e-30)) + 1).astype(int)
    small = xi * jnp.exp2(-doublings.astype(xi.dtype))
    degrees = jnp.arange(TAYLOR_DEGREE, 0, -1).astype(xi.dtype)
    sum_ = jax.lax.scan(lambda p, k: (one + small @ p / k, None), one, degrees)[0]
    return jax.lax.fori_loop(0, doublings, lambda _, g: g @ g, sum_)


def random_walk(algebra: Matrices, discrete: Matrices, *, key: Key, length: int = 8) -> Float[Array, "d d"]:
    """A product of exponentials and discrete generators, which reaches every component. Not Haar measure.

    The steps are short: long ones run away, into elements too ill-conditioned to be of use.
    """
    directions, one = jnp.asarray(WANDER * length**-0.5 * algebra), jnp.eye(algebra.shape[-1])
    choices = jnp.concatenate([one[None], jnp.asarray(discrete)])

    def step(g: Float[Array, "d d"], step_key: Key) -> tuple[Float[Array, "d d"], None]:
        normal_key, which_key = jax.random.split(step_key)
        if len(directions):
            xi = jnp.tensordot(jax.random.normal(normal_key, (len(directions),)), directions, 1)
            g = exponential(xi) @ g
        return choices[jax.random.randint(which_key, (), 0, len(choices))] @ g, None

    return jax.lax.scan(step, one, jax.random.split(key, length))[0]
