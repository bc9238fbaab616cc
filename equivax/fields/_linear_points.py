"""Points on which a group acts linearly, or would but for translations: one way to look at all of them."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..symmetry import (
    SE,
    SO,
    AbstractAction,
    AbstractGroup,
    AbstractRep,
    AffineAction,
    E,
    GroupError,
    Inhomogeneous,
    LinearAction,
    Lorentz,
    MatrixGroup,
    O,
    PermutingAction,
    Poincare,
    PowerAction,
    Translations,
    Trivial,
    defining,
)


@dataclasses.dataclass(frozen=True)
class LinearPoints:
    r"""A configuration of `count` points in a representation V, $x \in V^m$, on which g acts row by row.

    - `rep`: V, of the group of one point without its translations.
    - `permutations`: the group that permutes the points, or None.
    - `centred`: whether translations move the points: then only $x_i - \bar{x}$ is looked at.
    """

    rep: AbstractRep
    count: int
    permutations: AbstractGroup | None
    centred: bool

    def rows(self, x: Float[Array, "..."]) -> Float[Array, "m n"]:
        """The points as rows, with their mean taken away where translations move them."""
        rows = x.reshape(self.count, self.rep.dim)
        return rows - jnp.mean(rows, axis=0, keepdims=True) if self.centred else rows


def linear_points(action: AbstractAction, what: str) -> LinearPoints:
    """The points of an action as vectors of a representation.

    **Raises:** `GroupError`, in the name of `what`, for an action that is not linear up to translations, and for one point
    under translations, to which nothing is invariant.
    """
    match action:
        case PowerAction(action=one, n=count):
            permutations = None
        case PermutingAction(action=one, n=count, permutations=group):
            permutations = group
        case _:
            one, count, permutations = action, 1, None
    match one:
        case LinearAction(rep=rep):
            return LinearPoints(rep, count, permutations, False)
        case AffineAction(group=group) if count > 1:
            return LinearPoints(defining(linear_part(group)), count, permutations, True)
        case AffineAction(group=group):
            raise GroupError(
                f"{what} looks at differences of points where translations move them, and under {group} there is one "
                "point. Use PowerAction(action, n) or PermutingAction(action, n) for a configuration of n points."
            )
    raise GroupError(
        f"{what} needs points that the group moves linearly: a LinearAction or an AffineAction, or a PowerAction or a "
        f"PermutingAction of one; received {action}. On other spaces use `InvariantField`, or weighted frames."
    )


def linear_part(group: AbstractGroup) -> AbstractGroup:
    r"""The group of the matrices A of the affine maps $x \mapsto A x + b$ of a group."""
    match group:
        case Translations(n=n):
            return Trivial(n)
        case SE(n=n):
            return SO(n)
        case E(n=n):
            return O(n)
        case Inhomogeneous(linear=linear):
            return linear
        case Poincare(n=n, full=full):
            return Lorentz(n, full)
    algebra, discrete = group.lie_algebra[:, :-1, :-1], group.discrete_generators[:, :-1, :-1]
    # Translations, and what else is left of independent generators as dependent ones.
    flat = algebra.reshape(len(algebra), -1)
    _, s, rows = np.linalg.svd(flat, full_matrices=False)
    independent = rows[s > 1e-10].reshape(-1, *algebra.shape[1:])
    return MatrixGroup(independent, discrete, name=f"linear part of {group}")
