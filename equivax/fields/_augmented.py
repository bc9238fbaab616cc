"""Augmentation: a flow in more dimensions, seen in fewer, goes where no flow of the space itself can."""

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, Point, RealScalar, Tangent
from ..geometry import AbstractManifold
from ..symmetry import AbstractAction, AbstractRep, GroupError, LinearAction, ProductAction, TangentAction, trivial
from ._field import AbstractField
from ._isometric import keeps_projection
from ._network import EquivariantMLP


class AbstractLift(eqx.Module):
    r"""An equivariant way up to a larger space, $x \mapsto (x, s(x))$, of which the way down forgets the second part.

    Define `base`, the action on x; `action`, that on pairs; and `lift`.
    """

    if TYPE_CHECKING:  # a field or a property, as a subclass likes; type checkers know that only as a property

        @property
        def base(self) -> AbstractAction: ...

        @property
        def action(self) -> AbstractAction: ...
    else:
        base: eqx.AbstractVar[AbstractAction]
        action: eqx.AbstractVar[AbstractAction]

    @abc.abstractmethod
    def lift(self, x: Point) -> Point:
        """The pair that a flow starts from."""

    @property
    def space(self) -> AbstractManifold:
        """Where pairs live."""
        return self.action.space

    def drop(self, z: Point) -> Point:
        """x of the pair (x, .)."""
        return z[0]


class Augmentation(AbstractLift):
    r"""Extra coordinates in a representation, $M \times W$ under $g \cdot (x, w) = (g \cdot x, \rho(g) w)$.

    - `rep`: W. `start`: an equivariant map $s : M \to W$, such as an `Intertwiner`; 0 if not given.

    **Raises:** `GroupError` for a representation of another group.
    """

    base: AbstractAction
    rep: AbstractRep = eqx.field(static=True)
    start: Callable[[Point], Float[Array, " dim"]] | None = None

    @property
    def action(self) -> ProductAction:
        """The group on M and W at once."""
        return ProductAction(self.base, LinearAction(self.rep))

    def __check_init__(self):
        if self.rep.group != self.base.group:
            raise GroupError(
                f"The extra coordinates carry a representation of {self.rep.group}, and the action is one of "
                f"{self.base.group}: take a representation of {self.base.group}."
            )

    def lift(self, x: Point) -> Point:
        """(x, s(x))."""
        dtype = jnp.result_type(*jax.tree.leaves(x))
        return x, jnp.zeros(self.rep.dim, dtype) if self.start is None else self.start(x)


class Velocities(AbstractLift):
    r"""The tangent bundle, $TM$ under $g \cdot (x, u) = (g \cdot x, (L_g)_* u)$: where second-order equations live.

    - `start`: an equivariant field $u = s(t_0, x)$, the initial velocity; 0 if not given. A velocity $\log_x h(x)$ and no
      acceleration reach $h(x)$ at time 1, whatever the equivariant map h, as long as it stays within the cut locus.
    """

    base: AbstractAction
    start: Callable[[Any, Any, Any], Tangent] | None = None

    @property
    def action(self) -> TangentAction:
        """The group on points and velocities."""
        return TangentAction(self.base)

    def lift(self, x: Point) -> Point:
        """(x, s(0, x))."""
        if self.start is None:
            return x, jax.tree.map(jnp.zeros_like, x)
        return x, self.start(jnp.zeros((), jnp.result_type(*jax.tree.leaves(x))), x, None)


class Augmented(eqx.Module):
    r"""$h = \mathrm{drop} \circ \Phi \circ \mathrm{lift}$: up, along a flow on the larger space, and down.

    Equivariant under the action on the smaller space whenever $\Phi$ is under that on the larger one. Flows of M itself
    are isotopic to the identity: they keep the order of a line, and the orientation; one on $M \times W$ with W large
    enough reaches every equivariant diffeomorphism (Andersdotter, Persson, Ohlsson, JMLR 26(290), 2025), and maps that
    are no diffeomorphisms. What remains forbidden is to leave $\mathrm{Fix}(H)$, for x with stabiliser H.

    - `flow`: any callable (z, args) -> z on `lift.space`, as a `Flow` is.
    """

    flow: Callable[[Any, Any], Point]
    lift: AbstractLift

    @property
    def action(self) -> AbstractAction:
        """The action on the smaller space."""
        return self.lift.base

    def __call__(self, x0: Point, args: Any = None) -> Point:
        """h(x0)."""
        return self.lift.drop(self.flow(self.lift.lift(x0), args))


class AugmentedField(AbstractField):
    r"""An equivariant network as a field on $M \times W$, $f(t, (x, w)) = (P_x N_1(x, w, t), N_2(x, w, t))$.

    - `lift`: an `Augmentation` of a `LinearAction`. `hidden`, `depth`: as in `EquivariantMLP`.

    **Raises:** `GroupError` for another kind of action, whose points are not the vectors of a representation, and for a space
    whose projection the group does not keep.
    """

    network: EquivariantMLP
    lift: Augmentation

    def __init__(self, lift: Augmentation, hidden: AbstractRep, depth: int = 2, *, key: Key):
        if not isinstance(lift.base, LinearAction):
            raise GroupError(
                f"An AugmentedField needs a LinearAction, received {type(lift.base).__name__}. Any field under `lift.action` "
                "will do as well, for example a `FrameAveragedField`."
            )
        if not keeps_projection(lift.base):
            raise GroupError(
                f"An AugmentedField on {lift.base.space} is projected on tangent vectors, and {lift.base.group} does not keep "
                "that projection. Use the group of isometries, or an `InvariantField` under `lift.action`."
            )
        rep = lift.base.rep + lift.rep
        self.network = EquivariantMLP(rep + trivial(rep.group), rep, hidden, depth, key=key)
        self.lift = lift

    @property
    def action(self) -> ProductAction:
        """The group on M and W at once."""
        return self.lift.action

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        at, w = x
        v = self.network(jnp.concatenate([at.reshape(-1), w, jnp.asarray(t, at.dtype)[None]]))
        return self.lift.base.space.to_tangent(at, v[: at.size].reshape(at.shape)), v[at.size :]
