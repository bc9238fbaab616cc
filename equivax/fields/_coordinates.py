"""Points as features: the representation that an action is of, and the order of its coordinates."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..symmetry import (
    SO,
    AbstractAction,
    AbstractRep,
    AngleAction,
    DirectProduct,
    defining,
    irrep,
    pulled_back,
    trivial,
)
from ._linear_points import LinearPoints, linear_points


class AbstractCoordinates(eqx.Module):
    """Points of a space as vectors of a representation, and vectors as tangents."""

    @property
    @abc.abstractmethod
    def rep(self) -> AbstractRep:
        """What `flat` points transform by."""

    @property
    @abc.abstractmethod
    def rep_out(self) -> AbstractRep:
        """What tangents transform by."""

    @abc.abstractmethod
    def flat(self, x: Float[Array, "..."]) -> Float[Array, " dim"]:
        """A point as a vector."""

    @abc.abstractmethod
    def tangent(self, v: Float[Array, " dim"]) -> Float[Array, "..."]:
        """The tangent of a vector, up to its shape."""


class LinearCoordinates(AbstractCoordinates):
    r"""$m V$ for m points of V with names, in blocks as V has them; $\bigoplus_b P \otimes V_b$ for points without.

    P permutes the points, and the group is then the product of the two. The mean is taken away where translations are.
    """

    points: LinearPoints = eqx.field(static=True)

    @property
    def rep(self) -> AbstractRep:
        """The representation."""
        V, m, permutations = self.points.rep, self.points.count, self.points.permutations
        if permutations is None:
            return m * V if m > 1 else V
        product = DirectProduct(V.group, permutations)
        P = pulled_back(defining(permutations), product, 1)
        parts = [k * (P if b == trivial(V.group) else P * pulled_back(b, product, 0)) for k, b in V.blocks]
        return sum(parts[1:], start=parts[0])

    @property
    def rep_out(self) -> AbstractRep:
        """The same."""
        return self.rep

    def flat(self, x: Float[Array, "..."]) -> Float[Array, " dim"]:
        """Block by block: the points in order, each with its copies; or the copies, each with its points."""
        rows, parts, start = self.points.rows(x), [], 0
        for k, block in self.points.rep.blocks:
            part = rows[:, start : start + k * block.dim].reshape(self.points.count, k, block.dim)
            parts.append((part if self.points.permutations is None else jnp.swapaxes(part, 0, 1)).reshape(-1))
            start += k * block.dim
        return jnp.concatenate(parts)

    def tangent(self, v: Float[Array, " dim"]) -> Float[Array, "m n"]:
        """The inverse of `flat`, one row for each point."""
        m, parts, start = self.points.count, [], 0
        for k, block in self.points.rep.blocks:
            part = v[start : start + m * k * block.dim]
            if self.points.permutations is None:
                parts.append(part.reshape(m, k * block.dim))
            else:
                parts.append(jnp.swapaxes(part.reshape(k, m, block.dim), 0, 1).reshape(m, k * block.dim))
            start += m * k * block.dim
        return jnp.concatenate(parts, axis=1)


class AngleCoordinates(AbstractCoordinates):
    r"""Angles $x_i$ as $(\cos x_i, \sin x_i)$, which turn with the weight of the angle; their velocities are scalars."""

    weights: tuple[int, ...] = eqx.field(static=True)

    @property
    def rep(self) -> AbstractRep:
        """One plane for each angle, where its weight is not zero; else two scalars."""
        planes = [irrep(SO(2), abs(w)) if w else 2 * trivial(SO(2)) for w in self.weights]
        return sum(planes[1:], start=1 * planes[0])

    @property
    def rep_out(self) -> AbstractRep:
        """One scalar for each angle."""
        return len(self.weights) * trivial(SO(2))

    def flat(self, x: Float[Array, " n"]) -> Float[Array, " dim"]:
        """The planes; those of negative weight reflected."""
        signs = jnp.asarray([-1.0 if w < 0 else 1.0 for w in self.weights], x.dtype)
        return jnp.stack([jnp.cos(x), signs * jnp.sin(x)], axis=1).reshape(-1)

    def tangent(self, v: Float[Array, " dim"]) -> Float[Array, " n"]:
        """The scalars."""
        return v


def coordinates_of(action: AbstractAction, what: str) -> AbstractCoordinates:
    """The points of an action as vectors.

    **Raises:** `GroupError`, in the name of `what`, for an action that is not linear in any coordinates known here.
    """
    if isinstance(action, AngleAction):
        return AngleCoordinates(action.weights)
    return LinearCoordinates(linear_points(action, what))
