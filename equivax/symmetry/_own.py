"""The user's own representation, from two functions."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from .._types import AlgebraElement, Element, Matrices
from ._errors import GroupError
from ._group import AbstractGroup
from ._rep import AbstractRep, RepMatrix

# How far the two sides of an axiom may differ, relative to their size. Rounding is far below, mistakes are far above.
AGREES = 1e-8


@dataclasses.dataclass(frozen=True)
class OwnRep(AbstractRep):
    r"""A representation given by functions $\rho$ and $d\rho$; `representation` checks that they are one."""

    of: AbstractGroup
    size: int
    rho_of: Callable[[Element], RepMatrix]
    drho_of: Callable[[AlgebraElement], RepMatrix]
    name: str

    @property
    def group(self) -> AbstractGroup:
        return self.of

    @property
    def dim(self) -> int:
        return self.size

    def rho(self, g: Element) -> RepMatrix:
        return _like(g, self.rho_of(g))

    def drho(self, xi: AlgebraElement) -> RepMatrix:
        return _like(xi, self.drho_of(xi))

    def __str__(self) -> str:
        return self.name


def _like(given: Element, answer) -> RepMatrix:
    """The answer in the array library that was asked in: functions written in JAX may be asked in NumPy."""
    return np.asarray(answer, np.float64) if isinstance(given, np.ndarray) else answer.astype(given.dtype)


def representation(
    group: AbstractGroup,
    rho: Callable[[Element], RepMatrix],
    drho: Callable[[AlgebraElement], RepMatrix] | None = None,
    name: str = "own",
) -> OwnRep:
    r"""The user's own representation, from $\rho$ on elements and $d\rho$ on the Lie algebra, both `(d, d) -> (dim, dim)`.

    Checked here, once, on the generators and a few of their products:

    $$ \rho(1) = 1, \quad \rho(gh) = \rho(g) \rho(h), \quad \rho(e^{A_i}) = e^{d\rho(A_i)}, \quad
       d\rho([A_i, A_j]) = [d\rho(A_i), d\rho(A_j)] . $$

    `drho` may be left out: for a finite group there is none, and otherwise it is $\rho$'s derivative at the identity, by
    `jax.jvp`, so that $\rho$ must then be written in JAX.

    **Raises:** `GroupError` naming the generator at which an axiom fails, and by how much.

    !!! Example

        ```python
        G = O(3)
        pseudovector = representation(G, lambda g: jnp.linalg.det(g) * g, lambda xi: xi)
        ```
    """
    if drho is None:
        drho = functools.partial(_derivative, group, rho)
    first = np.asarray(rho(group.identity))
    if first.ndim != 2 or first.shape[0] != first.shape[1]:
        raise GroupError(f"rho(g) must be a square matrix (dim, dim); rho(identity) has shape {first.shape}.")
    rep = OwnRep(group, len(first), rho, drho, name)
    _check_functions(rep)
    return rep


def _derivative(group: AbstractGroup, rho: Callable, xi: AlgebraElement) -> RepMatrix:
    one = jax.numpy.eye(group.d, dtype=xi.dtype)
    return jax.jvp(lambda g: jax.numpy.asarray(rho(g)), (one,), (jax.numpy.asarray(xi),))[1]


def _check_functions(rep: OwnRep) -> None:
    group = rep.group
    algebra, discrete = group.lie_algebra, group.discrete_generators
    agree(rep.rho(group.identity), np.eye(rep.dim), "rho(1) is not the identity matrix")
    for i, A in enumerate(algebra):
        one = A / max(1.0, float(np.linalg.norm(A)))
        where = f"rho and drho disagree at lie_algebra[{i}]: rho(exp(A)) is not exp(drho(A))"
        agree(rep.rho(scipy.linalg.expm(one)), scipy.linalg.expm(rep.drho(one)), where)
    elements = [
        (f"exp(lie_algebra[{i}])", scipy.linalg.expm(A / (1 + np.linalg.norm(A)))) for i, A in enumerate(algebra)
    ]
    elements += [(f"discrete_generators[{j}]", h) for j, h in enumerate(discrete)]
    product, image = group.identity, np.eye(rep.dim)
    for first, g in elements:
        for second, h in elements:
            where = f"rho is no homomorphism: rho(g h) is not rho(g) rho(h) for g = {first}, h = {second}"
            agree(rep.rho(g @ h), rep.rho(g) @ rep.rho(h), where)
            product, image = product @ g @ h, image @ rep.rho(g) @ rep.rho(h)
        where = f"rho is no homomorphism: rho of a product of generators up to {first} is not the product of their rho"
        agree(rep.rho(product), image, where)
    check_brackets(
        np.stack([rep.drho(A) for A in algebra]) if len(algebra) else np.zeros((0, rep.dim, rep.dim)), algebra
    )
    for i, A in enumerate(algebra):
        total = sum(rep.drho(B) for B in algebra)
        agree(rep.drho(2 * A + algebra.sum(0)), 2 * rep.drho(A) + total, f"drho is not linear at lie_algebra[{i}]")


def check_brackets(rates: Float[np.ndarray, "k n n"], algebra: Matrices) -> None:
    """That the images of the Lie algebra's basis have its brackets."""
    coordinates = np.linalg.pinv(algebra.reshape(-1, algebra.shape[1] ** 2))
    for i, j in np.ndindex(len(algebra), len(algebra)):
        if i < j:
            bracket = (algebra[i] @ algebra[j] - algebra[j] @ algebra[i]).reshape(-1) @ coordinates
            where = (
                f"drho is no homomorphism: drho([A, B]) is not [drho(A), drho(B)] for A, B = lie_algebra[{i}], [{j}]"
            )
            agree(np.tensordot(bracket, rates, 1), rates[i] @ rates[j] - rates[j] @ rates[i], where)


def agree(left: Float[Array | np.ndarray, "..."], right: Float[Array | np.ndarray, "..."], complaint: str) -> None:
    """Raise a GroupError with this complaint, and the size of the difference, unless two arrays agree to rounding."""
    if np.shape(left) != np.shape(right):
        raise GroupError(f"{complaint}: one has shape {np.shape(left)}, the other {np.shape(right)}.")
    size = float(np.linalg.norm(np.subtract(left, right))) / max(1.0, float(np.linalg.norm(right)))
    if not size <= AGREES:
        raise GroupError(f"{complaint}; they differ by {size:.1e} of their size.")
