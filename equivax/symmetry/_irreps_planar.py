"""The irreps of the planar groups SO(2), O(2), C_n, D_n, by frequency."""

import dataclasses

from .._types import AlgebraElement, Element
from ._classical import SO, O
from ._finite import Cyclic, Dihedral
from ._group import AbstractGroup, GroupError
from ._rep import AbstractRep, RepMatrix, xp


@dataclasses.dataclass(frozen=True)
class PlanarIrrep(AbstractRep):
    r"""A real irreducible representation of $SO(2)$, $O(2)$, $C_n$ or $D_n$.

    For frequency $k$ and $g = R(\theta) F^s$ with $F = \mathrm{diag}(1, -1)$:

    $$ \rho_k(g) = R(k\theta) F^s \quad (\text{dim } 2), \qquad
       \rho(g) = \cos(k\theta)\, (-1)^{p s} \quad (\text{dim } 1:\ k = 0, \text{ or } 2k = n). $$

    `odd` is the parity $p$ under reflections of the one-dimensional ones ($p = 1$ at $k = 0$ is the determinant).
    """

    of: AbstractGroup
    frequency: int
    odd: bool = False

    def __post_init__(self):
        if not isinstance(self.group, Cyclic | Dihedral) and self.group not in (SO(2), O(2)):
            raise GroupError(
                f"irrep(G, k) knows the irreps of SO(2), O(2), Cyclic(n), Dihedral(n), not of {self.group}."
            )
        top = self.group.n // 2 if isinstance(self.group, Cyclic | Dihedral) else None
        if self.frequency < 0 or (top is not None and self.frequency > top):
            raise GroupError(
                f"The irreps of {self.group} have frequencies 0 to {top if top is not None else 'infinity'}, "
                f"received {self.frequency}."
            )
        if self.odd and (self.dim == 2 or not isinstance(self.group, Dihedral | O)):
            raise GroupError(
                "`odd` tells apart one-dimensional irreps of groups with reflections; leave it False here."
            )

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        alternating = isinstance(self.group, Cyclic | Dihedral) and 2 * self.frequency == self.group.n
        return 1 if self.frequency == 0 or alternating else 2

    def rho(self, g: Element) -> RepMatrix:
        library = xp(g)
        cosine, sine = library.ones((), dtype=g.dtype), library.zeros((), dtype=g.dtype)
        for _ in range(
            self.frequency
        ):  # (c + i s)^k, polynomial in the entries of g: smooth, and exact at quarter turns
            cosine, sine = cosine * g[0, 0] - sine * g[1, 0], cosine * g[1, 0] + sine * g[0, 0]
        det = g[0, 0] * g[1, 1] - g[0, 1] * g[1, 0]
        if self.dim == 1:
            return (cosine * det if self.odd else cosine)[None, None]
        return library.stack([library.stack([cosine, -sine * det]), library.stack([sine, cosine * det])])

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        library = xp(xi)
        if self.dim == 1:
            return library.zeros((1, 1), dtype=xi.dtype)
        rate, zero = self.frequency * xi[1, 0], library.zeros((), dtype=xi.dtype)
        return library.stack([library.stack([zero, -rate]), library.stack([rate, zero])])

    def __str__(self) -> str:
        return f"irrep {self.frequency}{'-' if self.odd else ''}"
