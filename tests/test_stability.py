"""Stability by construction: norms are bounded, pairs of solutions come closer, and a field that is not so is refused."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.dynamics import Cascade, Flow, Steps
from equivax.fields import (
    DifferentialInvariantField,
    Disc,
    GaussianJet,
    Intertwiner,
    Monotone,
    NonexpansiveField,
    Pointwise,
    SteerableLayer,
    SteerableOperator,
    operator_bound,
)
from equivax.geometry import PixelGrid
from equivax.laws import dissipativity, field_equivariance, lipschitz, lipschitz_bound
from equivax.symmetry import GL, SO, Cyclic, GroupError, defining, regular, trivial

KEY = jax.random.key(8)
GRID = PixelGrid(6, 6)
REPS = {"C4": 2 * regular(Cyclic(4)), "SO(2)": 2 * trivial(SO(2)) + 2 * defining(SO(2))}


def field(name="C4", window=None, **kwargs):
    return NonexpansiveField(REPS[name], GRID, order=2, sigma=1.0, window=window, knots=2, key=KEY, **kwargs)


def signal(key, rep=REPS["C4"]):
    return jax.random.normal(key, (GRID.size, rep.dim))


@pytest.mark.parametrize(
    ("name", "target"), [("C4", PixelGrid(3, 3, 2.0)), ("SO(2)", GRID), ("SO(2)", PixelGrid(1, 1))]
)
def test_bounds_are_above_the_norm_and_not_far(name, target):
    P = SteerableOperator(REPS[name], REPS[name], GaussianJet(GRID, target, 2, 1.0), key=KEY)
    dense = jax.jacobian(P)(jnp.zeros((GRID.size, P.rep_in.dim))).reshape(target.size * P.rep_out.dim, -1)
    norm = np.linalg.norm(dense, 2)
    assert norm <= float(operator_bound(P)) <= 4 * norm


def test_bounds_of_large_grids_and_of_matrices():
    # Too large for an eigenvalue problem: the sum over axes is above what the power method finds, and not far.
    grid = PixelGrid(40, 40)
    P = SteerableOperator(trivial(SO(2)), trivial(SO(2)), GaussianJet(grid, grid, 1, 1.0), key=KEY)
    u = jax.random.normal(KEY, (grid.size, 1))
    verdict = lipschitz(P, u, bound=float(operator_bound(P)), key=KEY)
    assert verdict.passed, str(verdict)
    assert not lipschitz(P, u, bound=float(operator_bound(P)) / 4, key=KEY).passed
    R = Intertwiner(REPS["C4"], REPS["C4"], use_bias=False, key=KEY)
    norm = np.linalg.norm(R.matrix, 2)
    assert norm <= float(operator_bound(R)) <= 1.3 * norm


@pytest.mark.parametrize(("name", "window"), [("C4", Disc(2.0, 3.0)), ("SO(2)", None)])
def test_solutions_come_closer(name, window):
    f = field(name, window)
    u = signal(KEY, REPS[name])
    verdict = dissipativity(f, u, t=0.3, key=KEY)
    assert verdict.passed, str(verdict)
    symmetric = field_equivariance(f, u, t=0.3, key=KEY)
    assert symmetric.passed, str(symmetric)
    step = lipschitz(lambda v: v + 2.0 * f(0.3, v), u, key=KEY)
    assert step.passed, str(step)


def test_steps_may_be_as_long_as_two_and_not_as_eight():
    # Where the bound is the norm, longer steps expand: one channel, its operator scaled to what the bound allows.
    f = NonexpansiveField(trivial(Cyclic(4)), GRID, order=0, sigma=1.0, function=jax.nn.relu, key=KEY)
    f = eqx.tree_at(lambda f: f.moments.stack.bias.weights, f, (jnp.full((1, 1, 1), 100.0),))
    u = signal(KEY, trivial(Cyclic(4)))
    assert lipschitz(lambda v: v + 2.0 * f(0.0, v), u, key=KEY).passed
    expanded = lipschitz(lambda v: v + 8.0 * f(0.0, v), u, key=KEY)
    assert expanded.failed
    assert expanded.error > 2, expanded.detail
    for t1, bound in ((4.0, 1.0), (16.0, None)):
        flow = Flow(f, f.action.space, diffrax.Euler(), Steps(2), t1=t1)
        if bound is None:
            with pytest.raises(ValueError, match=r"Steps\(8\)"):
                lipschitz_bound(flow)
        else:
            assert lipschitz_bound(flow) == bound


def test_a_field_that_expands_is_refused():
    grows = DifferentialInvariantField(REPS["C4"], GRID, order=2, sigma=1.0, key=KEY)
    u = signal(KEY)
    assert dissipativity(grows, u, key=KEY).failed
    # A swirl keeps distances, and a constant field says nothing.
    assert dissipativity(lambda t, x, args: jnp.stack([-x[1], x[0]]), jnp.ones(2), key=KEY).mark == "pass"
    assert dissipativity(lambda t, x, args: jnp.ones(2), jnp.ones(2), key=KEY).vacuous
    assert lipschitz(lambda x: jnp.ones(2), jnp.ones(2), key=KEY).vacuous


def test_the_bound_of_a_cascade_holds():
    G = Cyclic(4)
    lift = SteerableLayer(trivial(G), REPS["C4"], GaussianJet(GRID, GRID, 1, 1.0), Monotone(REPS["C4"]), key=KEY)
    f = field(t1=3.0)
    stable = Cascade((lift, Flow(f, f.action.space, diffrax.Euler(), Steps(2), t1=3.0)))
    u = signal(KEY, trivial(G))
    bound = lipschitz_bound(stable)
    np.testing.assert_allclose(bound, float(operator_bound(lift.operator)))
    assert lipschitz(stable, u, bound=bound, key=KEY).passed
    grows = DifferentialInvariantField(REPS["C4"], GRID, order=2, sigma=1.0, knots=2, key=KEY)
    free = Flow(grows, grows.action.space, diffrax.Euler(), Steps(1), t1=0.1)
    assert lipschitz(free, signal(KEY), bound=lipschitz_bound(free), key=KEY).passed
    assert lipschitz_bound(Cascade((lift, free))) > bound
    with pytest.raises(TypeError, match=r"diffrax\.Euler"):
        lipschitz_bound(Flow(f, f.action.space, diffrax.Heun(), Steps(2)))
    odd = SteerableLayer(
        trivial(G), REPS["C4"], GaussianJet(GRID, GRID, 1, 1.0), Pointwise(REPS["C4"], jnp.sin), key=KEY
    )
    with pytest.raises(TypeError, match="slope"):
        lipschitz_bound(odd)


def test_errors_say_what_is_wanted():
    with pytest.raises(ValueError, match=r"Use jnp\.tanh"):
        Monotone(REPS["C4"], jax.nn.silu)
    with pytest.raises(GroupError, match="orthogonal"):
        Monotone(defining(GL(2)))
    with pytest.raises(GroupError, match="orthogonal"):
        NonexpansiveField(defining(GL(2)), GRID, order=1, sigma=1.0, hidden=trivial(GL(2)), key=KEY)
