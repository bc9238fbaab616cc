"""Flows: order of convergence, inverse, path, gradients by every adjoint, pytrees, types, errors; SciPy as the oracle."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest
from scipy.integrate import solve_ivp

from equivax.dynamics import RKMK, Flow, InvariantController, Magnus, Projected, Steps, TapeAdjoint
from equivax.fields import InducedField
from equivax.geometry import Euclidean, Power, Product, Sphere, Torus

TIGHT = InvariantController(diffrax.PIDController(rtol=1e-10, atol=1e-12))
SPHERE = Sphere(2)
X = SPHERE.project(jnp.asarray([0.3, -0.5, 0.8]))


def swing(t, y, args):
    """A field of R^2 that depends on t and on y; many mistakes cost an order on such fields only."""
    del args
    return jnp.stack([y[1] * (1 + t), -jnp.exp(y[0]) * jnp.cos(t)])


class Swirl(eqx.Module):
    """A tangent field on the sphere with weights, a number that is none, and an argument of the user's."""

    weight: jax.Array
    bias: jax.Array
    rate: float = 0.7

    def __call__(self, t, x, args):
        v = jnp.tanh(self.weight @ x + self.bias) * (1 + self.rate * t)
        return SPHERE.to_tangent(x, v if args is None else args * v)


def swirl(seed=0, dtype=jnp.float64):
    keys = jax.random.split(jax.random.key(seed))
    return Swirl(jax.random.normal(keys[0], (3, 3), dtype), jax.random.normal(keys[1], (3,), dtype))


@functools.cache
def exact():
    solution = solve_ivp(
        lambda t, y: [y[1] * (1 + t), -np.exp(y[0]) * np.cos(t)],
        (0, 1),
        [-0.3, 1.1],
        "DOP853",
        rtol=1e-13,
        atol=1e-13,
    )
    return solution.y[:, -1]


Y = jnp.asarray([-0.3, 1.1])

# solver, its order, numbers of steps in the asymptotic range and above rounding
ORDERS = [
    (diffrax.Euler(), 1, (16, 24, 32, 48)),
    (diffrax.Heun(), 2, (12, 16, 24, 32)),
    (diffrax.Bosh3(), 3, (12, 16, 24, 32)),
    (diffrax.Tsit5(), 5, (12, 16, 20, 24)),
]


@pytest.mark.parametrize(("solver", "order", "numbers"), ORDERS, ids=lambda p: type(p).__name__)
def test_observed_orders(solver, order, numbers):
    errors = []
    for n in numbers:
        flow = Flow(swing, Euclidean(2), solver=solver, controller=Steps(n))
        errors.append(np.linalg.norm(np.asarray(flow(Y)) - exact()))
    slope, _ = np.polyfit(np.log(numbers), np.log(errors), 1)
    assert abs(-slope - order) < 0.25, (slope, errors)


# Tableaus with and without first-same-as-last, and solvers with a `step` of their own.
SOLVERS = [diffrax.Euler(), diffrax.Heun(), diffrax.Tsit5(), diffrax.LeapfrogMidpoint()]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_steps_are_constant_steps(solver):
    ts = jnp.asarray([0.0, 0.1, 0.4, 0.77, 1.0])

    @eqx.filter_jit
    def both(y):
        flow = Flow(swing, Euclidean(2), solver=solver, controller=Steps(5))
        loop = diffrax.diffeqsolve(
            diffrax.ODETerm(swing),
            solver,
            0.0,
            1.0,
            0.2,
            y,
            stepsize_controller=diffrax.ConstantStepSize(),
            saveat=diffrax.SaveAt(ts=ts),
        )
        return flow(y), flow.path(y, ts), flow.inverse(y), loop.ys

    end, path, back, want = both(Y)
    np.testing.assert_allclose(end, want[-1], rtol=1e-13)
    np.testing.assert_allclose(path, want, rtol=1e-13, atol=1e-14)
    turned = Flow(swing, Euclidean(2), solver=solver, controller=Steps(5), t0=1.0, t1=0.0)
    np.testing.assert_allclose(back, turned.solve(Y).ys[-1], rtol=1e-13)


