"""The continuous adjoint method on a manifold: x and its covector run backwards together, on the cotangent bundle."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from .._types import Point
from ..geometry import AbstractManifold, CotangentBundle
from ._projected import Projected


def backsolve(
    space: AbstractManifold, solver: diffrax.AbstractSolver | None = None, **options: Any
) -> diffrax.BacksolveAdjoint:
    r"""Gradients from the adjoint equation on T*M, in memory that does not grow with the number of steps.

    $$ \dot x = f(t, x, \theta), \quad \dot p = -(D_x f)^T p, \quad \dot g_\theta = -(D_\theta f)^T p, $$

    from t1 back to t0, x on M = `space`, p the covector dL/dx on T*_x M. The first two are the cotangent lift of the
    flow, which does not leave T*M; after each step its numerical solution is brought back there, in both. Diffrax's own
    `BacksolveAdjoint()` would hand the state (x, p, ...) to the solver of x, which may know nothing of p.

    - `solver`: for the way back, any solver of Diffrax: by default `diffrax.Tsit5()`.
    - `options`: as for `diffrax.BacksolveAdjoint`: `stepsize_controller`, `dt0`, `max_steps`, `throw`, `adjoint`.

    The gradients are those of the exact flow, up to the tolerance of both ways: not exactly those of the loss that was
    computed. Returns an `adjoint` for `diffrax.diffeqsolve`; a `Flow` makes its own from `diffrax.BacksolveAdjoint()`.
    Chen et al., *Neural Ordinary Differential Equations*, 2018; Lou et al., *Neural Manifold ODEs*, 2020, theorem 3.2.
    """
    way_back = Projected(
        diffrax.Tsit5() if solver is None else solver, AdjointSpace(CotangentBundle(space)), tangent=False
    )
    return diffrax.BacksolveAdjoint(solver=way_back, **options)


class AdjointSpace(AbstractManifold):
    """T*M x R^k, the space of the adjoint equation: points (x, p, ...), (x, p) in `bundle` = T*M.

    What follows in the tuple (gradients of weights, any pytree) is flat. `exp` is a retraction of second order here.
    """

    bundle: CotangentBundle

    @property
    def shape(self) -> tuple:
        """The shapes of x and p; what follows has none."""
        return self.bundle.shape

    @property
    def dim(self) -> int:
        """2 dim M."""
        return self.bundle.dim

    def project(self, x: Point) -> Point:
        """(x, p) projected to T*M."""
        return (*self.bundle.project(x[:2]), *x[2:])

    def to_tangent(self, x: Point, v: Point) -> Point:
        """The part of (x, p) projected to T T*M."""
        return (*self.bundle.to_tangent(x[:2], v[:2]), *v[2:])

    def exp(self, x: Point, v: Point) -> Point:
        """project(x + v)."""
        return self.project(jax.tree.map(jnp.add, x, v))
