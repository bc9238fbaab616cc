"""EGNN as it stands in its paper, and what it is a time step of."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Key, Point
from ..symmetry import AbstractAction, AffineAction, E
from ._cloud import cloud_action, cloud_parts
from ._field import AbstractField
from ._point_cloud import PointCloudField, perceptron


class EGNNLayer(eqx.Module):
    r"""One E(n) equivariant graph convolution between all of m points, equations (3) to (7) of the paper:

    $$ m_{ij} = \phi_e(h_i, h_j, |x_i - x_j|^2, a_{ij}), \quad v_i \leftarrow \phi_v(h_i)\, v_i
       + \tfrac{1}{m-1} \sum_{j \ne i} (x_i - x_j)\, \phi_x(m_{ij}), \quad x_i \leftarrow x_i + v_i, $$

    and $h_i \leftarrow h_i + \phi_h(h_i, \sum_{j \ne i} m_{ij})$, the residual form. Without $\phi_v$ the first term is absent.

    V. G. Satorras, E. Hoogeboom, M. Welling, *E(n) equivariant graph neural networks*, ICML 2021.
    """

    edge: eqx.nn.MLP
    coordinate: eqx.nn.MLP
    node: eqx.nn.MLP
    velocity: eqx.nn.MLP | None

    def __init__(self, features: int, *, edges: int = 0, width: int = 64, velocity: bool = False, key: Key):
        keys = jax.random.split(key, 4)
        self.edge = perceptron(2 * features + 1 + edges, width, width, final=True, key=keys[0])
        self.coordinate = perceptron(width, width, 1, bias=False, gain=0.1, key=keys[1])
        self.node = perceptron(features + width, width, features, key=keys[2])
        self.velocity = perceptron(features, width, 1, key=keys[3]) if velocity else None

    def __call__(
        self,
        h: Float[Array, "m c"],
        x: Float[Array, "m n"],
        v: Float[Array, "m n"] | None = None,
        a: Float[Array, "m m e"] | None = None,
    ) -> tuple[Float[Array, "m c"], Float[Array, "m n"], Float[Array, "m n"]]:
        """h, x and v after the layer; v is what has been added to x."""
        m = len(x)
        phi = jax.tree.map(lambda w: w.astype(x.dtype) if eqx.is_inexact_array(w) else w, self)
        a = jnp.zeros((m, m, 0), x.dtype) if a is None else a

        def message(hi: Array, hj: Array, xi: Array, xj: Array, aij: Array) -> Array:
            return phi.edge(jnp.concatenate([hi, hj, jnp.sum((xi - xj) ** 2)[None], aij]))

        to_one = jax.vmap(message, in_axes=(None, 0, None, 0, 0))
        messages = jax.vmap(to_one, in_axes=(0, None, 0, None, 0))(h, h, x, x, a)
        messages = messages * (1 - jnp.eye(m, dtype=x.dtype))[..., None]
        forces = (x[:, None] - x[None]) * jax.vmap(jax.vmap(phi.coordinate))(messages)
        moved = jnp.sum(forces, axis=1) / max(m - 1, 1)
        if phi.velocity is not None and v is not None:
            moved = jax.vmap(phi.velocity)(h) * v + moved
        gathered = jnp.concatenate([h, jnp.sum(messages, axis=1)], axis=-1)
        return h + jax.vmap(phi.node)(gathered), x + moved, moved


class EGNN(eqx.Module):
    r"""Several EGNN layers after a linear embedding of the features; each is given the first velocities, as in the paper."""

    embedding: eqx.nn.Linear
    layers: tuple[EGNNLayer, ...]

    def __init__(
        self, features: int, *, edges: int = 0, width: int = 64, depth: int = 4, velocity: bool = False, key: Key
    ):
        first, *rest = jax.random.split(key, depth + 1)
        self.embedding = eqx.nn.Linear(features, width, dtype=jnp.float32, key=first)
        self.layers = tuple(EGNNLayer(width, edges=edges, width=width, velocity=velocity, key=k) for k in rest)

    def __call__(
        self,
        h: Float[Array, "m c"],
        x: Float[Array, "m n"],
        v: Float[Array, "m n"] | None = None,
        a: Float[Array, "m m e"] | None = None,
    ) -> Float[Array, "m n"]:
        """The places of the points after the last layer."""
        embedding = jax.tree.map(lambda w: w.astype(x.dtype), self.embedding)
        h = jax.vmap(embedding)(h)
        for layer in self.layers:
            h, x, _ = layer(h, x, v, a)
        return x


def field_of_layer(layer: EGNNLayer, m: int, n: int = 3) -> PointCloudField:
    r"""The field of which an EGNN layer is one step of size 1, for m points of $\mathbb{R}^n$ that carry their features.

    Without velocities the layer is an explicit Euler step $x + f(x)$ of the points $(x, h)$; with them a symplectic Euler
    step (`symplectic_euler_step`) of the points $((x, v), h)$, where the field has $\phi_v - 1$ for the layer's $\phi_v$.
    """
    features, inputs = layer.node.out_size, layer.edge.in_size
    assert isinstance(features, int)
    assert isinstance(inputs, int)
    edges = inputs - 2 * features - 1
    second = layer.velocity is not None
    action = cloud_action(AffineAction(E(n)), m, order=2 if second else 1, features=features)
    field = _blank(action, edges, layer.edge.width_size)
    parts: tuple[Any, ...] = ((layer.edge,), (layer.node,), layer.coordinate)
    field = eqx.tree_at(lambda f: (f.message, f.update, f.push), field, parts)
    return field if not second else eqx.tree_at(lambda f: f.drag, field, _shifted(layer.velocity, -1.0))


def layer_of_field(field: PointCloudField) -> EGNNLayer:
    """The EGNN layer that is one step of size 1 of `field`: the inverse of `field_of_layer`.

    **Raises:** `ValueError` for a field that has what the layer has not: several rounds of messages, bounded distances, a
    cut-off or a box, scalars of velocities, sums instead of means, features that stand still or that come in `args`.
    """
    _, _, order, carried = cloud_parts(field.action)
    found = {
        "rounds": len(field.message),
        "mean": field.mean,
        "evolve": field.evolve,
        "scales": field.scales,
        "cutoff": field.cutoff,
        "core": field.core,
        "friction": field.rub is not None,
        "velocity_scalars": field.velocity_scalars,
        "isolated": field.isolated,
    }
    wanted = dict.fromkeys(("cutoff", "core")) | {"rounds": 1, "mean": True, "evolve": True, "scales": ()}
    wanted |= {"friction": False, "velocity_scalars": False, "isolated": False}
    inputs = field.message[0].in_size
    if found != wanted or not isinstance(inputs, int) or field.push.in_size != field.message[0].out_size:
        raise ValueError(
            f"An EGNN layer is a step of size 1 of a PointCloudField with {wanted}, whose features are all carried by its "
            f"points; this one has {found}."
        )
    edges, width = inputs - 2 * carried - 1, field.message[0].width_size
    layer = EGNNLayer(carried, edges=edges, width=width, velocity=order == 2, key=jax.random.key(0))
    parts: tuple[Any, ...] = (field.message[0], field.update[0], field.push)
    layer = eqx.tree_at(lambda f: (f.edge, f.node, f.coordinate), layer, parts)
    return layer if order == 1 else eqx.tree_at(lambda f: f.velocity, layer, _shifted(field.drag, 1.0))


def symplectic_euler_step(field: AbstractField, x: Point, dt: float, args: Any = None, t: float = 0.0) -> Point:
    r"""$u \leftarrow u + \Delta t\, u'$, then $x \leftarrow x + \Delta t\, u$: one step of a second-order field on $(x, u)$.

    On $((x, u), h)$ the features take an explicit step. With a `PointCloudField`, a layer of SEGNO, whose layers all share
    their weights. Y. Liu et al., *SEGNO: generalizing equivariant graph neural networks with physical inductive biases*,
    ICLR 2024.
    """
    velocity = field(t, x, args)
    carried = isinstance(x[0], tuple)
    (place, u), (_, force) = (x[0], velocity[0]) if carried else (x, velocity)
    faster = u + dt * force
    moved = (place + dt * faster, faster)
    return (moved, x[1] + dt * velocity[1]) if carried else moved


def _blank(action: AbstractAction, edges: int, width: int) -> PointCloudField:
    return PointCloudField(
        action, edges=edges, width=width, mean=True, velocity_scalars=False, evolve=True, key=jax.random.key(0)
    )


def _shifted(mlp: Any, by: float) -> Any:
    return eqx.tree_at(lambda f: f.layers[-1].bias, mlp, mlp.layers[-1].bias + jnp.float32(by))
