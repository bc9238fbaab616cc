"""Whether a group moves the points of its space by isometries, where that can be told."""

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import AbstractManifold, Euclidean
from ._action import AbstractAction, LinearAction, ProductAction
from ._point_actions import AffineAction, FunctionAction, PermutingAction, PowerAction, TangentAction
from ._signals import SignalAction


def is_isometric(action: AbstractAction, space: AbstractManifold | None = None) -> bool | None:
    """Whether |(L_g)_* v| = |v| for all g, in the metric of the action's space, or of another `space` with its points.

    Representations on R^n and on signals say so themselves; otherwise three random elements are asked. None for actions of
    kinds that this library does not know.
    """
    if space is not None:
        return _keeps_lengths(action, space)
    match action:
        case ProductAction(actions=actions):
            known = [is_isometric(a) for a in actions]
            return False if False in known else None if None in known else True
        case PowerAction(action=one) | PermutingAction(action=one) | TangentAction(action=one):
            return is_isometric(one)
        case LinearAction(rep=rep, space=Euclidean()) | SignalAction(rep=rep):
            return bool(rep.is_orthogonal)
        case LinearAction() | AffineAction() | FunctionAction():
            return _keeps_lengths(action, action.space)
        case _:
            return None


def moves_origin(action: AbstractAction) -> bool:
    """Whether some element moves the origin of a vector space that points are in: then |x| is no invariant of x."""
    match action:
        case ProductAction(actions=actions):
            return any(map(moves_origin, actions))
        case PowerAction(action=one) | PermutingAction(action=one) | TangentAction(action=one):
            return moves_origin(one)
        case AffineAction(group=group):
            shifts = [xi[:-1, -1] for xi in group.lie_algebra] + [h[:-1, -1] for h in group.discrete_generators]
            return any(np.any(b != 0) for b in shifts)
        case FunctionAction(space=Euclidean() as space):
            origin = jnp.zeros(space.shape)
            return any(bool(jnp.any(action(action.group.sample(key=jax.random.key(i)), origin) != 0)) for i in range(3))
        case _:
            return False


def _keeps_lengths(action: AbstractAction, space: AbstractManifold) -> bool:
    with jax.ensure_compile_time_eval():
        return all(_keeps_length(action, space, jax.random.key(i)) for i in range(3))


def _keeps_length(action: AbstractAction, space: AbstractManifold, key: jax.Array) -> bool:
    at, along, which = jax.random.split(key, 3)
    x = space.random_point(key=at)
    v = space.random_tangent(x, key=along)
    g = np.asarray(action.group.sample(key=which))
    before, after = space.norm(x, v), space.norm(action(g, x), action.push(g, x, v))
    slack = 1e4 * float(jnp.finfo(before.dtype).eps) * (1 + np.abs(g).max()) ** 4
    return bool(jnp.abs(after - before) <= slack * before)
