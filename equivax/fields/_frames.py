"""Weighted frames: some elements of a group at each point, moved with the point, with weights that are invariant."""

import abc
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._numerics import det
from .._types import Point
from ..symmetry import SO, AbstractGroup, GroupError, O, U

# The elements g_k, `(K, d, d)`, and their weights w_k, `(K,)`.
Frame = tuple[Float[Array, "K d d"], Float[Array, " K"]]
# A map of points to vectors that the group moves by its matrices, one a row.
Vectors = Callable[[Point], Float[Array, "m n"]]


class AbstractFrame(eqx.Module):
    r"""Finitely many group elements at each point, $x \mapsto \sum_k w_k(x)\, \delta_{g_k(x)}$, equivariant as a measure:

    $$ \{ (g_k(h x), w_k(h x)) \} = \{ (h\, g_k(x), w_k(x)) \}, \qquad w_k \ge 0, \quad \textstyle\sum_k w_k \le 1. $$

    A *robust* frame is continuous: $w_k$ vanishes where $g_k$ jumps. Where no element is well defined all weights fall to
    zero, smoothly, by the factor $W / (\epsilon + W)$ with $W$ the sum of the weights before they are normalised, and
    $\epsilon$ the `softening`. (Dym, Lawrence, Siegel, *Equivariant frames and the impossibility of continuous
    canonicalization*, ICML 2024.)
    """

    if TYPE_CHECKING:  # a field or a property, as a subclass likes; type checkers know that only as a property

        @property
        def group(self) -> AbstractGroup: ...
    else:
        group: eqx.AbstractVar[AbstractGroup]

    @abc.abstractmethod
    def __call__(self, x: Point) -> Frame:
        """The elements and their weights at `x`."""


def rows(n: int) -> Vectors:
    """The points themselves as vectors of n coordinates: x of shape (n,) or (m, n)."""
    return lambda x: x.reshape(-1, n)


class GramSchmidtFrame(AbstractFrame):
    r"""Frames of $SO(n)$, $O(n)$ and $U(1)$ from m vectors: Gram-Schmidt on each choice of $n - 1$ of them, in each order,

    $$ g = (e_1, \dots, e_{n-1}, \pm e_1 \times \dots \times e_{n-1}), \qquad
       w \propto \det (v_i \cdot v_j) = \prod_i |r_i|^2, $$

    $r_i$ the part of $v_i$ that is orthogonal to those before it. In the plane: the direction of each vector, weighted by
    $|v|^2$; in space: each pair, by $|v_i \times v_j|^2$. Both signs for $O(n)$, the positive one for $SO(n)$. The set does
    not depend on the order of the vectors.

    - `vectors`: x -> (m, n), equivariant, $v(g x) = g v(x)$; the rows of x if not given. `m >= n - 1`.

    **Raises:** `GroupError` for another group; `ValueError` for too few vectors.
    """

    group: AbstractGroup = eqx.field(static=True)
    vectors: Vectors = eqx.field(static=True)
    softening: float = eqx.field(static=True)

    def __init__(self, group: AbstractGroup, vectors: Vectors | None = None, softening: float = 1e-2):
        if group not in (SO(group.d), O(group.d), U(1)) or group.d < 2:
            raise GroupError(
                f"Gram-Schmidt makes elements of SO(n) and O(n), n >= 2, and of U(1); received {group}. A finite group has "
                "`AllElements`, a group of affine maps `CentroidFrame`, a product `PairedFrame`."
            )
        self.group, self.softening = group, softening
        self.vectors = rows(group.d) if vectors is None else vectors

    def __call__(self, x: Point) -> Frame:
        v, n = self.vectors(x), self.group.d
        if v.ndim != 2 or v.shape[1] != n or len(v) < n - 1:
            raise ValueError(
                f"A frame of {self.group} needs at least {n - 1} vectors of {n} coordinates, `vectors(x)` of shape (m, {n}) "
                f"with m >= {n - 1}; received {v.shape}. Fewer are kept by a whole circle or sphere of elements: take "
                "`ReynoldsField`, or give a `vectors` that finds more."
            )
        choices = np.array(list(itertools.permutations(range(len(v)), n - 1)))
        g, w = jax.vmap(_orthonormal)(v[choices])
        if self.group == O(n):
            g = jnp.concatenate([g, g * jnp.asarray([1.0] * (n - 1) + [-1.0], g.dtype)[None, None, :]])
            w = jnp.concatenate([w, w]) / 2
        return g, softened(w, self.softening)


