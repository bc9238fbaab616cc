"""Moving frames of any action, found by solving the equations of a cross-section for the element of the group."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from .._types import Matrices, Point
from ..symmetry import AbstractAction
from ._isotropy import infinitesimal
from ._moving_frame import MovingFrame

RANDOM_STARTS = 12


def solved_frame(
    action: AbstractAction,
    section: Callable[[Point], Any] | None = None,
    *,
    at: Point | None = None,
    prefer: Callable[[Point], Any] | None = None,
    starts: Matrices | None = None,
    strict: bool = True,
    tolerance: float | None = None,
) -> MovingFrame:
    r"""The frame of the normalisation equations $c(\rho(x) \cdot x) = 0$, solved for $\rho(x) = h(x)^{-1}$ at each x.

    - `section`: c, as many numbers as orbits have dimensions, independent along orbits. If not given: the plane through
      the point `at` (by default a random one) at right angles to its orbit.
    - `prefer`: where an orbit meets the section several times, the point k with the largest value of this function is
      taken; by default the one nearest to `at`. The weight of the frame is 0 where two of them are equally good, where
      orbit and section touch, and where no solution is found.
    - `starts`: elements of the group from which to search, `(m, d, d)`; by default the unit, the discrete generators and
      a dozen random ones, from Haar measure if the group is compact.
    - `strict`: raise an error when a point is met for which no start converges. Without, the weight is 0 there, for use
      with other frames that cover such points.

    Levenberg-Marquardt in exponential coordinates from all starts at once, and two steps of Newton's method, by which
    first and second derivatives are exact.

    **Raises:** a run-time error as said; `ValueError` for a section that is not transversal at `at`.
    """
    group, algebra = action.group, action.group.lie_algebra
    if section is None:
        z = action.space.random_point(key=jax.random.key(0)) if at is None else at
        section, prefer = _plane(action, z, prefer)
    elif prefer is None:
        prefer = _no_preference if at is None else _near(at)
    chosen = _starts(action) if starts is None else np.asarray(starts, float)
    c, best = section, prefer

    def solve(x: Point) -> tuple[Any, Any, Any]:
        # All candidates: elements rho with rho x on the section, how well they are preferred, whether they are solutions.
        dtype = jnp.result_type(*jax.tree.leaves(x))
        basis, given = jnp.asarray(algebra, dtype), jnp.asarray(chosen, dtype)
        limit = (1e3 if tolerance is None else tolerance / float(jnp.finfo(dtype).eps)) * float(jnp.finfo(dtype).eps)

        def moved(xi: Any, g: Any, x: Any) -> Any:
            return jax.scipy.linalg.expm(jnp.tensordot(xi, basis, axes=1)) @ g

        def miss(xi: Any, args: Any) -> Any:
            g, x = args
            return jnp.atleast_1d(c(action(moved(xi, g, x), x)))

        def search(g: Any) -> Any:
            fixed = jax.lax.stop_gradient((g, x))
            solver: Any = optimistix.LevenbergMarquardt(rtol=1e-3 * limit, atol=1e-3 * limit)
            found: Any = optimistix.least_squares(
                miss, solver, jnp.zeros(len(basis), dtype), fixed, max_steps=64, throw=False
            )
            xi = jax.lax.stop_gradient(found.value)
            xi = jnp.where(jnp.all(jnp.isfinite(xi)), xi, jnp.zeros_like(xi))
            for _ in range(2):
                residual, jacobian = miss(xi, (g, x)), jax.jacfwd(miss)(xi, (g, x))
                gram = jacobian @ jacobian.T
                regular = jnp.linalg.det(gram) > limit**2
                gram = jnp.where(regular, gram, jnp.eye(len(gram), dtype=dtype))
                xi = xi - jacobian.T @ jnp.linalg.solve(gram, residual)
            rho = moved(xi, g, x)
            solved = jnp.max(jnp.abs(miss(xi, (g, x)))) < limit
            return rho, jnp.where(solved, best(action(rho, x)), -jnp.inf), solved

        return jax.vmap(search)(given)

    def chosen_one(x: Point) -> tuple[Any, Any]:
        rhos, values, solved = solve(x)
        i = jnp.argmax(jax.lax.stop_gradient(values))
        found = jnp.any(solved)
        rho = jnp.where(found, rhos[i], jnp.eye(group.d, dtype=rhos.dtype))
        # How much better it is than the best of those that end elsewhere.
        points = jax.vmap(lambda g: ravel_pytree(action(g, x))[0])(rhos)
        other = jnp.max(jnp.abs(points - points[i][None]), axis=1) > 1e-6
        rival = jnp.max(jnp.where(other & solved, values, -jnp.inf))
        lead = jnp.where(jnp.isfinite(rival), values[i] - jnp.where(jnp.isfinite(rival), rival, 0), 1)
        return rho, jnp.where(found, jnp.minimum(lead, 1) ** 2, 0)

    def element(x: Point) -> Any:
        rho, lead = chosen_one(x)
        if strict:
            rho = eqx.error_if(
                rho,
                lead == 0,
                "No start of the search for a moving frame has converged: the orbit of this point may miss the "
                "cross-section, or touch it. Give another `section`, more `starts`, or several frames with strict=False; "
                "`laws.frame_axioms(frame, key=...)` says how many orbits are missed.",
            )
        return jnp.linalg.inv(rho)

    def weight(x: Point) -> Any:
        rho, lead = chosen_one(x)
        k = action(rho, x)
        along = jax.vmap(lambda v: jax.jvp(lambda y: jnp.atleast_1d(c(y)), (k,), (v,))[1])
        _, unravel = ravel_pytree(k)
        jacobian = along(jax.vmap(unravel)(infinitesimal(action, k)))
        crossing = jnp.linalg.det(jacobian.T @ jacobian)
        return lead * crossing

    return MovingFrame(action, element, weight, free=_is_free(action, at))


def _plane(action: AbstractAction, z: Point, prefer: Any) -> tuple[Any, Any]:
    rows = np.asarray(infinitesimal(action, z))
    _, s, vt = np.linalg.svd(rows)
    rank = int(np.sum(s > 1e-8 * max(s.max(initial=0.0), 1e-300)))
    if rank == 0:
        raise ValueError(
            f"No cross-section goes through {z}: {action.group} does not move this point. Give another point `at`."
        )
    normals, centre = vt[:rank], np.asarray(ravel_pytree(z)[0])

    def section(y: Point) -> Any:
        flat = ravel_pytree(y)[0]
        return jnp.asarray(normals, flat.dtype) @ (flat - jnp.asarray(centre, flat.dtype))

    return section, _near(z) if prefer is None else prefer


def _near(z: Point) -> Callable[[Point], Any]:
    centre = np.asarray(ravel_pytree(z)[0])

    def nearness(y: Point) -> Float[Array, ""]:
        flat = ravel_pytree(y)[0]
        return -jnp.sum((flat - jnp.asarray(centre, flat.dtype)) ** 2)

    return nearness


def _no_preference(y: Point) -> Float[Array, ""]:
    return jnp.zeros((), jnp.result_type(*jax.tree.leaves(y)))


def _starts(action: AbstractAction) -> Matrices:
    group = action.group
    drawn = [np.asarray(group.sample(key=key), float) for key in jax.random.split(jax.random.key(0), RANDOM_STARTS)]
    return np.stack([group.identity, *group.discrete_generators, *drawn])


def _is_free(action: AbstractAction, at: Point | None) -> bool:
    x = action.space.random_point(key=jax.random.key(1)) if at is None else at
    s = np.linalg.svd(np.asarray(infinitesimal(action, x)), compute_uv=False)
    return len(s) == len(action.group.lie_algebra) and bool(s.min(initial=1.0) > 1e-8 * s.max(initial=1.0))
