"""Charged particles: the flow of a point-cloud field over one unit of time, and the EGNN that it is measured against."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from .._numerics import safe_norm
from ..fields import EGNN, Cloud, PointCloudField, cloud_action
from ..symmetry import AffineAction, E
from ._errors import TaskError

# Distances below which steps become no shorter.
_CLOSEST = 0.03
# Errors below which a trajectory counts as learned.
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class NBodyModelConfig:
    """The model: a second-order point-cloud field with charges, integrated by steps that are short where particles meet."""

    width: int = 24
    """Hidden units of the networks of the field."""
    steps: int = 40
    """Steps of the integrator at most in training; the few trajectories that need more do not count there."""
    final_steps: int = 500
    """The same after training."""
    pace: float = 0.2
    """The length of a step, as a part of the time in which the closest pair could turn about each other."""
    scales: tuple[float, ...] = (0.05, 0.15, 0.4, 1.0, 3.0)
    """Lengths s at which distances are resolved, as 1 / (1 + d^2/s^2)."""
    core: float = 0.1
    """The length within which forces grow no further."""


class ParticleFlow(eqx.Module):
    r"""From places and velocities to those one unit of time later, by steps of the second-order field.

    Drift, kick, drift: $x \leftarrow x + \tfrac h2 u$, $u \leftarrow u + h\, u'(x, u)$, $x \leftarrow x + \tfrac h2 u$,
    of order 2 where the force does not depend on u. The length of a step is an *invariant* of the state,

    $$ h = c \min_{i \ne j} \left(|x_i - x_j|^2 + \epsilon^2\right)^{3/4}, $$

    by Kepler's third law a part of the time in which the closest pair turns about each other: every step commutes with
    the symmetries of the field, and encounters are resolved at the price of a few steps for the many trajectories
    without. With `steps` at most: steps are never so short that the time left would not be used up by those left.
    """

    field: PointCloudField
    steps: int = eqx.field(static=True)
    pace: float = eqx.field(static=True)

    def __call__(
        self, x: Float[Array, "m 3"], u: Float[Array, "m 3"], q: Float[Array, " m"]
    ) -> tuple[Float[Array, "m 3"], Float[Array, "m 3"]]:
        return self.arrive(x, u, q)[0]

    def arrive(
        self, x: Float[Array, "m 3"], u: Float[Array, "m 3"], q: Float[Array, " m"]
    ) -> tuple[tuple[Float[Array, "m 3"], Float[Array, "m 3"]], Bool[Array, ""]]:
        """Places and velocities at t = 1, and whether all steps on the way were as short as h."""
        (_, x, u, resolved), _ = self._integrate(x, u, q, keep=False)
        return (x, u), resolved

    def path(
        self, x: Float[Array, "m 3"], u: Float[Array, "m 3"], q: Float[Array, " m"]
    ) -> tuple[Float[Array, " states"], Float[Array, "states m 3"], Float[Array, "states m 3"]]:
        """Times, places and velocities after each step, the first ones included; from t = 1 on they stand still."""
        begin = (jnp.zeros((), x.dtype), x, u)
        _, later = self._integrate(x, u, q, keep=True)
        return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), begin, later)

    def _integrate(self, x: Array, u: Array, q: Array, keep: bool) -> tuple[Any, Any]:
        args = Cloud(nodes=q[:, None])
        itself = jnp.asarray(np.where(np.eye(len(q)), np.inf, 0.0), x.dtype)

        def step(state: Any, left: Float[Array, ""]) -> Any:
            t, x, u, resolved = state
            nearest = jnp.min(jnp.sum((x[:, None] - x[None]) ** 2, axis=-1) + itself)
            h, least = self.pace * (nearest + _CLOSEST**2) ** 0.75, (1 - t) / left
            resolved = resolved & (h >= least)
            h = jnp.minimum(jnp.maximum(h, least), 1 - t)
            x = x + h / 2 * u
            u = u + h * self.field(t, (x, u), args)[1]
            x = x + h / 2 * u
            return (t + h, x, u, resolved), (t + h, x, u) if keep else None

        begin = (jnp.zeros((), x.dtype), x, u, jnp.asarray(True))
        return jax.lax.scan(step, begin, jnp.arange(self.steps, 0, -1, dtype=x.dtype))


def build_flow(config: NBodyModelConfig, particles: int = 5, *, key: PRNGKeyArray) -> ParticleFlow:
    """The model that `config` describes; `TaskError` for a configuration that makes none.

    The particles are alone: forces are equal and opposite, and depend on distances and charges only.
    """
    numbers = (config.width, config.steps, config.final_steps)
    if min(numbers) < 1 or min(config.pace, config.core, *config.scales) <= 0:
        raise TaskError(
            "--width, --steps and --final-steps have to be at least 1, --pace, --core and --scales positive."
        )
    field = PointCloudField(
        cloud_action(AffineAction(E(3)), particles, order=2),
        nodes=1,
        width=config.width,
        scales=config.scales,
        core=config.core,
        velocity_scalars=False,
        isolated=True,
        key=key,
    )
    return ParticleFlow(field, config.steps, config.pace)


def with_steps(model: ParticleFlow, steps: int) -> ParticleFlow:
    """The same weights with other `steps` at most."""
    return ParticleFlow(model.field, steps, model.pace)


class ParticleEGNN(eqx.Module):
    """EGNN as its paper uses it here: 4 layers of 64, the speeds as features, charges and distances on the edges."""

    network: EGNN

    def __init__(self, *, width: int = 64, depth: int = 4, key: PRNGKeyArray):
        self.network = EGNN(1, edges=2, width=width, depth=depth, velocity=True, key=key)

    def __call__(self, x: Float[Array, "m 3"], u: Float[Array, "m 3"], q: Float[Array, " m"]) -> Any:
        distances = jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)
        edges = jnp.stack([q[:, None] * q[None], distances], axis=-1)
        return self.network(safe_norm(u, axis=1, keepdims=True), x, u, edges), u


def robust_error(
    model: ParticleFlow, batch: tuple[Array, Array, Array, Array], key: PRNGKeyArray | None = None
) -> Float[Array, ""]:
    r"""$\log(1 + e/\delta)$ of the squared error e of a trajectory, averaged over those that the steps resolve.

    After a close encounter an error of the force is multiplied thousandfold: in the plain average those few trajectories
    drown all others, from which the force can be learned; and where steps are too long, no force is right.
    """
    del key
    x, u, q, later = batch
    (found, _), resolved = jax.vmap(model.arrive)(x, u, q)
    errors = jnp.log1p(jnp.mean((found - later) ** 2, axis=(1, 2)) / _NEGLIGIBLE)
    return jnp.sum(jnp.where(resolved, errors, 0)) / jnp.maximum(jnp.sum(resolved.astype(errors.dtype)), 1)


def squared_error(
    model: Any, batch: tuple[Array, Array, Array, Array], key: PRNGKeyArray | None = None
) -> Float[Array, ""]:
    """The mean squared error of the predicted places, over all coordinates."""
    del key
    return jnp.mean(trajectory_errors(model, *batch))


def trajectory_errors(model: Any, x: Array, u: Array, q: Array, later: Array) -> Float[Array, " trajectories"]:
    """The mean squared error of the predicted places of each trajectory."""
    return jnp.mean((jax.vmap(model)(x, u, q)[0] - later) ** 2, axis=(1, 2))
