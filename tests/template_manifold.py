"""A manifold of your own, from five members: copy this file, replace the mathematics, and follow the two steps below.

1. Add one line to `MANIFOLDS` in `tests/objects.py`. Every law of the library is then asked of it.
2. Run `pytest tests/test_laws.py -k YourName`. Each law that fails is printed with its formula and its error.

Then, if you like, replace what is derived by closed forms, one method at a time: `log`, `dist`, `transport`, `retract`,
`frame`. The laws stay the same. A metric that is not that of R^N needs `inner`, `sharp` and `random_tangent` (all three).
`motions` makes Lie group solvers possible (see `equivax.geometry.AbstractLieAction`, and `equivax.laws.lie_action_axioms`);
without it, `Projected(solver)` serves. `volume` and `injectivity_radius` are numbers, where you know them.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from equivax.geometry import AbstractManifold


class Cylinder(AbstractManifold):
    """S^1 x R = {x in R^3 : x_1^2 + x_2^2 = 1}; a point is an array (3,).

    Tangent space {v : x_1 v_1 + x_2 v_2 = 0}. The metric is that of R^3, flat. Cut locus of x: the line opposite to it.
    """

    @property
    def shape(self) -> tuple[int]:
        """(3,)."""
        return (3,)

    @property
    def dim(self) -> int:
        """2."""
        return 2

    def project(self, x: Float[Array, "3"]) -> Float[Array, "3"]:
        """x_1 and x_2 over the root of their squares' sum."""
        return jnp.concatenate([x[:2] / jnp.linalg.norm(x[:2]), x[2:]])

    def to_tangent(self, x: Float[Array, "3"], v: Float[Array, "3"]) -> Float[Array, "3"]:
        """v without its part along (x_1, x_2, 0)."""
        normal = x.at[2].set(0)
        return v - jnp.dot(normal, v) * normal

    def exp(self, x: Float[Array, "3"], v: Float[Array, "3"]) -> Float[Array, "3"]:
        """A helix: turned by the angle x_1 v_2 - x_2 v_1, and moved up by v_3."""
        angle = x[0] * v[1] - x[1] * v[0]
        c, s = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([c * x[0] - s * x[1], s * x[0] + c * x[1], x[2] + v[2]])

    @property
    def injectivity_radius(self) -> float:
        """pi."""
        return math.pi