@pytest.mark.parametrize("solver", SOLVERS[:3], ids=lambda s: type(s).__name__)
def test_steps_are_unrolled(solver):
    flow = Flow(swing, Euclidean(2), solver=solver, controller=Steps(3))
    assert "while" not in str(jax.make_jaxpr(flow)(Y))
    assert "scan" not in str(jax.make_jaxpr(jax.grad(lambda y: jnp.sum(flow(y))))(Y))
    assert "while" in str(jax.make_jaxpr(lambda y: flow.solve(y).ys)(Y))


def test_steps_evaluate_the_field_once_for_each_stage():
    # Tsit5 has seven stages of which the last is the first of the next step: 6 n + 1 evaluations.
    for solver in (None, diffrax.Tsit5(), Projected(diffrax.Tsit5())):
        calls = []

        def counted(t, y, args, calls=calls):
            calls.append(t)
            return swing(t, y, args)

        Flow(counted, Euclidean(2), solver, Steps(4))(Y)
        # Those that only ask for a shape are given a time that has no value.
        assert len([t for t in calls if not isinstance(t, jax.core.Tracer)]) == 6 * 4 + 1


def test_adaptive_steps_against_scipy():
    np.testing.assert_allclose(Flow(swing, Euclidean(2), controller=TIGHT)(Y), exact(), rtol=1e-8)


def test_inverse():
    for controller, bound in ((TIGHT, 1e-8), (Steps(5), 1e-3)):
        flow = Flow(swirl(), SPHERE, controller=controller)
        there = eqx.filter_jit(flow)(X)
        assert SPHERE.dist(X, there) > 0.1
        assert SPHERE.dist(eqx.filter_jit(flow.inverse)(there), X) < bound


def test_path_lives_on_the_manifold():
    ts = jnp.linspace(0.0, 1.0, 7)
    paths = []
    for controller in (TIGHT, Steps(5)):
        flow = Flow(swirl(), SPHERE, diffrax.Tsit5(), controller)
        xs, end, raw = eqx.filter_jit(
            lambda flow: (flow.path(X, ts), flow(X), flow.solve(X, saveat=diffrax.SaveAt(ts=ts)).ys)
        )(flow)
        assert xs.shape == (7, 3)
        np.testing.assert_allclose(jnp.linalg.norm(xs, axis=1), 1, atol=1e-15)
        np.testing.assert_allclose(xs[0], X, atol=1e-15)
        np.testing.assert_allclose(xs[-1], end, atol=1e-14)
        paths.append(xs)
    # the solver's own interpolant is off the sphere, so that projecting is not idle
    assert jnp.max(jnp.abs(jnp.linalg.norm(raw, axis=1) - 1)) > 1e-6
    np.testing.assert_allclose(paths[0], paths[1], atol=1e-3)


def test_path_outside_is_an_error():
    flow = Flow(swing, Euclidean(2), controller=Steps(2))
    with pytest.raises(ValueError, match=r"between t0 = 0.0 and t1 = 1.0"):
        flow.path(Y, jnp.asarray([0.5, 1.5]))


REVERSE = [
    (TapeAdjoint(), TIGHT),
    (diffrax.RecursiveCheckpointAdjoint(), TIGHT),
    (diffrax.DirectAdjoint(), TIGHT),
    (diffrax.BacksolveAdjoint(), TIGHT),
    (diffrax.RecursiveCheckpointAdjoint(), Steps(4)),
]


