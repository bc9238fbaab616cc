"""Actions of groups on spaces: linear, by angles, on products; generators and push-forwards derived once."""

import abc
import math
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import AlgebraElement, Element, Point, Tangent
from ..geometry import AbstractManifold, Euclidean, Product, Torus
from ._classical import SO
from ._group import AbstractGroup, GroupError
from ._rep import AbstractRep


class AbstractAction(eqx.Module):
    r"""A left action of a group on a space, $(g, x) \mapsto g \cdot x$ with $g \cdot (h \cdot x) = (gh) \cdot x$.

    Define `group`, `space` and `__call__`; derived are the infinitesimal generator

    $$ \xi_M(x) = \tfrac{d}{dt}\, e^{t\xi} \cdot x\, |_{t=0} $$

    and the push-forward of tangent vectors $(L_g)_* v$ at $g \cdot x$.
    """

    if TYPE_CHECKING:  # a field or a property, as a subclass likes; type checkers know that only as a property

        @property
        def group(self) -> AbstractGroup: ...

        @property
        def space(self) -> AbstractManifold: ...
    else:
        group: eqx.AbstractVar[AbstractGroup]
        space: eqx.AbstractVar[AbstractManifold]

    @abc.abstractmethod
    def __call__(self, g: Element, x: Point) -> Point:
        """The point $g \\cdot x$."""

    def generator(self, xi: AlgebraElement, x: Point) -> Tangent:
        r"""The vector field $\xi_M(x)$ of an element of the Lie algebra."""
        xi = jnp.asarray(xi, dtype=_dtype(x))
        # The curve exp(t xi) leaves the identity with velocity xi, and the derivative asks for no more of it.
        return jax.jvp(lambda g: self(g, x), (jnp.eye(self.group.d, dtype=xi.dtype),), (xi,))[1]

    def push(self, g: Element, x: Point, v: Tangent) -> Tangent:
        r"""The push-forward $(L_g)_* v$ of a tangent vector at $x$: a tangent vector at $g \cdot x$."""
        return jax.jvp(lambda y: self(g, y), (x,), (v,))[1]


def _dtype(x: Point):
    return jnp.result_type(*jax.tree.leaves(x))


class LinearAction(AbstractAction):
    r"""A representation acting on points with coordinates, $g \cdot x = \rho(g)\, x$, `x` of shape `(dim,)`.

    `space` is the manifold that the points live on, $\mathbb{R}^{\dim}$ if not given; it must be mapped to itself, as
    the sphere is by orthogonal matrices (the law `action_axioms` checks it). Points that are matrices are taken row by
    row. For `V = defining(G)`: $g x$, with p columns moved at once, is `V * (p * trivial(G))`; conjugation
    $g x g^{-1}$ is `V * ~V`; congruence $g x g^T$ is `V * V`.
    """

    rep: AbstractRep = eqx.field(static=True)
    space: AbstractManifold

    def __init__(self, rep: AbstractRep, space: AbstractManifold | None = None):
        self.rep = rep
        self.space = Euclidean(rep.dim) if space is None else space
        sizes = self.space.shape
        if not all(isinstance(n, int) for n in sizes) or math.prod(sizes) != rep.dim:
            raise GroupError(
                f"A representation of dimension {rep.dim} acts on points with {rep.dim} coordinates, but points of "
                f"{self.space} have shape {sizes}."
            )

    @property
    def group(self) -> AbstractGroup:
        """The group of the representation."""
        return self.rep.group

    def __call__(self, g: Element, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return (jnp.asarray(self.rep.rho(g), x.dtype) @ x.reshape(-1)).reshape(x.shape)

    def generator(self, xi: AlgebraElement, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return (jnp.asarray(self.rep.drho(xi), x.dtype) @ x.reshape(-1)).reshape(x.shape)


class AngleAction(AbstractAction):
    r"""The circle group $SO(2)$ turning the angles of a torus, $(R(\theta) \cdot x)_i = x_i + w_i \theta$.

    `weights` are the whole numbers $w_i$: how often each angle turns while the group turns once.
    """

    weights: tuple[int, ...] = eqx.field(static=True)

    @property
    def group(self) -> AbstractGroup:
        """The circle group."""
        return SO(2)

    @property
    def space(self) -> Torus:
        """The torus of as many angles as there are weights."""
        return Torus(len(self.weights))

    def __call__(self, g: Element, x: Float[Array, " n"]) -> Float[Array, " n"]:
        angle = jnp.arctan2(jnp.asarray(g[1, 0], x.dtype), jnp.asarray(g[0, 0], x.dtype))
        return self.space.project(x + angle * jnp.asarray(self.weights, x.dtype))


class TrivialAction(AbstractAction):
    r"""The action that moves nothing, $g \cdot x = x$: what an invariant map has on its output side."""

    group: AbstractGroup = eqx.field(static=True)
    space: AbstractManifold

    def __call__(self, g: Element, x: Point) -> Point:
        return x


class ProductAction(AbstractAction):
    r"""One group acting on every factor of a product at once, $g \cdot (x_1, \dots, x_n) = (g \cdot x_1, \dots)$."""

    actions: tuple[AbstractAction, ...]

    def __init__(self, *actions: AbstractAction):
        self.actions = actions
        groups = {a.group for a in actions}
        if len(groups) != 1:
            raise GroupError(
                f"A ProductAction needs one group acting on all factors, received {sorted(map(str, groups))}."
            )

    @property
    def group(self) -> AbstractGroup:
        """The group that acts."""
        return self.actions[0].group

    @property
    def space(self) -> Product:
        """The product of the spaces."""
        return Product(*(a.space for a in self.actions))

    def __call__(self, g: Element, x: tuple) -> tuple:
        return tuple(a(g, part) for a, part in zip(self.actions, x, strict=True))
