"""Gradients of whole solves: every adjoint against the others and against differences; memory against depth."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from equivax.dynamics import (
    RKMK,
    CommutatorFree,
    Flow,
    InvariantController,
    Projected,
    Reversible,
    ReversibleAdjoint,
    TapeAdjoint,
    backsolve,
)
from equivax.geometry import SPD, Euclidean, Product, SpecialOrthogonal, Sphere

# Compiling dominates: few stages, and LLVM told not to optimise.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
CONSTANT = diffrax.ConstantStepSize()
TIMES = diffrax.SaveAt(ts=jnp.asarray([0.3, 0.6, 1.0]))
SPACES = [Product(Sphere(2), Euclidean(2)), SpecialOrthogonal(3), SPD(2)]
PLAIN = [diffrax.RecursiveCheckpointAdjoint(), diffrax.DirectAdjoint(), diffrax.ForwardMode()]


def flat(x):
    return ravel_pytree(x)[0]


@functools.cache
def problem(M):
    """A point, weights, a field with those weights, and a loss of the points saved."""
    with jax.ensure_compile_time_eval():
        x = M.random_point(key=jax.random.key(1))
        N = flat(x).size
        W = jnp.asarray(np.random.default_rng(5).normal(size=(N, N)) / np.sqrt(N))

    def field(t, x, W):
        v = jnp.sin(W @ flat(x) + t)
        return M.to_tangent(x, ravel_pytree(x)[1](v / jnp.sqrt(1 + v @ v)))

    def cost(ys):
        return jnp.sum(jnp.sin(3 * jax.vmap(flat)(ys)) @ jnp.arange(1.0, N + 1))

    return x, W, field, cost


def value(M, solver, adjoint, s, saveat=TIMES, controller=CONSTANT, t1=1.0, steps=200):
    """The loss from a start moved by s along a geodesic, with weights moved by s."""
    x, W, field, cost = problem(M)
    u, dW = directions(M)
    x = M.exp(x, jax.tree.map(lambda a: s * a, u))
    options = {"stepsize_controller": controller, "max_steps": steps + 1, "adjoint": adjoint}
    term, h = diffrax.ODETerm(field), t1 / steps
    return cost(diffrax.diffeqsolve(term, solver.on(M), 0.0, t1, h, x, W + s * dW, saveat=saveat, **options).ys)


@functools.cache
def directions(M):
    x, W, _, _ = problem(M)
    with jax.ensure_compile_time_eval():
        return M.random_tangent(x, key=jax.random.key(2)), jnp.asarray(np.random.default_rng(6).normal(size=W.shape))


def slope(M, solver, adjoint, **kwargs):
    f = functools.partial(value, M, solver, adjoint, **kwargs)
    derivative = jax.jacfwd(f) if isinstance(adjoint, diffrax.ForwardMode) else jax.grad(f)
    return float(jax.jit(derivative, compiler_options=QUICK)(0.0))


@functools.cache
def quotient(M):
    """The derivative by differences of fourth order, along a solve without adjoints."""
    f = jax.jit(lambda s: value(M, RKMK(diffrax.Bosh3()), diffrax.ForwardMode(), s), compiler_options=QUICK)
    h = 1e-3
    near, far = (float(f(k * h) - f(-k * h)) for k in (1.0, 2.0))
    return (8 * near - far) / (12 * h)


CASES = [(M, adjoint) for M in SPACES for adjoint in (PLAIN[0], backsolve)] + [(SPACES[0], a) for a in PLAIN[1:]]


@pytest.mark.parametrize(("M", "adjoint"), CASES, ids=lambda a: getattr(a, "__name__", type(a).__name__))
def test_adjoints_agree_with_differences(M, adjoint):
    assert abs(quotient(M)) > 1e-2
    if adjoint is backsolve:
        adjoint = backsolve(M, solver=diffrax.Bosh3(), stepsize_controller=CONSTANT, max_steps=256)
    assert slope(M, RKMK(diffrax.Bosh3()), adjoint) == pytest.approx(quotient(M), rel=1e-6)


def test_reversible_gradients_are_exact():
    M = SPACES[0]
    # Of the same discrete solution, few steps that it is: equal to rounding, not to the accuracy of the solution.
    solver = Reversible(RKMK(diffrax.Heun()))
    got = slope(M, solver, ReversibleAdjoint(), steps=10)
    assert got == pytest.approx(slope(M, solver, PLAIN[0], steps=10), rel=1e-9)
    assert got == pytest.approx(quotient(M), rel=5e-2)
    assert got != pytest.approx(quotient(M), rel=1e-6)


SAVES = {
    "t1": diffrax.SaveAt(t1=True),
    "ts, t0, t1": diffrax.SaveAt(t0=True, t1=True, ts=jnp.asarray([0.0, 0.02, 0.03, 0.9, 1.0])),
}


@pytest.mark.parametrize("name", SAVES)
def test_reversible_gradients_of_all_that_is_saved(name):
    M, solver = Sphere(2), Reversible(RKMK(diffrax.Heun()), coupling=1.0)
    controller = InvariantController(diffrax.PIDController(rtol=1e-2, atol=1e-2), M)
    case = {"saveat": SAVES[name], "controller": controller, "t1": -1.0 if name == "t1" else 1.0}
    got = slope(M, solver, ReversibleAdjoint(), **case)
    assert got == pytest.approx(slope(M, solver, PLAIN[0], **case), rel=1e-9)


def test_reversible_steps_are_undone():
    M = SpecialOrthogonal(3)
    x, W, field, _ = problem(M)
    term, solver = diffrax.ODETerm(field), Reversible(RKMK(diffrax.Bosh3()), M)
    y, z = x, solver.init(term, 0.0, 0.1, x, W)
    steps = [(y, z)]
    for i in range(5):
        y, _, _, z, _ = solver.step(term, 0.1 * i, 0.1 * (i + 1), y, W, z, False)
        steps.append((y, z))
    assert jnp.max(jnp.abs(y - z)) > 1e-9, "two states that never part would be reversed by anything"
    for i in reversed(range(5)):
        y, z = solver.undo(term, 0.1 * i, 0.1 * (i + 1), y, W, z)
        np.testing.assert_allclose(y, steps[i][0], atol=1e-14)
        np.testing.assert_allclose(z, steps[i][1], atol=1e-14)


def test_a_field_that_damps_is_refused_instead_of_being_wrong():
    # Two states that a contracting field drives apart: adaptive steps see it.
    def sink(t, x, args):
        return -x

    flow = Flow(sink, Euclidean(1), Reversible(diffrax.Bosh3()), t1=20.0, max_steps=256)
    with pytest.raises(RuntimeError, match="max_steps"):
        flow(jnp.ones(1))


def bytes_of(solver, adjoint, steps):
    M = Euclidean(200)
    W = jnp.asarray(np.random.default_rng(0).normal(size=(200, 200)) / 20)

    def f(x):
        controller = diffrax.ConstantStepSize()
        term = diffrax.ODETerm(lambda t, y, args: jnp.tanh(W @ y))
        options = {"stepsize_controller": controller, "max_steps": steps, "adjoint": adjoint}
        return jnp.sum(diffrax.diffeqsolve(term, solver.on(M), 0.0, 1.0, 1.0 / steps, x, **options).ys ** 2)

    return jax.jit(jax.grad(f)).lower(jnp.ones(200)).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_depth():
    # One number for each step is kept (its time), and nothing of the 200 of a state.
    short, long = (bytes_of(Reversible(RKMK(diffrax.Heun())), ReversibleAdjoint(), n) for n in (64, 2048))
    assert long - short <= 8 * (2048 - 64) * 2
    every = [bytes_of(RKMK(diffrax.Heun()), diffrax.RecursiveCheckpointAdjoint(n), n) for n in (64, 2048)]
    assert every[1] - every[0] > 8 * 200 * (2048 - 64), "a checkpoint a step, to compare with"


def test_flows_choose_their_adjoint():
    x, W, field, _ = problem(Sphere(2))
    gradients = []
    for adjoint in (diffrax.BacksolveAdjoint(stepsize_controller=CONSTANT), diffrax.RecursiveCheckpointAdjoint()):
        kwargs = {"controller": CONSTANT, "dt0": 0.02, "max_steps": 64}
        flow = Flow(field, Sphere(2), CommutatorFree(3), adjoint=adjoint, **kwargs)
        f = jax.jit(jax.grad(lambda W, flow=flow: jnp.sum(flow(x, W) * jnp.arange(3.0))), compiler_options=QUICK)
        gradients.append(f(W))
    np.testing.assert_allclose(*gradients, rtol=1e-4)
    assert jnp.max(jnp.abs(gradients[0])) > 1e-2


@pytest.mark.parametrize("solver", [Projected(diffrax.Bosh3()), CommutatorFree(3)], ids=lambda s: type(s).__name__)
def test_an_error_estimate_with_an_evaluation_of_its_own_has_right_gradients(solver):
    # (diffrax#499: a solver whose estimate evaluates the field once more, under adaptive steps.) Step sizes are constants of
    # differentiation in every mode: forward mode through the same loop has to agree to rounding.
    M, case = Sphere(2), {"saveat": diffrax.SaveAt(t1=True)}
    case["controller"] = InvariantController(diffrax.PIDController(rtol=1e-4, atol=1e-4), M)
    assert slope(M, solver, PLAIN[0], **case) == pytest.approx(slope(M, solver, PLAIN[2], **case), rel=1e-10)


def test_wrong_use_is_named():
    M = Sphere(2)
    with pytest.raises(ValueError, match="undoes the steps of a `Reversible` solver"):
        slope(M, RKMK(diffrax.Heun()), ReversibleAdjoint())
    with pytest.raises(ValueError, match="a plain `SaveAt"):
        slope(M, Reversible(diffrax.Heun()), ReversibleAdjoint(), saveat=diffrax.SaveAt(dense=True, t1=True))
    with pytest.raises(ValueError, match=r"in \(0, 1\]; received 2"):
        Reversible(diffrax.Heun(), coupling=2.0)


TAPES = {
    "all steps": (TapeAdjoint(), 64),
    # 4 states of some 30 steps: strides of 2, 4, 8; and 64 steps that there may be in 5 places, which become 4.
    "every eighth": (TapeAdjoint(5), 64),
}
ALL = diffrax.SaveAt(t0=True, t1=True, ts=jnp.asarray([0.0, 0.1, 0.11, 0.9, 1.0]))


@functools.cache
def taped(adjoint, rtol, steps):
    """Value, steps, and gradients by start, weights and both ends of time."""
    M = Sphere(2)
    x, W, field, cost = problem(M)

    def f(x, W, t0, t1):
        controller = InvariantController(diffrax.PIDController(rtol=rtol, atol=rtol), M)
        # Weights that a plain function closes over count as well.
        term = diffrax.ODETerm(lambda t, y, args: field(t, y, W))
        options = {"stepsize_controller": controller, "max_steps": steps, "adjoint": adjoint, "throw": False}
        s = diffrax.diffeqsolve(term, Projected(diffrax.Bosh3(), M), t0, t1, 0.7, x, saveat=ALL, **options)
        return cost(s.ys), (s.stats["num_accepted_steps"], s.stats["num_steps"], s.result, s.ts)

    g = jax.jit(jax.value_and_grad(f, argnums=(0, 1, 2, 3), has_aux=True), compiler_options=QUICK)
    return g(x, W, 0.0, 1.0)


def moved_end():
    """d cost/d t1 by what the field says at t1: the other points that are saved do not depend on it."""
    M = Sphere(2)
    x, W, field, cost = problem(M)
    with jax.ensure_compile_time_eval():
        options = {
            "stepsize_controller": diffrax.PIDController(rtol=1e-9, atol=1e-9),
            "saveat": diffrax.SaveAt(t1=True),
        }
        y = diffrax.diffeqsolve(diffrax.ODETerm(field), diffrax.Tsit5(), 0.0, 1.0, None, x, W, **options).ys
        return jax.jvp(cost, (y,), (field(1.0, y[0], W)[None],))[1]


@pytest.mark.parametrize("name", TAPES)
def test_a_tape_has_the_gradients_of_recursive_checkpoints(name):
    adjoint, steps = TAPES[name]
    (value, (accepted, taken, _, ts)), gradients = taped(adjoint, 1e-6, steps)
    (other, (_, others_taken, _, others_ts)), others = taped(PLAIN[0], 1e-6, 64)
    assert float(value) == pytest.approx(float(other), rel=1e-13)
    assert taken == others_taken
    np.testing.assert_allclose(ts, others_ts)
    assert 20 < accepted < taken, "steps beyond what is kept, and some that were rejected"
    for got, expected in zip(gradients[:2], others[:2], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    # Diffrax halves this one, since min(t, t1) at the last step is a tie.
    np.testing.assert_allclose(gradients[3], moved_end(), rtol=1e-3)


def test_a_tape_of_a_solve_that_stops_early_and_of_many_at_once():
    M, results = Sphere(2), diffrax.RESULTS
    x, W, field, _ = problem(M)

    def end(x, adjoint, steps):
        controller = InvariantController(diffrax.PIDController(rtol=1e-4, atol=1e-4), M)
        options = {"stepsize_controller": controller, "max_steps": steps, "adjoint": adjoint, "throw": False}
        solver = Projected(diffrax.Bosh3(), M)
        s = diffrax.diffeqsolve(diffrax.ODETerm(field), solver, 0.0, 1.0, 0.1, x, W, **options)
        return s.ys[-1] @ jnp.arange(3.0), (s.result, s.stats["num_steps"])

    gradient = jax.jit(jax.grad(end, has_aux=True), static_argnums=(1, 2), compiler_options=QUICK)
    got, (result, taken) = gradient(x, TapeAdjoint(), 3)
    assert result == results.max_steps_reached
    assert taken == 3
    # Nothing was saved at the end: what stands there are the steps that were taken, as for Diffrax.
    np.testing.assert_allclose(got, gradient(x, PLAIN[0], 3)[0], rtol=1e-10)
    # Solves of different lengths, side by side.
    xs = jnp.stack([x, M.project(jnp.asarray([1.0, -2.0, 0.3])), M.project(jnp.asarray([0.1, 0.2, 3.0]))])
    batched = jax.jit(jax.vmap(lambda x: jax.grad(end, has_aux=True)(x, TapeAdjoint(2), 64)), compiler_options=QUICK)
    gradients, (_, taken) = batched(xs)
    assert len({int(n) for n in taken}) > 1
    for x, g in zip(xs, gradients, strict=True):
        np.testing.assert_allclose(g, gradient(x, TapeAdjoint(2), 64)[0], rtol=1e-10)


def test_a_tape_leaves_the_rest_to_recursive_checkpoints():
    # A function of what is saved is not what a tape can reverse.
    M, case = Sphere(2), {"saveat": diffrax.SaveAt(t1=True, fn=lambda t, y, args: 2 * y), "steps": 3}
    got = slope(M, Projected(diffrax.Heun()), TapeAdjoint(), **case)
    assert abs(got) > 1e-2
    assert got == pytest.approx(slope(M, Projected(diffrax.Heun()), PLAIN[0], **case), rel=1e-12)
    with pytest.raises(ValueError, match="keeps one state or more; received 0"):
        TapeAdjoint(0)


@pytest.mark.parametrize("adjoint", [TapeAdjoint(), ReversibleAdjoint()], ids=lambda a: type(a).__name__)
def test_a_result_may_depend_on_a_part_of_the_point(adjoint):
    solver = RKMK(diffrax.Heun(), Product(Euclidean(2), Euclidean(2)))
    solver = solver if isinstance(adjoint, TapeAdjoint) else Reversible(solver)
    term = diffrax.ODETerm(lambda t, y, args: (args * y[1], -y[0]))

    def first(rate):
        y0 = (jnp.asarray([1.0, 0.5]), jnp.asarray([0.3, -0.2]))
        saveat = diffrax.SaveAt(ts=jnp.asarray([0.3, 1.0]))
        return diffrax.diffeqsolve(term, solver, 0.0, 1.0, 0.25, y0, rate, saveat=saveat, adjoint=adjoint).ys[0].sum()

    rate, step = jnp.asarray(0.7), 1e-5
    slope = (first(rate + step) - first(rate - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(first)(rate), slope, rtol=1e-7)
