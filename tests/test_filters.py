"""Digital filters of the error: their step sequences against the recursion written out, and against Diffrax."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from equivax.dynamics import DigitalFilter, InvariantController
from equivax.geometry import Euclidean

NAMES = ["I", "PI", "PID", "H211", "H211PI"]
RTOL = 1e-6


def van_der_pol(t, y, args=None):
    return jnp.stack([y[1], 5 * (1 - y[0] ** 2) * y[1] - y[0]])


def steps(controller, t1=12.0):
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(van_der_pol),
        diffrax.Tsit5(),
        0.0,
        t1,
        None,
        jnp.asarray([2.0, 0.0]),
        stepsize_controller=controller,
        saveat=diffrax.SaveAt(steps=True),
        max_steps=2000,
    )
    n = int(solution.stats["num_accepted_steps"])
    return np.diff(np.concatenate([[0.0], solution.ts[:n]])), solution.ys[n - 1]


@pytest.mark.parametrize("name", NAMES)
def test_solutions_are_right_to_their_tolerance(name):
    make = getattr(DigitalFilter, name)
    want = solve_ivp(lambda t, y: np.asarray(van_der_pol(t, jnp.asarray(y))), (0, 12), [2.0, 0.0], "DOP853", rtol=1e-12)
    for controller in (make(RTOL, RTOL), InvariantController(make(RTOL, RTOL), Euclidean(2))):
        h, end = steps(controller)
        np.testing.assert_allclose(end, want.y[:, -1], atol=1e-4)
        assert 50 < len(h) < 500


def adapt(controller, errors, h=0.1):
    """The step sizes that follow from a sequence of scaled errors, all accepted or not as they are."""
    state, t, sizes = ((jnp.ones(()), jnp.ones(())), (jnp.zeros(()), jnp.zeros(()))), jnp.zeros(()), [h]
    for e in errors:
        _, t0, t1, _, state, _ = controller.adapt_step_size(
            t, t + sizes[-1], jnp.zeros(1), jnp.zeros(1), None, jnp.asarray([e * 1e-3]), 5, state
        )
        sizes.append(float(t1 - t0))
        t = t0
    return np.array(sizes)


@pytest.mark.parametrize("name", NAMES)
def test_the_recursion(name):
    controller = getattr(DigitalFilter, name)(0.0, 1e-3, factormin=1e-3, factormax=1e3)
    errors = [0.5, 0.7, 0.3, 0.9, 0.2]
    got = adapt(controller, errors)
    e, h = [1.0, 1.0, *errors], [0.1, 0.1, 0.1]  # two errors of 1 and two equal steps before the first
    beta, alpha = (*controller.beta, 0, 0, 0)[:3], (*controller.alpha, 0, 0)[:2]
    for n in range(2, 2 + len(errors)):
        factor = np.prod([e[n - j] ** (-beta[j] / 5) for j in range(3)])
        factor *= (h[-1] / h[-2]) ** -alpha[0] * (h[-2] / h[-3]) ** -alpha[1]
        h.append(0.9 * factor * h[-1])
    np.testing.assert_allclose(got, h[2:], rtol=1e-10)


def test_a_rejected_step_is_repeated_by_the_elementary_controller():
    controller = DigitalFilter.H211(0.0, 1e-3)
    np.testing.assert_allclose(adapt(controller, [32.0])[1], 0.1 * 0.9 * 32 ** (-1 / 5), rtol=1e-12)
    np.testing.assert_allclose(adapt(controller, [np.inf])[1], 0.1 * 0.2, rtol=1e-12)
    np.testing.assert_allclose(adapt(controller, [0.0])[1], 0.1 * 10, rtol=1e-12)


def test_filters_are_smoother_than_the_elementary_controller():
    def roughness(controller):
        h, _ = steps(controller)
        return np.std(np.diff(np.log(h[1:-1])))

    # The damped filters change the step less from one to the next.
    assert roughness(DigitalFilter.PID(RTOL, RTOL)) < 0.8 * roughness(DigitalFilter.I(RTOL, RTOL))


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="one to three coefficients beta"):
        DigitalFilter(1e-3, 1e-3, beta=())
    with pytest.raises(ValueError, match="estimates no error"):
        DigitalFilter.PI(RTOL, RTOL).adapt_step_size(0.0, 1.0, jnp.zeros(1), jnp.zeros(1), None, None, 5, None)
