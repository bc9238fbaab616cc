"""Any network made equivariant by averaging over the whole group."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._types import Point, RealScalar, Tangent
from ..symmetry import AbstractAction
from ._average import Network, averaged
from ._field import AbstractField
from ._haar_rule import HaarRule, haar_rule


class ReynoldsField(AbstractField):
    r"""Any network, averaged over a compact group by Haar measure,

    $$ f(t, x) = \int_G g_*\, N(t, g^{-1} \cdot x)\, dg \approx \sum_k w_k\, (g_k)_*\, N(t, g_k^{-1} \cdot x). $$

    Smooth wherever N is, at every stabiliser; an equivariant N stays as it is. What it costs is the number of elements.
    How equivariant it is depends on the rule, whose `label` says so:

    - "exact": a finite group, all of it.
    - "quadrature of degree L": exact to rounding where $g \mapsto g_* N(t, g^{-1} x)$ has no matrix coefficients above L: N
      a polynomial of degree at most L - 1 in the coordinates of a `defining` representation (of degree at most L - k in
      those of its k-fold tensor products). For analytic N the error falls exponentially with L, for others slowly: ask
      `laws.field_equivariance`. Elements that permute the nodes are kept to rounding for every N.
    - "in distribution": a random sample; see `sampled_rule`.

    - `network`: N, any callable (t, x, args) -> array of the shape of x, such as `PlainMLP` or the user's own; see
      `FrameAveragedField`.
    - `rule`: the elements and weights, `haar_rule(action.group)` if not given.

    **Raises:** `GroupError` for a group that is not compact, or has no rule; `ValueError` for a rule of another group, and
    at the first call for a network that returns another shape.
    """

    network: Network
    action: AbstractAction
    rule: HaarRule = eqx.field(static=True)

    def __init__(self, network: Network, action: AbstractAction, rule: HaarRule | None = None):
        self.network, self.action = network, action
        self.rule = haar_rule(action.group) if rule is None else rule
        if self.rule.group != action.group:
            raise ValueError(
                f"The rule averages over {self.rule.group} and the action is one of {action.group}: give "
                f"`haar_rule({action.group}, degree)`."
            )

    @property
    def label(self) -> str:
        """In what sense the field is equivariant: "exact", "quadrature of degree L" or "in distribution"."""
        return self.rule.label

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        dtype = jnp.result_type(*jax.tree.leaves(x))
        g, h, w = (jnp.asarray(a, dtype) for a in (self.rule.elements, self.rule.inverses, self.rule.weights))
        return averaged(self.network, self.action, g, h, w, t, x, args)