class PlanarFrame(AbstractFrame):
    r"""Frames of $SO(2)$, $O(2)$, $U(1)$ from vectors that turn several times as fast,

    $$ z_j(R(\theta) x) = R(k_j \theta) z_j(x), \qquad g = R\bigl( (\arg z_j + 2 \pi i) / k_j \bigr), \qquad
       w \propto |z_j|^2 / |k_j|, \qquad i = 0, \dots, |k_j| - 1. $$

    The eigenvectors of a symmetric $2 \times 2$ matrix S are the case $z = (S_{11} - S_{22}, 2 S_{12})$, $k = 2$, and their
    weight is the square of the gap between the eigenvalues.

    - `frequencies`: the $k_j$, whole numbers that are not zero, one for each row of `vectors(x)`, `(m, 2)`. The reflection
      $\mathrm{diag}(1, -1)$ of $O(2)$ should act on each row as it does on the plane.

    **Raises:** `GroupError` for another group; `ValueError` for other numbers of frequencies and vectors.
    """

    group: AbstractGroup = eqx.field(static=True)
    vectors: Vectors = eqx.field(static=True)
    frequencies: tuple[int, ...] = eqx.field(static=True)
    softening: float = eqx.field(static=True, default=1e-2)

    def __check_init__(self):
        if self.group not in (SO(2), O(2), U(1)):
            raise GroupError(f"A PlanarFrame has elements of SO(2), O(2) or U(1); received {self.group}.")
        if 0 in self.frequencies or not self.frequencies:
            raise ValueError(
                f"Frequencies are whole numbers that are not 0, one a vector; received {self.frequencies}."
            )

    def __call__(self, x: Point) -> Frame:
        z = self.vectors(x)
        if z.shape != (len(self.frequencies), 2):
            raise ValueError(
                f"There are {len(self.frequencies)} frequencies {self.frequencies}, so `vectors(x)` should have shape "
                f"({len(self.frequencies)}, 2); received {z.shape}."
            )
        square = jnp.sum(z * z, axis=1)
        defined = square > negligible(square)
        z = jnp.where(defined[:, None], z, jnp.asarray([[1.0, 0.0]], z.dtype))
        which = np.repeat(np.arange(len(z)), np.abs(self.frequencies))
        k = np.asarray(self.frequencies)[which]
        branch = np.concatenate([np.arange(abs(f)) for f in self.frequencies]) * 2 * np.pi / k
        angle = jnp.arctan2(z[:, 1], z[:, 0])[which] / jnp.asarray(k, z.dtype) + jnp.asarray(branch, z.dtype)
        g = turns(angle)
        w = jnp.where(defined, square, 0)[which] / jnp.asarray(np.abs(k), z.dtype)
        if self.group == O(2):
            g = jnp.concatenate([g, g * jnp.asarray([1.0, -1.0], g.dtype)[None, None, :]])
            w = jnp.concatenate([w, w]) / 2
        return g, softened(w, self.softening)


class AngleFrame(AbstractFrame):
    r"""Frames of the circle on a torus, $(R(\theta) \cdot x)_j = x_j + k_j \theta$: the $\theta$ at which some angle is 0.

    $$ g = R\bigl( (x_j + 2 \pi i) / k_j \bigr), \qquad w = 1 / \textstyle\sum_j |k_j| $$

    for each j with $k_j \ne 0$ and $i = 0, \dots, |k_j| - 1$: smooth everywhere, as the circle moves every point.

    - `weights`: the $k_j$, as in `AngleAction(weights)`.

    **Raises:** `ValueError` when all of them are 0.
    """

    weights: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        if not any(self.weights):
            raise ValueError(f"An action with the weights {self.weights} turns no angle, and has no frame.")

    @property
    def group(self) -> AbstractGroup:
        """The circle group."""
        return SO(2)

    def __call__(self, x: Float[Array, " n"]) -> Frame:
        which = np.repeat(np.arange(len(self.weights)), np.abs(self.weights))
        k = np.asarray(self.weights)[which]
        branch = np.concatenate([np.arange(abs(f)) for f in self.weights]) * 2 * np.pi / k
        angle = x[which] / jnp.asarray(k, x.dtype) + jnp.asarray(branch, x.dtype)
        return turns(angle), jnp.full(len(k), 1 / len(k), x.dtype)


def turns(angle: Float[Array, " K"]) -> Float[Array, "K 2 2"]:
    """The rotations of the plane by angles."""
    c, s = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([c, -s], axis=-1), jnp.stack([s, c], axis=-1)], axis=-2)


def softened(w: Float[Array, " K"], softening: float) -> Float[Array, " K"]:
    """w_k / (epsilon + sum of w): normalised where weights are large, and 0 where all are."""
    return w / (softening + jnp.sum(w))


def negligible(square: Float[Array, "*dims"]) -> Float[Array, ""]:
    """Below this the square of a length is rounding, and the vector has no direction."""
    eps = float(jnp.finfo(square.dtype).eps)
    return 16 * eps**2 * (1 + jnp.max(square))


def _orthonormal(v: Float[Array, "_r n"]) -> tuple[Float[Array, "n n"], Float[Array, ""]]:
    """The rotation whose first columns are Gram-Schmidt's of n - 1 vectors, and the square of the volume they span."""
    least = negligible(jnp.sum(v * v, axis=1))
    columns: list[Array] = []
    volume, defined = jnp.ones((), v.dtype), jnp.asarray(True)
    for r in v:
        for _ in range(2):  # a second time for the digits that the first one lost
            for e in columns:
                r = r - jnp.dot(e, r) * e
        square = jnp.sum(r * r)
        defined = defined & (square > least)
        columns.append(r / jnp.sqrt(jnp.where(square > least, square, 1)))
        volume = volume * square
    e = jnp.stack(columns)
    g = jnp.concatenate([e, _cross(e)[None]]).T
    return jnp.where(defined, g, jnp.eye(len(g), dtype=g.dtype)), jnp.where(defined, volume, 0)


def _cross(e: Float[Array, "_r n"]) -> Float[Array, " n"]:
    """The vector that completes n - 1 orthonormal ones to a basis of determinant 1: the cofactors of a last row."""
    n = e.shape[1]
    if n == 2:
        return jnp.stack([-e[0, 1], e[0, 0]])
    if n == 3:
        return jnp.cross(e[0], e[1])
    minors = jnp.stack([det(jnp.delete(e, i, axis=1)) for i in range(n)])
    return minors * jnp.asarray([(-1.0) ** (n - 1 + i) for i in range(n)], e.dtype)
