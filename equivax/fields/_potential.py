"""Gradients of invariant potentials."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Point, RealScalar, Tangent
from ..symmetry import AbstractAction, AbstractRep, GroupError, invariants, power_isometry
from ._field import AbstractField
from ._forms import Inverse, found_form, given_form, raise_index
from ._isometric import keeps_metric


class GradientField(AbstractField):
    r"""The gradient of an invariant potential, $f(t, x) = \mathrm{grad}\, V(t, x)$, $V(t, g \cdot x) = V(t, x)$.

    $$ \langle \mathrm{grad}\, V, v \rangle_x = dV(x)(v) $$

    in the metric of the space, where the action is by isometries. On $\mathbb{R}^n$ any invariant form B may be in its
    place, $B(\mathrm{grad}\, V, v) = dV(v)$, and for a linear action that keeps no inner product it is one found among the
    invariants of $\mathrm{Sym}^2$: Minkowski's for Lorentz groups, with the sign that makes the first coordinate positive.

    - `potential`: `V(t, x) -> scalar`, invariant under `action`; an `InvariantPotential`, a `ScalarPotential`, or the user's.
    - `form`: a symmetric invertible matrix B, of the coordinates of one point or of all of them; by default as above.

    **Raises:** `GroupError` when the action keeps neither the metric nor a form, or not the `form` that was given.
    """

    potential: Callable[[RealScalar, Point], Float[Array, ""]]
    action: AbstractAction
    # The inverse of the form; None for the metric of the space.
    raised: Inverse | None = eqx.field(static=True)

    def __init__(
        self,
        potential: Callable[[RealScalar, Point], Float[Array, ""]],
        action: AbstractAction,
        form: Float[Array | np.ndarray, "n n"] | None = None,
    ):
        self.potential, self.action = potential, action
        if form is not None:
            self.raised = given_form(form, action, 1)
        elif keeps_metric(action):
            self.raised = None
        elif (found := found_form(action, 1)) is not None:
            self.raised = found
        else:
            raise GroupError(
                f"{action.group} keeps neither the metric of {action.space} nor a symmetric form, so gradients of its "
                "invariants are not equivariant. Where it keeps a symplectic form, use `SymplecticGradientField`; "
                "elsewhere a `NetworkField` or an `InvariantField`."
            )

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        if self.raised is None:
            return self.action.space.gradient(lambda y: self.potential(t, y), x)
        return raise_index(self.raised, jax.grad(lambda y: self.potential(t, y))(x))


class InvariantPotential(eqx.Module):
    r"""A network of polynomial invariants, $V(t, x) = \mathrm{MLP}(t, I_1(x), \dots, I_m(x))$.

    The $I_j$ are all homogeneous polynomial invariants of degree 1 to `degree`: the invariants of $\mathrm{Sym}^k V$,
    found by the null-space solver. By Weyl they generate all invariant functions of a compact group once `degree`
    reaches the largest degree of a generator (2 for $O(n)$ on one vector, $n$ for $C_n$ on the plane). Points of any shape
    are taken row by row: m points of a `PowerAction` are in the representation `m * V`.

    For vectors of a classical group, and for points without names, `ScalarPotential` knows generators in closed form.
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

    def invariants(self, x: Float[Array, "..."]) -> Float[Array, " m"]:
        """The values of the polynomial invariants at `x`."""
        x, power, values = x.reshape(-1), jnp.ones((1,), x.dtype), []
        for k in range(1, self.degree + 1):
            power = jnp.outer(power, x).reshape(-1)  # x tensor ... tensor x
            found = invariants(self.rep.sym(k))
            values.append(jnp.asarray(found.vectors @ power_isometry(self.rep.dim, k).T, x.dtype) @ power)
        return jnp.concatenate(values)

    def __call__(self, t: RealScalar, x: Float[Array, "..."]) -> Float[Array, ""]:
        features = jnp.concatenate([jnp.asarray(t, x.dtype)[None], self.invariants(x)])
        mlp = jax.tree.map(lambda w: w.astype(x.dtype) if eqx.is_inexact_array(w) else w, self.mlp)
        return mlp(features)
