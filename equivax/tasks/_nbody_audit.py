"""The audit of a model of charged particles: rotated, reflected, moved and permuted frames, in double precision."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..data import ChargedParticles
from ..fields import cloud_action
from ..laws import VerdictTable, equivariance, probe_elements, rejects
from ..symmetry import AffineAction, DirectProduct, E, Similarity
from ._nbody_model import ParticleFlow

# The largest translation that is asked about; far away, rounding is all that is left of the places.
_FAR = 10.0
# Close encounters multiply rounding errors, by a few hundred on average over the test trajectories.
_TOLERANCE = 1e-9


class _Predicted(eqx.Module):
    """The model as a map of points ((x, u), q), so that permutations move the charges with their particles."""

    model: Any

    def __call__(self, point: Any) -> Any:
        (x, u), q = point
        return self.model(x, u, q[:, 0]), q


class _Blind(eqx.Module):
    """The same, with charges that stay where they are."""

    model: Any
    q: Any

    def __call__(self, point: Any) -> Any:
        return self.model(*point, self.q)


def audit_flow(model: ParticleFlow, test: ChargedParticles, *, key: PRNGKeyArray) -> list[dict[str, Any]]:
    """The verdicts of the laws on the model and its field, at a test frame of middling difficulty."""
    with jax.enable_x64(True):
        return _audit(model, test, key).to_dicts()


def _audit(model: ParticleFlow, test: ChargedParticles, key: PRNGKeyArray) -> VerdictTable:
    # Not the frame of a close pair: what is asked is whether the model has the symmetry, not how it amplifies rounding.
    spread = np.linalg.norm(test.positions[:, 0, :, None] - test.positions[:, 0, None], axis=-1)
    nearest = (spread + 100 * np.eye(spread.shape[1])).min(axis=(1, 2))
    i = int(np.argsort(nearest)[len(nearest) // 2])
    # With both charges in it, or a permutation would move nothing.
    mixed = [j for j in np.argsort(abs(nearest - nearest[i])) if abs(test.charges[j].sum()) < test.charges.shape[1]]
    i = int(mixed[0]) if mixed else i
    x, u, q = (jnp.asarray(a, jnp.float64) for a in (test.positions[i, 0], test.velocities[i, 0], test.charges[i]))
    m = len(q)
    point = ((x, u), q[:, None])
    action = cloud_action(AffineAction(E(3)), m, order=2, features=1)
    elements = _moderate(probe_elements(action.group, key=key))
    predicted = _Predicted(model)
    verdicts = [
        equivariance(
            predicted,
            action,
            action,
            point,
            name="prediction under E(3) x S_5",
            elements=elements,
            tolerance=_TOLERANCE,
        )
    ]
    group = action.group
    assert isinstance(group, DirectProduct)
    only = np.asarray([np.abs(group.factor(g, 0) - np.eye(4)).max() < 1e-12 for g in elements])
    alone = elements[only] if only.any() else elements[:1]
    verdicts.append(
        equivariance(predicted, action, action, point, name="permuted frames", elements=alone, tolerance=_TOLERANCE)
    )
    larger = cloud_action(AffineAction(Similarity(3)), m, order=2, features=1)
    verdicts.append(
        dataclasses.replace(
            rejects(predicted, larger, larger, point, elements=_moderate(probe_elements(larger.group, key=key))),
            name="scaling is refused: the force knows lengths",
        )
    )
    without = cloud_action(AffineAction(E(3)), m, order=2)
    swap = np.eye(4 + m)
    first, second = int(np.flatnonzero(np.asarray(q) > 0)[0]), int(np.flatnonzero(np.asarray(q) < 0)[0])
    swap[[4 + first, 4 + second]] = swap[[4 + second, 4 + first]]
    verdicts.append(
        dataclasses.replace(
            rejects(_Blind(model, q), without, without, (x, u), elements=swap[None]),
            name="exchanging opposite charges without their signs is refused",
        )
    )
    return VerdictTable(verdicts)


def _moderate(elements: np.ndarray) -> np.ndarray:
    return elements[np.abs(elements[:, :3, 3]).max(axis=1) < _FAR]
