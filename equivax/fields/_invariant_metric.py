"""A metric that a group keeps, for actions that are by isometries of none that was there before."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._types import Point, Tangent
from ..geometry import AbstractManifold, AbstractMetricChange
from ._moving_frame import MovingFrame, partition

Scalar = Float[Array, ""]


class InvariantMetric(AbstractMetricChange):
    r"""$\langle v, w \rangle_x = \sum_i w_i(x) \langle \rho_i(x)_* v, \rho_i(x)_* w \rangle$: lengths where frames carry x.

    Invariant under the action of the frames whatever it is, with the inner product of the coordinates on the
    cross-section (where stabilisers are not trivial, they have to keep that). `InvariantController(controller,
    InvariantMetric(frames))` chooses adaptive steps by it, for groups that keep no metric that was there before: scalings,
    boosts, linear and projective maps.
    """

    frames: tuple[MovingFrame, ...]
    base: AbstractManifold

    def __init__(self, frames: MovingFrame | Sequence[MovingFrame]):
        self.frames = (frames,) if isinstance(frames, MovingFrame) else tuple(frames)
        self.base = self.frames[0].action.space

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Scalar:
        """The sum over the frames."""
        weights, _ = partition(self.frames, x)
        if len(self.frames) == 1:
            weights = [jnp.ones_like(weights[0])]
        return sum(
            (a * self._carried(frame, x, v, w) for a, frame in zip(weights, self.frames, strict=True)),
            jnp.zeros_like(weights[0]),
        )

    def _carried(self, frame: MovingFrame, x: Point, v: Tangent, w: Tangent) -> Scalar:
        g = frame.action.group.inverse(frame(x))
        a, b = (ravel_pytree(frame.action.push(g, x, u))[0] for u in (v, w))
        return jnp.vdot(a, b)

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """The solution of <p#, e> = p(e) for a basis e of the tangent space."""
        basis = self.base.frame(x)
        gram = jax.vmap(lambda v: jax.vmap(lambda w: self.inner(x, v, w))(basis))(basis)
        flat = jax.vmap(lambda v: ravel_pytree(v)[0])(basis)
        covector, unravel = ravel_pytree(p)
        return unravel(jnp.linalg.solve(gram, flat @ covector) @ flat)
