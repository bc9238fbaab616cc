"""Whether a group moves the points of its space by isometries, where that can be told."""

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry import Euclidean
from ..symmetry import AbstractAction, LinearAction, ProductAction, SignalAction


def is_isometric(action: AbstractAction) -> bool | None:
    """Whether |(L_g)_* v| = |v| for all g: None for actions of the user's own, of which that is not known.

    Representations on R^n and on signals say so themselves; on other spaces three random elements are asked.
    """
    match action:
        case ProductAction(actions=actions):
            known = [is_isometric(a) for a in actions]
            return False if False in known else None if None in known else True
        case LinearAction(rep=rep, space=Euclidean()) | SignalAction(rep=rep):
            return bool(rep.is_orthogonal)
        case LinearAction():
            with jax.ensure_compile_time_eval():
                return all(_keeps_length(action, jax.random.key(i)) for i in range(3))
        case _:
            return None


def _keeps_length(action: LinearAction, key: jax.Array) -> bool:
    at, along, which = jax.random.split(key, 3)
    x = action.space.random_point(key=at)
    v = action.space.random_tangent(x, key=along)
    g = np.asarray(action.group.sample(key=which))
    before, after = action.space.norm(x, v), action.space.norm(action(g, x), action.push(g, x, v))
    slack = 1e4 * float(jnp.finfo(before.dtype).eps) * (1 + np.abs(g).max()) ** 4
    return bool(jnp.abs(after - before) <= slack * before)
