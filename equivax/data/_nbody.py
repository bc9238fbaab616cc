"""Charged particles: five of them in empty space, attracting and repelling each other by Coulomb's law."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ._cached import cached
from ._errors import DataError

# Raise it when the same seed is to give other trajectories than before: the cache then starts anew.
_VERSION = 1
# The protocol: 10,000 + 2,000 + 2,000 trajectories are drawn, in this order, of which the first 3,000, 2,000, 2,000 count.
_DRAWN = (10_000, 2_000, 2_000)
_USED = (3_000, 2_000, 2_000)
_LENGTH, _EVERY, _STEP = 5_000, 100, 1e-3
_FIRST, _LAST = 30, 40


@dataclass(frozen=True, eq=False)
class ChargedParticles:
    """Trajectories of charged particles between frames 30 and 40 of the protocol, which are one unit of time apart.

    **Arguments:** `positions`, `velocities`: (trajectories, 11, particles, 3) of each frame from 30 to 40; `charges`:
    (trajectories, particles), +1 or -1.
    """

    positions: Float[np.ndarray, "trajectories frames particles 3"]
    velocities: Float[np.ndarray, "trajectories frames particles 3"]
    charges: Float[np.ndarray, "trajectories particles"]

    def __len__(self) -> int:
        return len(self.charges)


def charged_particles(
    counts: tuple[int, int, int] = _USED,
    *,
    seed: int = 43,
    particles: int = 5,
    cache: bool = True,
    advance: Callable[[float], None] | None = None,
) -> tuple[ChargedParticles, ChargedParticles, ChargedParticles]:
    r"""The charged N-body data of EGNN: training, validation and test trajectories.

    Places are standard normal, velocities have length 1/2 and random directions, charges are +1 or -1. Forces are
    $F_i = \sum_j q_i q_j (x_i - x_j)/|x_i - x_j|^3$, every component cut at 100; 5000 leapfrog steps of length .001, one
    frame every 100. Velocities are recorded as the leapfrog has them, half a step before the places. Random numbers are
    drawn with NumPy's legacy generator in the order of the authors' simulation, so that each trajectory is the one of their
    files (up to rounding) for `seed` 43, whichever of them are asked for: all 14,000 are drawn, only `counts` of them are
    simulated, and only up to frame 40.

    - `counts`: how many of the 10,000, 2,000 and 2,000 trajectories.
    - `advance`: told the part that is done, from 0 to 1.

    **Raises:** `DataError` for counts that the protocol does not have.

    T. Kipf et al., *Neural relational inference*, ICML 2018; V. G. Satorras et al., *E(n) equivariant graph neural
    networks*, ICML 2021.
    """
    for name, count, drawn in zip(("training", "validation", "test"), counts, _DRAWN, strict=True):
        if not 1 <= count <= drawn:
            raise DataError(
                f"{count} {name} trajectories; the protocol draws {drawn:,}, of which 1 to all can be used."
            )
    name = "-".join(map(str, (_VERSION, seed, particles, *counts)))
    arrays = cached(f"nbody/charged-{name}.npz", lambda: _simulated(counts, seed, particles, advance), cache=cache)
    cuts = np.cumsum(counts)[:2]
    parts = zip(*(np.split(arrays[k], cuts) for k in ("positions", "velocities", "charges")), strict=True)
    train, validation, test = (ChargedParticles(*part) for part in parts)
    return train, validation, test


def _simulated(
    counts: tuple[int, int, int], seed: int, particles: int, advance: Callable[[float], None] | None
) -> dict[str, np.ndarray]:
    x, v, q = _drawn(counts, seed, particles)
    positions, velocities = [], []
    block = 500  # trajectories at once: as many as the processor's cache holds
    for start in range(0, len(q), block):
        part = slice(start, start + block)
        p, u = _leapfrog(x[part], v[part], q[part])
        positions.append(p)
        velocities.append(u)
        if advance is not None:
            advance(min(1.0, (start + block) / len(q)))
    # Single precision: the data are learned in it, and the authors' loader reads them as such.
    return {
        "positions": np.concatenate(positions).astype(np.float32),
        "velocities": np.concatenate(velocities).astype(np.float32),
        "charges": q.astype(np.float32),
    }


def _drawn(
    counts: tuple[int, int, int], seed: int, particles: int
) -> tuple[Float[np.ndarray, "t 3 p"], Float[np.ndarray, "t 3 p"], Float[np.ndarray, "t p"]]:
    rng = np.random.RandomState(seed)
    frames = _LENGTH // _EVERY - 1
    places, velocities, charges = [], [], []
    for count, drawn in zip(counts, _DRAWN, strict=True):
        for i in range(drawn):
            q = rng.choice(np.array([-1.0, 0.0, 1.0]), size=(particles, 1), p=[0.5, 0, 0.5])
            x, v = rng.randn(3, particles), rng.randn(3, particles)
            # Noise on the observations is drawn too, though its variance is zero.
            rng.randn(frames, 3, particles)
            rng.randn(frames, 3, particles)
            if i < count:
                places.append(x)
                velocities.append(v * 0.5 / np.sqrt((v**2).sum(axis=0, keepdims=True)))
                charges.append(q[:, 0])
    return np.stack(places), np.stack(velocities), np.stack(charges)


def _leapfrog(
    x: Float[np.ndarray, "t 3 p"], v: Float[np.ndarray, "t 3 p"], q: Float[np.ndarray, "t p"]
) -> tuple[Float[np.ndarray, "t frames p 3"], Float[np.ndarray, "t frames p 3"]]:
    first, second = np.triu_indices(x.shape[2], 1)
    # Differences of pairs, and sums over pairs, are products with the incidence matrix; trajectories are the last axis.
    incidence = np.zeros((x.shape[2], len(first)))
    incidence[first, range(len(first))], incidence[second, range(len(first))] = 1, -1
    strength = (q[:, first] * q[:, second]).T
    x, v = x.transpose(1, 2, 0).copy(), v.transpose(1, 2, 0).copy()
    limit = 0.1 / _STEP
    positions, velocities = [], []
    for i in range((_LAST + 1) * _EVERY + 1):
        if i:
            x += _STEP * v
            frame = i // _EVERY - 1
            if i % _EVERY == 0 and frame >= _FIRST:
                positions.append(x.transpose(2, 1, 0).copy())
                velocities.append(v.transpose(2, 1, 0).copy())
        spread = incidence.T @ x
        square = (spread * spread).sum(axis=0)
        spread *= strength / (square * np.sqrt(square))
        v += _STEP * np.clip(incidence @ spread, -limit, limit)
    return np.stack(positions, axis=1), np.stack(velocities, axis=1)
