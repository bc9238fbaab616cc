"""Which elements of a group a law is asked about."""

import functools

import jax
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Matrices
from ..symmetry import AbstractAction, AbstractGroup, Dihedral, SignalAction

# A finite group up to this order is checked element by element: no sampling, nothing left to chance.
EXHAUSTIVE_ORDER = 16
# What rounding does to an element on its way through a few products.
SAME_ELEMENT = 1e-6


def probe_elements(group: AbstractGroup, *, key: Key, samples: int = 4) -> Matrices:
    """Elements that tell: all of a small finite group; otherwise all discrete generators, then random samples.

    As NumPy arrays `(n, d, d)`: representations are evaluated in float64 and rounded to the type of the data last.
    """
    if group.is_finite and group.order <= EXHAUSTIVE_ORDER:
        return np.array(group.elements)
    drawn = np.asarray(draw(group, samples, key), np.float64)
    return np.concatenate([group.discrete_generators, drawn])


@functools.partial(jax.jit, static_argnums=(0, 1))
def draw(group: AbstractGroup, samples: int, key: Key) -> Float[Array, "samples d d"]:
    """Independent samples of a group, compiled once for each group."""
    return jax.vmap(lambda k: group.sample(key=k))(jax.random.split(key, samples))


def exact_elements(action: SignalAction) -> Matrices:
    r"""The elements of the group that map the pixel grid to itself, `(n, 2, 2)`, the identity first.

    Quarter turns and flips of a square, half turns and flips of a rectangle, as far as they are in the group: what a
    discretised map can be exactly equivariant under.
    """
    found = [
        g for g in np.round(Dihedral(4).elements) if action.grid.permutation(g) is not None and _has(action.group, g)
    ]
    return np.stack(found)


def _has(group: AbstractGroup, g: Float[np.ndarray, "2 2"]) -> bool:
    """Whether an orthogonal 2 x 2 matrix is in the group; an infinite orthogonal group is SO(2) or O(2)."""
    if group.is_finite:
        return bool(np.abs(group.elements - g).max(axis=(1, 2)).min() < SAME_ELEMENT)
    flips = len(group.discrete_generators) > 0 and np.linalg.det(group.discrete_generators).min() < 0
    return group.is_orthogonal and bool(np.linalg.det(g) > 0 or flips)


def chosen_elements(*actions: AbstractAction, elements: Float[np.ndarray, "n d d"] | None, key: Key | None) -> Matrices:
    """The elements given; else those exact on the grids, where the actions are on signals; else samples."""
    if elements is not None:
        return np.asarray(elements, np.float64)
    grids = [exact_elements(a) for a in actions if isinstance(a, SignalAction)]
    if grids:
        return np.stack([g for g in grids[0] if all(np.abs(other - g).max(axis=(1, 2)).min() == 0 for other in grids)])
    if key is None:
        raise ValueError(
            "A law samples the group: give `key=jax.random.key(0)`, or the elements themselves, `elements=`."
        )
    return probe_elements(actions[0].group, key=key)


def describe(g: Float[np.ndarray, "d d"]) -> str:
    """An element in words: `rotation by 90 degrees`, `reflection in the line at 45 degrees`, or else its matrix."""
    g = np.asarray(g, np.float64)
    if np.allclose(g, np.eye(len(g)), atol=SAME_ELEMENT):
        return "identity"
    if g.shape == (2, 2) and np.allclose(g @ g.T, np.eye(2), atol=SAME_ELEMENT):
        degrees = np.rad2deg(np.arctan2(g[1, 0], g[0, 0]))
        if np.linalg.det(g) > 0:
            return f"rotation by {round(degrees % 360, 4):g} degrees"
        return f"reflection in the line at {round(degrees / 2 % 180, 4):g} degrees"
    return np.array2string(g, precision=3, suppress_small=True, separator=", ").replace("\n", "")
