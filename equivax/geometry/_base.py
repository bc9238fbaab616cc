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
from ._lie_action import AbstractLieAction
from ._shooting import least_squares, linearised, shoot


class AbstractManifold(eqx.Module):
    """M, a manifold embedded in R^N (or locally equal to it, as the torus), with a Riemannian metric: that of R^N, or
    what `inner` says. A class that replaces `inner` replaces `sharp` and `random_tangent` with it.

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
        """The point of M nearest to x in R^N, or one that isometries prefer: idempotent, and the identity on M."""

    @abc.abstractmethod
    def to_tangent(self, x: Point, v: Tangent) -> Tangent:
        """The projection of v in R^N onto the tangent space T_x M, orthogonal in the metric; linear in v."""

    @abc.abstractmethod
    def exp(self, x: Point, v: Tangent) -> Point:
        """exp_x(v): where the geodesic that leaves x with velocity v is after unit time."""

    # The metric.

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Float[Array, ""]:
        """<v, w>_x, the inner product of R^N."""
        del x
        return jnp.vdot(_flat(v), _flat(w))

    @property
    def constant_metric(self) -> bool:
        """Whether `inner` is the same positive form on R^N at every point, so that any vector of R^N has a length there.

        Found out for the metric of R^N; a class that replaces `inner` by another such form says so.
        """
        return type(self).inner is AbstractManifold.inner

    def norm(self, x: Point, v: Tangent) -> Float[Array, ""]:
        """|v|_x = sqrt(<v, v>_x), with derivatives 0 at v = 0."""
        return safe_sqrt(self.inner(x, v, v))

    def dist(self, x: Point, y: Point) -> Float[Array, ""]:
        """d(x, y) = |log_x(y)|_x, the length of the shortest geodesic; derivatives 0 at x = y."""
        return self.norm(x, self.log(x, y))

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """p^#, the tangent vector v with <v, w>_x = p . w for all w in T_x M: to_tangent(x, p) in the metric of R^N."""
        return self.to_tangent(x, p)

    @property
    def injectivity_radius(self) -> float:
        """The largest r for which exp_x is one-to-one on |v| < r, at every x: `inf` where there is no cut locus."""
        raise NotImplementedError(
            f"The injectivity radius of {type(self).__name__} is not known. Define the property `injectivity_radius` "
            "of the class to say what it is (a lower bound will do)."
        )

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
            r, J = linearised(lambda c: miss(c, x, y), c)
            return c - least_squares(J, r), None

        x0, y0 = jax.lax.stop_gradient((x, y))
        c = shoot(lambda c: miss(c, x0, y0), least_squares(basis.T, _flat(y0) - _flat(x0)))
        c, _ = jax.lax.scan(newton, c, length=2)
        return tangent(c, x)

    def retract(self, x: Point, v: Tangent) -> Point:
        """project(x + v): agrees with exp_x(v) to second order in v, hence with an error of third order."""
        return self.project(jax.tree.map(jnp.add, x, v))

    def first_order_retract(self, x: Point, v: Tangent) -> Point:
        """The cheapest map that stays on M and agrees with exp_x(v) to first order, with an error of second order."""
        return self.retract(x, v)

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

        c = least_squares(spread(-1.0), _flat(w))
        return self.to_tangent(self.exp(x, v), unravel(spread(1.0) @ c))

    def frame(self, x: Point) -> Tangent:
        """An orthonormal basis of T_x M, stacked along a new first axis of length `dim`.

        The directions that the projection onto T_x M keeps, carried along with x and made orthonormal in the metric:
        no frame is continuous on all of a sphere, this one has derivatives everywhere.
        """
        flat, unravel = ravel_pytree(x)
        projection = jax.vmap(lambda e: _flat(self.to_tangent(x, unravel(e))))(jnp.eye(flat.size, dtype=flat.dtype))
        fixed = jax.lax.stop_gradient(projection)
        _, vectors = jnp.linalg.eigh(fixed.T @ fixed)
        basis = jax.vmap(unravel)(vectors[:, flat.size - self.dim :].T @ projection)
        gram = jax.vmap(lambda v: jax.vmap(lambda w: self.inner(x, v, w))(basis))(basis)
        flattened = jax.scipy.linalg.solve_triangular(jnp.linalg.cholesky(gram), jax.vmap(_flat)(basis), lower=True)
        return jax.vmap(unravel)(flattened)

    def gradient(self, f: Callable[[Point], Float[Array, ""]], x: Point) -> Tangent:
        """grad f (x) = (df)^#, the Riemannian gradient of a scalar function: <grad f, v>_x = df(x)(v)."""
        return self.sharp(x, jax.grad(f)(x))

    def divergence(self, f: Callable[[Point], Tangent], x: Point) -> Float[Array, ""]:
        """div f (x) = sum_i <e_i, nabla_{e_i} f> over an orthonormal basis e_i of T_x M, for a tangent field f.

        In normal coordinates, whose volume is stationary at x: the trace of the derivative of c -> D exp_x(c)^-1
        f(exp_x(c)) at 0. As a trace over R^N: N forward derivatives, no choice of frame, in any metric that `exp` knows.
        """
        flat, unravel = ravel_pytree(x)
        here = f(x)

        def along(v):
            c = self.to_tangent(x, unravel(v))
            y, moved = jax.jvp(lambda c: self.exp(x, c), (c,), (here,))
            return _flat(f(y)) - _flat(moved)

        return jnp.trace(jax.jacfwd(along)(jnp.zeros_like(flat)))

    # For solvers.

    @property
    def motions(self) -> AbstractLieAction:
        """The transitive action whose exponentials Lie group integrators move points by, where M has one."""
        raise NotImplementedError(
            f"{self} knows no Lie group that moves its points transitively. Use `Projected(solver)`, which needs none, "
            "or give the solver an action of your own: `RKMK(diffrax.Tsit5(), space, action=...)`."
        )

    def polish(self, x: Point) -> Point:
        """`project(x)` for an x that is within rounding errors of M: a replacement may cost less and assume that."""
        return self.project(x)

    def nearby(self, x: Point) -> tuple[Point, Float[Array, ""] | None]:
        """A point as far from `project(x)` as the fourth power of the gap between x and M, and the square of the gap.

        None for the square: the point is `project(x)`. What a solver asks for after each step; a replacement may cost less
        than `project`. Where the square exceeds 1e-4, the point means nothing.
        """
        return self.project(x), None

    # Questions.

    def residual(self, x: Point) -> Float[Array, ""]:
        """How far x is from M: |project(x) - x| in R^N."""
        return jnp.linalg.norm(_flat(self.project(x)) - _flat(x))

    def belongs(self, x: Point) -> Bool[Array, ""]:
        """Whether x is on M: a `residual` within 1000 units in the last place of 1 + |x|. NaN belongs nowhere."""
        return self.residual(x) <= _tolerance(x)

    def accepts(self, x: Point) -> Bool[Array, ""]:
        """Whether x stands for a point of M: as `belongs`, but for angles, of which 4 and 4 - 2 pi name the same."""
        return self.belongs(x)

    def is_tangent(self, x: Point, v: Tangent) -> Bool[Array, ""]:
        """Whether v is in T_x M, to the same tolerance as `belongs`."""
        return jnp.linalg.norm(_flat(self.to_tangent(x, v)) - _flat(v)) <= _tolerance(v)

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

    def check_point(self, x: Any, name: str = "x") -> None:
        """`check`, and raise a ValueError unless M `accepts` x. Inside `jax.jit` values are unknown, and only `check`ed."""
        self.check(x, name)
        if not _concrete(x):
            return
        with jax.ensure_compile_time_eval():  # a constant of a program that is being traced has a value, too
            accepted, residual = bool(self.accepts(x)), float(self.residual(x))
        if not accepted:
            raise ValueError(
                f"`{name}` is not on {self}: |project({name}) - {name}| is {residual:.3g}, for "
                f"{name} = {x}. Pass `space.project({name})`, the nearest point that is."
            )

    def check_tangent(self, x: Point, v: Any, name: str = "v") -> None:
        """Raise a ValueError unless v is a tangent vector at x: its structure, and where values are known, v in T_x M."""
        self.check(v, name)
        if not _concrete((x, v)):
            return
        with jax.ensure_compile_time_eval():
            tangent = bool(self.is_tangent(x, v))
            miss = float(jnp.linalg.norm(_flat(self.to_tangent(x, v)) - _flat(v)))
        if not tangent:
            raise ValueError(
                f"`{name}` is not tangent to {self} at x = {x}: |to_tangent(x, {name}) - {name}| is {miss:.3g}, for "
                f"{name} = {v}. Pass `space.to_tangent(x, {name})`, its tangential part."
            )

    # Samples and totals.

    def random_point(self, *, key: Key, dtype: Any = None) -> Point:
        """The projection of a standard normal vector of R^N: uniform wherever `project` commutes with all rotations."""
        return self.project(jax.random.normal(key, self.shape, _default(dtype)))

    def wrapped_normal(self, mean: Point, scale: Any, *, key: Key) -> Point:
        """exp_mean(scale u), u standard normal in T_mean M: the normal distribution, wrapped around M."""
        u = self.random_tangent(mean, key=key)
        return self.exp(mean, jax.tree.map(lambda a: jnp.asarray(scale, a.dtype) * a, u))

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """A standard normal vector of T_x M: normal coordinates of variance 1 in any orthonormal frame."""
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


def _concrete(x: PyTree) -> bool:
    return not any(isinstance(a, jax.core.Tracer) for a in jax.tree.leaves(x))


def _tolerance(x: PyTree) -> Float[Array, ""]:
    flat = _flat(x)
    return 1000 * float(jnp.finfo(flat.dtype).eps) * (1 + jnp.linalg.norm(flat))
