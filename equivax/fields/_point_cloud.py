"""Message passing between points, as a vector field."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Point, RealScalar, Tangent
from ..symmetry import AbstractAction
from ._cloud import Cloud, checked_box, cloud_parts
from ._field import AbstractField
from ._neighbours import Neighbours, envelope, nearest_image, neighbours


class PointCloudField(AbstractField):
    r"""Message passing between m points of $\mathbb{R}^n$ as a vector field, equivariant under $E(n) \times S_m$,

    $$ m_{ij} = w_{ij}\, \phi_e(h_i, h_j, |x_i - x_j|^2, a_{ij}), \qquad x_i' = C \sum_{j \ne i} (x_i - x_j) \phi_x(m_{ij}), $$

    or with velocities, of second order, $x_i' = u_i$ and

    $$ u_i' = \phi_v(h_i)\, u_i + C \sum_{j \ne i} (x_i - x_j)\, \phi_x(m_{ij}), $$

    where $\phi_e$ is also given $|u_i|^2, |u_j|^2, u_i \cdot u_j, u_i \cdot (x_i - x_j), u_j \cdot (x_i - x_j)$. The $\phi$ are
    networks with smooth activations, and distances enter by their squares: the field is smooth where points coincide.

    - `action`: see `cloud_action`. Points of a torus, or a `box`, are compared with their nearest images.
    - `nodes`, `edges`: how many features $h_i$, $a_{ij}$ come in `args`, a `Cloud`. Features that the action carries as a
      part of the point come on top, after those; they stand still, or with `evolve=True` obey
      $h_i' = \phi_h(h_i, \sum_j m_{ij})$.
    - `rounds`: of messages; in all but the last they only update hidden features, $h_i \leftarrow \phi_h(h_i, \sum_j m_{ij})$.
    - `scales`: lengths $s_k$; distances then enter as $1 / (1 + |x_i - x_j|^2 / s_k^2)$, which are
      bounded, and the scalars s of velocities as $s / \sqrt{1 + s^2}$.
    - `core`: a length c; $\phi_x$ is then times $(|x_i - x_j|^2 + c^2)^{-\gamma}$ with a learned exponent, for forces that grow
      as points approach.
    - `friction`: adds $C \sum_j (u_i - u_j)\, \phi_u(m_{ij})$ to $u_i'$.
    - `cutoff`, `capacity`: only pairs closer than `cutoff` exchange messages, which fade out smoothly ($w_{ij}$). With a
      `capacity`, at most so many for each point; when a point has more, the field is NaN: the sum would be another one.
    - `mean`: $C = 1/(m - 1)$ instead of 1.
    - `velocity_scalars`: whether $\phi_e$ is given the scalars of the velocities.
    - `isolated`: forces are equal and opposite, $\phi_x$ and $\phi_u$ being means of those of $m_{ij}$ and $m_{ji}$; they know
      of velocities only $|u_i - u_j|^2$ and $(u_i - u_j) \cdot (x_i - x_j)$; and $\phi_v$ is left out. Then
      $\sum_i u_i$ is conserved, and the field is invariant under Galilean boosts.

    One explicit Euler step is an EGNN layer, a symplectic one a step of SEGNO (`field_of_layer`).

    **Raises:** `ValueError` for an action that is not of this kind or not by isometries, for a box whose cut-off reaches
    further than the nearest image, or which the group does not map to itself, and for features that are not as announced.

    V. G. Satorras, E. Hoogeboom, M. Welling, *E(n) equivariant graph neural networks*, ICML 2021; Y. Liu et al., *SEGNO*,
    ICLR 2024.
    """

    message: tuple[eqx.nn.MLP, ...]
    update: tuple[eqx.nn.MLP, ...]
    push: eqx.nn.MLP
    drag: eqx.nn.MLP | None
    rub: eqx.nn.MLP | None
    decay: Float[Array, ""] | None
    action: AbstractAction
    scales: tuple[float, ...] = eqx.field(static=True)
    core: float | None = eqx.field(static=True)
    cutoff: float | None = eqx.field(static=True)
    capacity: int | None = eqx.field(static=True)
    box: tuple[float, ...] | None = eqx.field(static=True)
    mean: bool = eqx.field(static=True)
    velocity_scalars: bool = eqx.field(static=True)
    evolve: bool = eqx.field(static=True)
    isolated: bool = eqx.field(static=True)
    inputs: tuple[int, int] = eqx.field(static=True)

    def __init__(
        self,
        action: AbstractAction,
        *,
        nodes: int = 0,
        edges: int = 0,
        width: int = 32,
        rounds: int = 1,
        scales: tuple[float, ...] = (),
        core: float | None = None,
        friction: bool = False,
        cutoff: float | None = None,
        capacity: int | None = None,
        box: tuple[float, ...] | None = None,
        mean: bool = False,
        velocity_scalars: bool = True,
        evolve: bool = False,
        isolated: bool = False,
        key: Key,
    ):
        point, _, order, carried = cloud_parts(action)
        box = checked_box(point, cutoff, capacity, box)
        if evolve and not carried:
            raise ValueError("`evolve` is of features that the point carries: `cloud_action(..., features=c)`, c > 0.")
        self.action, self.scales, self.cutoff, self.capacity, self.box = action, scales, cutoff, capacity, box
        self.mean, self.evolve, self.core, self.inputs = mean, evolve, core, (nodes, edges)
        self.velocity_scalars, self.isolated = velocity_scalars and order == 2, isolated
        if isolated and (order == 1 or capacity is not None):
            raise ValueError("`isolated` is of forces between all pairs: order 2, and no `capacity`.")
        # Where there are no features, every point has the feature 1.
        given = max(1, nodes + carried)
        pair = max(1, len(scales)) + ((2 if isolated else 5) if self.velocity_scalars else 0) + edges
        widths = [given] + [width] * (rounds - 1)
        targets = [width] * (rounds - 1) + ([carried] if evolve else [])
        keys = jax.random.split(key, 2 * rounds + 3)
        self.message = tuple(
            perceptron(2 * w + pair, width, width, final=True, key=k)
            for w, k in zip(widths, keys[:rounds], strict=True)
        )
        self.update = tuple(
            perceptron(w + width, width, target, key=k)
            for w, target, k in zip(widths, targets, keys[rounds:], strict=False)
        )
        self.push = perceptron(width, width, 1, bias=False, gain=0.1, key=keys[-2])
        self.drag = perceptron(widths[-1], width, 1, gain=0.1, key=keys[-1]) if order == 2 and not isolated else None
        self.rub = perceptron(width, width, 1, bias=False, gain=0.1, key=keys[-3]) if friction and order == 2 else None
        self.decay = None if core is None else jnp.ones((), jnp.float32)

    def __call__(self, t: RealScalar, x: Point, args: Cloud | None = None) -> Tangent:
        _, m, order, carried = cloud_parts(self.action)
        args = Cloud() if args is None else args
        state, own = x if carried else (x, None)
        u: Any  # the velocities, if there are any
        place, u = state if order == 2 else (state, None)
        self._check(args, m)
        h = _features(args.nodes, own, m, place.dtype)
        index, spread, weight = self._pairs(place, args.neighbours)
        # From here on, pairs are (m, k): k = m for all pairs, or the capacity of the lists.
        scalars = [self._distances(spread)]
        if self.velocity_scalars:
            found = _velocity_scalars(u, u if index is None else u[index], spread, self.isolated)
            scalars.append(found / jnp.sqrt(1 + found**2) if self.scales else found)
        if args.edges is not None:
            chosen = args.edges if index is None else jnp.take_along_axis(args.edges, index[..., None], axis=1)
            scalars.append(chosen.astype(place.dtype))
        pair = jnp.concatenate(scalars, axis=-1)
        total = jnp.zeros((m, 0), place.dtype)
        update = iter(self.update)
        for i, phi in enumerate(self.message):
            h = h if i == 0 else _apply(next(update), jnp.concatenate([h, total], axis=-1))
            received = h[None] if index is None else h[index]
            ends = [jnp.broadcast_to(h[:, None], (*weight.shape, h.shape[1]))]
            ends.append(jnp.broadcast_to(received, (*weight.shape, h.shape[1])))
            messages = _apply(phi, jnp.concatenate([*ends, pair], axis=-1)) * weight[..., None]
            total = jnp.sum(messages, axis=1)
        factor = 1 / max(m - 1, 1) if self.mean else 1.0
        # phi_x has no bias at its end but may have elsewhere: the weight once more, so that it fades out with the message.
        strength = self._strength(self.push, messages, weight)
        if self.decay is not None and self.core is not None:
            square = jnp.sum(spread**2, axis=-1, keepdims=True)
            strength = strength * jnp.exp(-self.decay.astype(place.dtype) * jnp.log(square + self.core**2))
        force = factor * jnp.sum(spread * strength, axis=1)
        if order == 1:
            out: Any = force
        else:
            if self.rub is not None:
                relative = u[:, None] - (u[None] if index is None else u[index])
                force = force + factor * jnp.sum(relative * self._strength(self.rub, messages, weight), axis=1)
            out = (u, force if self.drag is None else _apply(self.drag, h) * u + force)
        if not carried:
            return out
        if not self.evolve:
            return out, jax.tree.map(jnp.zeros_like, own)
        return out, _apply(next(update), jnp.concatenate([h, total], axis=-1))

    def _check(self, args: Cloud, m: int) -> None:
        nodes, edges = self.inputs
        found = [None if a is None else a.shape for a in (args.nodes, args.edges)]
        wanted = [(m, nodes) if nodes else None, (m, m, edges) if edges else None]
        if found != wanted:
            raise ValueError(
                f"This PointCloudField takes `args=Cloud(nodes, edges)` with arrays of shapes {wanted[0]} and {wanted[1]} "
                f"(None: left out); received {found[0]} and {found[1]}."
            )
        if self.isolated and args.neighbours is not None:
            raise ValueError("An isolated PointCloudField is of forces between all pairs; leave `neighbours` out.")

    def _pairs(self, x: Float[Array, "m n"], listed: Neighbours | None) -> tuple[Any, Array, Array]:
        """Who sends to whom (None: everybody to everybody), the differences of their places, and the weights."""
        m = len(x)
        if listed is None and self.capacity is not None and self.cutoff is not None:
            listed = neighbours(x, self.cutoff, self.capacity, self.box)
        index = None if listed is None else listed.index
        spread = nearest_image(x[:, None] - (x[None] if index is None else x[index]), self.box)
        if listed is None:
            weight = jnp.asarray(1 - np.eye(m), x.dtype)
        else:
            weight = (listed.index != jnp.arange(m, dtype=listed.index.dtype)[:, None]).astype(x.dtype)
            weight = jnp.where(listed.overflow, jnp.nan, weight)
        if self.cutoff is not None:
            weight = weight * envelope(jnp.sum(spread**2, axis=-1) / self.cutoff**2)
        return index, spread, weight

    def _strength(
        self, phi: eqx.nn.MLP, messages: Float[Array, "m k width"], weight: Float[Array, "m k"]
    ) -> Float[Array, "m k 1"]:
        strength = _apply(phi, messages) * weight[..., None]
        return (strength + strength.swapaxes(0, 1)) / 2 if self.isolated else strength

    def _distances(self, spread: Float[Array, "m k n"]) -> Float[Array, "m k d"]:
        square = jnp.sum(spread**2, axis=-1, keepdims=True)
        if not self.scales:
            return square
        return jnp.concatenate([1 / (1 + square / s**2) for s in self.scales], axis=-1)


def perceptron(
    size: int, width: int, out: int, *, final: bool = False, bias: bool = True, gain: float = 1.0, key: Key
) -> eqx.nn.MLP:
    """One hidden layer with the activation SiLU, also at the end if `final`; the last weights `gain` times the usual ones."""
    end = jax.nn.silu if final else _identity
    mlp = eqx.nn.MLP(size, out, width, 1, jax.nn.silu, end, use_final_bias=bias, dtype=jnp.float32, key=key)
    return eqx.tree_at(lambda f: f.layers[-1].weight, mlp, gain * mlp.layers[-1].weight)


def _identity(x: Array) -> Array:
    return x


def _apply(mlp: eqx.nn.MLP, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
    """The network on the last axis, in the precision of `x`."""
    for i, layer in enumerate(mlp.layers):
        x = x @ layer.weight.astype(x.dtype).T
        if layer.bias is not None:
            x = x + jnp.broadcast_to(layer.bias.astype(x.dtype), x.shape)
        x = mlp.final_activation(x) if i + 1 == len(mlp.layers) else jax.nn.silu(x)
    return x


def _features(nodes: Any, own: Any, m: int, dtype: Any) -> Float[Array, "m c"]:
    parts = [a.astype(dtype) for a in (nodes, own) if a is not None]
    return jnp.concatenate(parts, axis=-1) if parts else jnp.ones((m, 1), dtype)


def _velocity_scalars(
    u: Float[Array, "m n"], v: Float[Array, "..."], spread: Float[Array, "m k n"], relative: bool
) -> Float[Array, "m k s"]:
    first = jnp.broadcast_to(u[:, None], spread.shape)
    second = jnp.broadcast_to(v if v.ndim == 3 else v[None], spread.shape)
    products: tuple[tuple[Array, Array], ...]
    if relative:
        products = ((first - second, first - second), (first - second, spread))
    else:
        products = ((first, first), (second, second), (first, second), (first, spread), (second, spread))
    return jnp.stack([jnp.sum(a * b, axis=-1) for a, b in products], axis=-1)
