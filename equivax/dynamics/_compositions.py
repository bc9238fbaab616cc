"""Explicit Lie group methods whose step is a product of exponentials: data, and the one step that reads it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._types import Algebra, Point
from ..geometry import AbstractLieAction, AbstractManifold
from ._lie_interpolation import HermiteMotion
from ._lie_solver import LieStep, Velocity
from ._tableau import time_at, weighted

# exp(sum_j c_j k_j), by its c_1, c_2, ...; those left out are 0.
Exponent = tuple[float | int, ...]


class Exponentials(NamedTuple):
    """exp(E_m) ... exp(E_2) exp(E_1) . Y_s: `exponents` E_1, E_2, ... in the order in which they move stage `start`."""

    start: int
    exponents: tuple[Exponent, ...]


class Scheme(NamedTuple):
    """Stages k_i = h xi(t0 + c_i h, Y_i) with Y_1 = y0, and y1 = `final`.

    - `c`, `stages`: c_i and the products Y_i for i = 2, 3, ...;
    - `error`: delta_i, where the embedded method adds -sum_i delta_i k_i to the last exponent of y1; the k of the next
      step's first stage counts as the last one.
    """

    c: Exponent
    stages: tuple[Exponentials, ...]
    final: Exponentials
    error: Exponent


def march(
    scheme: Scheme,
    order: int,
    space: AbstractManifold,
    action: AbstractLieAction,
    velocity: Velocity,
    t0: Any,
    t1: Any,
    y0: Point,
    xi0: Algebra,
) -> LieStep:
    """One step of `scheme`, a method of order `order`.

    For dense output the logarithm u1 of the whole product comes from the Baker-Campbell-Hausdorff series and one step
    of Newton's method on exp(u1) . y0 = y1; the curve there is the cubic with the velocities of both ends.
    """
    times_h = velocity.times(t0, t1)
    points, ks = [y0], [times_h(xi0)]
    for c, (start, exponents) in zip(scheme.c, scheme.stages, strict=True):
        y = points[start]
        for exponent in exponents:
            y = action.act(weighted(exponent, ks), y)
        points.append(y)
        ks.append(times_h(velocity(time_at(c, t0, t1), y)))
    y = points[scheme.final.start]
    for exponent in scheme.final.exponents:
        y = action.act(weighted(exponent, ks), y)
    y1 = space.polish(y)
    xi1 = velocity(t1, y1)
    end = times_h(xi1)
    u1 = _logarithm(scheme, action, ks)
    u1 = _corrected(u1, y0, y1, order, space, action)
    motion = HermiteMotion(u1, ks[0], action.dexpinv(u1, end, order + 1))
    return LieStep(y1, xi1, motion, weighted(scheme.error, [*ks, end]))


def _logarithm(scheme: Scheme, action: AbstractLieAction, ks: list[Algebra]) -> Algebra:
    # All exponents between y0 and y1, in the order in which they move the point.
    start, exponents = scheme.final
    while start > 0:
        start, before = scheme.stages[start - 1]
        exponents = before + exponents
    first, *others = (weighted(e, ks) for e in exponents)
    for other in others:
        first = action.compose(other, first)
    return first


def _corrected(
    u: Algebra, y0: Point, y1: Point, order: int, space: AbstractManifold, action: AbstractLieAction
) -> Algebra:
    y = action.act(u, y0)
    missing = space.to_tangent(y, jax.tree.map(jnp.subtract, y1, y))
    w = action.dexpinv(u, action.lift(y, missing), order + 1)
    # A correction as long as the motion corrects nothing: an angle has passed the end of its interval.
    size, length = (sum(jnp.sum(a * a) for a in jax.tree.leaves(v)) for v in (w, u))
    return jax.tree.map(lambda a, b: a + jnp.where(size < length, b, 0), u, w)
