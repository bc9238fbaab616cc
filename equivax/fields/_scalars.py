"""The first fundamental theorems: which scalars and which vectors are made of vectors, for each classical group."""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..symmetry import (
    SL,
    SO,
    SU,
    AbstractGroup,
    GroupError,
    IndefiniteO,
    IndefiniteSO,
    Lorentz,
    O,
    Sp,
    Trivial,
    U,
    USp,
    basis,
    defining,
)

# The scalars that the theorems make of vectors of these groups generate all others.
CLASSICAL = "O(n), SO(n), U(n), SU(n), USp(n), Sp(n), SL(n), IndefiniteO(p, q), IndefiniteSO(p, q) and Lorentz(n)"


@dataclasses.dataclass(frozen=True, eq=False)
class Theorem:
    r"""What generates the invariant functions of m vectors, and the equivariant vectors.

    - `forms`: bilinear forms $B_a$, `(a, n, n)`, symmetric or skew; the invariants $B_a(x_i, x_j)$.
    - `units`: linear maps $u_b$ that commute with the group, `(b, n, n)`, the identity first; the vectors $u_b\, x_j$.
    - `volume`: "real" or "complex", where determinants of vectors are invariants; else "".
    - `raise_index`: $\eta^{-1}$, which makes a vector of a covector: of the minors of n - 1 vectors; or None.
    """

    forms: Float[np.ndarray, "a n n"]
    units: Float[np.ndarray, "b n n"]
    volume: str
    raise_index: Float[np.ndarray, "n n"] | None

    @property
    def rank(self) -> int:
        """How many vectors a determinant takes."""
        n = self.units.shape[-1]
        return n // 2 if self.volume == "complex" else n

    def invariants(self, X: Float[Array, "m n"]) -> Float[Array, " r"]:
        """All invariants of m vectors, of those that generate the others."""
        m, parts = len(X), [jnp.zeros((0,), X.dtype)]
        for form in self.forms:
            pairs = np.triu_indices(m, 0 if np.allclose(form, form.T) else 1)
            parts.append((X @ jnp.asarray(form, X.dtype) @ X.T)[pairs])
        if self.volume:
            parts += [self._determinant(X[np.array(chosen)]) for chosen in itertools.combinations(range(m), self.rank)]
        return jnp.concatenate(parts)

    def generators(self, X: Float[Array, "m n"]) -> Float[Array, "r n"]:
        """Equivariant vectors, which the others are combinations of with invariant coefficients."""
        moved = jnp.einsum("bij,mj->bmi", jnp.asarray(self.units, X.dtype), X).reshape(-1, X.shape[1])
        if self.raise_index is None:
            return moved
        chosen = itertools.combinations(range(len(X)), self.rank - 1)
        return jnp.concatenate([moved, *[self.cross(X[np.array(c, int)]) for c in chosen]])

    def cross(self, X: Float[Array, "r n"]) -> Float[Array, "b n"]:
        r"""The generalised cross product c of as many vectors as fit, $\eta(c, y) = \det(x_1, \dots, x_{n-1}, y)$.

        One row; for complex vectors two, c and i c, with the Hermitian product in place of $\eta$.
        """
        minors = self._contracted(X)
        if self.volume == "complex":
            c = jnp.concatenate([minors.real, -minors.imag])
            return jnp.stack([c, jnp.concatenate([minors.imag, minors.real])])
        return (jnp.asarray(self.raise_index, X.dtype) @ minors)[None]

    def _determinant(self, X: Float[Array, "r n"]) -> Float[Array, " s"]:
        value = self._contracted(X)
        return jnp.stack([value.real, value.imag]) if self.volume == "complex" else value[None]

    def _contracted(self, X: Float[Array, "r n"]) -> Array:
        # Sums of products, and not jnp.linalg.det, whose second derivatives divide by zero where vectors coincide.
        if self.volume == "complex":
            half = X.shape[1] // 2
            Z = jax.lax.complex(X[:, :half], X[:, half:])
        else:
            Z = X
        total = jnp.asarray(_epsilon(Z.shape[1]), Z.dtype)
        for z in Z:
            total = jnp.tensordot(z, total, axes=1)
        return total


def squashed(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """s / sqrt(1 + s^2): smooth, one to one, and below 1, so that coefficients stay where they are when points go far."""
    return s / jnp.sqrt(1 + s * s)


def tempered(s: Float[Array, "*dims"]) -> Float[Array, "*dims"]:
    """s / (1 + s^2)^(1/4): smooth, one to one, and as sqrt(s) far out, as a length grows whose square s is."""
    return s / jnp.sqrt(jnp.sqrt(1 + s * s))


def is_classical(group: AbstractGroup) -> bool:
    """Whether `theorem` knows the group."""
    return isinstance(group, O | SO | U | SU | USp | Sp | SL | IndefiniteO | IndefiniteSO | Lorentz | Trivial)


@functools.lru_cache(maxsize=64)
def theorem(group: AbstractGroup) -> Theorem:
    r"""The first fundamental theorem of invariant theory for a classical group.

    Weyl, *The Classical Groups*, 1946, II.A, VI.1; Villar, Hogg, Storey-Fisher, Yao, Blum-Smith, *Scalars are universal*,
    NeurIPS 2021. They speak of polynomials, and for compact groups of all smooth functions; the others keep apart what
    polynomials do, and not, for example, the future from the past of a vector under the connected Lorentz group.

    **Raises:** `GroupError` for a group of which there is no such theorem here.
    """
    one = np.eye(group.d)
    match group:
        case Trivial():
            return Theorem(np.zeros((0, *one.shape)), one[None], "", None)
        case O():
            return Theorem(one[None], one[None], "", None)
        case SO():
            return Theorem(one[None], one[None], "real", one)
        case U() | SU() | USp():
            units = _division_algebra(group)
            volume = "complex" if isinstance(group, SU) else ""
            return Theorem(units, units, volume, one if volume else None)
        case Sp(n=n):
            J = np.kron(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(n))
            return Theorem(J[None], one[None], "", None)
        case SL():
            return Theorem(np.zeros((0, *one.shape)), one[None], "real", None)
        case IndefiniteO(p=p, q=q) | IndefiniteSO(p=p, q=q):
            eta, special = np.diag(p * [1.0] + q * [-1.0]), isinstance(group, IndefiniteSO)
        case Lorentz(n=n, full=full):
            eta, special = np.diag([1.0] + n * [-1.0]), not full
        case _:
            raise GroupError(f"There is a first fundamental theorem here for {CLASSICAL}; {group} is none of them.")
    return Theorem(eta[None], one[None], "real" if special else "", eta if special else None)


def _division_algebra(group: AbstractGroup) -> Float[np.ndarray, "b n n"]:
    r"""1 and the imaginary units that commute with the group: i, or i, j, k. Each is orthogonal and squares to -1."""
    matrices = basis(defining(group) >> defining(group)).matrices
    skew = matrices - matrices.transpose(0, 2, 1)
    _, s, rows = np.linalg.svd(skew.reshape(len(skew), -1), full_matrices=False)
    units = rows[s > 1e-8].reshape(-1, group.d, group.d) * math.sqrt(group.d)
    return np.concatenate([np.eye(group.d)[None], units])


@functools.cache
def _epsilon(n: int) -> Float[np.ndarray, "..."]:
    """Levi-Civita's symbol, n axes of length n."""
    symbol = np.zeros((n,) * n)
    for p in itertools.permutations(range(n)):
        symbol[p] = np.linalg.det(np.eye(n)[list(p)])
    return symbol
