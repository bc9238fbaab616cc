"""Constraints paid once: a model with its symmetry multiplied out into plain dense layers."""

from typing import TypeVar

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from .._types import Signal
from ..symmetry import AbstractRep
from ._intertwiner import Bias, Intertwiner
from ._jets import GaussianJet
from ._rewrite import rewrite
from ._steerable import SteerableOperator

T = TypeVar("T")


class DenseLinear(eqx.Module):
    """A plain affine map, $x A + b$; `x` has channels last, `(..., in)`."""

    matrix: Float[Array, "in out"]
    bias: Float[Array, " out"] | None

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        y = x @ self.matrix.astype(x.dtype)
        return y if self.bias is None else y + jnp.broadcast_to(self.bias.astype(x.dtype), y.shape)


class DenseBias(eqx.Module):
    """A plain vector in the place of an invariant one."""

    vector: Float[Array, " dim"]

    def __call__(self, dtype: DTypeLike = jnp.float32) -> Float[Array, " dim"]:
        """The vector, for data of a floating type."""
        return self.vector.astype(dtype)


class DenseOperator(eqx.Module):
    r"""A plain linear differential operator, $u \mapsto \sum_\alpha A_\alpha\, \partial^\alpha u$, on Gaussian jets.

    `symbol` holds the coefficients $A$, `(jets, in, out)`. `rep_in` and `rep_out` say what the operator was
    equivariant under when it was made; nothing holds it to that when it is trained further.
    """

    symbol: Float[Array, "jets in out"]
    rep_in: AbstractRep = eqx.field(static=True)
    rep_out: AbstractRep = eqx.field(static=True)
    jet: GaussianJet

    def __call__(self, u: Signal) -> Signal:
        return self.of_jets(self.jet(u))

    def of_jets(self, jets: Float[Array, "jets points channels"]) -> Signal:
        """The operator on jets that are known already, wherever they were taken."""
        return jnp.einsum("kpi,kio->po", jets, self.symbol.astype(jets.dtype))


def materialise(model: T) -> T:
    r"""The same function with plain dense layers: every constrained matrix $\sum_r w_r B_r$ multiplied out, once.

    Intertwiners become `DenseLinear`, biases `DenseBias`, steerable operators `DenseOperator`; the rest of the model is
    kept, and so are its outputs, to rounding. For inference, for export, or to train on without the constraint.

    - `model`: any `equinox.Module` made of this library's layers.
    """

    def rule(part):
        if isinstance(part, Intertwiner):
            bias = None if part.bias is None else part.bias(part.matrix.dtype)
            return DenseLinear(part.matrix, bias)
        if isinstance(part, Bias):
            return DenseBias(part(part.weights[0].dtype))
        if isinstance(part, SteerableOperator):
            return DenseOperator(part.symbol, part.rep_in, part.rep_out, part.jet)
        return None

    return rewrite(model, rule)
