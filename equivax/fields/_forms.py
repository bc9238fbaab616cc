"""Bilinear forms on points that a group keeps: what makes vector fields of differentials."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from ..geometry import AbstractManifold, Euclidean, Power
from ..symmetry import AbstractAction, AbstractRep, GroupError, invariants, power_isometry
from ._isometric import some_elements
from ._linear_points import linear_points

# The inverse of a form, row by row: hashable, since it is no weight.
Inverse = tuple[tuple[float, ...], ...]


def raise_index(inverse: Inverse, covector: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""The vector $B^{-1} p$, for the B of all coordinates, or of each point."""
    B = jnp.asarray(inverse, covector.dtype)
    return (covector.reshape(-1, len(B)) @ B.T).reshape(covector.shape)


def given_form(form: Float[Array | np.ndarray, "n n"], action: AbstractAction, sign: int) -> Inverse:
    """The inverse of a form that the user gave, symmetric (sign = 1) or skew (sign = -1).

    **Raises:** `GroupError` unless it is that, invertible, fits the points, and is kept by the action.
    """
    B = np.asarray(form, np.float64)
    kind = "symmetric" if sign > 0 else "skew"
    size = flat_size(action)
    if size is None or size % len(B):
        raise GroupError(
            f"A form of {len(B)} x {len(B)} entries measures vectors of R^{len(B)}, one point or all points together; "
            f"points of {action.space} are others. Leave `form` away where the space has a form of its own."
        )
    if not np.allclose(B, sign * B.T) or np.linalg.cond(B) > 1e8:
        raise GroupError(f"`form` should be a {kind} matrix that has an inverse; received\n{B}.")
    inverse = np.linalg.inv(B)
    if not is_kept(inverse, action):
        raise GroupError(
            f"{action.group} does not keep the form\n{B}\nso the field would not be equivariant. The forms that it keeps are "
            f"the invariants of Sym^2 or Alt^2 of the dual of its representation."
        )
    return as_tuples(inverse)


def flat_size(action: AbstractAction) -> int | None:
    """The number of coordinates of a point, where the space is R^n or a power of it; None elsewhere."""
    space: AbstractManifold = action.space
    while isinstance(space, Power):
        space = space.base
    return action.space.dim if isinstance(space, Euclidean) else None


def is_kept(inverse: Float[np.ndarray, "n n"], action: AbstractAction) -> bool:
    r"""Whether $g\, h\, g^\top = h$ for the inverse h of a form, of one point or of all."""
    size = flat_size(action)
    if size is None or size % len(inverse):
        return False
    whole = np.kron(np.eye(size // len(inverse)), inverse)
    for g in some_elements(action.group):
        M = _matrix(action, g)
        if not np.allclose(M @ whole @ M.T, whole, atol=1e-5 * (1 + np.abs(M).max()) ** 2 * np.abs(whole).max()):
            return False
    return True


def found_form(action: AbstractAction, sign: int) -> Inverse | None:
    """The inverse of a form that the group keeps, symmetric (sign = 1) or skew (sign = -1); None where there is none.

    Of one point, block by block where possible; or of all points, if they have names.
    """
    if flat_size(action) is None:
        return None
    points = linear_points(action, "A form")
    blocks = [_of_block(block, sign) for m, block in points.rep.blocks for _ in range(m)]
    if all(h is not None for h in blocks):
        return as_tuples(scipy.linalg.block_diag(*blocks))
    h = _of_block(points.rep, sign)
    if h is None and points.permutations is None and points.count > 1:
        h = _of_block(points.count * points.rep, sign)
    return None if h is None else as_tuples(h)


def _of_block(rep: AbstractRep, sign: int) -> Float[np.ndarray, "n n"] | None:
    """An invertible invariant of Sym^2 or Alt^2: the identity if it is one; else of determinant 1 or -1."""
    n = rep.dim
    if sign > 0 and rep.is_orthogonal:
        return np.eye(n)
    power = rep.sym(2) if sign > 0 else rep.alt(2)
    if power.dim == 0:
        return None
    found = (invariants(power).vectors @ power_isometry(n, 2, sign < 0).T).reshape(-1, n, n)
    if len(found) == 0:
        return None
    # One of the basis by choice; where all of these are degenerate, a combination is not, if any is.
    mixed = np.tensordot(np.sqrt(np.arange(1.0, len(found) + 1)), found, 1)
    for h in [*found, mixed]:
        if np.linalg.cond(h) < 1e8:
            h = h / abs(np.linalg.det(h)) ** (1 / n)
            first = h.reshape(-1)[np.argmax(np.abs(h.reshape(-1)) > 1e-8)]
            return h * np.sign(first)
    return None


def as_tuples(matrix: Float[np.ndarray, "n n"]) -> Inverse:
    """A matrix as nested tuples."""
    return tuple(tuple(float(a) for a in row) for row in matrix)


def _matrix(action: AbstractAction, g: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "N N"]:
    """The matrix by which an element moves tangents; the same at all points, for the action is linear up to shifts."""
    with jax.ensure_compile_time_eval():
        x = jnp.zeros(action.space.shape)
        return np.asarray(jax.jacfwd(lambda y: action(g, y).reshape(-1))(x)).reshape(x.size, x.size)
