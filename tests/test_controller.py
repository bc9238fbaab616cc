"""Whole adaptive solves commute with the group, to rounding; those of Diffrax's own controller must be seen not to."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from equivax.dynamics import Flow, InvariantController, Steps
from equivax.fields import AbstractField, NetworkField
from equivax.geometry import Euclidean, Hyperbolic, Power, Product, SpecialOrthogonal, Sphere, Torus
from equivax.symmetry import LinearAction, Lorentz, defining

BOUND = 1e-10
RTOL = 1e-4


def turn(angle, dtype=jnp.float64):
    return jnp.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype)


def kepler(t, x, args):
    """The two-body problem in the plane, x = (position, velocity): equivariant under rotations of both."""
    position, velocity = x
    return velocity, -position / jnp.sum(position**2) ** 1.5


def bodies(t, x, args):
    """Three bodies that attract each other: equivariant under rotations and under permutations."""
    q, p = x
    d = q[None] - q[:, None]
    return p, jnp.sum(d / (jnp.sum(d**2, -1, keepdims=True) + 0.01) ** 1.5, axis=1)


def phases(t, x, args):
    """Coupled phases: equivariant under a common shift of all angles, which moves every number, and permutations."""
    d = x[None] - x[:, None]
    return 3.0 + jnp.sum(jnp.sin(d) + jnp.cos(2 * d), axis=1)


def whirl(t, x, args):
    """On the sphere, equivariant under rotations about the vertical axis; sharp near the poles."""
    axis = jnp.asarray([0.0, 0.0, 1.0], x.dtype)
    return (1 + 40 * x[2] ** 4) * jnp.cross(axis, x) + jnp.sin(9 * x[2]) * (axis - x[2] * x)


def spin(angle):
    return jax.scipy.linalg.block_diag(turn(angle), jnp.eye(1))


ORBIT = (jnp.asarray([0.3, 0.0]), jnp.asarray([0.0, 2.3]))  # eccentricity 0.59, period 4.0
TRIPLE = (jnp.asarray([[1.0, 0.1], [-0.4, 0.8], [-0.5, -0.7]]), jnp.asarray([[0.0, 0.6], [-0.5, -0.3], [0.4, -0.2]]))
POINT = Sphere(2).project(jnp.asarray([0.5, 0.2, 0.6]))
PLANE = Product(Euclidean(2), Euclidean(2))
SYSTEM = Product(Power(Euclidean(2), 3), Power(Euclidean(2), 3))


def linear(g):
    return lambda x: jax.tree.map(lambda a: a @ g.T, x)


def permute(x):
    return jax.tree.map(lambda a: a[jnp.asarray([2, 0, 1])], x)


def shift(x):
    return Torus(3).project(x + 1.0)


# name, field, space, point, action, end of time
CASES = {
    "rotated orbit": (kepler, PLANE, ORBIT, linear(turn(0.7)), 8.0),
    "rotated bodies": (bodies, SYSTEM, TRIPLE, linear(turn(2.0)), 2.0),
    "permuted bodies": (bodies, SYSTEM, TRIPLE, permute, 2.0),
    "shifted phases": (phases, Torus(3), jnp.asarray([0.1, 1.0, -2.0]), shift, 3.0),
    "turned sphere": (whirl, Sphere(2), POINT, linear(spin(1.2)), 2.0),
}


@functools.cache
def mismatch(name, controller, dtype=jnp.float64):
    """|Phi(g x) - g Phi(x)|, the numbers of steps for x and for g x, and how far the flow went."""
    field, space, x, act, t1 = CASES[name]
    x = jax.tree.map(lambda a: a.astype(dtype), x)
    flow = Flow(field, space, controller=controller(RTOL), t1=t1)

    @eqx.filter_jit
    def solve(x):
        solution = flow.solve(x)
        return space.project(jax.tree.map(lambda a: a[-1], solution.ys)), solution.stats["num_steps"]

    def move(x):
        with jax.numpy_dtype_promotion("standard"):
            return jax.tree.map(lambda a: a.astype(dtype), act(x))

    (y, steps), (gy, steps_g) = solve(x), solve(move(x))
    return float(space.norm(y, space.log(move(y), gy))), (int(steps), int(steps_g)), float(space.dist(x, y))


def plain(rtol):
    return diffrax.PIDController(rtol=rtol, atol=rtol * 1e-2)


def invariant(rtol):
    return InvariantController(plain(rtol))


WRAPPERS = (plain, invariant)


@pytest.mark.parametrize("name", CASES)
def test_adaptive_flows_keep_their_equivariance(name):
    error, steps, distance = mismatch(name, invariant)
    assert distance > 0.1
    assert error < BOUND
    assert steps[0] == steps[1] > 5


@pytest.mark.parametrize("name", [n for n in CASES if n != "permuted bodies"])
def test_the_same_bound_is_failed_by_a_plain_controller(name):
    # (Permutations are exempt: they permute what the plain controller averages over, and it passes.)
    error, _, _ = mismatch(name, plain)
    assert error > 1e4 * BOUND


def test_a_plain_controller_takes_other_steps():
    assert len(set(mismatch("rotated orbit", plain)[1])) == 2


def test_single_precision():
    # What rounding once in each step may become: the flow turns the sphere by up to 80 radians, and shears it.
    field, space, x, _, t1 = CASES["turned sphere"]
    flow = Flow(field, space, controller=invariant(RTOL), t1=t1, adjoint=diffrax.ForwardMode(), max_steps=128)
    condition = jnp.linalg.norm(jax.jit(jax.jacfwd(lambda x: flow(space.project(x))))(x), 2)
    error, steps, _ = mismatch("turned sphere", invariant, jnp.float32)
    bound = steps[0] * float(condition) * float(jnp.finfo(jnp.float32).eps)
    assert error < bound < 2e-4
    assert steps[0] == steps[1]
    other, _, _ = mismatch("turned sphere", plain, jnp.float32)
    assert other > max(10 * error, bound)


def radius_and_speed(x):
    return jnp.linalg.norm(x[0]), jnp.linalg.norm(x[1])


CONTROLLERS = {
    "norms of the user": lambda rtol: InvariantController(plain(rtol), norms=radius_and_speed),
    "PI": lambda rtol: InvariantController(
        diffrax.PIDController(rtol=rtol, atol=rtol, pcoeff=0.3, icoeff=0.4, dtmax=0.3)
    ),
    "clip inside": lambda rtol: InvariantController(diffrax.ClipStepSizeController(plain(rtol), step_ts=[0.5, 2.0])),
    "clip outside": lambda rtol: diffrax.ClipStepSizeController(InvariantController(plain(rtol)), jump_ts=[0.5]),
}


@pytest.mark.parametrize("name", CONTROLLERS)
def test_other_controllers(name):
    error, steps, _ = mismatch("rotated orbit", CONTROLLERS[name])
    assert error < BOUND
    assert steps[0] == steps[1]


def test_clipped_steps_are_stepped_to():
    for name in ("clip inside", "clip outside"):
        flow = Flow(kepler, PLANE, controller=CONTROLLERS[name](RTOL), t1=3.0, max_steps=128)
        ts = np.asarray(flow.solve(ORBIT, saveat=diffrax.SaveAt(steps=True)).ts)
        assert np.min(np.abs(ts - 0.5)) < 1e-12
    # backwards, the times to step to are met in the other order
    back = eqx.filter_jit(lambda x: flow.inverse(flow(x)))(ORBIT)
    np.testing.assert_allclose(back[0], ORBIT[0], atol=0.05)


def first_step(field, x, rtol, atol, t0=0.0, t1=1.0, scale=1.0):
    controller = InvariantController(diffrax.PIDController(rtol=rtol, atol=atol))
    flow = Flow(lambda t, x, args: scale * field(t, x, args), Euclidean(len(x)), diffrax.Dopri5(), controller, t0, t1)
    ts = flow.solve(x, saveat=diffrax.SaveAt(steps=True), throw=False).ts
    return abs(float(ts[0]) - t0)


def test_first_step_is_that_of_hairer_norsett_wanner():
    # With one coordinate there is one block, and SciPy computes the same numbers from it.
    def decay(t, y, args=None):
        return -3 * y * (1 + t)

    for t0, t1 in ((0.0, 1.0), (1.0, 0.0)):
        want = scipy.integrate.RK45(decay, t0, np.array([2.0]), t1, rtol=1e-6, atol=1e-8).h_abs
        got = first_step(decay, jnp.asarray([2.0]), 1e-6, 1e-8, t0, t1)
        np.testing.assert_allclose(got, want, rtol=1e-8)


def test_first_step_follows_the_field():
    def rotate(t, x, args):
        return jnp.stack([-x[1], x[0]])

    slow, fast = (first_step(rotate, jnp.asarray([1.0, 0.0]), 1e-6, 1e-8, scale=s) for s in (1.0, 1e3))
    assert 1e-4 < slow < 1e-1
    assert fast < slow / 30
    turned = first_step(rotate, turn(0.7) @ jnp.asarray([1.0, 0.0]), 1e-6, 1e-8)
    np.testing.assert_allclose(turned, slow, rtol=1e-12)


def test_a_constant_field_and_the_origin_are_no_trouble():
    for field in (lambda t, x, args: jnp.ones_like(x), lambda t, x, args: jnp.zeros_like(x)):
        for x in (jnp.zeros(2), jnp.ones(2)):
            end = Flow(field, Euclidean(2))(x)
            np.testing.assert_allclose(end, x + field(0, x, None), atol=1e-12)


def test_tolerances_mean_what_they_mean_to_the_wrapped_controller():
    # The error falls with rtol, and stays within a factor of the plain controller's.
    def end(wrap):
        return eqx.filter_jit(lambda rtol: Flow(kepler, PLANE, controller=wrap(rtol), t1=4.0)(ORBIT)[0])

    exact = end(invariant)(jnp.asarray(1e-12))
    errors = np.array([[jnp.linalg.norm(end(w)(jnp.asarray(r)) - exact) for r in (1e-4, 1e-6, 1e-8)] for w in WRAPPERS])
    assert np.all((errors[1] / errors[0] > 1e-2) & (errors[1] / errors[0] < 1e2))
    assert np.all(errors[1, 1:] < 0.1 * errors[1, :-1])


def test_a_field_that_leaves_its_domain_is_stepped_back_from():
    # sqrt of a negative stage is NaN: the step must be refused, not the solve.
    flow = Flow(lambda t, x, args: -jnp.sqrt(x) * 20, Euclidean(1), t1=0.09, dt0=0.09)
    np.testing.assert_allclose(flow(jnp.ones(1)), (1 - 10 * 0.09) ** 2, rtol=1e-3)


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="wraps an adaptive controller; received ConstantStepSize"):
        InvariantController(diffrax.ConstantStepSize())
    with pytest.raises(ValueError, match="without `norms`"):
        InvariantController(plain(1e-3), scales=radius_and_speed)


def test_an_action_that_is_not_isometric_is_refused():
    field = NetworkField(LinearAction(defining(Lorentz())), 2 * defining(Lorentz()), 1, key=jax.random.key(0))
    x = jnp.asarray([1.0, 0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"(?s)does not act on Euclidean.*by isometries.*isometries_only=True"):
        Flow(field, Euclidean(4))(x)
    # Constant steps keep the whole group; a controller that is told to keeps the rotations among them.
    boost = jax.scipy.linalg.expm(0.3 * jnp.zeros((4, 4)).at[0, 1].set(1).at[1, 0].set(1))
    spin = jax.scipy.linalg.block_diag(jnp.eye(1), turn(0.8), jnp.eye(1))
    constant = Flow(field, Euclidean(4), controller=Steps(4))
    np.testing.assert_allclose(constant(boost @ x), boost @ constant(x), rtol=1e-12)
    some = Flow(field, Euclidean(4), controller=InvariantController(plain(1e-3), isometries_only=True))
    np.testing.assert_allclose(some(spin @ x), spin @ some(x), rtol=1e-12)


def test_boosts_are_isometries_of_hyperbolic_space():
    # The same group, where it has an invariant metric: adaptive steps commute with boosts as well.
    M = Hyperbolic(3)
    action = LinearAction(defining(Lorentz()), M)

    class Drift(AbstractField):
        action: LinearAction
        centre: jax.Array

        def __call__(self, t, x, args=None):
            return self.action.space.to_tangent(x, args * (1 + jnp.sin(5 * t)))

    x = M.random_point(key=jax.random.key(1))
    flow = Flow(Drift(action, x), M, controller=InvariantController(plain(1e-5)))
    g = jnp.asarray(Lorentz().sample(key=jax.random.key(2)))
    p = M.random_point(key=jax.random.key(3))
    y, gy = flow.solve(x, p), flow.solve(g @ x, g @ p)
    assert y.stats["num_steps"] == gy.stats["num_steps"]
    np.testing.assert_allclose(gy.ys[0], g @ y.ys[0], rtol=1e-10)
    assert M.dist(x, y.ys[0]) > 0.1


def test_a_step_that_the_solver_rejects_is_shortened():
    # At this speed dexpinv is beyond its radius for the first step: an infinite error, on a curved space.
    flow = Flow(lambda t, x, args: 50 * jnp.cross(jnp.asarray([0.0, 0.6, 0.8]), x), Sphere(2), dt0=0.5)
    stats = flow.solve(POINT).stats
    assert 1 <= stats["num_rejected_steps"] < 20


def test_errors_have_one_length_for_each_factor_and_one_for_all_points_of_a_power():
    M = Power(Product(Sphere(2), SpecialOrthogonal(3)), 4)
    x = M.random_point(key=jax.random.key(0))
    v = jax.tree.map(lambda a: jax.random.normal(jax.random.key(1), a.shape, a.dtype), x)
    axes, turns = InvariantController(plain(1e-3), M)._tangent_sizes(x, v)
    # These metrics measure vectors that are not tangent, too: as many coordinates each as there are dimensions.
    np.testing.assert_allclose(axes, np.sqrt(np.sum(np.asarray(v[0]) ** 2) / (4 * 2)), rtol=1e-12)
    np.testing.assert_allclose(turns, np.sqrt(np.sum(np.asarray(v[1]) ** 2) / 2 / (4 * 3)), rtol=1e-12)
    # Of others the tangential part has a length.
    H = Hyperbolic(2)
    y = H.random_point(key=jax.random.key(2))
    w = jnp.asarray([0.3, -1.0, 2.0])
    found = InvariantController(plain(1e-3), H)._tangent_sizes(y, w)
    np.testing.assert_allclose(found, H.norm(y, H.to_tangent(y, w)) / np.sqrt(2), rtol=1e-12)
