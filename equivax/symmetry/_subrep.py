"""Representations cut out of larger ones by an equivariant embedding and its left inverse."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Array, Float

from .._types import AlgebraElement, Element
from ._group import AbstractGroup
from ._rep import AbstractRep, RepMatrix, xp


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Subrep(AbstractRep):
    r"""The representation on an invariant subspace, $\rho'(g) = P\, \rho(g)\, E$ with $P E = 1$.

    - `of`: the larger representation, of dimension $n$.
    - `embed`: $E$, `(n, d)`: a basis of an invariant subspace.
    - `project`: $P$, `(d, n)`; $E^\top$ when the basis is orthonormal and the group acts orthogonally.

    It is a representation when $E$ is equivariant, or when $P$ is: then the subspace is a quotient.
    """

    of: AbstractRep
    embed: Float[np.ndarray, "n d"]
    project: Float[np.ndarray, "d n"]
    name: str = "subrep"

    def __post_init__(self):
        for part in ("embed", "project"):
            array = np.array(getattr(self, part), np.float64)
            array.flags.writeable = False
            object.__setattr__(self, part, array)

    @property
    def group(self) -> AbstractGroup:
        return self.of.group

    @property
    def dim(self) -> int:
        return len(self.project)

    def rho(self, g: Element) -> RepMatrix:
        return self._cut(self.of.rho(g))

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return self._cut(self.of.drho(xi))

    def _cut(self, matrix: Float[Array | np.ndarray, "n n"]) -> RepMatrix:
        library = xp(matrix)
        left, right = (library.asarray(part, dtype=matrix.dtype) for part in (self.project, self.embed))
        return left @ matrix @ right

    @functools.cached_property
    def _key(self) -> tuple:
        return self.of, self.embed.tobytes(), self.project.tobytes()

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self._key)

    def __eq__(self, other) -> bool:
        return isinstance(other, Subrep) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self.name}({self.dim} in {self.of})"

    __repr__ = __str__
