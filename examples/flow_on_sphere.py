"""A flow on the sphere that commutes with rotations about an axis, adaptive steps included."""

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)  # exactness is easier to see in float64

from equivax.dynamics import Flow  # noqa: E402
from equivax.fields import NetworkField  # noqa: E402
from equivax.geometry import Sphere  # noqa: E402
from equivax.laws import flow_equivariance  # noqa: E402
from equivax.symmetry import SO, LinearAction, irrep, trivial  # noqa: E402

# SO(2) turns the first two coordinates of R^3 and leaves the third alone; the unit sphere is mapped to itself.
G = SO(2)
action = LinearAction(irrep(G, 1) + trivial(G), Sphere(2))

# A vector field that respects the action: an equivariant network, projected on the tangent planes.
field = NetworkField(action, hidden=8 * trivial(G) + 8 * irrep(G, 1), key=jax.random.key(0))
flow = Flow(field, action.space)  # adaptive steps, whose sizes are functions of invariants

x = action.space.random_point(key=jax.random.key(1))
g = G.sample(key=jax.random.key(2))
print("the point", x, "flows to", flow(x))
print("|flow(g x) - g flow(x)| =", jnp.abs(flow(action(g, x)) - action(g, flow(x))).max())
print(flow_equivariance(flow, x, key=jax.random.key(3)))
