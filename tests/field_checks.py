"""What every equivariant field is asked, whoever made it: the field itself, its flow, and its derivatives by its weights."""

import functools
import os

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.dynamics import RKMK, Flow, InvariantController, Projected
from equivax.laws import probe_elements

# EQUIVAX_THOROUGH=1 pytest tests/test_*_fields.py tests/test_{reynolds,weighted_frames,point_clouds}.py
THOROUGH = bool(os.environ.get("EQUIVAX_THOROUGH"))
BOUNDS = {"float64": 1e-10, "float32": 1e-5}
# Steps whose sizes are chosen by invariants; loose, so that few are made, since equality is asked of any number of them.
ADAPTIVE = diffrax.PIDController(rtol=1e-3, atol=1e-4)


def some(cases, at_most=5):
    """All cases if THOROUGH, otherwise a few from among them, evenly: flows take long to compile."""
    cases = list(cases)
    return cases if THOROUGH else cases[:: -(-len(cases) // at_most)]


def flows(names):
    """Names with types for the tests of flows: all in both if THOROUGH, otherwise four in double, two in single precision."""
    names = list(names)
    chosen = [(name, jnp.float64) for name in some(names, 4)] + [
        (name, jnp.float32) for name in (names if THOROUGH else some(names[1:], 2))
    ]
    return pytest.mark.parametrize(
        ("name", "dtype"), chosen, ids=[f"{name}-{jnp.dtype(dtype).name}" for name, dtype in chosen]
    )


def point_of(action, dtype=jnp.float64, seed=0):
    """A random point of the space, the same in both types, not too far out: rounding grows with the coordinates."""
    points = (action.space.random_point(key=jax.random.key(seed + 100 * i), dtype=jnp.float64) for i in range(100))
    return jax.tree.map(lambda a: a.astype(dtype), next(x for x in points if size(x) < 3))


def elements_of(action, seed=1, samples=2):
    """Some elements, not too far out: what rounding does to a point grows with the condition of the element."""
    g = probe_elements(action.group, key=jax.random.key(seed), samples=samples)
    g = g[np.asarray([np.linalg.cond(a) < 30 for a in g])]
    return g[np.abs(g - np.eye(g.shape[-1])).max(axis=(1, 2)) > 1e-3][-4:]


def assert_equivariant_field(field, x=None, dtype=jnp.float64, bound=None):
    """f(t, g x) = g_* f(t, x), and the same for the derivative of f along a random direction of its weights."""
    action = field.action
    x = point_of(action, dtype) if x is None else x
    weights, rest = eqx.partition(field, eqx.is_inexact_array)
    direction = random_like(weights)

    @jax.jit
    def value_and_change(x):
        def at(w):
            return eqx.combine(w, rest)(jnp.asarray(0.3, dtype), x, None)

        return jax.jvp(at, (weights,), (direction,))

    both = value_and_change(x)
    assert size(both[0]) > 1e-3, "the field vanishes: nothing is shown"
    assert size(both[1]) > 1e-6, "the field does not depend on its weights"
    bound = BOUNDS[jnp.dtype(dtype).name] if bound is None else bound
    for g in elements_of(action):
        for v, w in zip(both, value_and_change(action(g, x)), strict=True):
            pushed = action.push(g, x, v)
            assert gap(pushed, w) <= bound * max(1.0, size(pushed)), f"{gap(pushed, w)} at g =\n{g}"


def assert_equivariant_flow(field, x=None, dtype=jnp.float64, space=None, bound=None, t1=0.5, adaptive=True):
    """Phi(g x) = g Phi(x), with constant and with adaptive steps, of which both make equally many.

    `space`: the action's space, in a metric that is invariant where its own is not; `adaptive`: False where none is known.
    """
    action = field.action
    x = point_of(action, dtype) if x is None else x
    bound = BOUNDS[jnp.dtype(dtype).name] if bound is None else bound
    constant = (diffrax.ConstantStepSize(), t1 / 4)
    for controller, dt0 in [constant, (InvariantController(ADAPTIVE, space), None)][: 1 + adaptive]:
        flow = Flow(field, action.space, short_solver(action.space), controller, dt0=dt0, t1=t1, max_steps=256)

        @jax.jit
        def end(x, flow=flow):
            solution = flow.solve(x)
            return jax.tree.map(lambda a: a[-1], solution.ys), solution.stats["num_steps"]

        y, steps = end(x)
        assert gap(y, x) > 1e-3, "the flow stands still: nothing is shown"
        for g in elements_of(action)[-2:]:
            z, as_many = end(action(g, x))
            assert steps == as_many
            assert action.space.dist(action(g, y), z) <= bound * max(1.0, size(z)) or gap(
                action(g, y), z
            ) <= bound * max(1.0, size(z))


def short_solver(space):
    """Two stages, on the space at all times: little to compile, and what is asked here does not depend on the order."""
    try:
        return RKMK(diffrax.Heun(), space, space.motions)
    except NotImplementedError:
        return Projected(diffrax.Heun(), space)


def assert_finite_derivatives(field, x, dtype=jnp.float64):
    """Value, Jacobian and second derivatives at x, by the point and by the weights, hold numbers."""
    weights, rest = eqx.partition(field, eqx.is_inexact_array)
    v = jax.tree.map(lambda a: jnp.asarray(np.random.default_rng(0).normal(size=a.shape), a.dtype), x)
    w = random_like(weights)

    @jax.jit
    def everything(x):
        def total(weights, x):
            out = eqx.combine(weights, rest)(jnp.asarray(0.3, dtype), x, None)
            return sum(
                jnp.sum(a * jnp.cos(jnp.arange(a.size, dtype=a.dtype).reshape(a.shape))) for a in jax.tree.leaves(out)
            )

        gradient = functools.partial(jax.grad(total, argnums=(0, 1)))
        return total(weights, x), *jax.jvp(gradient, (weights, x), (w, v))

    for a in jax.tree.leaves(everything(x)):
        assert np.all(np.isfinite(a))


def random_like(tree, seed=0):
    """A random tree of the same structure."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), a.dtype), tree)


def size(x):
    """The largest coordinate."""
    return max(float(jnp.max(jnp.abs(a), initial=0.0)) for a in jax.tree.leaves(x))


def gap(x, y):
    """The largest difference of coordinates."""
    return size(jax.tree.map(jnp.subtract, x, y))
