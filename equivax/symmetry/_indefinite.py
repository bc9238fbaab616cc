"""Groups that keep an indefinite metric: O(p, q), SO(p, q) and the Lorentz group."""

import dataclasses

import numpy as np
from jaxtyping import Float

from .._types import Matrices
from ._classical import skew_basis
from ._errors import GroupError, check_size
from ._group import AbstractGroup


def metric(p: int, q: int) -> Float[np.ndarray, "d d"]:
    r"""The metric $\eta = \mathrm{diag}(1, \dots, 1, -1, \dots, -1)$ with $p$ plus and $q$ minus signs."""
    return np.diag(p * [1.0] + q * [-1.0])


@dataclasses.dataclass(frozen=True)
class IndefiniteO(AbstractGroup):
    r"""The indefinite orthogonal group $O(p, q) = \{ g : g^\top \eta\, g = \eta \}$, with four components.

    $\eta$ is `metric(p, q)`, plus signs first, and $\mathfrak{so}(p, q) = \{ \eta S : S^\top = -S \}$ has dimension
    $d (d - 1) / 2$, $d = p + q$.

    **Raises:** `GroupError` unless `p` and `q` are whole numbers from 1 on; `O(n)` is the definite case.
    """

    p: int
    q: int

    def __post_init__(self):
        _check_signature("IndefiniteO", "O", self.p, self.q)

    @property
    def lie_algebra(self) -> Matrices:
        return metric(self.p, self.q) @ skew_basis(self.p + self.q)

    @property
    def discrete_generators(self) -> Matrices:
        return np.stack([_flip(self.p + self.q, 0), _flip(self.p + self.q, -1)])


@dataclasses.dataclass(frozen=True)
class IndefiniteSO(AbstractGroup):
    r"""The indefinite special orthogonal group $SO(p, q) = \{ g \in O(p, q) : \det g = 1 \}$, with two components.

    **Raises:** `GroupError` unless `p` and `q` are whole numbers from 1 on; `SO(n)` is the definite case.
    """

    p: int
    q: int

    def __post_init__(self):
        _check_signature("IndefiniteSO", "SO", self.p, self.q)

    @property
    def lie_algebra(self) -> Matrices:
        return metric(self.p, self.q) @ skew_basis(self.p + self.q)

    @property
    def discrete_generators(self) -> Matrices:
        return (_flip(self.p + self.q, 0) @ _flip(self.p + self.q, -1))[None]


@dataclasses.dataclass(frozen=True)
class Lorentz(AbstractGroup):
    r"""The Lorentz group of space-time $\mathbb{R}^{1+n}$, time first: linear maps that keep $t^2 - |x|^2$.

    - `Lorentz()`: the restricted group $SO^+(1, n)$, connected: rotations and boosts.
    - `Lorentz(full=True)`: all of $O(1, n)$, with time reversal and reflections of space: four components.

    **Raises:** `GroupError` unless `n` is a whole number from 1 on.
    """

    n: int = 3
    full: bool = False

    def __post_init__(self):
        check_size("Lorentz", self.n)

    @property
    def lie_algebra(self) -> Matrices:
        return metric(1, self.n) @ skew_basis(1 + self.n)

    @property
    def discrete_generators(self) -> Matrices:
        flips = np.stack([_flip(1 + self.n, 0), _flip(1 + self.n, -1)])
        return flips if self.full else flips[:0]


def _flip(d: int, i: int) -> Float[np.ndarray, "d d"]:
    """The reflection of one coordinate."""
    matrix = np.eye(d)
    matrix[i, i] = -1.0
    return matrix


def _check_signature(name: str, definite: str, p: int, q: int) -> None:
    if not all(isinstance(k, int) and k >= 1 for k in (p, q)):
        raise GroupError(
            f"{name}(p, q) takes whole numbers p >= 1 and q >= 1, received ({p!r}, {q!r}). Where the metric is definite, "
            f"use {definite}(n)."
        )
