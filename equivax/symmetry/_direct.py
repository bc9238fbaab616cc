"""Direct products of groups, as block-diagonal matrices."""

import dataclasses
import itertools

import jax
import jax.scipy.linalg
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from .._types import Element, Key, Matrices
from ._group import AbstractGroup


@dataclasses.dataclass(frozen=True)
class DirectProduct(AbstractGroup):
    r"""The direct product $G_1 \times G_2 = \{ \mathrm{diag}(g_1, g_2) \}$.

    `factor(g, i)` takes the `i`-th component of an element; `pulled_back(rep, product, i)` makes a representation of
    one factor a representation of the product.
    """

    first: AbstractGroup
    second: AbstractGroup

    @property
    def lie_algebra(self) -> Matrices:
        return self._embed(self.first.lie_algebra, self.second.lie_algebra, fill=0.0)

    @property
    def discrete_generators(self) -> Matrices:
        return self._embed(self.first.discrete_generators, self.second.discrete_generators, fill=1.0)

    @property
    def is_compact(self) -> bool:
        """Whether both factors are."""
        return self.first.is_compact and self.second.is_compact

    @property
    def is_connected(self) -> bool:
        """Whether both factors are."""
        return self.first.is_connected and self.second.is_connected

    @property
    def components(self) -> Matrices:
        """One element of each component: a pair of components of the factors."""
        pairs = itertools.product(self.first.components, self.second.components)
        return np.stack([scipy.linalg.block_diag(g, h) for g, h in pairs])

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """Independent elements of the two factors: Haar measure of a product is the product of Haar measures."""
        first_key, second_key = jax.random.split(key)
        return jax.scipy.linalg.block_diag(self.first.haar(key=first_key), self.second.haar(key=second_key))

    def factor(self, g: Element, i: int) -> Float[Array | np.ndarray, "e e"]:
        """The `i`-th component of an element (or of an element of the Lie algebra), `i` in {0, 1}."""
        d = self.first.d
        return g[:d, :d] if i == 0 else g[d:, d:]

    def _embed(
        self, first: Float[np.ndarray, "_k p p"], second: Float[np.ndarray, "_m q q"], fill: float
    ) -> Float[np.ndarray, "_n d d"]:
        """Generators of the factors as generators of the product; the other block is `fill` times the identity."""
        p, q = self.first.d, self.second.d
        blocks = [scipy.linalg.block_diag(A, fill * np.eye(q)) for A in first]
        blocks += [scipy.linalg.block_diag(fill * np.eye(p), B) for B in second]
        return np.stack(blocks) if blocks else np.zeros((0, p + q, p + q))
