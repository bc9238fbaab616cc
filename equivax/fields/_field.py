"""The protocol of fields, and their algebra."""

import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Point, RealScalar, Tangent
from ..symmetry import AbstractAction


class AbstractField(eqx.Module):
    r"""A time-dependent vector field on a space, equivariant under an action:

    $$ f(t, g \cdot x) = (L_g)_* f(t, x). $$

    Define `action`, which names the symmetry and the space, so that laws can be asked of the field without being told;
    and `__call__(t, x, args)`, which returns a tangent vector at `x` and drops into `diffrax.ODETerm` as it is.
    Weights are array leaves. Fields add and scale: `f + g`, `0.5 * f`.
    """

    if TYPE_CHECKING:  # a field or a property, as a subclass likes; type checkers know that only as a property

        @property
        def action(self) -> AbstractAction: ...
    else:
        action: eqx.AbstractVar[AbstractAction]

    @abc.abstractmethod
    def __call__(self, t: RealScalar, x: Point, args: Any) -> Tangent:
        """The tangent vector at `x` at time `t`."""

    def __add__(self, other: "AbstractField") -> "SumField":
        return SumField(self, other)

    def __rmul__(self, factor: RealScalar) -> "ScaledField":
        return ScaledField(jnp.asarray(factor), self)


class SumField(AbstractField):
    r"""The sum $f + g$ of two fields with the same action."""

    first: AbstractField
    second: AbstractField

    def __check_init__(self):
        if not eqx.tree_equal(self.first.action, self.second.action):
            raise ValueError(
                f"Fields under different actions ({self.first.action} and {self.second.action}) have no common symmetry to "
                "carry: the sum of two equivariant fields is equivariant when both carry one and the same action."
            )

    @property
    def action(self) -> AbstractAction:
        """The action of the first field."""
        return self.first.action

    def __call__(self, t: RealScalar, x: Point, args: Any) -> Tangent:
        return jax.tree.map(jnp.add, self.first(t, x, args), self.second(t, x, args))


class ScaledField(AbstractField):
    r"""A field times a number, $c f$."""

    factor: jax.Array
    field: AbstractField

    @property
    def action(self) -> AbstractAction:
        """The action of the field."""
        return self.field.action

    def __call__(self, t: RealScalar, x: Point, args: Any) -> Tangent:
        return jax.tree.map(lambda v: self.factor.astype(v.dtype) * v, self.field(t, x, args))


def summands(field: AbstractField) -> tuple[AbstractField, ...]:
    """The fields that a sum of sums adds up, in order; of any other field itself."""
    if not isinstance(field, SumField):
        return (field,)
    return (*summands(field.first), *summands(field.second))
