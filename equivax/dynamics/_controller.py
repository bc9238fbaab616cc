"""Adaptive steps whose sizes are functions of invariants, so that an adaptive solve keeps the symmetry of its field."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._numerics import safe_sqrt
from ..geometry import AbstractManifold, Euclidean, Power, Product
from ._lie_term import innermost

Sizes: TypeAlias = PyTree[Float[Array, ""]]


class InvariantController(diffrax.AbstractAdaptiveStepSizeController):
    """h = h(|y_B|, |e_B|, ...): steps chosen from the sizes of invariant blocks B of the state y and of its error e.

    The flow of an equivariant field commutes with the group; a Runge-Kutta method of fixed step does, too. An adaptive
    one does only if x and g x are given the same steps, and `diffrax.PIDController` scales the error *elementwise*,
    e_i / (atol + rtol |y_i|): it sees coordinates, which the group mixes. Here the wrapped controller is shown one
    number for each block in place of y0, y1 and the error, so its accept, reject and step size are functions of
    invariants, and Phi(g x) = g Phi(x) up to rounding whatever rtol is. (To rounding, because a decision can still be
    turned by the last digit: it takes a scaled error within rounding of 1.)

    The block sizes are, in this order of preference:

    - `norms(v)` and `scales(y)`, where given: functions to pytrees of invariant scalars, of the same structure. `norms`
      measures errors and velocities, `scales` the points that rtol is relative to; by default `scales` is `norms`.
      Under a group that moves the origin (translations) give a `scales` that does not see it.
    - by the metric of the `space`: |e_B| is the Riemannian length of the error over sqrt(dim), at the point where it was
      made, so every isometry is respected: rotations of a sphere, boosts of hyperbolic space, congruences of SPD
      matrices. One block for each factor of a `Product`, one for *all* the points of a `Power` (permutations). Where
      the metric measures all vectors of R^N alike (`constant_metric`), the error counts as it is, else its tangential part.
      |y_B| is the root mean square of the coordinates on a `Euclidean` space, and 1 on all others, which have no origin
      to measure from: there rtol adds to atol. `Flow` fills in its own space, and tells by the action of its field whether
      the group keeps the origin of a Euclidean space (`origin`); under translations and the like |y_B| is 1 there, too.
    - without either: the root mean square of each array.

    All are root mean squares over orthonormal coordinates, so that `atol` and `rtol` mean per coordinate what they mean
    to the wrapped controller. An action that is no action by isometries leaves no such number invariant: `Flow` refuses
    it where its field carries one, unless `norms` are given or `isometries_only` is set.

    - `controller`: any adaptive controller of Diffrax, `diffrax.ClipStepSizeController(...)` (step_ts, jump_ts)
      included; clipping may as well be put outside, since it looks at times only.

    The first step, if dt0 is None, is that of Hairer, Norsett, Wanner, *Solving ODEs I*, II.4, from block sizes.
    Under `diffrax.BacksolveAdjoint` the backward state is a tuple (y, adjoint of y, ...): its blocks are its arrays.
    An implicit solver whose root finder takes its tolerance from the controller still scales *that* elementwise.

    - `isometries_only`: accept a field whose group does not act by isometries; the flow then commutes, to rounding, with
      those elements that are isometries (for a linear action: a compact subgroup), and with the others to its tolerance.

    Raises a ValueError if `controller` is not adaptive.
    """

    controller: diffrax.AbstractAdaptiveStepSizeController
    space: AbstractManifold | None
    norms: Callable[[Any], Sizes] | None
    scales: Callable[[Any], Sizes] | None
    isometries_only: bool = eqx.field(static=True)
    origin: bool = eqx.field(static=True)

    def __init__(
        self,
        controller: diffrax.AbstractStepSizeController,
        space: AbstractManifold | None = None,
        norms: Callable[[Any], Sizes] | None = None,
        scales: Callable[[Any], Sizes] | None = None,
        isometries_only: bool = False,
        origin: bool = True,
    ):
        if not isinstance(controller, diffrax.AbstractAdaptiveStepSizeController):
            raise ValueError(
                f"`InvariantController` wraps an adaptive controller; received {controller}. Constant steps are "
                "equivariant as they are. For adaptive ones, use for example "
                "`InvariantController(diffrax.PIDController(rtol=1e-5, atol=1e-7))`."
            )
        if scales is not None and norms is None:
            raise ValueError("`scales` was given without `norms`: give both, or `norms` alone.")
        self.controller, self.space, self.norms, self.scales = controller, space, norms, scales
        self.isometries_only, self.origin = isometries_only, origin

    @property  # type: ignore[misc]
    def rtol(self) -> Any:  # type: ignore[override]
        """The relative tolerance of the wrapped controller."""
        return self.controller.rtol

    @property  # type: ignore[misc]
    def atol(self) -> Any:  # type: ignore[override]
        """The absolute tolerance of the wrapped controller."""
        return self.controller.atol

    @property  # type: ignore[misc]
    def norm(self) -> Any:  # type: ignore[override]
        """The norm by which the wrapped controller joins the blocks."""
        return self.controller.norm

    def on(self, space: AbstractManifold, origin: bool = True) -> "InvariantController":
        """This controller, told the space of the points, unless it has its blocks from elsewhere already."""
        if self.space is None and self.norms is None:
            return InvariantController(
                self.controller, space, isometries_only=self.isometries_only, origin=origin and self.origin
            )
        return self

    def wrap(self, direction: Any) -> "InvariantController":
        """As `diffrax.AbstractStepSizeController.wrap`."""
        wrapped = self.controller.wrap(direction)
        return InvariantController(wrapped, self.space, self.norms, self.scales, self.isometries_only, self.origin)

    def init(
        self, terms: Any, t0: Any, t1: Any, y0: Any, dt0: Any, args: Any, func: Callable, error_order: Any
    ) -> tuple[Any, Any]:
        """As `diffrax.AbstractStepSizeController.init`."""
        if dt0 is None:
            dt0 = jax.lax.stop_gradient(self._first_step(terms, t0, y0, args, func, error_order))
        return self.controller.init(terms, t0, t1, self._point_sizes(y0), dt0, args, func, error_order)

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: Any,
    ) -> tuple[Any, Any, Any, Any, Any, diffrax.RESULTS]:
        """As `diffrax.AbstractStepSizeController.adapt_step_size`."""
        # Diffrax does not differentiate step sizes; neither, then, the norms that they are made of.
        y0, y1_candidate, y_error = jax.lax.stop_gradient((y0, y1_candidate, y_error))
        sizes = self._point_sizes(y0), self._point_sizes(y1_candidate)
        # The error is a tangent at the new point.
        error = None if y_error is None else self._tangent_sizes(y1_candidate, y_error)
        return self.controller.adapt_step_size(t0, t1, *sizes, args, error, error_order, controller_state)

    def _tangent_sizes(self, y: Any, v: Any) -> Sizes:
        if self.norms is not None:
            return self.norms(v)
        if self.space is None or not self.space.fits(y):
            return jax.tree.map(_root_mean_square, v)
        return _lengths(self.space, y, v)

    def _point_sizes(self, y: Any) -> Sizes:
        if self.norms is not None:
            return self.norms(y) if self.scales is None else self.scales(y)
        if self.space is None or not self.space.fits(y):
            return jax.tree.map(_root_mean_square, y)
        return _scales(self.space, y, self.origin)

    def _first_step(self, terms: Any, t0: Any, y0: Any, args: Any, func: Callable, error_order: Any) -> Any:
        if not isinstance(innermost(terms), diffrax.ODETerm) or error_order is None:
            return 0.01  # Diffrax's own answer for everything that is not an ordinary differential equation.

        scale = jax.tree.map(lambda a: self.atol + self.rtol * a, self._point_sizes(y0))

        def size(blocks):
            return self.norm(jax.tree.map(lambda a, b: a / b, blocks, scale))

        f0 = func(terms, t0, y0, args)
        d0, d1 = size(self._point_sizes(y0)), size(self._tangent_sizes(y0, f0))
        degenerate = (d0 < 1e-5) | (d1 < 1e-5)
        h0 = jnp.where(degenerate, 1e-6, 0.01 * d0 / jnp.where(degenerate, 1, d1)).astype(t0.dtype)
        # An explicit Euler step by way of the term, which knows whether time runs backwards.
        step = terms.prod(f0, terms.contr(t0, t0 + h0))
        known = self.space is not None and self.space.fits(y0)
        y1 = self.space.retract(y0, step) if known else jax.tree.map(jnp.add, y0, step)  # type: ignore[union-attr]
        f1 = func(terms, t0 + h0, y1, args)
        d2 = size(self._tangent_sizes(y0, jax.tree.map(jnp.subtract, f1, f0))) / h0.astype(d0.dtype)
        steepest = jnp.maximum(d1, d2)
        flat = steepest <= 1e-15
        h1 = (0.01 / jnp.where(flat, 1, steepest)) ** (1 / error_order)
        return jnp.minimum(100 * h0, jnp.where(flat, jnp.maximum(1e-6, h0 * 1e-3), h1.astype(t0.dtype)))


def _root_mean_square(a: Float[Array, "..."]) -> Float[Array, ""]:
    return safe_sqrt(jnp.sum(a * a) / max(a.size, 1))


def _lengths(space: AbstractManifold, y: Any, v: Any) -> Sizes:
    match space:
        case Product(factors=factors):
            return tuple(_lengths(M, a, b) for M, a, b in zip(factors, y, v, strict=True))
        case Power(base=base) if isinstance(base, Product | Power) or not base.constant_metric:
            each = jax.vmap(lambda a, b: _lengths(base, a, b))(y, v)
            return jax.tree.map(_root_mean_square, each)
        case _:
            # Where a vector that is not tangent has a length, that is taken: solvers on M return tangents, and what others
            # leave beside M is an error as well.
            tangent = v if space.constant_metric else space.to_tangent(y, v)
            length = space.norm(y, tangent) / math.sqrt(max(space.dim, 1))
            # Stages of some solvers are no points of M: what is not tangent there has no length either. An infinite error,
            # by which a solver asks for its step to be rejected, has no tangential part (inf - inf), and stays infinite.
            return jnp.where(jnp.isnan(length), jnp.inf, length)


def _scales(space: AbstractManifold, y: Any, origin: bool) -> Sizes:
    match space:
        case Product(factors=factors):
            return tuple(_scales(M, a, origin) for M, a in zip(factors, y, strict=True))
        case Power(base=base):
            return jax.tree.map(_root_mean_square, jax.vmap(lambda a: _scales(base, a, origin))(y))
        case Euclidean() if origin:
            return _root_mean_square(y)
        case _:
            return jnp.ones((), dtype=jnp.result_type(*jax.tree.leaves(y)))
