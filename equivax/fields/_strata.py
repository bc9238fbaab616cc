"""Orbits and stabilisers: where a group moves points in fewer directions, and what that forbids a field."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from .._types import Key, Matrices, Point
from ..symmetry import AbstractAction
from ._isotropy import infinitesimal


@dataclass(frozen=True, eq=False)
class Stratum:
    r"""The points whose stabilisers are conjugate to that of `point`, as far as Lie algebras tell.

    - `orbit`: the dimension of the orbit; `stabiliser`: a basis of the Lie algebra that leaves the point in place, `(s, d, d)`;
    - `fixed`: the dimension of the tangent vectors at the point that the stabiliser leaves alone. An equivariant field
      takes its values there: 0 means that every one of them vanishes.
    """

    point: Any
    orbit: int
    stabiliser: Matrices
    fixed: int

    def __str__(self) -> str:
        forced = ", every equivariant field is 0" if self.fixed == 0 else f", {self.fixed} directions for a field"
        return f"orbits of dimension {self.orbit}, stabilisers of dimension {len(self.stabiliser)}{forced}"


@dataclass(frozen=True, eq=False)
class Strata:
    """The `generic` stratum of an action, and the `singular` ones that a search has found: orbits of smaller dimension."""

    action: AbstractAction
    generic: Stratum
    singular: tuple[Stratum, ...]

    def __str__(self) -> str:
        lines = [f"{self.action.group} on {self.action.space}", f"  generic: {self.generic}"]
        for s in self.singular:
            at = np.array2string(np.asarray(ravel_pytree(s.point)[0]), precision=3, suppress_small=True)
            lines.append(f"  singular: {s}, for example at {at}")
        return "\n".join(lines)


def stratum(action: AbstractAction, x: Point, tolerance: float = 1e-6) -> Stratum:
    """The stratum of x: singular values below `tolerance` times the largest count as 0."""
    algebra = action.group.lie_algebra
    flat, unravel = ravel_pytree(x)
    tangents = np.asarray(
        jax.vmap(lambda e: ravel_pytree(action.space.to_tangent(x, unravel(e)))[0])(jnp.eye(flat.size))
    )
    if not len(algebra):
        return Stratum(x, 0, np.zeros((0, action.group.d, action.group.d)), action.space.dim)
    rows = np.asarray(infinitesimal(action, x))
    u, s, _ = np.linalg.svd(rows)
    rank = int(np.sum(s > tolerance * max(1.0, s.max())))
    stabiliser = np.tensordot(u[:, rank:].T, algebra, 1)
    # The projections on the tangent space span it; a combination is fixed when every element of the stabiliser kills it.
    basis = np.linalg.svd(tangents)[2][: action.space.dim]
    turns = [_turned(action, x, xi, basis) for xi in stabiliser]
    if not turns:
        return Stratum(x, rank, stabiliser, action.space.dim)
    s = np.linalg.svd(np.concatenate(turns, axis=0), compute_uv=False)
    fixed = action.space.dim - int(np.sum(s > tolerance * max(1.0, s.max())))
    return Stratum(x, rank, stabiliser, fixed)


def strata(action: AbstractAction, *, key: Key, samples: int = 32, steps: int = 400) -> Strata:
    """The generic stratum, from random points, and singular ones: found by descent to where orbits shrink.

    From each of `samples` random points the least of the singular values that are not 0 in general, of the map from the Lie
    algebra to velocities, is made smaller by `steps` gradient steps, for each possible rank; what it falls to 0 at is a
    point of a singular stratum. One of each kind is reported. A search: what it does not find may still be there.
    """
    space, keys = action.space, jax.random.split(key, samples)
    points = jax.vmap(lambda k: space.random_point(key=k))(keys)
    first = [stratum(action, jax.tree.map(lambda a, i=i: a[i], points)) for i in range(min(samples, 8))]
    generic = max(first, key=lambda s: s.orbit)
    found: list[Stratum] = []
    for rank in range(generic.orbit, 0, -1):
        ends, sizes = _descend(action, points, rank, steps)
        for i in np.argsort(np.asarray(sizes)):
            if sizes[i] > 1e-10:
                break
            s = stratum(action, jax.tree.map(lambda a, i=i: a[i], ends), tolerance=1e-4)
            if s.orbit < generic.orbit and all((s.orbit, s.fixed) != (o.orbit, o.fixed) for o in found):
                found.append(s)
    return Strata(action, generic, tuple(sorted(found, key=lambda s: -s.orbit)))


@eqx.filter_jit
def _descend(action: AbstractAction, points: Any, rank: int, steps: int) -> Any:
    # The sum of the squared singular values from the rank-th on, made small by steps whose length halves now and then.
    space = action.space

    def size(x: Any) -> Any:
        rows = infinitesimal(action, x)
        values = jnp.linalg.eigvalsh(rows @ rows.T)[::-1]
        return jnp.sum(values[rank - 1 :])

    def one(x: Any) -> Any:
        def body(carry: Any, _: Any) -> Any:
            x, rate = carry
            slope = space.to_tangent(x, jax.grad(size)(x))
            slope = jax.tree.map(lambda a: jnp.where(jnp.isfinite(a), a, 0), slope)
            y = space.retract(x, jax.tree.map(lambda a: -rate * a, slope))
            better = size(y) < size(x)
            x = jax.tree.map(lambda a, b: jnp.where(better, a, b), y, x)
            return (x, jnp.where(better, 1.2 * rate, 0.5 * rate)), None

        (x, _), _ = jax.lax.scan(body, (x, jnp.asarray(0.1)), length=steps)
        return x, size(x)

    return jax.vmap(one)(points)


def _turned(action: AbstractAction, x: Point, xi: Any, basis: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "n k"]:
    # The derivative of xi's velocity along each vector of a basis: the isotropy representation, where xi leaves x in place.
    _, unravel = ravel_pytree(x)

    def along(w: Any) -> Any:
        return ravel_pytree(jax.jvp(lambda y: action.generator(xi, y), (x,), (unravel(w),))[1])[0]

    return np.asarray(jax.vmap(along)(jnp.asarray(basis, ravel_pytree(x)[0].dtype))).T
