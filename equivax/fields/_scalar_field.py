"""Scalars are universal: invariant coefficients times equivariant vectors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, RealScalar
from ..symmetry import AbstractAction, GroupError
from ._field import AbstractField
from ._isometric import keeps_projection
from ._perceptron import Perceptron
from ._scalar_points import ScalarPoints, scalar_points
from ._scalars import squashed


class ScalarField(AbstractField):
    r"""Invariant coefficients times equivariant vectors,

    $$ f_i(t, x) = \sum_j c_{ij}\bigl(t, (B(x_k, x_l))_{k \le l}, \dots\bigr)\, x_j + \dots, $$

    for points made of m vectors $x_j$ of a classical group that keeps a form B: by its first fundamental theorem every
    equivariant polynomial field is one of these. c is a network of the scalars, which are squashed to (-1, 1).

    | group | scalars | vectors |
    |---|---|---|
    | `O`, `IndefiniteO`, `Lorentz(n, full=True)` | $B(x_i, x_j)$ | $x_j$ |
    | `SO`, `IndefiniteSO`, `Lorentz` | and determinants of n vectors | and cross products of n - 1 |
    | `U`; `USp` | Hermitian products, complex; quaternionic | $x_j$, $i x_j$; also $j x_j$, $k x_j$ |
    | `SU` | as `U`, and complex determinants | as `U`, and complex cross products |
    | `Sp`; `SL` | $\omega(x_i, x_j)$; determinants of n | $x_j$ |

    - `action`: a `LinearAction` of sums of `defining(G)` and `trivial(G)`, or of their products with sums of `trivial(G)`
      (matrices whose columns are moved): vectors and scalars, in any order. Or a `PowerAction` of one. With an
      `AffineAction`, vectors are counted from their mean, so that translations do nothing.
    - `width`, `depth`: of the hidden layers.

    Under a `PermutingAction` one network is averaged over tuples J of points, pairs with i, or n at once where there are
    determinants; it also sees means of another network over all tuples:

    $$ f_i = \operatorname{mean}_J\; \sum_{j \in J} c_j\bigl(t, B(x_k, x_l)_{k, l \in \{i\} \cup J}, \dots\bigr)\, x_j. $$

    That tells configurations apart whose points differ in $B(x_i, x_i)$: all but a set of measure zero.

    On other spaces than $\mathbb{R}^n$, the projection on tangent vectors comes last.

    **Raises:** `GroupError` for groups without such a theorem, other representations, other permutation groups than
    `Symmetric(m)`, and a space whose projection the group does not keep.

    Weyl, *The Classical Groups*, 1946; Villar et al., *Scalars are universal*, NeurIPS 2021.
    """

    coefficients: Perceptron
    summary: Perceptron | None
    action: AbstractAction
    points: ScalarPoints = eqx.field(static=True)

    def __init__(self, action: AbstractAction, width: int = 32, depth: int = 2, *, key: Key):
        self.action, self.points = action, scalar_points(action, "ScalarField")
        if not keeps_projection(action):
            raise GroupError(
                f"A ScalarField on {action.space} is projected on tangent vectors, and {action.group} does not keep that "
                "projection. Use the group of isometries, or `InvariantField`, which projects nothing."
            )
        example = jax.ShapeDtypeStruct(action.space.shape, jnp.float32)
        scalars, generators = (jax.eval_shape(f, example).shape for f in (self.points.scalars, self.points.generators))
        first, last = jax.random.split(key)
        inputs = 1 + scalars[1]
        self.summary = Perceptron(inputs, width, width, 1, key=first) if self.points.permuted else None
        outputs = self._moved * (self._vectors * generators[1] + self._scalars)
        self.coefficients = Perceptron(inputs + width * self.points.permuted, outputs, width, depth, key=last)

    @property
    def _moved(self) -> int:
        """How many points a tuple has a velocity for: all, where they have names, else its first."""
        return 1 if self.points.permuted else self.points.count

    @property
    def _vectors(self) -> int:
        return len(self.points.vectors.vectors)

    @property
    def _scalars(self) -> int:
        return len(self.points.vectors.scalars)

    def __call__(self, t: RealScalar, x: Float[Array, "..."], args: Any = None) -> Float[Array, "..."]:
        features, generators = squashed(self.points.scalars(x)), self.points.generators(x)
        tuples, count, n = len(features), generators.shape[1], generators.shape[2]
        features = jnp.concatenate([jnp.full((tuples, 1), jnp.asarray(t, x.dtype)), features], axis=1)
        if self.summary is not None:
            mean = jnp.mean(jax.vmap(self.summary)(features), axis=0)
            features = jnp.concatenate([features, jnp.broadcast_to(mean, (tuples, len(mean)))], axis=1)
        c = jax.vmap(self.coefficients)(features)
        vectors, m, k, q = self._moved * self._vectors, self.points.count, self._vectors, self._scalars
        by_vectors = c[:, : vectors * count].reshape(tuples, vectors, count) @ generators
        each = tuples * self._moved // m  # how many tuples speak of one point
        v = jnp.mean(by_vectors.reshape(m, each, k, n), axis=1)
        s = jnp.mean(c[:, vectors * count :].reshape(m, each, q), axis=1)
        return self.action.space.to_tangent(x, self.points.vectors.join(v, s).reshape(np.shape(x)))
