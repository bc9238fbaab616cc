"""The representations one starts from: trivial, defining, determinant, regular, planar irreps, pull-backs."""

import dataclasses

from .._types import AlgebraElement, Element
from ._classical import SO, O
from ._direct import DirectProduct
from ._finite import Cyclic, Dihedral
from ._group import AbstractGroup, GroupError
from ._rep import AbstractRep, RepMatrix, xp


@dataclasses.dataclass(frozen=True)
class TrivialRep(AbstractRep):
    r"""The trivial representation, $\rho(g) = 1$: what invariants, scalars and pixel intensities transform under."""

    of: AbstractGroup

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return 1

    def rho(self, g: Element) -> RepMatrix:
        return xp(g).ones((1, 1), dtype=g.dtype)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).zeros((1, 1), dtype=xi.dtype)

    def __str__(self) -> str:
        return "1"


@dataclasses.dataclass(frozen=True)
class DefiningRep(AbstractRep):
    r"""The matrices themselves, $\rho(g) = g$: vectors."""

    of: AbstractGroup

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return self.group.d

    def rho(self, g: Element) -> RepMatrix:
        return g

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xi

    def __str__(self) -> str:
        return "V"


@dataclasses.dataclass(frozen=True)
class DeterminantRep(AbstractRep):
    r"""The determinant, $\rho(g) = \det g$: pseudoscalars."""

    of: AbstractGroup

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return 1

    def rho(self, g: Element) -> RepMatrix:
        return xp(g).linalg.det(g)[None, None]

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).trace(xi)[None, None]

    def __str__(self) -> str:
        return "det"


@dataclasses.dataclass(frozen=True)
class RegularRep(AbstractRep):
    r"""The regular representation of a finite group: $\rho(g)\, e_h = e_{gh}$, coordinates in the order of `group.elements`.

    It contains each irreducible representation; it permutes coordinates, so that any pointwise function of a regular
    feature is equivariant. An element that is not of the group is read as the nearest element that is.
    """

    of: AbstractGroup

    def __post_init__(self):
        if not self.of.is_finite:
            raise GroupError(f"The regular representation of {self.of} is infinite; use a finite subgroup, or irreps.")

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return self.group.order

    def rho(self, g: Element) -> RepMatrix:
        library = xp(g)
        elements = library.asarray(self.group.elements, dtype=g.dtype)
        products = library.einsum("ij,njk->nik", g, elements)
        distances = library.sum((elements[:, None] - products[None, :]) ** 2, axis=(2, 3))
        rows = library.arange(self.dim)[:, None]
        return (rows == library.argmin(distances, axis=0)[None, :]).astype(g.dtype)

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return xp(xi).zeros((self.dim, self.dim), dtype=xi.dtype)

    def __str__(self) -> str:
        return "regular"


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


@dataclasses.dataclass(frozen=True)
class PulledBackRep(AbstractRep):
    r"""A representation of one factor of a direct product, on which the other factor acts trivially."""

    of: AbstractRep
    product: DirectProduct
    factor: int

    def __post_init__(self):
        expected = (self.product.first, self.product.second)[self.factor]
        if self.of.group != expected:
            raise GroupError(f"Factor {self.factor} of {self.product} is {expected}, not {self.of.group}.")

    @property
    def group(self) -> AbstractGroup:
        return self.product

    @property
    def dim(self) -> int:
        return self.of.dim

    def rho(self, g: Element) -> RepMatrix:
        return self.of.rho(self.product.factor(g, self.factor))

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return self.of.drho(self.product.factor(xi, self.factor))

    def __str__(self) -> str:
        return f"{self.of}[{self.factor}]"


def trivial(group: AbstractGroup) -> TrivialRep:
    """The trivial representation of a group, of dimension 1."""
    return TrivialRep(group)


def defining(group: AbstractGroup) -> DefiningRep:
    """The representation of a matrix group by its own matrices."""
    return DefiningRep(group)


def determinant(group: AbstractGroup) -> DeterminantRep:
    """The one-dimensional representation by the determinant."""
    return DeterminantRep(group)


def regular(group: AbstractGroup) -> RegularRep:
    """The regular representation of a finite group, of dimension `group.order`."""
    return RegularRep(group)


def irrep(group: AbstractGroup, frequency: int, odd: bool = False) -> PlanarIrrep:
    """The irreducible representation of a planar group with a given frequency (angular weight)."""
    return PlanarIrrep(group, frequency, odd)


def irreps(group: AbstractGroup) -> tuple[PlanarIrrep, ...]:
    r"""All real irreducible representations of $C_n$ or $D_n$, by frequency.

    **Raises:** `GroupError` for SO(2) and O(2), which have infinitely many.
    """
    if not isinstance(group, Cyclic | Dihedral):
        raise GroupError(f"irreps(G) lists the irreps of Cyclic(n) and Dihedral(n); {group} needs `irrep(group, k)`.")
    found = []
    for k in range(group.n // 2 + 1):
        found.append(PlanarIrrep(group, k))
        if isinstance(group, Dihedral) and found[-1].dim == 1:
            found.append(PlanarIrrep(group, k, odd=True))
    return tuple(found)


def pulled_back(rep: AbstractRep, product: DirectProduct, factor: int) -> PulledBackRep:
    """A representation of a factor (0 or 1) of a direct product, as a representation of the product."""
    return PulledBackRep(rep, product, factor)
