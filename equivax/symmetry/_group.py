"""Groups by their smallest data: generators."""

import abc
import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Element, Key, Matrices
from ._compact import definite_form, finite_form
from ._components import component_representatives
from ._enumerate import ENUMERATION_CAP, close_under_products, sample_element
from ._errors import GroupError as GroupError
from ._nullspace import RankError
from ._properties import acts_reductively, modulus
from ._schreier import CHAIN_LIMIT, StabiliserChain, orbit_of_basis, stabiliser_chain
from ._walks import random_walk, walk_to_haar


class AbstractGroup(abc.ABC):
    r"""A matrix group $G \subset GL(d, \mathbb{R})$ with finitely many components.

    $$ G = \langle \exp(t\, A_1), \dots, \exp(t\, A_k),\; h_1, \dots, h_m \rangle $$

    `lie_algebra` holds $A_1, \dots, A_k$, shape `(k, d, d)`, a basis of the Lie algebra; `discrete_generators` holds
    $h_1, \dots, h_m$, shape `(m, d, d)`, which together with the identity component generate the group. These two
    define a group; all else is worked out from them. An element is its `(d, d)` matrix. Groups are immutable, hashable
    values: two equal groups give the same cached bases.

    Properties speak of the closure of what the generators generate: a line that winds densely round a torus, which is
    not a closed subgroup, counts as that torus.
    """

    @property
    @abc.abstractmethod
    def lie_algebra(self) -> Matrices:
        """A basis of the Lie algebra, `(k, d, d)` in float64."""

    @property
    @abc.abstractmethod
    def discrete_generators(self) -> Matrices:
        """Elements that generate the components, `(m, d, d)` in float64."""

    def haar(self, *, key: Key) -> Float[Array, "d d"]:
        r"""An element from the normalised Haar measure, `(d, d)`: $\int f(hg)\, dg = \int f(gh)\, dg = \int f(g)\, dg$.

        Uniform for a finite group. For a compact group without a closed form of its own, a random walk whose steps are
        invariant under conjugation, long enough that what is left of its start is below rounding.

        **Raises:** `GroupError` for a group that is not compact, whose Haar measure is infinite, and where the
        generators do not decide.
        """
        if self.is_finite:
            return uniform_element(self, key=key)
        if not self.is_compact:
            raise GroupError(
                f"{self} is not compact: its Haar measure is infinite, so there is no random element that is as likely "
                "as any other. For tests, `group.sample(key=...)` gives some random element; for averages, use a compact "
                "subgroup."
            )
        return walk_to_haar(self.lie_algebra, self.components, self.invariant_form, key=key)

    def sample(self, *, key: Key) -> Float[Array, "d d"]:
        """A random element, `(d, d)`: from Haar measure if the group is compact, otherwise a random walk, for tests."""
        try:
            return self.haar(key=key)
        except (GroupError, RankError):  # not compact, or undecided
            return random_walk(self.lie_algebra, self.discrete_generators, key=key)

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
    def is_compact(self) -> bool:
        """Whether the group is compact: whether an invariant positive definite form exists.

        **Raises:** `GroupError` or `RankError` where the generators do not decide.
        """
        return _form(self) is not None

    @property
    def invariant_form(self) -> Float[np.ndarray, "d d"]:
        r"""A positive definite $S$ with $g^\top S g = S$ for all elements: the inner product that a compact group keeps.

        The identity for orthogonal groups. **Raises:** `GroupError` for a group that is not compact.
        """
        form = _form(self)
        if form is None:
            raise GroupError(
                f"{self} is not compact: no inner product, and so no norm, is invariant under it. Use an invariant form "
                "that is not definite, `invariants(defining(group).sym(2))`, or a compact subgroup."
            )
        return form

    @property
    def is_connected(self) -> bool:
        """Whether every element is joined to the identity by a path in the group.

        **Raises:** `GroupError` or `RankError` where the generators do not decide.
        """
        if self.is_finite:
            return self.order == 1
        return len(self.discrete_generators) == 0 or len(self.components) == 1

    @property
    def components(self) -> Matrices:
        """One element of each connected component, `(c, d, d)`, the identity first: representatives of $G / G_0$.

        **Raises:** `GroupError` or `RankError` where the generators do not decide.
        """
        return _components(self)

    @property
    def is_unimodular(self) -> bool:
        r"""Whether left and right Haar measure agree, $|\det \mathrm{Ad}(g)| = 1$: all compact and semisimple groups."""
        return modulus(self.lie_algebra, self.discrete_generators) < 1e-8

    @property
    def is_reductive(self) -> bool:
        r"""Whether every subspace of $\mathbb{R}^d$ that the group keeps has a complement that it keeps.

        Then all that is built from vectors by tensor products and duals splits into irreducible representations. True of
        compact groups, of $GL$, $SL$, $Sp$ and $SO(p, q)$; false as soon as there are translations.

        **Raises:** `RankError` where the generators do not decide.
        """
        return self.is_orthogonal or self.is_finite or acts_reductively(self.lie_algebra, self.discrete_generators)

    @property
    def elements(self) -> Matrices:
        """All elements of a finite group, `(order, d, d)`, the identity first.

        **Raises:** `GroupError` for a group that is not finite, or that has more than 10,000 elements.
        """
        self._check_finite("its elements cannot be listed. Use `group.sample(key=...)`, or a finite subgroup")
        if self.order > ENUMERATION_CAP:
            raise GroupError(
                f"{self} has {self.order} elements, more than the {ENUMERATION_CAP} that are listed. Use "
                "`group.haar(key=...)` for uniformly random ones, and `group.contains(g)` to ask for one."
            )
        return enumerate_elements(self)

    @property
    def order(self) -> int:
        """The number of elements of a finite group, exactly, however large.

        **Raises:** `GroupError` for a group that is not finite.
        """
        self._check_finite("it has no order")
        return len(enumerate_elements(self)) if (chain := stabilisers(self)) is None else chain.order

    def contains(self, g: Element) -> bool:
        """Whether a matrix is an element of a finite group, to a millionth.

        **Raises:** `GroupError` for a group that is not finite.
        """
        self._check_finite("membership cannot be decided from a list")
        if (chain := stabilisers(self)) is not None:
            return chain.contains(g)
        return bool(np.abs(enumerate_elements(self) - g).max(axis=(1, 2)).min() < 1e-6)

    def _check_finite(self, consequence: str) -> None:
        if not self.is_finite:
            raise GroupError(
                f"{self} is not finite (its Lie algebra has dimension {len(self.lie_algebra)}), so {consequence}."
            )


