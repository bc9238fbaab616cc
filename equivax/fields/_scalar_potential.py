"""Invariant functions of vectors, by the scalars that generate them all."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, RealScalar
from ..symmetry import AbstractAction
from ._perceptron import Perceptron
from ._scalar_points import ScalarPoints, scalar_points
from ._scalars import tempered


class ScalarPotential(eqx.Module):
    r"""A network of the scalars of vectors, $V(t, x) = \mathrm{MLP}\bigl(t, (B(x_i, x_j))_{i \le j}, \dots\bigr)$.

    The scalars are those of `ScalarField`: by the first fundamental theorem the others are functions of them. For points
    without names, $V = \mathrm{MLP}(t, m \operatorname{mean}_J \psi(t, (B(x_i, x_j))_{i, j \in J}))$, J a tuple of points.
    The argument of a `GradientField` or a `SymplecticGradientField`.

    - `action`, `width`, `depth`: as for `ScalarField`.

    **Raises:** `GroupError` as `ScalarField`.
    """

    network: Perceptron
    summary: Perceptron | None
    points: ScalarPoints = eqx.field(static=True)

    def __init__(self, action: AbstractAction, width: int = 32, depth: int = 2, *, key: Key):
        self.points = scalar_points(action, "ScalarPotential")
        inputs = 1 + jax.eval_shape(self.points.scalars, jax.ShapeDtypeStruct(action.space.shape, jnp.float32)).shape[1]
        first, last = jax.random.split(key)
        self.summary = Perceptron(inputs, width, width, depth, key=first) if self.points.permuted else None
        self.network = Perceptron(1 + width if self.points.permuted else inputs, 1, width, depth, key=last)

    def __call__(self, t: RealScalar, x: Float[Array, "..."]) -> Float[Array, ""]:
        scalars = tempered(self.points.scalars(x))
        t = jnp.asarray(t, x.dtype)
        if self.summary is None:
            return self.network(jnp.concatenate([t[None], scalars[0]]))[0]
        features = jnp.concatenate([jnp.full((len(scalars), 1), t), scalars], axis=1)
        total = self.points.count * jnp.mean(jax.vmap(self.summary)(features), axis=0)
        return self.network(jnp.concatenate([t[None], total]))[0]
