"""Two masses on springs, hanging in a row and swinging in space."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ._cached import cached
from ._errors import DataError

# Raise it when the same seed is to give other trajectories than before: the cache then starts anew.
_VERSION = 1
# Chunks of 5 points are cut out of 30 seconds at every .2; what is integrated between is 40 times as fine.
DT, CHUNK, FRAMES, _FINE = 0.2, 5, 150, 40

State = Float[np.ndarray, "*batch 4 3"]


@dataclass(frozen=True, eq=False)
class DoubleSpring:
    """Chunks of trajectories of the double spring pendulum; a state has the rows x_1, x_2, p_1, p_2.

    **Arguments:** `train`, `validation`: chunks of 5 states, .2 seconds apart; `test`: trajectories of 150 states, 30
    seconds, that begin where a chunk would.
    """

    train: Float[np.ndarray, "train 5 4 3"]
    validation: Float[np.ndarray, "validation 5 4 3"]
    test: Float[np.ndarray, "test 150 4 3"]


def spring_energy(z: State) -> Float[np.ndarray, "*batch"]:
    r"""$H = \tfrac12 |p_1|^2 + \tfrac12 |p_2|^2 + \tfrac12 (|x_1| - 1)^2 + (|x_1 - x_2| - 1)^2 + z_1 + z_2$.

    All constants are 1; the second spring stands without the factor 1/2, as in the code of the reference.
    """
    first, second = _lengths(z)
    kinetic = 0.5 * (z[..., 2:, :] ** 2).sum(axis=(-2, -1))
    return np.asarray(kinetic + 0.5 * (first - 1) ** 2 + (second - 1) ** 2 + z[..., 0, 2] + z[..., 1, 2])


def spring_force(z: State) -> State:
    """The right-hand side of Hamilton's equations, (p_1, p_2, -dH/dx_1, -dH/dx_2)."""
    return _force(z)


def _force(z: np.ndarray) -> np.ndarray:
    # Called a hundred thousand times: shapes are checked outside.
    first, second = _lengths(z)
    pull = ((first - 1) / first)[..., None] * z[..., 0, :]
    between = (2 * (second - 1) / second)[..., None] * (z[..., 0, :] - z[..., 1, :])
    gravity = np.array([0.0, 0.0, 1.0])
    return np.stack([z[..., 2, :], z[..., 3, :], -pull - between - gravity, between - gravity], axis=-2)


def angular_momentum(z: State) -> Float[np.ndarray, "*batch"]:
    """The angular momentum about the vertical axis, which is conserved."""
    x, p = z[..., :2, :], z[..., 2:, :]
    return np.asarray((x[..., 0] * p[..., 1] - x[..., 1] * p[..., 0]).sum(axis=-1))


def double_spring(
    counts: tuple[int, int, int] = (500, 500, 500),
    *,
    seed: int = 0,
    cache: bool = True,
    advance: Callable[[float], None] | None = None,
) -> DoubleSpring:
    r"""The double spring pendulum of the EMLP paper: chunks to train and validate on, trajectories to test on.

    Every trajectory starts at $x_1 = (0, 0, -1.5)$, $x_2 = (0, 0, -3)$ plus .2 standard normal numbers, with momenta of .4
    standard normal numbers, runs for 30 seconds, and gives one of its 30 chunks of 5 states, chosen at random. A test
    trajectory starts at the first state of such a chunk and runs for 30 seconds from there. Integrated in float64 by the
    Runge-Kutta method of order 4 with steps of .005 (error about 5e-9 after 30 seconds).

    - `counts`: how many chunks to train and to validate on, and how many test trajectories.
    - `advance`: told the part that is done, from 0 to 1.

    M. Finzi, M. Welling, A. G. Wilson, *A practical method for constructing equivariant multilayer perceptrons for arbitrary
    matrix groups*, ICML 2021. Their random numbers are not to be had: the data have the same law, not the same digits.
    """
    if min(counts) < 1:
        raise DataError(f"Numbers of chunks and trajectories have to be at least 1, received {counts}.")
    key = hashlib.sha256(repr((_VERSION, seed, counts)).encode()).hexdigest()[:16]
    found = cached(f"double-spring/{key}.npz", lambda: _simulated(counts, seed, advance), cache=cache)
    return DoubleSpring(found["train"], found["validation"], found["test"])


def _simulated(
    counts: tuple[int, int, int], seed: int, advance: Callable[[float], None] | None
) -> dict[str, np.ndarray]:
    rng, total = np.random.default_rng(seed), sum(counts)
    mean = np.array([[0.0, 0.0, -1.5], [0.0, 0.0, -3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    spread = np.array([0.2, 0.2, 0.4, 0.4])[:, None]
    start = mean + spread * rng.standard_normal((total, 4, 3))
    chosen = rng.integers(0, FRAMES // CHUNK, total)
    part = total / (total + counts[2])
    paths = simulate_springs(start, FRAMES, None if advance is None else lambda done: advance(part * done))
    chunks = paths.reshape(total, FRAMES // CHUNK, CHUNK, 4, 3)[np.arange(total), chosen]
    train, validation, last = np.split(chunks, np.cumsum(counts)[:2])
    rest = None if advance is None else lambda done: advance(part + (1 - part) * done)
    return {"train": train, "validation": validation, "test": simulate_springs(last[:, 0], FRAMES, rest)}


def simulate_springs(
    start: Float[np.ndarray, "batch 4 3"], frames: int, advance: Callable[[float], None] | None = None
) -> Float[np.ndarray, "batch frames 4 3"]:
    """The states at times 0, .2, .4, ..., the first of which is `start`."""
    z, h, kept = start, DT / _FINE, [start]
    for frame in range(1, frames):
        for _ in range(_FINE):
            a = _force(z)
            b = _force(z + h / 2 * a)
            c = _force(z + h / 2 * b)
            z = z + h / 6 * (a + 2 * b + 2 * c + _force(z + h * c))
        kept.append(z)
        if advance is not None:
            advance((frame + 1) / frames)
    return np.stack(kept, axis=1)


def _lengths(z: np.ndarray) -> tuple[Any, Any]:
    r = z[..., 0, :] - z[..., 1, :]
    return np.sqrt((z[..., 0, :] ** 2).sum(axis=-1)), np.sqrt((r**2).sum(axis=-1))