@functools.cache
def difference_quotient(controller):
    """The derivative of a function of the end point along one direction of weights, x0 and args, by differences."""
    primal, direction = loss_point()

    @jax.jit
    def value(s):
        (w, x, a), (dw, dx, da) = primal, direction
        w = jax.tree.map(lambda p, d: p + s * d, w, dw)
        return loss(diffrax.DirectAdjoint(), controller, w, SPHERE.exp(x, s * dx), a + s * da)

    # Of sixth order, 6e-11 at this h; a smaller one would divide the jumps of adaptive steps, 1e-10 or so, by more.
    h = 1e-3
    first, second, third = (value(k * h) - value(-k * h) for k in (1.0, 2.0, 3.0))
    return float((45 * first - 9 * second + third) / (60 * h))


def loss_point():
    field = swirl()
    weights = eqx.filter(field, eqx.is_inexact_array)
    primal = (weights, X, jnp.asarray(0.9))
    keys = jax.random.split(jax.random.key(7), 3)
    direction = (
        jax.tree.map(lambda a: jax.random.normal(keys[0], a.shape), weights),
        SPHERE.random_tangent(X, key=keys[1]),
        jnp.asarray(1.3),
    )
    return primal, direction


def loss(adjoint, controller, weights, x, args):
    field = eqx.combine(weights, Swirl(None, None))
    # Unrolled steps of seven stages take half a minute to compile in reverse.
    solver = RKMK(diffrax.Bosh3()) if isinstance(controller, Steps) else None
    flow = Flow(field, SPHERE, solver, controller, adjoint=adjoint, max_steps=256)
    return flow(x, args) @ jnp.asarray([1.0, -2.0, 0.5])


