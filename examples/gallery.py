"""Six equivariant flows in one picture: `python examples/gallery.py [picture.png]`.

Lines are the paths of some points x (blue) and of the moved points g x (red). Rings are the *moved paths*, g (path of x):
they lie on the red lines because the flows are equivariant. Each title gives the largest difference of the two.
"""

import sys

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from equivax.dynamics import Flow
from equivax.fields import InvariantField, PlainMLP, ReynoldsField, gram_schmidt_frame, haar_rule, polar_frame
from equivax.geometry import SPD, Hyperbolic, SpecialOrthogonal, Sphere
from equivax.symmetry import SO, AngleAction, Dihedral, LinearAction, defining, trivial

jax.config.update("jax_enable_x64", True)
keys = iter(jax.random.split(jax.random.key(4), 100))
V, turns = defining, SO(2)
times = jnp.linspace(0.0, 1.0, 33)


def free(action, gain):
    """A free function, with weights `gain` times as large as usual: to see where the flow goes."""
    mlp = PlainMLP(action.space, 32, activation=jnp.tanh, key=next(keys))
    return jax.tree.map(lambda a: gain * a if eqx.is_inexact_array(a) else a, mlp)


def axis_times_sine(x):
    """sin(angle) times the axis of a rotation: turns as x does under conjugation."""
    return jnp.stack([x[2, 1] - x[1, 2], x[0, 2] - x[2, 0], x[1, 0] - x[0, 1]])[None] / 2


plane = LinearAction(V(Dihedral(5)))
sphere = LinearAction(trivial(turns) + V(turns), Sphere(2))
torus = AngleAction((1, -2))
rotations = LinearAction(V(SO(3)) * ~V(SO(3)), SpecialOrthogonal(3))
hyperbolic = LinearAction(trivial(turns) + V(turns), Hyperbolic(2))
matrices = LinearAction(V(turns) * V(turns), SPD(2))

fields = {
    "the plane, D5 (Reynolds average)": ReynoldsField(free(plane, 6.0), plane, haar_rule(plane.group)),
    "the sphere about an axis, SO(2)": InvariantField(polar_frame(sphere, lambda x: x[1:]), free(sphere, 1.6)),
    "the torus, angles (1, -2), SO(2)": InvariantField(
        polar_frame(torus, lambda x: jnp.stack([jnp.cos(x[0]), jnp.sin(x[0])])), free(torus, 2.5)
    ),
    "rotations by conjugation, SO(3)": InvariantField(
        gram_schmidt_frame(rotations, axis_times_sine), free(rotations, 4.0), vanish=True
    ),
    "the hyperbolic disc, SO(2)": InvariantField(polar_frame(hyperbolic, lambda x: x[1:]), free(hyperbolic, 2.0)),
    "positive matrices by congruence, SO(2)": InvariantField(
        polar_frame(matrices, lambda x: jnp.stack([x[0, 0] - x[1, 1], 2 * x[0, 1]]), charge=2), free(matrices, 2.0)
    ),
}


def paths(field, count=5):
    """Paths of some points, those of the moved points, and the moved paths."""
    action, space = field.action, field.action.space
    start = jax.vmap(lambda key: space.random_point(key=key))(jax.random.split(next(keys), count))
    g = jnp.asarray(action.group.sample(key=next(keys)))
    flow = Flow(field, space, controller=diffrax.ConstantStepSize(), dt0=1 / 32)
    along = jax.jit(jax.vmap(lambda x: flow.path(x, times)))
    move = jax.vmap(lambda x: action(g, x))
    return along(start), along(move(start)), jax.vmap(move)(along(start))


def two_dimensional(space, x):
    """Where to draw a point."""
    if isinstance(space, Sphere):
        return x[..., 1:]
    if isinstance(space, Hyperbolic):
        return x[..., 1:] / (1 + x[..., :1])
    if isinstance(space, SpecialOrthogonal):
        return jax.vmap(jax.vmap(lambda r: axis_times_sine(r)[0, :2]))(x)
    if isinstance(space, SPD):
        return (
            jnp.stack([x[..., 0, 0] - x[..., 1, 1], 2 * x[..., 0, 1]], -1) / jnp.trace(x, axis1=-2, axis2=-1)[..., None]
        )
    return x


figure = Figure(figsize=(11, 7.4), layout="constrained")
for axes, (name, field) in zip(figure.subplots(2, 3).flat, fields.items(), strict=True):
    path, moved_start, moved_path = paths(field)
    space = field.action.space
    far = float(jnp.max(jnp.abs(jnp.exp(1j * moved_start) - jnp.exp(1j * moved_path))))  # angles by their directions
    print(f"{name:42} largest difference {far:.1e}")
    drawn = (np.asarray(two_dimensional(space, a)) for a in (path, moved_start, moved_path))
    for line, moved_line, ring in zip(*drawn, strict=True):
        if field.action is torus:
            line, moved_line, ring = ((a + np.pi) % (2 * np.pi) - np.pi for a in (line, moved_line, ring))
        style = {"linestyle": "none", "marker": ".", "markersize": 3} if field.action is torus else {"linewidth": 1.6}
        axes.plot(*line.T, color="#1f77b4", **style)
        axes.plot(*moved_line.T, color="#d62728", **style)
        axes.plot(*ring[::4].T, "o", color="#d62728", markerfacecolor="none", markersize=5, linewidth=0.8)
        axes.plot(*line[0], "o", color="#1f77b4", markersize=4)
    if field.action is not torus and field.action is not plane:
        axes.add_patch(Circle((0, 0), 1, fill=False, color="0.7"))
    axes.set(title=f"{name}\n{far:.0e}", aspect="equal", xticks=[], yticks=[])
    axes.title.set_fontsize(10)
picture = sys.argv[1] if len(sys.argv) > 1 else "gallery.png"
figure.savefig(picture, dpi=90)
print("written:", picture)
