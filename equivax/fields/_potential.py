"""Gradients of invariant potentials."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, Point, RealScalar, Tangent
from ..symmetry import AbstractAction, AbstractRep, invariants, power_isometry
from ._field import AbstractField


class GradientField(AbstractField):
    r"""The gradient of an invariant potential, $f(t, x) = \mathrm{grad}\, V(t, x)$, $V(t, g \cdot x) = V(t, x)$.

    Equivariant for isometric actions. The gradient is Riemannian for the induced metric: the derivative in ambient
    coordinates, projected on the tangent space.

    - `potential`: `V(t, x) -> scalar`, invariant under `action`; an `InvariantPotential`, or the user's own.
    """

    potential: Callable[[RealScalar, Point], Float[Array, ""]]
    action: AbstractAction

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        return self.action.space.to_tangent(x, jax.grad(self.potential, argnums=1)(t, x))


class InvariantPotential(eqx.Module):
    r"""A network of polynomial invariants, $V(t, x) = \mathrm{MLP}(t, I_1(x), \dots, I_m(x))$.

    The $I_j$ are all homogeneous polynomial invariants of degree 1 to `degree`: the invariants of $\mathrm{Sym}^k V$,
    found by the null-space solver. By Weyl they generate all invariant functions of a compact group once `degree`
    reaches the largest degree of a generator (2 for $O(n)$ on one vector, $n$ for $C_n$ on the plane).
    """

    mlp: eqx.nn.MLP
    rep: AbstractRep = eqx.field(static=True)
    degree: int = eqx.field(static=True)

    def __init__(self, rep: AbstractRep, degree: int = 2, *, width: int = 32, depth: int = 2, key: Key):
        count = sum(len(invariants(rep.sym(k))) for k in range(1, degree + 1))
        if count == 0:
            raise ValueError(f"{rep} has no invariant polynomials up to degree {degree}; raise `degree`.")
        self.mlp = eqx.nn.MLP(count + 1, "scalar", width, depth, activation=jax.nn.softplus, dtype=jnp.float32, key=key)
        self.rep, self.degree = rep, degree

    def invariants(self, x: Float[Array, " n"]) -> Float[Array, " m"]:
        """The values of the polynomial invariants at `x`."""
        power, values = jnp.ones((1,), x.dtype), []
        for k in range(1, self.degree + 1):
            power = jnp.outer(power, x).reshape(-1)  # x tensor ... tensor x
            found = invariants(self.rep.sym(k))
            values.append(jnp.asarray(found.vectors @ power_isometry(self.rep.dim, k).T, x.dtype) @ power)
        return jnp.concatenate(values)

    def __call__(self, t: RealScalar, x: Float[Array, " n"]) -> Float[Array, ""]:
        features = jnp.concatenate([jnp.asarray(t, x.dtype)[None], self.invariants(x)])
        mlp = jax.tree.map(lambda w: w.astype(x.dtype) if eqx.is_inexact_array(w) else w, self.mlp)
        return mlp(features)
