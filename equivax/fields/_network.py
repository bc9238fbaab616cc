"""Equivariant networks, and fields made of them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, RealScalar
from ..symmetry import AbstractRep, LinearAction, trivial
from ._field import AbstractField
from ._intertwiner import Intertwiner
from ._nonlinear import AbstractNonlinearity, Gated


class EquivariantMLP(eqx.Module):
    r"""Intertwiners with gated nonlinearities between them: an equivariant map $V_{in} \to V_{out}$ of vectors.

    - `hidden`: the representation of the hidden features, for example `8 * trivial(G) + 8 * defining(G)`.
    - `depth`: the number of hidden layers.

    With linear features alone, a map such as $x \mapsto x |x|^2$ is out of reach: the gates see invariants only through
    the hidden scalars, so give `hidden` the powers that the task needs, for example `defining(G).sym(2)`.
    """

    layers: tuple[Intertwiner, ...]
    nonlinearity: AbstractNonlinearity

    def __init__(self, rep_in: AbstractRep, rep_out: AbstractRep, hidden: AbstractRep, depth: int = 2, *, key: Key):
        self.nonlinearity = Gated(hidden)
        keys = jax.random.split(key, depth + 1)
        inputs = [rep_in, *[hidden] * depth]
        outputs = [*[self.nonlinearity.rep_in] * depth, rep_out]
        self.layers = tuple(Intertwiner(a, b, key=k) for a, b, k in zip(inputs, outputs, keys, strict=True))

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        for layer in self.layers[:-1]:
            x = self.nonlinearity(layer(x))
        return self.layers[-1](x)


class NetworkField(AbstractField):
    r"""An equivariant network as a vector field, $f(t, x) = P_x\, N(x, t)$.

    The network maps `rep + trivial` (the point, and the time as a scalar) to `rep`; $P_x$ projects on the tangent space
    at $x$, which is equivariant because the action is by isometries of the ambient space.

    - `action`: a `LinearAction` of an orthogonal representation on $\mathbb{R}^n$, a sphere, ...
    """

    network: EquivariantMLP
    action: LinearAction

    def __init__(self, action: LinearAction, hidden: AbstractRep, depth: int = 2, *, key: Key):
        rep = action.rep
        self.network = EquivariantMLP(rep + trivial(rep.group), rep, hidden, depth, key=key)
        self.action = action

    def __call__(self, t: RealScalar, x: Float[Array, " n"], args: Any = None) -> Float[Array, " n"]:
        v = self.network(jnp.concatenate([x, jnp.asarray(t, x.dtype)[None]]))
        return self.action.space.to_tangent(x, v)