@functools.lru_cache(maxsize=256)
def enumerate_elements(group: AbstractGroup) -> Matrices:
    """All elements of a finite group, by closing the generators under products (breadth first)."""
    elements = close_under_products(group.discrete_generators, group.identity)
    elements.flags.writeable = False
    return elements


@functools.lru_cache(maxsize=64)
def stabilisers(group: AbstractGroup) -> StabiliserChain | None:
    """The stabiliser chain of a finite group; None when it moves too many points, so that it has to be listed."""
    points = orbit_of_basis(group.discrete_generators)
    return stabiliser_chain(group.discrete_generators, points) if len(points) <= CHAIN_LIMIT else None


def uniform_element(group: AbstractGroup, *, key: Key) -> Float[Array, "d d"]:
    """A uniformly random element of a finite group: from the list of its elements, or from its stabiliser chain."""
    chain = stabilisers(group)
    if chain is None or chain.order <= ENUMERATION_CAP:
        return sample_element(group.elements, key=key)
    return chain.sample(key=key)


@functools.lru_cache(maxsize=256)
def _form(group: AbstractGroup) -> Float[np.ndarray, "d d"] | None:
    if group.is_orthogonal:
        return group.identity
    if group.is_finite:
        return finite_form(group.discrete_generators)
    return definite_form(group.lie_algebra, group.discrete_generators)


@functools.lru_cache(maxsize=256)
def _components(group: AbstractGroup) -> Matrices:
    if group.is_finite:
        return group.elements
    return component_representatives(group.lie_algebra, group.discrete_generators)
