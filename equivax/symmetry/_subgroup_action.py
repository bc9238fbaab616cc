"""An action, asked of fewer elements; and the elements that keep a vector."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from .._types import Element, Matrices, Point
from ..geometry import AbstractManifold
from ._action import AbstractAction
from ._finite import Trivial
from ._group import AbstractGroup, GroupError
from ._matrix import MatrixGroup
from ._nullspace import null_space
from ._rep import AbstractRep

# What rounding may do to a vector that an element keeps, relative to its length.
KEPT = 1e-6


class SubgroupAction(AbstractAction):
    r"""The action of a subgroup $H \subset G$ on the same space, $h \cdot x$ as before.

    - `action`: of G. `group`: H, by matrices of the same size, which are elements of G.

    **Raises:** `GroupError` for matrices of another size.
    """

    action: AbstractAction
    group: AbstractGroup = eqx.field(static=True)

    def __check_init__(self):
        if self.group.d != self.action.group.d:
            raise GroupError(
                f"{self.group} consists of {self.group.d} x {self.group.d} matrices and {self.action.group} of "
                f"{self.action.group.d} x {self.action.group.d}: a subgroup is given by the same matrices, fewer of them."
            )

    @property
    def space(self) -> AbstractManifold:
        """The space of the action."""
        return self.action.space

    def __call__(self, g: Element, x: Point) -> Point:
        return self.action(g, x)


def stabiliser(rep: AbstractRep, s: Float[np.ndarray, " dim"]) -> AbstractGroup:
    r"""The elements that keep a vector, $G_s = \{ g : \rho(g) s = s \}$, as far as generators tell.

    Its Lie algebra $\{ \xi : d\rho(\xi) s = 0 \}$ is found by the null-space solver. Of a finite group all elements are
    asked; of another those that represent its components, so that an element of another component may be missed:
    give the subgroup yourself where that matters.
    """
    G, s = rep.group, np.asarray(s, np.float64)
    scale = max(float(np.abs(s).max(initial=0.0)), 1e-300)

    def kept(elements: Matrices) -> Matrices:
        moved = [np.abs(np.asarray(rep.rho(g)) @ s - s).max(initial=0.0) for g in elements]
        return elements[np.array(moved, float) <= KEPT * scale]

    algebra = G.lie_algebra
    if len(algebra):
        rates = np.stack([np.asarray(rep.drho(A)) @ s for A in algebra], axis=1)
        algebra = np.tensordot(null_space(rates / scale).vectors, algebra, 1)
    if len(algebra) == len(G.lie_algebra) and len(kept(G.discrete_generators)) == len(G.discrete_generators):
        return G
    discrete = kept((G.elements if G.is_finite else G.components)[1:])
    if len(algebra) + len(discrete) == 0:
        return Trivial(G.d)
    return MatrixGroup(algebra, discrete, name=f"stabiliser in {G}")
