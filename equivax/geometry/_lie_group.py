"""A Lie group as a manifold: five more members, and the exponential, adjoint and differentials that follow."""

import abc

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Point, Tangent
from ._base import AbstractManifold
from ._lie_action import AbstractLieAction, Algebra


class AbstractLieGroup(AbstractManifold):
    """G, a Lie group with a left-invariant Riemannian metric; a point x is an array of shape `shape`.

    Elements of the algebra g are coordinates xi (k,), k = `dim`, in a basis that is *orthonormal in the metric*:
    |hat(xi)|_e = |xi|. Beside the five members of a manifold a group has `identity`, `compose`, `inverse`, `hat`,
    `vee`. There are two exponentials: `expm(xi)`, the one-parameter subgroup, and `exp(x, v)`, the geodesic; they agree
    where the metric is invariant on both sides, and a group whose metric is not replaces `expm` and `logm`.

    The bracket is that of matrices, xi eta - eta xi. Differentials are trivialised on the *right*, as the motions
    x -> exp(xi) x are: d/ds expm(u + s w) = hat(dexp_u(w)) expm(u) at s = 0.
    Hairer, Lubich, Wanner, *Geometric Numerical Integration*, III.4; Iserles et al., *Lie-group methods*, 2000.
    """

    @property
    @abc.abstractmethod
    def identity(self) -> Float[np.ndarray, "..."]:
        """e, in NumPy float64."""

    @abc.abstractmethod
    def compose(self, x: Point, y: Point) -> Point:
        """The product x y."""

    @abc.abstractmethod
    def inverse(self, x: Point) -> Point:
        """x^-1."""

    @abc.abstractmethod
    def hat(self, xi: Float[Array, " k"]) -> Tangent:
        """The vector sum_i xi_i E_i of T_e G, E_i the orthonormal basis."""

    @abc.abstractmethod
    def vee(self, v: Tangent) -> Float[Array, " k"]:
        """The coordinates of v in T_e G: the inverse of `hat`; of any other array, those of its projection on T_e G."""

    # Translations.

    def left_invariant(self, x: Point, xi: Float[Array, " k"]) -> Tangent:
        """x xi = d/ds x expm(s xi) at s = 0, the value at x of a left-invariant field."""
        return jax.jvp(lambda y: self.compose(x, y), (self._e(x),), (self.hat(xi),))[1]

    def right_invariant(self, x: Point, xi: Float[Array, " k"]) -> Tangent:
        """xi x = d/ds expm(s xi) x at s = 0, the value at x of a right-invariant field."""
        return jax.jvp(lambda y: self.compose(y, x), (self._e(x),), (self.hat(xi),))[1]

    def left_trivialise(self, x: Point, v: Tangent) -> Float[Array, " k"]:
        """x^-1 v: the xi with left_invariant(x, xi) = v (the velocity in the body's frame)."""
        back = self.inverse(x)
        return self.vee(jax.jvp(lambda y: self.compose(back, y), (x,), (v,))[1])

    def right_trivialise(self, x: Point, v: Tangent) -> Float[Array, " k"]:
        """v x^-1: the xi with right_invariant(x, xi) = v (the velocity in the frame of space)."""
        back = self.inverse(x)
        return self.vee(jax.jvp(lambda y: self.compose(y, back), (x,), (v,))[1])

    # The algebra.

    def expm(self, xi: Float[Array, " k"]) -> Point:
        """The exponential of the group, x(1) for x' = hat(xi) x, x(0) = e; here that of a two-sided invariant metric."""
        v = self.hat(xi)
        return self.exp(self._e(v), v)

    def logm(self, x: Point) -> Float[Array, " k"]:
        """A xi with expm(xi) = x, the shortest where the metric is invariant on both sides."""
        return self.vee(self.log(self._e(x), x))

    def Ad(self, x: Point, xi: Float[Array, " k"]) -> Float[Array, " k"]:
        """Ad_x xi = x xi x^-1."""
        return self.right_trivialise(x, self.left_invariant(x, xi))

    def bracket(self, xi: Float[Array, " k"], eta: Float[Array, " k"]) -> Float[Array, " k"]:
        """[xi, eta] = d/ds Ad_{expm(s xi)} eta at s = 0."""
        return jax.jvp(lambda z: self.Ad(self.expm(z), eta), (jnp.zeros_like(xi),), (xi,))[1]

    def ad(self, xi: Float[Array, " k"]) -> Float[Array, "k k"]:
        """The matrix of ad_xi: ad(xi) @ eta = [xi, eta]."""
        return jax.vmap(lambda eta: self.bracket(xi, eta), out_axes=1)(jnp.eye(self.dim, dtype=xi.dtype))

    def dexp(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """dexp_u(w) = (e^ad - 1)/ad w with ad = ad_u: the derivative of `expm` at u along w, moved to e on the right."""
        x, v = jax.jvp(self.expm, (u,), (w,))
        return self.right_trivialise(x, v)

    def dexpinv(self, u: Float[Array, " k"], w: Float[Array, " k"]) -> Float[Array, " k"]:
        """dexp_u^-1(w) = ad/(e^ad - 1) w, exactly: by a k x k linear system where there is no closed form."""
        return jnp.linalg.solve(jax.vmap(lambda w: self.dexp(u, w), out_axes=1)(jnp.eye(self.dim, dtype=u.dtype)), w)

    @property
    def has_closed_dexpinv(self) -> bool:
        """Whether `dexpinv` and `logm` are closed forms, cheap enough for each stage of an integrator."""
        return False

    def ad_norm(self, u: Float[Array, " k"]) -> Float[Array, ""]:
        """A bound of the spectral radius of ad_u, beyond whose value 2 pi dexpinv_u may be singular: |ad(u)|_F."""
        return jnp.sqrt(jnp.sum(self.ad(u) ** 2))

    # The metric and what follows from it.

    def inner(self, x: Point, v: Tangent, w: Tangent) -> Float[Array, ""]:
        """<v, w>_x = <x^-1 v, x^-1 w>_e, the sum of products of coordinates."""
        return jnp.dot(self.left_trivialise(x, v), self.left_trivialise(x, w))

    def sharp(self, x: Point, p: Tangent) -> Tangent:
        """p^#, the tangent vector v with <v, w>_x = p . w (entrywise) for all w in T_x M."""
        zero = jnp.zeros(self.dim, jnp.result_type(x))
        (coordinates,) = jax.linear_transpose(lambda xi: self.left_invariant(x, xi), zero)(p)
        return self.left_invariant(x, coordinates)

    def frame(self, x: Point) -> Tangent:
        """x E_1, ..., x E_k: the left-invariant orthonormal frame, smooth on all of G."""
        return jax.vmap(lambda xi: self.left_invariant(x, xi))(jnp.eye(self.dim, dtype=jnp.result_type(x)))

    def random_tangent(self, x: Point, *, key: Key) -> Tangent:
        """x hat(xi) with xi standard normal."""
        return self.left_invariant(x, jax.random.normal(key, (self.dim,), jnp.result_type(x)))

    @property
    def motions(self) -> AbstractLieAction:
        """G acting on itself from the left."""
        return LeftTranslation(self)

    def _e(self, x: Point) -> Point:
        return jnp.asarray(self.identity, jnp.result_type(x))


class LeftTranslation(AbstractLieAction):
    """x -> expm(xi) x, a `group` acting on itself from the left; xi (k,) are its coordinates.

    The lift v -> v x^-1 is the only one there is. Equivariant under left translations and, where the metric is
    invariant on both sides, under right ones: lift(g x h, g v h) = Ad_g lift(x, v).
    """

    group: AbstractLieGroup

    def act(self, xi: Algebra, x: Point) -> Point:
        """expm(xi) x."""
        return self.group.compose(self.group.expm(xi), x)

    def lift(self, x: Point, v: Tangent) -> Algebra:
        """v x^-1."""
        return self.group.right_trivialise(x, v)

    def bracket(self, xi: Algebra, eta: Algebra) -> Algebra:
        """[xi, eta]."""
        return self.group.bracket(xi, eta)

    def generator(self, xi: Algebra, x: Point) -> Tangent:
        """xi x."""
        return self.group.right_invariant(x, xi)

    def dexpinv(self, u: Algebra, w: Algebra, order: int) -> Algebra:
        """The group's closed form where it has one, the Bernoulli series otherwise."""
        return self.group.dexpinv(u, w) if self.group.has_closed_dexpinv else super().dexpinv(u, w, order)

    def compose(self, u: Algebra, v: Algebra) -> Algebra:
        """logm(expm(u) expm(v)) where that is closed, the Baker-Campbell-Hausdorff series otherwise."""
        G = self.group
        return G.logm(G.compose(G.expm(u), G.expm(v))) if G.has_closed_dexpinv else super().compose(u, v)

    def ad_norm(self, u: Algebra) -> Float[Array, ""]:
        """The group's bound."""
        return self.group.ad_norm(u)
