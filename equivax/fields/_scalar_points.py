"""The scalars and the vectors of a configuration, as networks are given them: of all its points, or of tuples of points."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..symmetry import AbstractAction, GroupError, Symmetric, Trivial
from ._scalars import CLASSICAL, Theorem, is_classical, theorem
from ._vectors import Vectors, vectors_of


@dataclasses.dataclass(frozen=True)
class ScalarPoints:
    """A configuration of points, each of them `vectors.vectors` and `vectors.scalars` of a group with a `theorem`."""

    vectors: Vectors

    @property
    def theorem(self) -> Theorem:
        """What generates all scalars and vectors."""
        group = self.vectors.points.rep.group
        # Where the group moves nothing (as translations do not move differences), every coordinate is a scalar.
        return theorem(group if self.vectors.vectors else Trivial(group.d))

    @property
    def count(self) -> int:
        """The number of points."""
        return self.vectors.points.count

    @property
    def permuted(self) -> bool:
        """Whether the points have no names."""
        return self.vectors.points.permutations is not None

    @property
    def tuples(self) -> Int[np.ndarray, "T r"]:
        """All points together, where they have names; else all tuples, ordered by their first point, as long as needed."""
        if not self.permuted:
            return np.arange(self.count)[None]
        length = max(2, self.theorem.rank) if self.theorem.volume else 2
        return np.array(list(itertools.product(range(self.count), repeat=length)))

    def scalars(self, x: Float[Array, "..."]) -> Float[Array, "T s"]:
        """What is invariant of each tuple."""
        X, s = self.vectors.split(x)
        _, k, n = X.shape

        def of(chosen):
            numbers = self.theorem.invariants(X[chosen].reshape(len(chosen) * k, n))
            return jnp.concatenate([numbers, s[chosen].reshape(-1)])

        return jax.vmap(of)(self.tuples)

    def generators(self, x: Float[Array, "..."]) -> Float[Array, "T r n"]:
        """The vectors that go with each tuple: of all its points, where they have names, else of all but the first."""
        X, _ = self.vectors.split(x)
        _, k, n = X.shape
        chosen = self.tuples[:, 1:] if self.permuted else self.tuples
        return jax.vmap(lambda c: self.theorem.generators(X[c].reshape(len(c) * k, n)))(chosen)


def scalar_points(action: AbstractAction, what: str) -> ScalarPoints:
    """The scalars of an action's points.

    **Raises:** `GroupError`, in the name of `what`, where no theorem says that there are no others.
    """
    vectors = vectors_of(action, what)
    permutations, group = vectors.points.permutations, vectors.points.rep.group
    if not (permutations is None or isinstance(permutations, Symmetric)):
        raise GroupError(
            f"{what} knows points with names and points without, and {permutations} permutes some of them only. Use "
            "`PermutingAction(action, m)` for all permutations, or `NetworkField`."
        )
    if vectors.vectors and not is_classical(group):
        raise GroupError(
            f"{what} knows the scalars of vectors of {CLASSICAL}, where a first fundamental theorem says that there are no "
            f"others; {group} is none of them. Use `NetworkField`, `InvariantField` or, for a finite group, a field averaged "
            "over it."
        )
    return ScalarPoints(vectors)
