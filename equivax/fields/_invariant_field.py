"""All equivariant fields: free functions of the invariants of a moving frame, carried back by it."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix

from .._types import Key, Point, RealScalar, Tangent
from ..symmetry import AbstractAction
from ._field import AbstractField
from ._isotropy import average, settle
from ._moving_frame import MovingFrame, partition
from ._plain import PlainMLP
from ._strata import stratum


class InvariantField(AbstractField):
    r"""$f(t, x) = \sum_i w_i(x)\; h_i(x)_*\, P\, F(t, k_i)$ with $k_i = h_i(x)^{-1} \cdot x$: every equivariant field is one.

    A first-order system is invariant exactly when it is an equation between differential invariants, which are functions of
    $k = \rho(x) \cdot x$ and $\rho(x)_* \dot u$, with $\rho = h^{-1}$ a moving frame. Solved for the velocity it says
    $\rho(x)_* \dot u = F(t, k)$, with F free.

    - `frames`: one or more moving frames of one action, glued by their weights, which are invariant: $w_i$ sum to 1.
    - `function`: F, any function (t, k, args) -> array of the shape of k; a `PlainMLP` if not given, of `width`
      and `depth`. An equation that is not solved for the velocity yet is an `ImplicitVelocity`.
    - P puts F into the tangent space at k and into what the stabiliser of k leaves alone: a field that is equivariant
      cannot leave the points that are fixed by part of the group. This also makes f continuous where orbits shrink
      (the axis of a rotation, the diagonal of a configuration space).
    - `vanish`: multiply by a function that is 0 where no frame exists. For places where no frame exists although orbits
      do not shrink: rotations by half a turn under conjugation, light cones under boosts.

    **Raises:** `ValueError` when the frames are of different actions, when F returns another shape, and when isotropy
    leaves no equivariant field but 0.

    Andersdotter, Persson, Ohlsson, *Equivariant manifold neural ODEs and differential invariants*, JMLR 26, 2025.
    """

    frames: tuple[MovingFrame, ...]
    function: Callable[[Any, Any, Any], Any]
    vanish: bool = eqx.field(static=True)

    def __init__(
        self,
        frames: MovingFrame | Sequence[MovingFrame],
        function: Callable[[Any, Any, Any], Any] | None = None,
        *,
        width: int = 32,
        depth: int = 2,
        vanish: bool = False,
        key: Key | None = None,
    ):
        self.frames = (frames,) if isinstance(frames, MovingFrame) else tuple(frames)
        if any(not eqx.tree_equal(f.action, self.frames[0].action) for f in self.frames):
            raise ValueError("The frames of one field are of one action; received frames of different ones.")
        if function is None:
            if key is None:
                raise ValueError("`InvariantField(frames, key=key)` draws the weights of F; or give a `function`.")
            function = PlainMLP(self.action.space, width, depth, jnp.tanh, key=key)
        self.function, self.vanish = function, vanish
        with jax.ensure_compile_time_eval():
            generic = stratum(self.action, self.action.space.random_point(key=jax.random.key(0)))
        if generic.fixed == 0:
            raise ValueError(
                f"{self.action.group} leaves no direction free on {self.action.space}: at a random point the stabiliser has "
                f"dimension {len(generic.stabiliser)} and fixes no tangent vector, so every equivariant field is 0. Take a "
                "subgroup, several points (`PowerAction`), or points with velocities (`TangentAction`)."
            )

    @property
    def action(self) -> AbstractAction:
        """The action that the frames are of."""
        return self.frames[0].action

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        weights, present = partition(self.frames, x)
        if len(self.frames) == 1:
            weights = [jnp.ones_like(present)]
        terms = [self._carried(frame, t, x, args) for frame in self.frames]
        factor = _root(present) if self.vanish else jnp.ones_like(present)
        total = jax.tree.map(lambda *a: sum(factor * w * b for w, b in zip(weights, a, strict=True)), *terms)
        return self.action.space.to_tangent(x, total)

    def _carried(self, frame: MovingFrame, t: RealScalar, x: Point, args: Any) -> Tangent:
        action, h = self.action, frame(x)
        k = action(action.group.inverse(h), x)
        v = self.function(t, k, args)
        if jax.tree.map(jnp.shape, v) != jax.tree.map(jnp.shape, k):
            raise ValueError(
                "The function F of an `InvariantField` returns a velocity at k, of the shape of k: "
                f"{jax.tree.map(jnp.shape, k)}. It returned {jax.tree.map(jnp.shape, v)}."
            )
        v = action.space.to_tangent(k, v)
        if not frame.free:
            v = settle(action, k, v)
        if frame.stabiliser:
            v = average(action, frame.stabiliser, k, v)
        return action.push(h, k, v)


def _root(present: RealScalar) -> RealScalar:
    """The root, rounded off at 0: what is left of a field falls with a distance then, as in smooth fields, not its square."""
    return present / jnp.sqrt(present + 1e-3)


class ImplicitVelocity(eqx.Module):
    r"""The velocity w that solves $\Delta(t, k, w) = 0$: an invariant system of equations, not yet solved for the velocity.

    - `equation`: (t, k, w, args) -> as many numbers as w has, of the shape of w. Solved by Newton's method from
      `start(t, k, args)`, 0 if not given, and differentiated by the implicit function theorem.

    A run-time error is raised where Newton's method does not converge within `max_steps`.
    """

    equation: Callable[[Any, Any, Any, Any], Any]
    start: Callable[[Any, Any, Any], Any] | None = None
    max_steps: int = eqx.field(static=True, default=32)

    def __call__(self, t: RealScalar, k: Point, args: Any = None) -> Tangent:
        tolerance = 100 * float(jnp.finfo(jnp.result_type(*jax.tree.leaves(k))).eps)
        w0 = jax.tree.map(jnp.zeros_like, k) if self.start is None else self.start(t, k, args)
        weights, rest = eqx.partition((self.equation, k, args), eqx.is_inexact_array)

        def residual(w: Any, given: Any) -> Any:
            equation, k, args = eqx.combine(given[1], rest)
            return equation(given[0], k, w, args)

        given = jnp.asarray(t, jnp.result_type(*jax.tree.leaves(k))), weights
        newton: Any = optimistix.Newton(rtol=tolerance, atol=tolerance)
        return optimistix.root_find(residual, newton, w0, given, max_steps=self.max_steps).value
