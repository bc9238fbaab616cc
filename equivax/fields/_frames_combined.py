"""Frames of larger groups from frames of their parts: centroids, sizes, products, finite groups, bases."""

import itertools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._numerics import det, safe_sqrt
from .._types import Point
from ..symmetry import GL, SL, AbstractGroup, DirectProduct, GroupError, Symmetric
from ._frames import AbstractFrame, Frame, Vectors, negligible, rows, softened
from ._moving_frame import MovingFrame, partition


class CentroidFrame(AbstractFrame):
    r"""Frames of groups of affine maps, as `Translations(n)`, `SE(n)`, `E(n)`, `Similarity(n)`, on m points:

    $$ g = \begin{pmatrix} A_k & c \\ 0 & 1 \end{pmatrix}, \qquad c = \tfrac1m \textstyle\sum_i x_i, \quad
       (A_k, w_k) = \mathrm{linear}(x_1 - c, \dots, x_m - c). $$

    - `linear`: a frame of the linear parts, or None for translations alone. `x` has shape (m, n).

    **Raises:** `ValueError` where the sizes of the matrices do not fit.
    """

    group: AbstractGroup = eqx.field(static=True)
    linear: AbstractFrame | None = None

    def __check_init__(self):
        n = self.group.d - 1
        if self.linear is not None and self.linear.group.d != n:
            raise ValueError(
                f"{self.group} acts on R^{n}: its linear part needs a frame of {n} x {n} matrices, and {self.linear.group} "
                f"has {self.linear.group.d} x {self.linear.group.d}."
            )

    def __call__(self, x: Float[Array, "m n"]) -> Frame:
        n = self.group.d - 1
        c = jnp.mean(x, axis=0)
        A, w = _one(jnp.eye(n, dtype=x.dtype)) if self.linear is None else self.linear(x - c[None])
        g = jnp.zeros((len(A), n + 1, n + 1), x.dtype).at[:, n, n].set(1)
        return g.at[:, :n, :n].set(A).at[:, :n, n].set(jnp.broadcast_to(c, (len(A), n))), w


class ScaleFrame(AbstractFrame):
    r"""Frames of uniform scalings, $g = s\, A_k$ with $s = |x|$ the root mean square of the coordinates.

    - `linear`: a frame of the rest, asked at x / s; None for scalings alone.

    Its fields are $f(t, x) = s \sum_k w_k A_k N(t, A_k^{-1} x / s)$, homogeneous of degree 1, so continuous at 0, where
    they are 0. Not differentiable there: derivatives are finite, and those of the zero field.
    """

    group: AbstractGroup = eqx.field(static=True)
    linear: AbstractFrame | None = None

    def __call__(self, x: Float[Array, "..."]) -> Frame:
        square = jnp.mean(x * x)
        defined = square > float(jnp.finfo(x.dtype).tiny) ** 0.25
        s = safe_sqrt(jnp.where(defined, square, 1))
        A, w = _one(jnp.eye(self.group.d, dtype=x.dtype)) if self.linear is None else self.linear(x / s)
        return s * A, jnp.where(defined, w, 0)


class PairedFrame(AbstractFrame):
    r"""Frames of $G_1 \times G_2$: all pairs, $g = \mathrm{diag}(g_k, h_l)$ with weights $w_k w'_l$.

    - `first`, `second`: frames of the factors at the same points. The first must not change when $G_2$ moves x, as a set
      with weights, and the second not when $G_1$ does: as `GramSchmidtFrame`, which is blind to the order of its vectors,
      and `AllElements`, which does not see x.
    """

    first: AbstractFrame
    second: AbstractFrame

    @property
    def group(self) -> DirectProduct:
        """The product of the groups."""
        return DirectProduct(self.first.group, self.second.group)

    def __call__(self, x: Point) -> Frame:
        (g, v), (h, w) = self.first(x), self.second(x)
        pairs = jax.vmap(lambda a: jax.vmap(lambda b: jax.scipy.linalg.block_diag(a, b))(h))(g)
        return pairs.reshape(-1, *pairs.shape[2:]), jnp.outer(v, w).reshape(-1)


class AllElements(AbstractFrame):
    r"""All elements of a finite group, each with the weight $1 / |G|$: Reynolds averaging, continuous without more ado.

    **Raises:** `GroupError` for a group that is not finite, or has too many elements to list.
    """

    group: AbstractGroup = eqx.field(static=True)

    def __check_init__(self):
        _ = self.group.elements

    def __call__(self, x: Point) -> Frame:
        dtype = jnp.result_type(*jax.tree.leaves(x))
        g = jnp.asarray(self.group.elements, dtype)
        return g, jnp.full(len(g), 1 / len(g), dtype)


