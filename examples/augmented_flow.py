"""Where a flow cannot go, an augmented one can: a mirror image of the plane, learned."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from equivax.dynamics import Flow, Steps
from equivax.fields import Augmentation, Augmented, AugmentedField, NetworkField
from equivax.laws import equivariance
from equivax.symmetry import DirectProduct, LinearAction, Parity, defining, trivial

# The signs of the two coordinates, O(1) x O(1); the target (x, y) -> (x, -y) commutes with them.
G = DirectProduct(Parity(1), Parity(1))
V, one = defining(G), trivial(G)
plane = LinearAction(V)
points = jax.random.uniform(jax.random.key(0), (64, 2), minval=-1, maxval=1)
mirrored = points * jnp.asarray([1.0, -1.0])


def fitted(model, steps=1500):
    """The model after some steps of Adam, and its root mean square error."""

    @eqx.filter_value_and_grad
    def loss(model):
        return jnp.mean((jax.vmap(model)(points) - mirrored) ** 2)

    optimiser = optax.adam(optax.cosine_decay_schedule(3e-2, steps))
    weights, rest = eqx.partition(model, eqx.is_inexact_array)

    @jax.jit
    def train(weights):
        def step(carry, _):
            weights, state = carry
            value, grads = loss(eqx.combine(weights, rest))
            updates, state = optimiser.update(eqx.filter(grads, eqx.is_inexact_array), state)
            return (eqx.apply_updates(weights, updates), state), value

        (weights, _), values = jax.lax.scan(step, (weights, optimiser.init(weights)), length=steps)
        return weights, values[-1] ** 0.5

    weights, error = train(weights)
    return eqx.combine(weights, rest), error


key = jax.random.key(1)
hidden = 8 * V + 8 * one
plain = Flow(NetworkField(plane, hidden, depth=1, key=key), plane.space, diffrax.Heun(), Steps(4))
print("a plain flow keeps the orientation, and fails: error", fitted(plain, steps=100)[1])

# Two more coordinates that change sign as x and y do, and start at 0.
lift = Augmentation(plane, V)
field = AugmentedField(lift, hidden, depth=1, key=key)
augmented, error = fitted(Augmented(Flow(field, lift.space, diffrax.Heun(), Steps(4)), lift))
print("an augmented flow goes through the third and fourth dimension: error", error)
print("Jacobian at (1, 1):", jax.jacrev(augmented)(jnp.ones(2)).round(2).tolist())
print(equivariance(augmented, plane, plane, points[0], key=jax.random.key(2)))
