"""An equivariant partial differential equation on one image: turn the image, and its evolution turns with it."""

import jax
import jax.numpy as jnp
import numpy as np

from equivax.dynamics import Cascade, Flow, Steps
from equivax.fields import DifferentialInvariantField, GaussianJet, SteerableLayer
from equivax.geometry import PixelGrid
from equivax.laws import equivariance
from equivax.symmetry import Dihedral, regular, rotation, trivial

G = Dihedral(4)  # quarter turns and flips
grid = PixelGrid(32, 32)
features = 2 * regular(G)
lift_key, field_key = jax.random.split(jax.random.key(0))

# Lift the grey image to regular features, then let u_t = F(differential invariants of u) act for one unit of time.
lift = SteerableLayer(trivial(G), features, GaussianJet(grid, grid, order=2, sigma=1.5), key=lift_key)
field = DifferentialInvariantField(features, grid, order=2, sigma=1.5, key=field_key)
pde = Cascade((lift, Flow(field, field.action.space, controller=Steps(4))))

x, y = grid.points.T
image = jnp.asarray(np.exp(-((x - 4) ** 2 + (y / 2) ** 2) / 20)[:, None], jnp.float32)
g = rotation(np.pi / 2)
turned_before, turned_after = pde(pde.action_in(g, image)), pde.action_out(g, pde(image))
print(f"{image.shape} -> {turned_before.shape}, largest difference {jnp.abs(turned_before - turned_after).max():.1e}")
print(equivariance(pde, pde.action_in, pde.action_out, image))
