"""Points seen as vectors and scalars of a classical group."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..symmetry import AbstractAction, AbstractRep, DirectSum, GroupError, TensorProduct
from ._linear_points import LinearPoints, linear_points

# Where the coordinates of vectors and of scalars are.
Places = tuple[list[tuple[int, ...]], list[int]]


@dataclasses.dataclass(frozen=True)
class Vectors:
    r"""The coordinates of each of m points as k vectors of the defining representation, `(n,)`, and q scalars.

    - `points`: the points; `vectors`: for each vector the places of its coordinates; `scalars`: theirs.
    """

    points: LinearPoints
    vectors: tuple[tuple[int, ...], ...]
    scalars: tuple[int, ...]

    def split(self, x: Float[Array, "..."]) -> tuple[Float[Array, "m k n"], Float[Array, "m q"]]:
        """The vectors and the scalars of each point."""
        rows = self.points.rows(x)
        vectors = np.asarray(self.vectors, int).reshape(len(self.vectors), self.points.rep.group.d)
        return rows[:, vectors], rows[:, np.asarray(self.scalars, int)]

    def join(self, vectors: Float[Array, "m k n"], scalars: Float[Array, "m q"]) -> Float[Array, "m dim"]:
        """The point with these vectors and scalars, one row for each point: the inverse of `split`."""
        flat = jnp.concatenate([vectors.reshape(len(vectors), math.prod(vectors.shape[1:])), scalars], axis=1)
        places = [i for place in self.vectors for i in place] + list(self.scalars)
        return flat[:, np.argsort(places)]


def vectors_of(action: AbstractAction, what: str) -> Vectors:
    """The vectors and scalars that the points of an action are made of.

    **Raises:** `GroupError`, in the name of `what`, for an action on anything else.
    """
    points = linear_points(action, what)
    places = _places(points.rep)
    if places is None:
        raise GroupError(
            f"{what} takes points that are vectors and scalars of {points.rep.group}: sums of `defining(G)` and "
            f"`trivial(G)`, or their products with sums of `trivial(G)`; received {points.rep}. For other representations "
            "use `NetworkField`, whose intertwiners are found for any of them."
        )
    return Vectors(points, tuple(places[0]), tuple(places[1]))


def _places(rep: AbstractRep) -> Places | None:
    """Where the vectors and the scalars of a representation are; None if it holds anything else."""
    if _is(rep, lambda g: np.eye(rep.dim), lambda xi: np.zeros((rep.dim, rep.dim))):
        return [], list(range(rep.dim))
    if rep.dim == rep.group.d and _is(rep, lambda g: g, lambda xi: xi):
        return [tuple(range(rep.dim))], []
    match rep:
        case DirectSum(summands=summands):
            parts = [part for multiplicity, part in summands for part in [part] * multiplicity]
            starts = np.cumsum([0, *(part.dim for part in parts)])
            return _together([(_places(part), int(start), 1) for part, start in zip(parts, starts, strict=False)])
        case TensorProduct(left=left, right=right) if _places(right) == ([], list(range(right.dim))):
            return _together([(_places(left), j, right.dim) for j in range(right.dim)])
        case TensorProduct(left=left, right=right) if _places(left) == ([], list(range(left.dim))):
            return _together([(_places(right), i * right.dim, 1) for i in range(left.dim)])
    return None


def _together(parts: list[tuple[Places | None, int, int]]) -> Places | None:
    """Parts, each moved to begin at `start` with its coordinates `stride` apart."""
    vectors, scalars = [], []
    for places, start, stride in parts:
        if places is None:
            return None
        vectors += [tuple(start + stride * i for i in place) for place in places[0]]
        scalars += [start + stride * i for i in places[1]]
    return vectors, scalars


def _is(rep: AbstractRep, rho, drho) -> bool:
    group = rep.group
    return all(np.allclose(rep.rho(h), rho(h)) for h in group.discrete_generators) and all(
        np.allclose(rep.drho(A), drho(A)) for A in group.lie_algebra
    )
