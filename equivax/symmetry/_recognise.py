"""Which Lie algebra is this? Names from what does not depend on the basis."""

import numpy as np
import scipy.linalg
from jaxtyping import Float

from .._types import Matrices
from ._errors import GroupError
from ._finite import Cyclic, Dihedral
from ._group import AbstractGroup
from ._permutations import Alternating, Hyperoctahedral, Symmetric
from ._polyhedral import Icosahedral, Octahedral, Tetrahedral

# Singular values and eigenvalues below this, relative to the largest, count as zero.
SMALL = 1e-6


def recognise(lie_algebra: Matrices, *, tolerance: float = SMALL) -> str:
    r"""The name of the Lie algebra that matrices span, up to isomorphism: `so(3)`, `sl(2)`, `so(3) + R`, ...

    The centre is split off where the algebra is reductive; the rest is named by its dimension and the signature of its
    Killing form $K(A, B) = \mathrm{tr}(\mathrm{ad}_A \mathrm{ad}_B)$, which tell all real forms of small dimension
    apart (Helgason, *Differential geometry, Lie groups, and symmetric spaces*, chapter X). Names that mean one algebra,
    such as `su(2)` and `so(3)`, are given as one of them. A centre of compact matrices is `so(2)`, another `R`.

    - `lie_algebra`: a basis, `(k, d, d)`. - `tolerance`: what counts as zero, relative, for generators that were measured.

    **Raises:** `GroupError` when brackets leave the span by more than `tolerance`.
    """
    k = len(lie_algebra)
    if k == 0:
        return "0"
    span = np.linalg.qr(lie_algebra.reshape(k, -1).T)[0].T
    constants = structure_constants(span.reshape(lie_algebra.shape), tolerance)
    killing = np.einsum("iab,jba->ij", constants.transpose(0, 2, 1), constants.transpose(0, 2, 1))
    derived = _range(constants.reshape(k * k, k).T, tolerance)
    centre = scipy.linalg.null_space(constants.transpose(1, 2, 0).reshape(k * k, k), rcond=tolerance)
    if translations := _translations(span.reshape(lie_algebra.shape), tolerance):
        linear = _range(span.reshape(lie_algebra.shape)[:, :-1, :-1].reshape(k, -1).T, tolerance).T
        d = lie_algebra.shape[-1] - 1
        power = "R" if translations == 1 else f"R^{translations}"
        return f"{recognise(linear.reshape(-1, d, d), tolerance=tolerance)} ⋉ {power}".removeprefix("0 ⋉ ")
    if derived.shape[1] == 0:
        return " + ".join(_abelian(span.reshape(lie_algebra.shape), tolerance))
    signature = np.linalg.eigvalsh(derived.T @ killing @ derived)
    scale = np.abs(signature).max()
    if scale < tolerance or np.abs(signature).min() < 10 * tolerance * scale:
        return (
            f"solvable of dimension {k}" if _is_solvable(constants, tolerance) else f"not reductive, of dimension {k}"
        )
    if derived.shape[1] + centre.shape[1] != k:
        return f"not reductive, of dimension {k}"
    central = np.tensordot(centre.T @ span, np.eye(span.shape[1]), 1).reshape(-1, *lie_algebra.shape[1:])
    negative, positive = int((signature < 0).sum()), int((signature > 0).sum())
    return " + ".join([_semisimple(negative, positive), *_abelian(central, tolerance)])


