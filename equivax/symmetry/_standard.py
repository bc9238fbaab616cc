"""The representations one starts from: trivial, defining, determinant, tensors, pull-backs from a factor."""

import dataclasses
import functools

from .._types import AlgebraElement, Element
from ._direct import DirectProduct
from ._group import AbstractGroup, GroupError
from ._rep import AbstractRep, RepMatrix, TensorProduct, xp


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


def tensors(group: AbstractGroup, p: int, q: int = 0) -> AbstractRep:
    r"""Tensors of type $(p, q)$, $T(p, q) = V^{\otimes p} \otimes V^{* \otimes q}$, $V$ the defining representation.

    $T(0, 0)$ are scalars, $T(1, 1)$ linear maps, $T(0, 2)$ bilinear forms. For other spaces write `V**p * (~V) ** q`.

    **Raises:** `GroupError` when `p` or `q` is negative.
    """
    if p < 0 or q < 0:
        raise GroupError(f"Tensors are of type (p, q) with p, q >= 0, received ({p}, {q}).")
    V = DefiningRep(group)
    return functools.reduce(TensorProduct, p * [V] + q * [~V]) if p + q else TrivialRep(group)


def pulled_back(rep: AbstractRep, product: DirectProduct, factor: int) -> PulledBackRep:
    """A representation of a factor (0 or 1) of a direct product, as a representation of the product."""
    return PulledBackRep(rep, product, factor)
