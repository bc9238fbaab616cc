"""Semidirect and wreath products of matrix groups."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from .._types import Key, Matrices
from ._errors import GroupError
from ._group import AbstractGroup
from ._rep import AbstractRep
from ._standard import defining


@dataclasses.dataclass(frozen=True)
class SemidirectProduct(AbstractGroup):
    r"""The semidirect product $N \rtimes H$ of a group $N$ on which $H$ acts by conjugation with matrices $\rho(h)$.

    $$ (n, h) \mapsto \mathrm{diag}(n\, \rho(h),\ h), \qquad (n, h)(n', h') = (n\, \rho(h) n' \rho(h)^{-1},\ h h') $$

    `by` is the representation $\rho$ of $H$ on the space of $N$; by default $H$ acts by its own matrices. The matrices
    keep both components apart, whatever $\rho$ is. With the trivial action it is the direct product; for translations
    use `Inhomogeneous(H)`, whose matrices are smaller.

    **Raises:** `GroupError` when `by` is not a representation of $H$ on the space of $N$, when it does not map $N$ to
    itself, or when $N$ has several components and infinitely many elements, so that this cannot be checked.

    !!! Example

        ```python
        # Signs of two coordinates, which a swap exchanges: the eight symmetries of a square.
        square = SemidirectProduct(DirectProduct(O(1), O(1)), Symmetric(2))
        ```
    """

    normal: AbstractGroup
    acting: AbstractGroup
    by: AbstractRep

    def __init__(self, normal: AbstractGroup, acting: AbstractGroup, by: AbstractRep | None = None):
        object.__setattr__(self, "normal", normal)
        object.__setattr__(self, "acting", acting)
        object.__setattr__(self, "by", defining(acting) if by is None else by)
        if self.by.group != acting or self.by.dim != normal.d:
            raise GroupError(
                f"SemidirectProduct(N, H, by) needs a representation of H = {acting} of dimension {normal.d}, to conjugate "
                f"the matrices of N = {normal} with; received {self.by} of {self.by.group}, of dimension {self.by.dim}."
            )
        if not normal.is_finite and len(normal.discrete_generators):
            raise GroupError(
                f"N = {normal} is neither finite nor connected, so that `by` maps it to itself cannot be checked. Use its "
                "identity component, or give the product as a MatrixGroup."
            )
        self._check_normal()

    @property
    def lie_algebra(self) -> Matrices:
        moved = [scipy.linalg.block_diag(A, 0 * self.acting.identity) for A in self.normal.lie_algebra]
        moving = [scipy.linalg.block_diag(self.by.drho(B), B) for B in self.acting.lie_algebra]
        return _stacked(moved + moving, self.normal.d + self.acting.d)

    @property
    def discrete_generators(self) -> Matrices:
        moved = [scipy.linalg.block_diag(h, self.acting.identity) for h in self.normal.discrete_generators]
        moving = [scipy.linalg.block_diag(self.by.rho(h), h) for h in self.acting.discrete_generators]
        return _stacked(moved + moving, self.normal.d + self.acting.d)

    @property
    def is_connected(self) -> bool:
        """Whether both groups are."""
        return self.normal.is_connected and self.acting.is_connected

    @property
    def components(self) -> Matrices:
        """One element of each component: a pair of components of the two groups."""
        pairs = itertools.product(self.normal.components, self.acting.components)
        return np.stack([scipy.linalg.block_diag(n @ self.by.rho(h), h) for n, h in pairs])

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """Independent elements of the two groups: Haar measure of the product where both are compact."""
        normal_key, acting_key = jax.random.split(key)
        n, h = self.normal.haar(key=normal_key), self.acting.haar(key=acting_key)
        return jax.scipy.linalg.block_diag(n @ jnp.asarray(self.by.rho(h), n.dtype), h.astype(n.dtype))

    def _check_normal(self) -> None:
        algebra, size = self.normal.lie_algebra, self.normal.d**2
        span = scipy.linalg.orth(algebra.reshape(-1, size).T) if len(algebra) else np.zeros((size, 0))
        for h in self.acting.discrete_generators:
            turn = np.asarray(self.by.rho(h))
            conjugated = turn @ algebra @ np.linalg.inv(turn)
            self._check_inside(conjugated.reshape(-1, size), span, "A discrete generator")
            for n in self.normal.discrete_generators:
                if not self.normal.contains(turn @ n @ np.linalg.inv(turn)):
                    raise GroupError(
                        f"A discrete generator of H = {self.acting} does not map N = {self.normal} to itself."
                    )
        for B in self.acting.lie_algebra:
            rate = np.asarray(self.by.drho(B))
            brackets = rate @ algebra - algebra @ rate
            self._check_inside(brackets.reshape(-1, size), span, "The Lie algebra")
            if any(np.abs(rate @ n - n @ rate).max() > 1e-8 for n in self.normal.discrete_generators):
                raise GroupError(
                    f"The Lie algebra of H = {self.acting} moves elements of the finite group N = {self.normal}, which have "
                    "nowhere to go: a connected group acts trivially on a finite one."
                )

    def _check_inside(self, vectors: Float[np.ndarray, "k n"], span: Float[np.ndarray, "n m"], what: str) -> None:
        distance = np.abs(vectors - vectors @ span @ span.T).max(initial=0.0)
        if distance > 1e-8 * max(1.0, np.abs(vectors).max(initial=0.0)):
            raise GroupError(
                f"{what} of H = {self.acting} does not map the Lie algebra of N = {self.normal} to itself: it leaves the "
                f"span by {distance:.1e}."
            )


@dataclasses.dataclass(frozen=True)
class WreathProduct(AbstractGroup):
    r"""The wreath product $G \wr P = G^m \rtimes P$: $m$ copies of $G$, and a group $P$ that permutes the copies.

    $$ (g_1, \dots, g_m;\, \pi) \mapsto \mathrm{diag}(g_1, \dots, g_m)\, (\pi \otimes 1_d) $$

    acts on $m$ vectors of $G$: each moves by its own element, then they change places. `permuting` is a group of
    $m \times m$ permutation matrices. $\mathbb{Z}_2 \wr S_n$ is the hyperoctahedral group (Wang, Albooyeh, Ravanbakhsh,
    *Equivariant networks for hierarchical structures*, NeurIPS 2020).

    **Raises:** `GroupError` when `permuting` is not a finite group of permutation matrices.
    """

    base: AbstractGroup
    permuting: AbstractGroup

    def __post_init__(self):
        P = self.permuting.discrete_generators
        if not self.permuting.is_finite or not np.allclose(P * (P - 1), 0) or not np.allclose(P.sum(1), 1):
            raise GroupError(
                f"WreathProduct(G, P) needs a finite group P of permutation matrices, received {self.permuting}. "
                "Symmetric(m), CyclicShifts(m) and Alternating(m) are such groups."
            )

    @property
    def lie_algebra(self) -> Matrices:
        slots = [np.diag(e) for e in np.eye(self.permuting.d)]
        return _stacked([np.kron(slot, A) for slot in slots for A in self.base.lie_algebra], self._size)

    @property
    def discrete_generators(self) -> Matrices:
        one = np.eye(self._size)
        slots = [np.diag(e) for e in np.eye(self.permuting.d)]
        moved = [one + np.kron(slot, h - self.base.identity) for slot in slots for h in self.base.discrete_generators]
        moving = [np.kron(P, self.base.identity) for P in self.permuting.discrete_generators]
        return _stacked(moved + moving, self._size)

    @property
    def is_connected(self) -> bool:
        """Whether the base is connected and nothing is permuted."""
        return self.base.is_connected and self.permuting.order == 1

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        """Independent elements of the copies and of the permutations."""
        m = self.permuting.d
        base_key, permuting_key = jax.random.split(key)
        parts = [self.base.haar(key=k) for k in jax.random.split(base_key, m)]
        P = self.permuting.haar(key=permuting_key).astype(parts[0].dtype)
        return jax.scipy.linalg.block_diag(*parts) @ jnp.kron(P, jnp.eye(self.base.d, dtype=P.dtype))

    @property
    def _size(self) -> int:
        return self.permuting.d * self.base.d


def _stacked(matrices: list[Float[np.ndarray, "d d"]], d: int) -> Matrices:
    return np.stack(matrices) if matrices else np.zeros((0, d, d))
