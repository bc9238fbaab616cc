"""Classifiers whose steps can be undone: gradients as by backpropagation, in memory that does not grow with the steps."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.dynamics import InvariantController, Reversible, ReversibleAdjoint, Steps
from equivax.tasks import ModelConfig, TaskError, build_classifier

SMALL = ModelConfig(
    group="C4",
    fine=8,
    coarse=3,
    fine_width=2,
    coarse_width=1,
    lift_order=2,
    fine_order=2,
    read_width=1,
    read_order=2,
    head=4,
    coarse_steps=1,
    evolution="reversible",
)


def build(**changes):
    return build_classifier(dataclasses.replace(SMALL, **changes), size=12, key=jax.random.key(0))


def gradient(flow):
    """Compiled, of a loss of the ends of two signals, each with features left out: for weights and signals."""
    weights, rest = eqx.partition(flow.field, eqx.is_inexact_array)
    u = jax.random.normal(jax.random.key(1), (2, flow.field.grid.size, flow.field.rep.dim), jnp.float32)
    keys = jax.random.split(jax.random.key(2), 2)

    def loss(weights, u):
        moved = dataclasses.replace(flow, field=eqx.combine(weights, rest))
        return jnp.sum(jax.vmap(moved)(u, keys) ** 2)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(weights, u).compile(), (weights, u)


def test_gradients_are_those_of_backpropagation_in_memory_that_does_not_grow():
    flow = build(fine_steps=3).cascade.stages[1]
    (got, at), (meant, _) = gradient(flow), gradient(dataclasses.replace(flow, controller=Steps(3), dt0=None))
    for a, b in zip(jax.tree.leaves(got(*at)), jax.tree.leaves(meant(*at)), strict=True):
        assert float(jnp.abs(b).max()) > 0
        np.testing.assert_allclose(a, b, atol=2e-6 * float(jnp.abs(b).max()))
    # There is a knot for each step, so that weights and their gradients are more; of the states none is kept.
    many, _ = gradient(build(fine_steps=12).cascade.stages[1])
    few, many, unrolled = (c.memory_analysis().temp_size_in_bytes for c in (got, many, meant))
    assert many - few < 9 * at[1].nbytes / 4, (few, many, unrolled)
    assert unrolled > few + 2 * at[1].nbytes


def test_a_single_step_is_one_of_euler_with_features_left_out():
    u, key = jax.random.normal(jax.random.key(1), (64, 8), jnp.float32), jax.random.key(3)
    flows = [build(evolution=e).cascade.stages[1] for e in ("reversible", "parabolic")]
    ends = [eqx.filter_jit(lambda u, k, f=f: f(u, k))(u, key) for f in flows]
    np.testing.assert_allclose(*ends, atol=1e-6)
    assert float(jnp.abs(ends[0] - flows[1](u)).max()) > 1e-3


def test_reversible_steps_are_counted_twice():
    image = jax.random.uniform(jax.random.key(1), (12, 12), jnp.float32)
    model, plain = (build(fine_steps=3, evolution=e) for e in ("reversible", "parabolic"))
    assert model.count(image)["steps"] == plain.count(image)["steps"]
    assert model.count(image)["function_evaluations"] == 2 * plain.count(image)["function_evaluations"]


def test_reversible_steps_may_be_adaptive():
    # What the adjoint does with adaptive steps is tested where it lives.
    flow = build(solver="Bosh3", rtol=1e-3).cascade.stages[1]
    kinds = type(flow.solver), type(flow.adjoint), type(flow.controller)
    assert kinds == (Reversible, ReversibleAdjoint, InvariantController)
    with pytest.raises(TaskError, match="error estimate"):
        build(rtol=1e-3)
