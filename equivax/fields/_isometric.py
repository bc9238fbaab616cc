"""Whether an action keeps what a field is projected by, or measured with: asked of a few elements, at a random point."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from .._types import Matrices, Point
from ..geometry import Euclidean
from ..symmetry import AbstractAction, AbstractGroup, PermutingAction, PowerAction, is_isometric


def keeps_metric(action: AbstractAction) -> bool:
    r"""Whether $\langle g_* v, g_* w \rangle_{g x} = \langle v, w \rangle_x$ in the metric of the space."""
    known = is_isometric(action)
    return bool(is_isometric(action, action.space) if known is None else known)


def keeps_projection(action: AbstractAction) -> bool:
    r"""Whether $P_{g x}\, g_* v = g_* P_x v$ for vectors v of the ambient space, P the projection on tangent vectors."""
    one = of_one_point(action)
    if isinstance(one.space, Euclidean):
        return True
    space = one.space

    def off(g, x, v, w):
        after, before = space.to_tangent(one(g, x), one.push(g, x, v)), one.push(g, x, space.to_tangent(x, v))
        gaps = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), after, before))
        return jnp.max(jnp.stack(gaps)), jnp.ones_like(gaps[0])

    return holds(one, off, tangent=False)


def of_one_point(action: AbstractAction) -> AbstractAction:
    """The action on one point of a configuration: what holds there holds for all points, however they are permuted."""
    return of_one_point(action.action) if isinstance(action, PowerAction | PermutingAction) else action


def some_elements(group: AbstractGroup) -> Matrices:
    """The discrete generators, and exponentials of three random elements of the Lie algebra."""
    algebra, rng = group.lie_algebra, np.random.default_rng(0)
    count = 3 if len(algebra) else 0
    drawn = [scipy.linalg.expm(np.tensordot(rng.normal(size=len(algebra)) / 2, algebra, 1)) for _ in range(count)]
    return np.concatenate([group.discrete_generators, np.reshape(drawn, (count, group.d, group.d))])


def holds(action: AbstractAction, off: Callable, *, tangent: bool) -> bool:
    """Whether `off(g, x, v, w)`, a gap and its scale, is rounding: v and w tangent at x, or any vectors."""
    with jax.ensure_compile_time_eval():
        keys = jax.random.split(jax.random.key(0), 3)
        x = action.space.random_point(key=keys[0])
        v, w = (action.space.random_tangent(x, key=k) if tangent else _normal(x, k) for k in keys[1:])
        for g in some_elements(action.group):
            gap, scale = off(g, x, v, w)
            slack = 1e4 * float(jnp.finfo(gap.dtype).eps) * (1 + np.abs(g).max()) ** 4
            if not gap <= slack * scale:
                return False
    return True


def _normal(x: Point, key: jax.Array) -> Point:
    leaves, structure = jax.tree.flatten(x)
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(k, a.shape, a.dtype) for k, a in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)
