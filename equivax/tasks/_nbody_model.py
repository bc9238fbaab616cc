"""Charged particles: the flow of a point-cloud field over one unit of time, and the EGNN that it is measured against."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._numerics import safe_norm
from ..fields import EGNN, Cloud, PointCloudField, cloud_action
from ..symmetry import AffineAction, E
from ._errors import TaskError


@dataclass(frozen=True)
class NBodyModelConfig:
    """The model: a second-order point-cloud field with charges, integrated by a few steps."""

    width: int = 24
    """Hidden units of the networks of the field."""
    steps: int = 12
    """Steps of the integrator over the unit of time to predict."""
    scales: tuple[float, ...] = (0.05, 0.15, 0.4, 1.0, 3.0)
    """Lengths s at which distances are resolved, as 1 / (1 + d^2/s^2)."""


class ParticleFlow(eqx.Module):
    r"""From places and velocities to those one unit of time later, by equal steps of the second-order field.

    Drift, kick, drift: $x \leftarrow x + \tfrac h2 u$, $u \leftarrow u + h\, u'(x, u)$, $x \leftarrow x + \tfrac h2 u$;
    symplectic, of order 2, where the force does not depend on u. Every step commutes with the symmetries of the field.
    """

    field: PointCloudField
    steps: int = eqx.field(static=True)

    def __call__(
        self, x: Float[Array, "m 3"], u: Float[Array, "m 3"], q: Float[Array, " m"]
    ) -> tuple[Float[Array, "m 3"], Float[Array, "m 3"]]:
        xs, us = self.path(x, u, q)
        return xs[-1], us[-1]

    def path(
        self, x: Float[Array, "m 3"], u: Float[Array, "m 3"], q: Float[Array, " m"]
    ) -> tuple[Float[Array, "states m 3"], Float[Array, "states m 3"]]:
        """Places and velocities after each step, the first ones included."""
        args, h = Cloud(nodes=q[:, None]), 1 / self.steps

        def step(state: Any, _: None) -> Any:
            x, u = state
            x = x + h / 2 * u
            u = u + h * self.field(0.0, (x, u), args)[1]
            return ((x + h / 2 * u, u),) * 2

        _, later = jax.lax.scan(step, (x, u), length=self.steps)
        xs, us = (jnp.concatenate([a[None], b]) for a, b in zip((x, u), later, strict=True))
        return xs, us


def build_flow(config: NBodyModelConfig, particles: int = 5, *, key: PRNGKeyArray) -> ParticleFlow:
    """The model that `config` describes; `TaskError` for a configuration that makes none.

    The step is longer than a close encounter lasts. What two particles do to each other in it stays in the plane of their
    places and velocities, which is why the field is given both directions of it, and the scalars of the velocities.
    """
    if config.width < 1 or config.steps < 1 or min(config.scales, default=1.0) <= 0:
        raise TaskError("--width and --steps have to be at least 1, --scales positive.")
    action = cloud_action(AffineAction(E(3)), particles, order=2)
    field = PointCloudField(
        action,
        nodes=1,
        width=config.width,
        scales=config.scales,
        friction=True,
        key=key,
    )
    return ParticleFlow(field, config.steps)


class ParticleEGNN(eqx.Module):
    """EGNN as its paper uses it here: 4 layers of 64, the speeds as features, charges and distances on the edges."""

    network: EGNN

    def __init__(self, *, width: int = 64, depth: int = 4, key: PRNGKeyArray):
        self.network = EGNN(1, edges=2, width=width, depth=depth, velocity=True, key=key)

    def __call__(self, x: Float[Array, "m 3"], u: Float[Array, "m 3"], q: Float[Array, " m"]) -> Any:
        distances = jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)
        edges = jnp.stack([q[:, None] * q[None], distances], axis=-1)
        return self.network(safe_norm(u, axis=1, keepdims=True), x, u, edges), u


def squared_error(model: Any, batch: tuple[Array, Array, Array, Array], key: PRNGKeyArray) -> Float[Array, ""]:
    """The mean squared error of the predicted places, over all coordinates."""
    del key
    x, u, q, later = batch
    return jnp.mean((jax.vmap(model)(x, u, q)[0] - later) ** 2)
