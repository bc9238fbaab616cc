"""Actions on points that are no vectors: affine maps, configurations of many points, velocities, and the user's own."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import AlgebraElement, Element, Point
from ..geometry import AbstractManifold, Euclidean, Power, TangentBundle
from ._action import AbstractAction
from ._direct import DirectProduct
from ._group import AbstractGroup, GroupError
from ._permutations import Symmetric


class AffineAction(AbstractAction):
    r"""A group of matrices on homogeneous coordinates acting on vectors, $g \cdot x = A x + b$ for $g = \binom{A\; b}{0\; 1}$.

    For `Translations(n)`, `SE(n)`, `E(n)`, `Similarity(n)`, `Affine(n)`, `Inhomogeneous(G)` and what is like them. `x` has
    shape `(n,)`; on several points at once with `PowerAction`.

    **Raises:** `GroupError` for a group whose last row is not (0, ..., 0, 1).
    """

    group: AbstractGroup = eqx.field(static=True)

    def __check_init__(self):
        rows = [a[-1] for a in self.group.lie_algebra] + [
            h[-1] - self.group.identity[-1] for h in self.group.discrete_generators
        ]
        if any(abs(row).max() > 1e-12 for row in rows):
            raise GroupError(
                f"{self.group} is no group of affine maps: the last row of its matrices is not (0, ..., 0, 1). Use "
                f"LinearAction(defining({self.group})) for matrices that act on vectors."
            )

    @property
    def space(self) -> Euclidean:
        """The space of vectors with one coordinate less than the matrices."""
        return Euclidean(self.group.d - 1)

    def __call__(self, g: Element, x: Float[Array, " n"]) -> Float[Array, " n"]:
        g = jnp.asarray(g, x.dtype)
        return g[:-1, :-1] @ x + g[:-1, -1]

    def generator(self, xi: AlgebraElement, x: Float[Array, " n"]) -> Float[Array, " n"]:
        xi = jnp.asarray(xi, x.dtype)
        return xi[:-1, :-1] @ x + xi[:-1, -1]


class PowerAction(AbstractAction):
    r"""The same element on each of `n` points, $g \cdot (x_1, \dots, x_n) = (g \cdot x_1, \dots, g \cdot x_n)$."""

    action: AbstractAction
    n: int = eqx.field(static=True)

    @property
    def group(self) -> AbstractGroup:
        """The group that acts on each point."""
        return self.action.group

    @property
    def space(self) -> Power:
        """n copies of the space of one point."""
        return Power(self.action.space, self.n)

    def __call__(self, g: Element, x: Point) -> Point:
        return jax.vmap(lambda y: self.action(g, y))(x)


class PermutingAction(AbstractAction):
    r"""The same element on each of `n` points without names, $((g, p) \cdot x)_{p(i)} = g \cdot x_i$.

    The group is `DirectProduct(G, Symmetric(n))`, or with another group of permutation matrices in place of `Symmetric(n)`.
    """

    action: AbstractAction
    n: int = eqx.field(static=True)
    permutations: AbstractGroup = eqx.field(static=True)

    def __init__(self, action: AbstractAction, n: int, permutations: AbstractGroup | None = None):
        self.action, self.n = action, n
        self.permutations = Symmetric(n) if permutations is None else permutations
        if self.permutations.d != n:
            raise GroupError(f"{self.permutations} permutes {self.permutations.d} points; there are {n}.")

    @property
    def group(self) -> DirectProduct:
        """The group of one point times the permutations."""
        return DirectProduct(self.action.group, self.permutations)

    @property
    def space(self) -> Power:
        """n copies of the space of one point."""
        return Power(self.action.space, self.n)

    def __call__(self, g: Element, x: Point) -> Point:
        moved = jax.vmap(lambda y: self.action(self.group.factor(g, 0), y))(x)
        p = self.group.factor(g, 1)
        # A permutation matrix times a stack of points; exact, for all but one of the products are with 0.
        return jax.tree.map(lambda a: jnp.tensordot(jnp.asarray(p, a.dtype), a, axes=1), moved)


class TangentAction(AbstractAction):
    r"""An action on points and velocities, $g \cdot (x, u) = (g \cdot x, (L_g)_* u)$: the first prolongation.

    On `TangentBundle(M)`, the space of second-order equations: an equivariant field there is an equivariant law of motion.
    """

    action: AbstractAction

    @property
    def group(self) -> AbstractGroup:
        """The group that acts on the points."""
        return self.action.group

    @property
    def space(self) -> TangentBundle:
        """The points with their velocities."""
        return TangentBundle(self.action.space)

    def __call__(self, g: Element, x: Point) -> Point:
        return self.action(g, x[0]), self.action.push(g, x[0], x[1])


class FunctionAction(AbstractAction):
    r"""The user's own action: `function(g, x)`, with a group and a space.

    `laws.action_axioms` asks whether it is one, and names the elements for which it is not. `function` has to be written in
    `jax.numpy`, and should be defined for every matrix near the group, so that generators are derivatives.
    """

    group: AbstractGroup = eqx.field(static=True)
    space: AbstractManifold
    function: Callable[[Element, Point], Point] = eqx.field(static=True)

    def __call__(self, g: Element, x: Point) -> Point:
        return self.function(jnp.asarray(g, jnp.result_type(*jax.tree.leaves(x))), x)