class SortingFrame(AbstractFrame):
    r"""Frames of $S_n$: the permutation that sorts each row of keys, by as many evaluations as there are rows,

    $$ w \propto \prod_j \frac{(\kappa_{(j+1)} - \kappa_{(j)})^2}{\epsilon + (\kappa_{(j+1)} - \kappa_{(j)})^2}, $$

    which vanishes where two keys of the row agree and their order is undecided. Several rows cover for each other; where
    all rows have equal keys the field is 0, also between points that are equal. `AllElements(Symmetric(n))` knows no
    such points, and costs n! evaluations.

    - `keys`: x -> (rows, n), permuted with x; x itself if not given.
    """

    group: Symmetric = eqx.field(static=True)
    keys: Callable[[Point], Float[Array, "rows n"]] = eqx.field(static=True)
    softening: float = eqx.field(static=True)

    def __init__(self, group: Symmetric, keys: Callable | None = None, softening: float = 1e-2):
        self.group, self.softening = group, softening
        self.keys = rows(group.n) if keys is None else keys

    def __call__(self, x: Point) -> Frame:
        kappa = self.keys(x)
        order = jnp.argsort(kappa, axis=1)
        # x_(order[j]) is the j-th in order, so the permutation that makes x of what is sorted has a 1 at (order[j], j).
        g = jnp.swapaxes(jnp.eye(self.group.n, dtype=kappa.dtype)[order], 1, 2)
        square = jnp.diff(jnp.take_along_axis(kappa, order, axis=1), axis=1) ** 2
        return g, softened(jnp.prod(square / (self.softening + square), axis=1), self.softening)


class BasisFrame(AbstractFrame):
    r"""Frames of $GL(n)$ and $SL(n)$: each choice of n of the m vectors is a basis, hence an element,

    $$ g = (v_{i_1}, \dots, v_{i_n}), \quad w = \frac{\det{}^2 g}{\sum \det^2}, \qquad
       g = (v_{i_1}, \dots, v_{i_n} / \det), \quad w = \frac{\det^4}{\epsilon + \sum \det^4}. $$

    Under $GL(n)$, on the left, no function that is invariant vanishes where the vectors become dependent: there the field
    has no limit, and is set to 0. Under $SL(n)$, on the right, the determinants are invariant.

    - `vectors`: x -> (m, n), equivariant; the rows of x if not given.

    **Raises:** `GroupError` for another group; `ValueError` for fewer than n vectors.
    """

    group: AbstractGroup = eqx.field(static=True)
    vectors: Vectors = eqx.field(static=True)
    softening: float = eqx.field(static=True)

    def __init__(self, group: AbstractGroup, vectors: Vectors | None = None, softening: float = 1e-2):
        if group not in (GL(group.d), SL(group.d)):
            raise GroupError(f"A BasisFrame has elements of GL(n) or SL(n); received {group}. See `GramSchmidtFrame`.")
        self.group, self.softening = group, softening
        self.vectors = rows(group.d) if vectors is None else vectors

    def __call__(self, x: Point) -> Frame:
        v, n = self.vectors(x), self.group.d
        if len(v) < n:
            raise ValueError(f"A basis of R^{n} needs {n} vectors; `vectors(x)` has shape {v.shape}.")
        g = jnp.swapaxes(v[np.array(list(itertools.combinations(range(len(v)), n)))], 1, 2)
        volume = det(g)
        defined = volume**2 > negligible(jnp.sum(v * v, axis=1))
        volume = jnp.where(defined, volume, 1)
        g = jnp.where(defined[:, None, None], g, jnp.eye(n, dtype=v.dtype)[None])
        if self.group == GL(n):
            w = jnp.where(defined, volume**2, 0)
            total = jnp.sum(w)
            return g, w / jnp.where(total > 0, total, 1)
        scale = jnp.ones((len(g), n), v.dtype).at[:, -1].set(1 / volume)
        return g * scale[:, None, :], softened(jnp.where(defined, volume**4, 0), self.softening)


class MovingFrames(AbstractFrame):
    r"""The elements of several moving frames (`MovingFrame`), with their weights as an invariant partition of unity.

    Each element is averaged over the `stabiliser` that its frame names. The frames should be free: where a point is kept by a
    whole Lie group there are more elements than can be listed.
    """

    frames: tuple[MovingFrame, ...]

    def __init__(self, *frames: MovingFrame):
        self.frames = frames
        if not frames:
            raise ValueError(
                "`MovingFrames` needs at least one frame: `MovingFrames(gram_schmidt_frame(action, vectors))`."
            )

    @property
    def group(self) -> AbstractGroup:
        """The group of the frames' action."""
        return self.frames[0].action.group

    def __call__(self, x: Point) -> Frame:
        weights, certain = partition(self.frames, x)
        elements, shares = [], []
        for frame, w in zip(self.frames, weights, strict=True):
            g = jnp.asarray(frame(x), jnp.result_type(*jax.tree.leaves(x)))
            kept = [np.eye(self.group.d), *map(np.asarray, frame.stabiliser)]
            elements += [g @ jnp.asarray(k, g.dtype) for k in kept]
            shares += [w * certain / len(kept)] * len(kept)
        return jnp.stack(elements), jnp.stack(shares)


class SingleFrame(AbstractFrame):
    r"""One element at each point, a moving frame $g(h x) = h\, g(x)$, with the weight 1: canonicalisation.

    Continuous only where `element` is, which for most actions cannot be everywhere (a nontrivial bundle of orbits).

    - `element`: x -> (d, d).
    """

    group: AbstractGroup = eqx.field(static=True)
    element: Callable[[Point], Float[Array, "d d"]]

    def __call__(self, x: Point) -> Frame:
        return _one(jnp.asarray(self.element(x), jnp.result_type(*jax.tree.leaves(x))))


def _one(g: Float[Array, "d d"]) -> Frame:
    return g[None], jnp.ones(1, g.dtype)
