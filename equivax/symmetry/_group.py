"""Groups by their smallest data: generators."""

import abc
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Element, Key, Matrices

# A finite group larger than this is not enumerated; a generated set that has not closed by then is not called finite.
ENUMERATION_CAP = 10_000


class GroupError(ValueError):
    """Generators that do not make a group, or an operation that the group does not have."""


class AbstractGroup(abc.ABC):
    r"""A matrix group $G \subset GL(d, \mathbb{R})$ with finitely many components.

    $$ G = \langle \exp(t\, A_1), \dots, \exp(t\, A_k),\; h_1, \dots, h_m \rangle $$

    `lie_algebra` holds $A_1, \dots, A_k$, shape `(k, d, d)`, a basis of the Lie algebra; `discrete_generators` holds
    $h_1, \dots, h_m$, shape `(m, d, d)`, which together with the identity component generate the group. An element is
    its `(d, d)` matrix. Groups are immutable, hashable values: two equal groups give the same cached bases.
    """

    @property
    @abc.abstractmethod
    def lie_algebra(self) -> Matrices:
        """A basis of the Lie algebra, `(k, d, d)` in float64."""

    @property
    @abc.abstractmethod
    def discrete_generators(self) -> Matrices:
        """Elements that generate the components, `(m, d, d)` in float64."""

    @abc.abstractmethod
    def sample(self, *, key: Key) -> Float[Array, "d d"]:
        """A random element, `(d, d)`: from Haar measure where the class says so."""

    @property
    def d(self) -> int:
        """The size of the matrices."""
        return self.lie_algebra.shape[-1]

    @property
    def identity(self) -> Float[np.ndarray, "d d"]:
        """The neutral element."""
        return np.eye(self.d)

    def compose(self, g: Element, h: Element) -> Element:
        """The product $g h$: first $h$, then $g$."""
        return g @ h

    def inverse(self, g: Element) -> Element:
        """The inverse $g^{-1}$."""
        return np.linalg.inv(g) if isinstance(g, np.ndarray) else jnp.linalg.inv(g)

    @property
    def is_finite(self) -> bool:
        """Whether the Lie algebra is zero. (A discrete group that does not close is refused at construction.)"""
        return len(self.lie_algebra) == 0

    @property
    def is_orthogonal(self) -> bool:
        """Whether every element is an orthogonal matrix, so that the group is compact and norms are invariant."""
        skew = np.abs(self.lie_algebra + self.lie_algebra.transpose(0, 2, 1)).max(initial=0.0)
        unit = self.discrete_generators @ self.discrete_generators.transpose(0, 2, 1) - self.identity
        return bool(max(skew, np.abs(unit).max(initial=0.0)) < 1e-10)

    @property
    def elements(self) -> Matrices:
        """All elements of a finite group, `(order, d, d)`, the identity first.

        **Raises:** `GroupError` for a group that is not finite.
        """
        if not self.is_finite:
            raise GroupError(
                f"{self} is not finite (its Lie algebra has dimension {len(self.lie_algebra)}), so its elements "
                "cannot be listed. Use `group.sample(key=...)`, or a finite subgroup."
            )
        return enumerate_elements(self)

    @property
    def order(self) -> int:
        """The number of elements of a finite group."""
        return len(self.elements)


@functools.lru_cache(maxsize=256)
def enumerate_elements(group: AbstractGroup) -> Matrices:
    """All elements of a finite group, by closing the generators under products (breadth first)."""
    elements = close_under_products(group.discrete_generators, group.identity)
    elements.flags.writeable = False
    return elements


def close_under_products(generators: Matrices, identity: np.ndarray, cap: int = ENUMERATION_CAP) -> Matrices:
    """The finite group that matrices generate, `(order, d, d)`, breadth first from the identity.

    **Raises:** `GroupError` when more than `cap` elements appear.
    """

    def name(g: np.ndarray) -> bytes:
        return (np.round(g, 6) + 0.0).tobytes()  # + 0.0 turns -0.0 into 0.0

    found, seen, position = [identity], {name(identity)}, 0
    while position < len(found):
        for h in generators:
            product = h @ found[position]
            if name(product) not in seen:
                if len(found) >= cap:
                    raise GroupError(
                        f"The {len(generators)} discrete generators do not close into a finite group: more than {cap} "
                        "different products were found. Check their entries (a rotation by an irrational part of a "
                        "turn never closes), or give the continuous part as `lie_algebra`."
                    )
                seen.add(name(product))
                found.append(product)
        position += 1
    return np.stack(found)


def sample_element(elements: Matrices, *, key: Key) -> Float[Array, "d d"]:
    """A uniformly random element of a finite list: Haar measure of a finite group."""
    return jnp.asarray(elements)[jax.random.randint(key, (), 0, len(elements))]


def random_walk(group: AbstractGroup, *, key: Key, length: int = 8) -> Float[Array, "d d"]:
    """A product of exponentials and discrete generators, which reaches every component. Not Haar measure."""
    # On a compact group long steps mix well. On others they run away, into elements too ill-conditioned to be of use.
    stride = 1.0 if group.is_orthogonal else length**-0.5
    algebra, discrete = jnp.asarray(group.lie_algebra), jnp.asarray(group.discrete_generators)
    choices = jnp.concatenate([jnp.asarray(group.identity)[None], discrete])

    def step(g: Float[Array, "d d"], step_key: Key) -> tuple[Float[Array, "d d"], None]:
        normal_key, which_key = jax.random.split(step_key)
        if len(algebra):
            xi = jnp.tensordot(stride * jax.random.normal(normal_key, (len(algebra),)), algebra, 1)
            g = jax.scipy.linalg.expm(xi) @ g
        return choices[jax.random.randint(which_key, (), 0, len(choices))] @ g, None

    return jax.lax.scan(step, jnp.asarray(group.identity), jax.random.split(key, length))[0]
