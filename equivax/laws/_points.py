"""What laws about maps share: one compiled evaluation, sizes and differences of points, generators at a point."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .._types import Point, Tangent
from ..geometry import AbstractManifold
from ..symmetry import AbstractAction, GroupError

# The direction in which a map is tried, to see whether it is constant: any will do that no map was made to defeat.
_PROBE_SEED = 20_250_290


@eqx.filter_jit
def evaluate(f: Callable[..., Any], *args: Any) -> Any:
    """f(*args), compiled once for all maps of one structure and points of one shape."""
    return f(*args)


@eqx.filter_jit
def generators(action: AbstractAction, x: Point) -> Tangent:
    r"""The vectors $\xi_M(x)$ for the basis of the Lie algebra, stacked along a new first axis."""
    algebra = jnp.asarray(action.group.lie_algebra)
    return jax.vmap(lambda xi: action.generator(xi, x))(algebra)


def dtype_of(x: Point) -> Any:
    """The floating type of a point."""
    return jnp.result_type(*jax.tree.leaves(x))


def size(x: Point) -> float:
    """|x| in ambient coordinates."""
    return float(np.linalg.norm(_flat(x)))


def gap(x: Point, y: Point) -> float:
    """|x - y| in ambient coordinates."""
    return float(np.linalg.norm(_flat(x) - _flat(y)))


def distance(space: AbstractManifold, x: Point, y: Point) -> float:
    """d(x, y) in a space: angles that differ by whole turns are one point."""
    return float(evaluate(_Distance(space), x, y))


class _Distance(eqx.Module):
    space: AbstractManifold

    def __call__(self, x: Point, y: Point):
        return self.space.dist(x, y)


def direction(space: AbstractManifold, x: Point) -> Tangent:
    """One fixed random tangent vector at x, with coordinates of order one."""
    return space.random_tangent(x, key=jax.random.key(_PROBE_SEED))


def same_group(action_in: AbstractAction, action_out: AbstractAction) -> None:
    """Raise a GroupError unless one group acts on both sides."""
    if action_in.group != action_out.group:
        raise GroupError(
            f"Equivariance needs one group acting on both sides; {action_in.group} acts on the input and "
            f"{action_out.group} on the output. For an invariant map, the output side is TrivialAction(group, space)."
        )


def _flat(x: Point) -> np.ndarray:
    return np.asarray(ravel_pytree(x)[0], np.float64)
