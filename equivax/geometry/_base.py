"""A Riemannian manifold from five members: two numbers, two projections and the exponential map."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from .._numerics import safe_sqrt
from .._types import Key, Point, PyTree, Tangent

# Levenberg-Marquardt converges quadratically from the chord; near the cut locus a dozen steps go into damping first.
_SHOOTING_STEPS = 40


class AbstractManifold(eqx.Module):
    """M, a manifold embedded in R^N (or locally equal to it, as the torus), with the metric of R^N.

    A point x is an array of shape `shape`; points of products are tuples of arrays, and any method here takes any
    pytree of arrays of one floating type. A tangent v at x has the structure of x. All signatures are unbatched:
    `jax.vmap` maps them over a batch.

    A new manifold is five members: `shape`, `dim`, `project`, `to_tangent`, `exp`. The rest is derived below, once;
    a concrete class may replace a derived method by its closed form, and the tests hold the one against the other.
    """

    @property
    @abc.abstractmethod
    def shape(self) -> tuple:
        """The shape of a point: a tuple of integers, or for products a tuple of shapes."""

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """The dimension of M, hence of its tangent spaces."""

    @abc.abstractmethod
    def project(self, x: Point) -> Point:
        """The point of M nearest to x in R^N: idempotent, and the identity on M."""

    @abc.abstractmethod
    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        """The orthogonal projection of v in R^N onto the tangent space T_x M; linear in v."""

    @abc.abstractmethod
    def exp(self, x: Point, v: Tangent) -> Point:
        """exp_x(v): where the geodesic that leaves x with velocity v is after unit time."""

    # The metric.

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Float[Array, ""]:
        """<v, w>_x, the inner product of R^N."""
        del x
        return jnp.vdot(_flat(v), _flat(w))

    def norm(self, x: Point, v: Tangent) -> Float[Array, ""]:
        """|v|_x = sqrt(<v, v>_x), with derivatives 0 at v = 0."""
        return safe_sqrt(self.inner(x, v, v))

    def dist(self, x: Point, y: Point) -> Float[Array, ""]:
        """d(x, y) = |log_x(y)|_x, the length of the shortest geodesic; derivatives 0 at x = y."""
        return self.norm(x, self.log(x, y))

    # Moving points and vectors.

    def log(self, x: Point, y: Point) -> Tangent:
        """log_x(y): the shortest v in T_x M with exp_x(v) = y; undefined where x and y are each other's cut points.

        Derived by shooting: Levenberg-Marquardt on |exp_x(v) - y|^2 from v = the projected chord, then two Newton
        steps. Derivatives are taken through the Newton steps only. From an exact solution each of them doubles the
        order to which the result follows x and y: first, second and third derivatives are exact, in either mode.
        """
        _, unravel = ravel_pytree(x)
        basis = jax.vmap(_flat)(self.frame(jax.lax.stop_gradient(x)))

        def tangent(c, x):
            return self.to_tangent(x, unravel(c @ basis))

        def miss(c, x, y):
            return _flat(self.exp(x, tangent(c, x))) - _flat(y)

        def newton(c, _):
            r, J = _linearised(lambda c: miss(c, x, y), c)
            return c - _least_squares(J, r), None

        c = _levenberg_marquardt(miss, jax.lax.stop_gradient(x), jax.lax.stop_gradient(y), basis)
        c, _ = jax.lax.scan(newton, c, length=2)
        return tangent(c, x)

    def retract(self, x: Point, v: Tangent) -> Point:
        """project(x + v): agrees with exp_x(v) to second order in v, hence with an error of third order."""
        return self.project(jax.tree.map(jnp.add, x, v))

    def transport(self, x: Point, v: Tangent, w: Tangent) -> Tangent:
        """Parallel transport of w in T_x M to T_y M along the geodesic t -> exp_x(t v), y = exp_x(v).

        Derived by one infinitesimal rung of the pole ladder: minus the differential of the geodesic symmetry at the
        midpoint m, exp_m(u) -> exp_m(-u). Exact on symmetric spaces (every manifold of this shelf), third order in |v|
        elsewhere; breaks down where x and m are conjugate (|v| = 2 pi on the unit sphere).
        Guigui, Pennec, *Numerical accuracy of ladder schemes for parallel transport on manifolds*, FoCM 22, 2022.
        """
        half = jnp.asarray(0.5, dtype=_dtype(v))
        m, velocity = jax.jvp(lambda s: self.exp(x, jax.tree.map(lambda a: s * a, v)), (half,), (half,))
        _, unravel = ravel_pytree(m)
        # Any basis will do, for the sum over it is taken twice; so it need not be differentiated.
        basis = jax.vmap(_flat)(self.frame(jax.lax.stop_gradient(m)))

        def spread(sign):
            # How the end of half the geodesic moves as its direction at m varies: a Jacobi field per basis vector.
            def end(c):
                u = jax.tree.map(lambda a, b: sign * a + b, velocity, unravel(c @ basis))
                return _flat(self.exp(m, self.to_tangent(m, u)))

            return jax.jacfwd(end)(jnp.zeros(self.dim, dtype=basis.dtype))

        c = _least_squares(spread(-1.0), _flat(w))
        return self.to_tangent(self.exp(x, v), unravel(spread(1.0) @ c))

    def frame(self, x: Point) -> Tangent:
        """An orthonormal basis of T_x M, stacked along a new first axis of length `dim`.

        The eigenvectors with eigenvalue 1 of the projection onto T_x M, carried along with x: no frame is continuous on
        all of a sphere, this one has derivatives everywhere.
        """
        flat, unravel = ravel_pytree(x)
        projection = jax.vmap(lambda e: _flat(self.to_tangent(x, unravel(e))))(jnp.eye(flat.size, dtype=flat.dtype))
        _, vectors = jnp.linalg.eigh(jax.lax.stop_gradient(projection))
        basis, _ = jnp.linalg.qr(projection @ vectors[:, flat.size - self.dim :])
        return jax.vmap(unravel)(basis.T)

    def divergence(self, f: Callable[[Point], Tangent], x: Point) -> Float[Array, ""]:
        """div f (x) = sum_i <e_i, nabla_{e_i} f> over an orthonormal basis e_i of T_x M, for a tangent field f.

        As the trace over R^N of the derivative of v -> f(exp_x(P_x v)) at 0: N forward derivatives, no choice of frame.
        """
        flat, unravel = ravel_pytree(x)

        def along(v):
            return _flat(f(self.exp(x, self.to_tangent(x, unravel(v)))))

        return jnp.trace(jax.jacfwd(along)(jnp.zeros_like(flat)))

    # Questions.

    def belongs(self, x: Point) -> Bool[Array, ""]:
        """Whether x is on M: |project(x) - x| within 1000 units in the last place of 1 + |x|. NaN belongs nowhere."""
        return _close(self.project(x), x)

    def is_tangent(self, x: Point, v: Tangent) -> Bool[Array, ""]:
        """Whether v is in T_x M, to the same tolerance as `belongs`."""
        return _close(self.to_tangent(x, v), v)

    def fits(self, x: Any) -> bool:
        """Whether x has the shape of one point of M: an array of shape `shape`, or a tuple of arrays for a product."""
        return _shapes(x) == self.shape

    def check(self, x: Any, name: str = "x") -> None:
        """Raise a ValueError unless x has the shape of one point of M and holds numbers of one floating type."""
        if not self.fits(x):
            raise ValueError(
                f"`{name}` should be one point of {self}, of shape {self.shape}; received shape {_shapes(x)}. "
                "Points are not batched: for a batch of them, use `jax.vmap` over its axis."
            )
        types = sorted({str(jnp.result_type(a)) for a in jax.tree.leaves(x)})
        if len(types) > 1 or not jnp.issubdtype(jnp.dtype(types[0]), jnp.floating):
            raise ValueError(
                f"`{name}` should hold floating-point numbers of one type; received {', '.join(types)}. "
                f"Convert it first, as in `jnp.asarray({name}, dtype=jnp.float32)`."
            )

    # Samples and totals.

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """The projection of a standard normal vector of R^N: uniform wherever `project` commutes with all rotations."""
        return self.project(jax.random.normal(key, self.shape, _default(dtype)))

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """A standard normal vector of T_x M."""
        leaves, structure = jax.tree.flatten(x)
        keys = jax.random.split(key, len(leaves))
        normal = [jax.random.normal(k, a.shape, a.dtype) for k, a in zip(keys, leaves, strict=True)]
        return self.to_tangent(x, jax.tree.unflatten(structure, normal))

    @property
    def volume(self) -> float:
        """The total volume of M in its metric (`inf` where M is not compact)."""
        raise NotImplementedError(
            f"No closed form for the volume of {type(self).__name__} is known. Define the property `volume` of the "
            "class to say what it is."
        )


def _flat(x: PyTree) -> Float[Array, " N"]:
    return ravel_pytree(x)[0]


def _dtype(x: PyTree) -> Any:
    return jnp.result_type(*jax.tree.leaves(x))


def _default(dtype: Any) -> Any:
    return jnp.result_type(float) if dtype is None else dtype


def _shapes(x: Any) -> Any:
    return tuple(_shapes(a) for a in x) if isinstance(x, tuple) else np.shape(x)


def _close(x: PyTree, y: PyTree) -> Bool[Array, ""]:
    error = _flat(x) - _flat(y)
    tolerance = 1000 * float(jnp.finfo(error.dtype).eps)
    return jnp.linalg.norm(error) <= tolerance * (1 + jnp.linalg.norm(_flat(y)))


def _least_squares(A: Float[Array, "N k"], b: Float[Array, " N"]) -> Float[Array, " k"]:
    # Normal equations: QR would be kinder near conjugate points only, and takes several times longer to compile.
    return jnp.linalg.solve(A.T @ A, A.T @ b)


def _linearised(f: Callable[..., Float[Array, " N"]], c: Float[Array, " k"]) -> tuple[Array, Array]:
    # f(c) and its Jacobian (N, k), tracing f once.
    r, push = jax.linearize(f, c)
    return r, jax.vmap(push, out_axes=-1)(jnp.eye(c.size, dtype=c.dtype))


def _levenberg_marquardt(
    miss: Callable[..., Float[Array, " N"]], x: Point, y: Point, basis: Float[Array, "k N"]
) -> Float[Array, " k"]:
    # The c that minimises |miss(c)|^2, from c = 0 moved by the chord. Stops when a step no longer helps.
    eps = float(jnp.finfo(basis.dtype).eps)

    def body(carry):
        c, damping, k, _ = carry
        r, J = _linearised(lambda c: miss(c, x, y), c)
        step = jnp.linalg.solve(J.T @ J + damping * jnp.eye(c.size, dtype=c.dtype), -J.T @ r)
        better = jnp.sum(miss(c + step, x, y) ** 2) < jnp.sum(r**2)
        done = jnp.linalg.norm(step) <= 4 * eps * (1 + jnp.linalg.norm(c))
        return jnp.where(better, c + step, c), jnp.where(better, damping * 0.1, damping * 10), k + 1, done

    def unfinished(carry):
        _, _, k, done = carry
        return (k < _SHOOTING_STEPS) & ~done

    c = basis @ (_flat(y) - _flat(x))
    start = (c, jnp.asarray(1e-4, dtype=c.dtype), 0, jnp.asarray(False))
    return jax.lax.while_loop(unfinished, body, start)[0]
