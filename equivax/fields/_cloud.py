"""Clouds of points: what their points carry, how groups act on them, and which of those a cloud field may have."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..geometry import Euclidean, Torus
from ..symmetry import (
    AbstractAction,
    AffineAction,
    AngleAction,
    LinearAction,
    PermutingAction,
    PowerAction,
    ProductAction,
    TangentAction,
    TrivialAction,
)
from ._neighbours import Neighbours


class Cloud(eqx.Module):
    r"""What the points of a cloud have besides their places: the `args` of a `PointCloudField`, all of it optional.

    - `nodes`: invariant features of the points, `(m, c)`: charges, masses, kinds.
    - `edges`: invariant features of the pairs, `(m, m, e)`; entry (i, j) is of the message from j to i.
    - `neighbours`: a list that was built before; otherwise a field with a cut-off builds its own at every call.
    """

    nodes: Float[Array, "m c"] | None = None
    edges: Float[Array, "m m e"] | None = None
    neighbours: Neighbours | None = None

    def permuted(self, p: Float[Array | np.ndarray, "m m"]) -> "Cloud":
        r"""The features of the points in another order, $h_{p(i)} = h_i$, as `PermutingAction` moves the points.

        A field is asked about permutations with its `args` permuted, $f(t, (g, p) \cdot x, p \cdot a) = (g, p)_* f(t, x, a)$.
        Lists of neighbours are left out: they are to be built from the points in their new order.
        """
        nodes = None if self.nodes is None else jnp.asarray(p, self.nodes.dtype) @ self.nodes
        edges = None
        if self.edges is not None:
            p = jnp.asarray(p, self.edges.dtype)
            edges = jnp.einsum("ai,bj,ije->abe", p, p, self.edges)
        return Cloud(nodes, edges)


def cloud_action(point: AbstractAction, m: int, *, order: int = 1, features: int = 0) -> AbstractAction:
    r"""The action on m points without names, $((g, p) \cdot x)_{p(i)} = g \cdot x_i$, as a `PointCloudField` wants it.

    - `point`: the action on one point, `AffineAction(E(n))`, `LinearAction(defining(O(n)))`, ...
    - `order`: 2 for points with velocities, $(x, u)$.
    - `features`: how many invariant features each point carries as a part of the state, $(x, h)$ or $((x, u), h)$.
      Permutations move them with their points, so that the law of equivariance includes them.
    """
    if order not in (1, 2):
        raise ValueError(f"A cloud of points moves by an equation of order 1 or 2; received order={order}.")
    action: AbstractAction = PermutingAction(point, m)
    action = TangentAction(action) if order == 2 else action
    if not features:
        return action
    return ProductAction(action, PermutingAction(TrivialAction(point.group, Euclidean(features)), m))


def cloud_parts(action: AbstractAction) -> tuple[AbstractAction, int, int, int]:
    """(action on one point, number of points, order, number of features carried) of what `cloud_action` makes."""
    carried, whole = 0, action
    inner: Any
    if isinstance(action, ProductAction) and len(action.actions) == 2:
        features = action.actions[1]
        inner = features.action if isinstance(features, PermutingAction | PowerAction) else features
        if isinstance(inner, TrivialAction) and isinstance(inner.space, Euclidean):
            carried, action = inner.space.dim, action.actions[0]
    order = 2 if isinstance(action, TangentAction) else 1
    known = AffineAction | LinearAction | AngleAction
    cloud: Any = action.action if isinstance(action, TangentAction) else action
    fits = isinstance(cloud, PermutingAction | PowerAction) and isinstance(cloud.action, known)
    if not fits or not isinstance(cloud.action.space, Euclidean | Torus):
        raise ValueError(
            f"A PointCloudField moves several points of R^n or of a torus; received the action {whole}. Build it by "
            "`cloud_action(AffineAction(E(n)), m, order=1 or 2, features=0)`."
        )
    return cloud.action, cloud.n, order, carried


def checked_box(
    point: AbstractAction, cutoff: float | None, capacity: int | None, box: tuple[float, ...] | None
) -> tuple[float, ...] | None:
    """The periodic box of a cloud field, that of the torus if the points are on one; `ValueError` where one cannot be had."""
    n = point.space.dim
    box = (2 * math.pi,) * n if isinstance(point.space, Torus) else box
    turns = _linear_parts(point)
    wrong = [a for a in turns[0] if abs(a + a.T).max() > 1e-9]
    wrong += [h for h in turns[1] if abs(h @ h.T - np.eye(n)).max() > 1e-9]
    if wrong:
        raise ValueError(
            f"{point.group} does not act by isometries, and distances are all that a PointCloudField knows of its points. "
            "Take a subgroup of E(n), or for scalings divide by an invariant length beforehand."
        )
    if capacity is not None and cutoff is None:
        raise ValueError(f"A capacity of {capacity} neighbours needs a `cutoff` that says who is one.")
    if box is None:
        return None
    if len(box) != n or min(box) <= 0:
        raise ValueError(f"A periodic box has the lengths of its {n} sides, all positive; received {box}.")
    if cutoff is None or cutoff > min(box) / 2:
        raise ValueError(
            f"In a periodic box with sides {box} only nearest images are seen: the cut-off has to be at most "
            f"{min(box) / 2:g}, half of the shortest side, so that messages fade before another image is nearer; "
            f"received cutoff={cutoff}."
        )
    B = np.diag(box)
    if any(abs(a).max() > 1e-9 for a in turns[0]) or any(
        abs(c - np.round(c)).max() > 1e-9 for c in (np.linalg.solve(B, h @ B) for h in turns[1])
    ):
        raise ValueError(
            f"{point.group} does not map the periodic box {box} to itself. Use Translations({n}), with quarter turns and "
            "reflections at most."
        )
    return box


def _linear_parts(point: AbstractAction) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the generators of the Lie algebra, and the discrete ones, do to differences of points."""
    group = point.group
    if isinstance(point, AffineAction):
        return [a[:-1, :-1] for a in group.lie_algebra], [h[:-1, :-1] for h in group.discrete_generators]
    if isinstance(point, LinearAction):
        rep = point.rep
        return [np.asarray(rep.drho(a)) for a in group.lie_algebra], [
            np.asarray(rep.rho(h)) for h in group.discrete_generators
        ]
    return [], []
