"""Moving frames: for each point the element of the group that carries it to a cross-section of the orbits."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._numerics import det
from .._types import Element, Point
from ..symmetry import AbstractAction

Scalar = Float[Array, ""]


class MovingFrame(eqx.Module):
    r"""$h : M \to G$ with $h(g \cdot x) = g\, h(x)$, hence a point $k = h(x)^{-1} \cdot x$ of each orbit, its invariants.

    The (right) moving frame of Cartan, Fels and Olver is $\rho(x) = h(x)^{-1}$. The points $k$ form a cross-section $K$;
    a function of $x$ is invariant exactly when it is a function of $k$, and $\rho(x)_* \dot u$ are the differential
    invariants of first order.

    - `element`: h, a function of the point. It has to be equivariant only up to the stabiliser of $k$: where that is
      more than the unit, h may be any element that carries k to x.
    - `weight`: a function that is 0 where h is not defined or not smooth, and positive elsewhere; invariant, or such that
      the ratios of the weights of frames that are used together are.
    - `free`: whether stabilisers are trivial wherever `weight` > 0; otherwise their Lie algebras are found at each point.
    - `stabiliser`: elements that leave every point of K in place, one or more for each component of its stabiliser
      besides that of the unit: what no Lie algebra knows of. `(m, d, d)`.

    Fels, Olver, *Moving coframes II*, Acta Appl. Math. 55, 1999; Olver, *Equivalence, Invariants and Symmetry*, 1995.
    """

    action: AbstractAction
    element: Callable[[Point], Element]
    weight: Callable[[Point], Scalar]
    free: bool = eqx.field(static=True, default=True)
    stabiliser: Any = eqx.field(static=True, default=(), converter=lambda h: _nested(h))

    def __call__(self, x: Point) -> Element:
        """h(x), `(d, d)`."""
        return self.element(x)

    def invariants(self, x: Point) -> Point:
        """k = h(x)^-1 x, the point of the cross-section: a complete set of invariants."""
        return self.action(self.action.group.inverse(self.element(x)), x)


def _nested(h: Any) -> tuple:
    return tuple(tuple(tuple(float(a) for a in row) for row in matrix) for matrix in np.asarray(h, dtype=float))


def partition(frames: Sequence[MovingFrame], x: Point) -> tuple[list[Scalar], Scalar]:
    r"""Invariant weights of sum 1, $w_i / \sum_j w_j$, and how far x is from where all frames fail, in [0, 1).

    Where all fail the weights are 0, the second number is 0 as well.
    """
    weights = [frame.weight(x) for frame in frames]
    total = sum(weights[1:], weights[0])
    lost = ~(total > 0)
    safe = jnp.where(lost, 1, total)
    return [jnp.where(lost, 0, w / safe) for w in weights], total / (total + 0.01)


# Elements of a group from what transforms as its vectors.


def polar_frame(action: AbstractAction, plane: Callable[[Point], Any], charge: int = 1) -> MovingFrame:
    r"""For SO(2) and O(2): h turns the first axis towards an equivariant vector $\varphi(x)$ of the plane.

    - `plane`: $\varphi$, which turns `charge` times while the group turns once. Points that differ by a turn of
      2 pi / charge must be the same.

    Under O(2) the reflection of the first axis is taken for the stabiliser: x has to be determined by its image under
    it, as one vector is. For several vectors use `gram_schmidt_frame`.
    """

    def element(x):
        c, s = unit(plane(x))
        if charge != 1:
            angle = jnp.arctan2(s, c) / charge
            c, s = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([jnp.stack([c, -s]), jnp.stack([s, c])])

    reflections = [np.diag([1.0, -1.0])] if _reflects(action) else []
    return MovingFrame(action, element, lambda x: _square(plane(x)), False, reflections)


def gram_schmidt_frame(
    action: AbstractAction, vectors: Callable[[Point], Any], centre: Callable[[Point], Any] | None = None
) -> MovingFrame:
    r"""For SO(n), O(n), and with `centre` SE(n), E(n): h is the orthonormal frame of some equivariant vectors.

    - `vectors`: the function from x to vectors, `(k, n)`, that determine the frame: k = n for O(n), n - 1 for SO(n).
      With fewer the rest of the frame is arbitrary, and x must be invariant under what turns that rest.
    - `centre`: a point that moves with x, such as the mean of several.
    """
    n = action.group.d - (0 if centre is None else 1)
    reflects = _reflects(action)

    def element(x):
        return _about(centre, x, orthonormal(vectors(x)[: n if reflects else n - 1], reflects))

    def weight(x):
        rows = vectors(x)[: n if reflects else n - 1]
        return det(rows @ rows.T)

    count = _count(action, vectors)
    mirror = np.diag([1.0] * (n - 1) + [-1.0] + ([] if centre is None else [1.0]))
    return MovingFrame(action, element, weight, count >= n - 1, [mirror] if reflects and count < n else [])


def similarity_frame(
    action: AbstractAction, vectors: Callable[[Point], Any], centre: Callable[[Point], Any] | None = None
) -> MovingFrame:
    """For scalings, and with `centre` Similarity(n): as `gram_schmidt_frame`, times the length of the first vector.

    Scalings alone keep directions: for a group of multiples of the unit matrix h is a multiple of the unit matrix.
    """
    n = action.group.d - (0 if centre is None else 1)
    turns = len(action.group.lie_algebra) > 1
    reflects = turns and _reflects(action)

    def element(x):
        rows = vectors(x)
        basis = orthonormal(rows[: n if reflects else n - 1], reflects) if turns else jnp.eye(n, dtype=rows.dtype)
        square = _square(rows[0])
        length = jnp.sqrt(jnp.where(square > 0, square, 1))
        return _about(centre, x, length * basis)

    def weight(x):
        rows = vectors(x)[: n if reflects else n - 1] if turns else vectors(x)[:1]
        # Of degree 0, for nothing else is invariant: the squared volume of what the rows span, of unit length each.
        size = jnp.sum(rows * rows, axis=1)
        size = jnp.where(size > 0, size, 1)
        return det(rows @ rows.T) / jnp.prod(size)

    return MovingFrame(action, element, weight)


def translation_frame(action: AbstractAction, centre: Callable[[Point], Any]) -> MovingFrame:
    """For Translations(n): h moves the origin to a point that moves with x."""

    def element(x):
        at = centre(x)
        return _about(centre, x, jnp.eye(len(at), dtype=at.dtype))

    return MovingFrame(action, element, lambda x: jnp.ones((), centre(x).dtype))


def columns_frame(action: AbstractAction, vectors: Callable[[Point], Any]) -> MovingFrame:
    """For GL(n) and SL(n): h has n equivariant vectors `(n, n)` for its columns, the last one divided by their determinant."""
    special = abs(np.trace(action.group.lie_algebra, axis1=1, axis2=2)).max(initial=0.0) < 1e-12

    def element(x):
        rows = vectors(x)
        volume = det(rows)
        usable = jnp.abs(volume) > 0
        rows = jnp.where(usable, rows, jnp.eye(len(rows), dtype=rows.dtype))
        volume = jnp.where(usable, volume, 1)
        return (jnp.concatenate([rows[:-1], rows[-1:] / volume]) if special else rows).T

    def weight(x):
        # Under GL it is multiplied by det(g)^2, and so are those of other frames: their ratios are invariant.
        return det(vectors(x)) ** 2

    return MovingFrame(action, element, weight)


def lorentz_frame(action: AbstractAction, vectors: Callable[[Point], Any]) -> MovingFrame:
    r"""For the proper orthochronous Lorentz group of $\mathbb{R}^{1, n}$ (time first): Gram-Schmidt in Minkowski's product.

    - `vectors`: n vectors, `(n, n + 1)`, of which the first is timelike and points to the future.
    """
    d = action.group.d
    form = np.diag([-1.0] + [1.0] * (d - 1))

    def element(x):
        basis: list[Any] = []
        rows = vectors(x)
        eta = jnp.asarray(form, rows.dtype)
        for i, row in enumerate(rows[: d - 1]):
            for j, u in enumerate(basis):
                row = row - (-1 if j == 0 else 1) * (u @ eta @ row) * u
            square = (-1 if i == 0 else 1) * (row @ eta @ row)
            basis.append(row / jnp.sqrt(jnp.where(square > 0, square, 1)))
        # The last vector is what completes a frame of determinant 1.
        minors = [det(jnp.delete(jnp.stack(basis), j, axis=1, assume_unique_indices=True)) for j in range(d)]
        last = eta @ jnp.stack([(-1) ** (d - 1 + j) * m for j, m in enumerate(minors)])
        return jnp.stack([*basis, last], axis=1)

    def weight(x):
        rows = vectors(x)[: d - 1]
        gram = -det(rows @ jnp.asarray(form, rows.dtype) @ rows.T)
        timelike = -(rows[0] @ jnp.asarray(form, rows.dtype) @ rows[0])
        return jnp.where((gram > 0) & (timelike > 0), gram, 0)

    return MovingFrame(action, element, weight)


def boost_frame(action: AbstractAction, vector: Callable[[Point], Any], spacelike: bool = False) -> MovingFrame:
    r"""For SO(1, 1): h carries the first axis to a timelike vector of $\mathbb{R}^{1, 1}$, or the second to a spacelike one.

    Two frames, one of each kind, cover all but the light cone.
    """

    def parts(x):
        t, s = vector(x)
        return (s, t) if spacelike else (t, s)

    def element(x):
        a, b = parts(x)
        square = a * a - b * b
        inside = square > 0
        scale = jnp.sqrt(jnp.where(inside, square, 1))
        a, b = jnp.where(inside, a, 1) / scale, jnp.where(inside, b, 0) / scale
        return jnp.stack([jnp.stack([a, b]), jnp.stack([b, a])])

    def weight(x):
        a, b = parts(x)
        square = a * a - b * b
        return jnp.where(square > 0, square**2, 0)

    return MovingFrame(action, element, weight)


def group_frame(action: AbstractAction, element: Callable[[Point], Element], free: bool = True) -> MovingFrame:
    """For a group that acts on itself from the left, or on whatever has an equivariant map `element` into the group."""

    def weight(x):
        return jnp.ones((), jnp.result_type(*jax.tree.leaves(x)))

    return MovingFrame(action, element, weight, free)


def congruence_frame(action: AbstractAction) -> MovingFrame:
    r"""For GL(n) acting on SPD(n) by $g P g^T$: h is the Cholesky factor of P, which carries the unit matrix to P."""
    n = action.group.d
    mirror = np.diag([1.0] * (n - 1) + [-1.0])
    return MovingFrame(action, jnp.linalg.cholesky, lambda x: jnp.ones((), x.dtype), False, [mirror])


# Arithmetic.


def unit(v: Float[Array, " n"]) -> Float[Array, " n"]:
    """v / |v|, and the first axis, with derivatives 0, for v = 0."""
    square = _square(v)
    usable = square > 0
    first = jnp.zeros_like(v).at[0].set(1)
    return jnp.where(usable, v, first) / jnp.sqrt(jnp.where(usable, square, 1))


def orthonormal(rows: Float[Array, "k n"], reflects: bool) -> Float[Array, "n n"]:
    """An orthogonal matrix whose first columns are the Gram-Schmidt basis of the rows, the rest of which is arbitrary.

    Rows that depend on those before are replaced by what is arbitrary. The determinant is 1 unless `reflects`, when there
    are as many rows as columns.
    """
    n = rows.shape[1]
    basis: list[Any] = []
    tiny = 100 * float(jnp.finfo(rows.dtype).eps) ** 2
    for i in range(n):
        spare = _farthest(basis, n, rows.dtype)
        if i < len(rows):
            left = _without(basis, rows[i])
            usable = _square(left) > tiny * _square(rows[i])
            left = jnp.where(usable, left, spare)
        else:
            left = spare
        left = _without(basis, left / jnp.sqrt(_square(left)))
        basis.append(left / jnp.sqrt(_square(left)))
    if len(rows) < n or not reflects:
        basis[-1] = basis[-1] * jax.lax.stop_gradient(jnp.sign(det(jnp.stack(basis))))
    return jnp.stack(basis, axis=1)


def _farthest(basis: list, n: int, dtype: Any) -> Float[Array, " n"]:
    # The axis that is farthest from the vectors so far, less its part along them.
    if not basis:
        return jnp.zeros(n, dtype).at[0].set(1)
    lengths = jnp.sum(jax.lax.stop_gradient(jnp.stack(basis)) ** 2, axis=0)
    return _without(basis, jax.nn.one_hot(jnp.argmin(lengths), n, dtype=dtype))


def _without(basis: list, v: Float[Array, " n"]) -> Float[Array, " n"]:
    for u in basis:
        v = v - jnp.dot(u, v) * u
    return v


def _about(centre: Callable[[Point], Any] | None, x: Point, linear: Float[Array, "n n"]) -> Float[Array, "d d"]:
    # The linear map about a centre, in homogeneous coordinates; without a centre the linear map.
    if centre is None:
        return linear
    n = len(linear)
    top = jnp.concatenate([linear, centre(x)[:, None]], axis=1)
    return jnp.concatenate([top, jnp.eye(n + 1, dtype=linear.dtype)[n:]])


def _square(v: Float[Array, " n"]) -> Scalar:
    return jnp.sum(v * v)


def _reflects(action: AbstractAction) -> bool:
    return any(np.linalg.det(h) < 0 for h in action.group.discrete_generators)


def _count(action: AbstractAction, vectors: Callable[[Point], Any]) -> int:
    point = jax.eval_shape(lambda: action.space.random_point(key=jax.random.key(0)))
    return jax.eval_shape(vectors, point).shape[0]