def finite_name(group: AbstractGroup) -> str:
    r"""The name of a finite group of matrices up to a change of coordinates, or its order.

    Two groups are taken for one when they have the same traces: by characters their representations are then equivalent
    once the groups are isomorphic, which for those in the list of names the orders and traces decide.
    """
    d, n = group.d, group.order
    named: list[tuple[str, AbstractGroup]] = [("the trivial group", Cyclic(1))] if n == 1 else []
    if d == 2:
        named = [(f"C{n}", Cyclic(n)), *([(f"D{n // 2}", Dihedral(n // 2))] if n % 2 == 0 else [])]
    if d == 3:
        solids = (("T", Tetrahedral), ("O", Octahedral), ("I", Icosahedral))
        named = [(f"{letter}{'_h' * full}", kind(full)) for letter, kind in solids for full in (False, True)]
        named = [("T_d" if name == "T_h" else name, g) for name, g in named]
    if d > 2 and n <= 5_040:
        named += [(f"S{d}", Symmetric(d)), (f"A{d}", Alternating(d)), (f"B{d}", Hyperoctahedral(d))]
    traces = _traces(group)
    for name, other in named:
        if other.order == n and other.d == d and np.allclose(_traces(other), traces, atol=1e-4):
            return name
    return f"a finite group of order {n}"


def _traces(group: AbstractGroup) -> Float[np.ndarray, " order"]:
    return np.sort(np.trace(group.elements, axis1=1, axis2=2))


def structure_constants(orthonormal: Matrices, tolerance: float = SMALL) -> Float[np.ndarray, "k k k"]:
    r"""$c_{ij}{}^k$ with $[A_i, A_j] = \sum_k c_{ij}{}^k A_k$, in an orthonormal basis (Frobenius).

    **Raises:** `GroupError` when a bracket leaves the span.
    """
    flat = orthonormal.reshape(len(orthonormal), -1)
    products = np.einsum("iab,jbc->ijac", orthonormal, orthonormal)
    brackets = (products - products.transpose(1, 0, 2, 3)).reshape(len(flat), len(flat), -1)
    constants = brackets @ flat.T
    outside = float(np.abs(brackets - constants @ flat).max(initial=0.0))
    if outside > tolerance:
        raise GroupError(
            f"These {len(flat)} matrices do not span a Lie algebra: a bracket leaves their span by {outside:.1e}, more "
            f"than {tolerance:.1e}. Some generators are missing, or they are not exact enough."
        )
    return constants


def _range(matrix: np.ndarray, tolerance: float) -> np.ndarray:
    """An orthonormal basis of the range, `(n, rank)`; singular values under `tolerance` are zero."""
    u, s, _ = np.linalg.svd(matrix, full_matrices=False)
    return u[:, s > tolerance]


def _translations(algebra: Matrices, tolerance: float) -> int:
    """The dimension of the translations in an algebra of homogeneous matrices; 0 for other matrices."""
    d = algebra.shape[-1]
    if d == 1 or np.abs(algebra[:, -1]).max() > tolerance or np.abs(algebra[:, :-1, -1]).max() <= tolerance:
        return 0
    return len(algebra) - _range(algebra[:, :-1, :-1].reshape(len(algebra), -1).T, tolerance).shape[1]


def _is_solvable(constants: np.ndarray, tolerance: float) -> bool:
    k = len(constants)
    span = np.eye(k)
    while span.shape[1]:
        brackets = np.einsum("ia,jb,ijc->abc", span, span, constants).reshape(-1, k)
        smaller = _range(brackets.T, tolerance)
        if smaller.shape[1] == span.shape[1]:
            return False
        span = smaller
    return True


def _abelian(matrices: Matrices, tolerance: float) -> list[str]:
    """Names of the parts of an abelian algebra: so(2) for a circle, R for a line."""
    # Compact directions are those whose matrices have imaginary eigenvalues; traces of squares are a definite form on them.
    form = np.einsum("iab,jba->ij", matrices, matrices)
    signs = np.linalg.eigvalsh(form) if len(form) else np.zeros(0)
    scale = max(float(np.abs(signs).max(initial=0.0)), tolerance)
    circles = int((signs < -tolerance * scale).sum())
    return ["so(2)"] * circles + ["R"] * (len(signs) - circles)


def _semisimple(negative: int, positive: int) -> str:
    """The name by the signature of the Killing form: dimension of a maximal compact subalgebra, and of the rest."""
    sizes = range(2, 9)
    named = [("so(4)", (6, 0)), ("so(2,2)", (2, 4)), ("so(3,1)", (3, 3))]
    named += [(f"so({n})", (n * (n - 1) // 2, 0)) for n in sizes]
    named += [(f"sl({n})", (n * (n - 1) // 2, n * (n + 1) // 2 - 1)) for n in sizes]
    named += [(f"su({n})", (n * n - 1, 0)) for n in sizes]
    named += [(f"sp({2 * n})", (n * n, n * n + n)) for n in sizes]
    named += [
        (f"so({n - q},{q})", ((n - q) * (n - q - 1) // 2 + q * (q - 1) // 2, (n - q) * q))
        for n in sizes
        for q in range(1, n // 2 + 1)
    ]
    for name, signature in named:
        if signature == (negative, positive) and negative + positive >= 3:
            return name
    return f"semisimple with Killing form ({negative} negative, {positive} positive)"