@pytest.mark.parametrize(("adjoint", "controller"), REVERSE, ids=lambda a: type(a).__name__)
def test_reverse_mode(adjoint, controller):
    primal, direction = loss_point()
    gradient = jax.jit(jax.grad(functools.partial(loss, adjoint, controller), (0, 1, 2)))(*primal)
    got = sum(jnp.sum(g * d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    assert all(jnp.max(jnp.abs(g)) > 1e-3 for g in jax.tree.leaves(gradient))
    # Diffrax's adjoints choose the steps anew on the way back. At this tolerance the choice is one of rounding to 1e-7, and XLA
    # need not round twice in the same way; a `TapeAdjoint` has the steps in writing.
    rtol = 1e-6 if controller is TIGHT and not isinstance(adjoint, TapeAdjoint) else 1e-8
    np.testing.assert_allclose(got, difference_quotient(controller), rtol=rtol)


@pytest.mark.parametrize("controller", [TIGHT, Steps(4)], ids=lambda c: type(c).__name__)
def test_forward_mode(controller):
    primal, direction = loss_point()
    f = functools.partial(loss, diffrax.ForwardMode(), controller)
    _, got = jax.jit(lambda p, d: jax.jvp(f, p, d))(primal, direction)
    np.testing.assert_allclose(got, difference_quotient(controller), rtol=1e-7)


@pytest.mark.parametrize("controller", [TIGHT, Steps(3)], ids=lambda c: type(c).__name__)
def test_single_precision_and_batches(controller):
    flow = Flow(swirl(dtype=jnp.float32), SPHERE, RKMK(diffrax.Bosh3()), controller, max_steps=256)
    if controller is TIGHT:
        flow = eqx.tree_at(
            lambda f: f.controller, flow, InvariantController(diffrax.PIDController(rtol=1e-4, atol=1e-6))
        )
    xs = jnp.stack([X, -X, X[::-1]]).astype(jnp.float32)
    ys, one, path = eqx.filter_jit(lambda f, xs: (jax.vmap(f)(xs), f(xs[0]), f.path(xs[0], jnp.linspace(0.0, 1.0, 3))))(
        flow, xs
    )
    assert ys.dtype == one.dtype == path.dtype == jnp.float32
    np.testing.assert_allclose(ys[0], one, rtol=1e-4)
    np.testing.assert_allclose(path[-1], one, rtol=1e-4)


def test_products_and_angles():
    space = Product(Power(Sphere(2), 2), Torus(1), Euclidean(2))

    def field(t, x, args):
        points, angle, y = x
        spin = jax.vmap(lambda p: jnp.cross(jnp.asarray([0.0, 0.0, 1.0]), p))(points)
        return spin, 5 + 0 * angle, -y * t

    x = (jnp.stack([X, X[::-1]]), jnp.asarray([3.0]), jnp.asarray([1.0, 2.0]))
    turn = jnp.asarray([[jnp.cos(1.0), -jnp.sin(1.0), 0], [jnp.sin(1.0), jnp.cos(1.0), 0], [0, 0, 1]])
    want = x[0] @ turn.T, x[1] + 5 - 4 * np.pi + 2 * np.pi, x[2] * jnp.exp(-0.5)
    for controller in (TIGHT, Steps(6)):
        got = eqx.filter_jit(Flow(field, space, controller=controller))(x)
        assert space.belongs(got)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_times_are_values():
    # t0 and t1 may be traced and differentiated: the derivative by the end of time is the field there.
    slope = jax.jit(jax.grad(lambda t1: Flow(swing, Euclidean(2), controller=Steps(4), t1=t1)(Y)[0]))(jnp.asarray(1.0))
    np.testing.assert_allclose(slope, swing(jnp.asarray(1.0), jnp.asarray(exact()), None)[0], rtol=1e-3)


def test_constant_steps_and_dt0():
    flow = Flow(swing, Euclidean(2), controller=diffrax.ConstantStepSize(), dt0=0.2)
    unrolled = Flow(swing, Euclidean(2), controller=Steps(5))
    np.testing.assert_allclose(flow(Y), unrolled(Y), rtol=1e-13)
    np.testing.assert_allclose(flow.inverse(Y), unrolled.inverse(Y), rtol=1e-13)
    assert flow.solve(Y).stats["num_steps"] == 5


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match=r"`x0` should be one point .*received shape \(4, 3\)"):
        Flow(swirl(), SPHERE)(jnp.ones((4, 3)))
    with pytest.raises(ValueError, match=r"(?s)tangent at x.*f64\[3\].*It returned f64\[2\]"):
        Flow(lambda t, x, args: x[:2], SPHERE)(X)
    with pytest.raises(ValueError, match=r"(?s)It returned .*f64\[3\]"):
        Flow(lambda t, x, args: (x, x), SPHERE, controller=Steps(2))(X)
    with pytest.raises(ValueError, match=r"f32\[3\].*It returned f64\[3\]"):
        Flow(lambda t, x, args: x.astype(jnp.float64), SPHERE)(X.astype(jnp.float32))
    with pytest.raises(ValueError, match="leave out dt0"):
        Flow(swing, Euclidean(2), controller=Steps(2), dt0=0.1)
    with pytest.raises(ValueError, match="n >= 1"):
        Steps(0)
    with pytest.raises(RuntimeError, match=r"(?s)stopped at t = 0\.\d+, x = .*after 3 steps: it took all `max_steps`"):
        Flow(swing, Euclidean(2), controller=TIGHT, max_steps=3)(Y)


def test_bad_input_is_named_with_its_remedy():
    flow = Flow(swirl(), SPHERE)
    with pytest.raises(ValueError, match=r"(?s)`x0` is not on Sphere.*is 0\.1, for.*space\.project\(x0\)"):
        flow(X * 1.1)
    # Inside jit values are known only when the program runs.
    with pytest.raises(Exception, match=r"started off the manifold. Start at `space\.project"):
        eqx.filter_jit(flow)(X * 1.1)
    code = eqx.filter_jit(lambda x: flow.solve(x, throw=False).result)(X * 1.1)
    assert code == diffrax.RESULTS.nonfinite_input
    with pytest.raises(ValueError, match=r"should lie between t0 = 0\.0 and t1 = 1\.0"):
        flow.solve(X, saveat=diffrax.SaveAt(ts=[0.5, 2.0]))
    with pytest.raises(ValueError, match=r"(?s)`v` is not tangent .*space\.to_tangent\(x, v\)"):
        SPHERE.check_tangent(X, X)


def test_solves_that_stop_early_say_where_and_what_to_do():
    # x' = x^2 from 1 is infinite at t = 1: steps shrink to nothing.
    def explosion(t, x, args):
        return x**2

    controller = InvariantController(diffrax.PIDController(rtol=1e-6, atol=1e-6, dtmin=1e-5, force_dtmin=False))
    flow = Flow(explosion, Euclidean(1), controller=controller, t1=2.0)
    with pytest.raises(RuntimeError, match=r"stopped at t = (0\.99|1).*its steps shrank below `dtmin`"):
        flow(jnp.ones(1))
    assert flow.solve(jnp.ones(1), throw=False).result == diffrax.RESULTS.dt_min_reached
    with pytest.raises(Exception, match="its steps shrank below `dtmin`"):
        eqx.filter_jit(flow)(jnp.ones(1))
    # A constant step of more than a full circle is beyond the radius of dexpinv; adaptive steps are made shorter.
    spin = InducedField(lambda t, x, args: jnp.asarray([0.0, 0.0, 30.0]) + 0 * x, SPHERE.motions)
    long = Flow(spin, SPHERE, RKMK(diffrax.Heun()), diffrax.ConstantStepSize(), dt0=0.5)
    with pytest.raises(RuntimeError, match=r"dexpinv is singular\. Take smaller constant steps"):
        long(X)
    assert jnp.isfinite(Flow(spin, SPHERE, RKMK(diffrax.Heun()), dt0=0.5)(X)).all()


def test_quantities_along_a_solution_and_events():
    flow = Flow(swirl(), SPHERE, controller=TIGHT)
    ts = jnp.linspace(0.0, 1.0, 5)
    heights = flow.path(X, ts, quantity=lambda t, x, args: x[2] + t)
    np.testing.assert_allclose(heights, flow.path(X, ts)[:, 2] + ts, atol=1e-15)
    half = float(heights[2] - ts[2])
    event = diffrax.Event(lambda t, y, args, **kwargs: y[2] - half, optx.Newton(rtol=1e-10, atol=1e-10))
    met = flow.solve(X, event=event)
    assert abs(float(met.ts[0]) - 0.5) < 1e-4
    np.testing.assert_allclose(jnp.linalg.norm(met.ys[0]), 1, atol=1e-15)


def test_the_natural_solver_keeps_every_point_on_the_manifold():
    ts = jnp.linspace(0.0, 1.0, 9)
    for solver in (None, Projected(diffrax.Tsit5())):
        raw = Flow(swirl(), SPHERE, solver).solve(X, saveat=diffrax.SaveAt(ts=ts)).ys
        np.testing.assert_allclose(jnp.linalg.norm(raw, axis=1), 1, atol=50 * 2.2e-16)


def test_fields_in_the_algebra_are_used_as_they_are():
    # y' = A(t) . y with A in so(3): the sixth-order Magnus method takes A from the field, and refuses an ordinary one.
    def A(t, x, args):
        return jnp.stack([jnp.cos(t), jnp.sin(2 * t), 1 + 0 * t])

    field = InducedField(A, SPHERE.motions)
    want = Flow(field, SPHERE, diffrax.Dopri8(), diffrax.PIDController(rtol=1e-12, atol=1e-12))(X)
    got = Flow(field, SPHERE, Magnus(6), Steps(8))(X)
    np.testing.assert_allclose(got, want, atol=1e-9)
    with pytest.raises(ValueError, match="AlgebraTerm"):
        Flow(lambda t, x, args: field(t, x), SPHERE, Magnus(6), Steps(8))(X)
