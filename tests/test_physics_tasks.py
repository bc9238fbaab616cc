"""The tasks of physics: their data, their models, whole runs of tiny size, and what goes wrong in a line."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from field_checks import assert_equivariant_field, assert_finite_derivatives, gap

from equivax.data import (
    DataError,
    angular_momentum,
    charged_particles,
    double_spring,
    simulate_springs,
    spring_energy,
    spring_force,
)
from equivax.data._nbody import _drawn, _leapfrog
from equivax.laws import field_equivariance
from equivax.symmetry import LinearAction, O, PowerAction, defining
from equivax.tasks import TaskError, main
from equivax.tasks._axial import AxialField, AxialHamiltonian, axial_action, axial_group, axial_invariants
from equivax.tasks._double_spring import relative_error, rollout_error
from equivax.tasks._nbody_model import NBodyModelConfig, ParticleEGNN, build_flow

GROUPS = ["1", "SO2", "O2", "C3", "D6"]


@pytest.fixture(autouse=True)
def world(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setattr("equivax.tasks._cli._prepare", lambda: None)


def states(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([[0, 0, -1.5], [0, 0, -3.0], [0, 0, 0], [0, 0, 0]]) + 0.4 * rng.normal(size=(count, 4, 3))


# The double spring pendulum.


def test_springs_move_by_hamiltons_equations():
    z = states(3)
    z_dot = spring_force(z)
    for axis in np.ndindex(4, 3):
        step = np.zeros((4, 3))
        step[axis] = 1e-6
        slope = (spring_energy(z + step) - spring_energy(z - step)) / 2e-6
        row, sign = ((axis[0] + 2) % 4, -1 if axis[0] < 2 else 1)
        np.testing.assert_allclose(z_dot[:, row, axis[1]], sign * slope, atol=1e-8)


def test_springs_are_simulated_as_scipy_does_and_conserve_what_they_should():
    start = states(2)
    paths = simulate_springs(start, 31)
    for z, path in zip(start, paths, strict=True):
        exact = scipy.integrate.solve_ivp(
            lambda t, y: spring_force(y.reshape(4, 3)).ravel(),
            (0, 6),
            z.ravel(),
            method="DOP853",
            rtol=1e-12,
            atol=1e-12,
            t_eval=np.arange(31) * 0.2,
        ).y.T
        np.testing.assert_allclose(path.reshape(31, 12), exact, atol=1e-7)
    for conserved in (spring_energy, angular_momentum):
        values = conserved(paths)
        np.testing.assert_allclose(values, np.broadcast_to(values[:, :1], values.shape), atol=1e-7)


def test_chunks_are_pieces_of_trajectories():
    data = double_spring((4, 3, 2), seed=1)
    assert data.train.shape == (4, 5, 4, 3)
    assert data.validation.shape == (3, 5, 4, 3)
    assert data.test.shape == (2, 150, 4, 3)
    np.testing.assert_allclose(simulate_springs(data.train[:, 0], 5), data.train, atol=1e-12)
    assert np.array_equal(double_spring((4, 3, 2), seed=1).test, data.test), "from the cache"
    assert not np.allclose(double_spring((1, 1, 1), seed=2).train, data.train[:1])
    with pytest.raises(DataError, match="at least 1"):
        double_spring((0, 1, 1))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", [AxialField, AxialHamiltonian])
def test_axial_fields_respect_their_group(kind, group):
    field = kind(group, states(20), lengths=group != "1", width=8, depth=1, key=jax.random.key(0))
    x = jnp.asarray(states(1, seed=3)[0])
    if group != "1":
        weights, rest = eqx.partition(field, eqx.is_inexact_array)
        assert_equivariant_field(eqx.combine(weights, rest), x)
    if group in ("O2", "D6"):
        assert_finite_derivatives(field, jnp.zeros((4, 3)))


def test_every_group_has_invariants_of_its_own():
    # What is invariant under a group is not under a larger one: otherwise the columns of the table would be the same model.
    z = jnp.asarray(states(1, seed=5)[0])
    larger = {"SO2": "O2", "D6": "O2", "C3": "D3", "C6": "SO2", "1": "O2"}
    for group, wrong in larger.items():
        f = lambda x, group=group: axial_invariants(x, group)  # noqa: E731
        action = axial_action(wrong, 4)
        moved = [float(jnp.abs(f(action(g, z)) - f(z)).max()) for g in np.asarray(action.group.components)]
        theta = 0.7
        turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        if wrong in ("O2", "SO2"):
            moved.append(float(jnp.abs(f(action(turn, z)) - f(z)).max()))
        assert max(moved) > 1e-3, (group, wrong)
    field = AxialHamiltonian("O2", states(20), width=8, depth=1, key=jax.random.key(0))
    tilts = PowerAction(LinearAction(defining(O(3))), 4)
    assert not field_equivariance(field, z, action=tilts, key=jax.random.key(0)).passed
    for name in ("O3", "D0", "D", ""):
        with pytest.raises(TaskError, match="unknown"):
            axial_group(name)


def test_the_error_of_a_rollout_is_a_geometric_mean():
    z = np.ones((2, 3, 4, 3))
    y = z.copy()
    y[:, 1:] *= np.array([3.0, 1.5])[None, :, None, None]
    errors = relative_error(z, y)
    np.testing.assert_allclose(errors, [[0, 0.5, 0.2]] * 2, atol=1e-12)
    assert rollout_error(errors) == pytest.approx((1e-7 * 0.5 * 0.2) ** (1 / 3))
    assert rollout_error(np.full((1, 2), np.nan)) == pytest.approx(1.0)


# Charged particles.


def test_particles_are_those_of_the_protocol():
    # One trajectory after another, particle by particle, as the reference draws and moves them.
    rng = np.random.RandomState(43)
    for trajectory in range(2):
        q = rng.choice([-1.0, 0.0, 1.0], size=(5, 1), p=[0.5, 0, 0.5])[:, 0]
        x, v = rng.randn(3, 5).T, rng.randn(3, 5).T
        rng.randn(2 * 49 * 15)
        v = 0.5 * v / np.linalg.norm(v, axis=1, keepdims=True)
        found = _drawn((2, 1, 1), 43, 5)
        assert np.array_equal(found[2][trajectory], q)
        np.testing.assert_allclose(found[0][trajectory].T, x, rtol=1e-15)
        np.testing.assert_allclose(found[1][trajectory].T, v, rtol=1e-15)
    places, velocities = _leapfrog(x.T[None], v.T[None], q[None])

    def kick(x):
        force = np.zeros((5, 3))
        for i in range(5):
            for j in range(5):
                if i != j:
                    force[i] += q[i] * q[j] * (x[i] - x[j]) / np.linalg.norm(x[i] - x[j]) ** 3
        return np.clip(force, -100, 100)

    v = v + 1e-3 * kick(x)
    for i in range(1, 3101):
        x = x + 1e-3 * v
        if i < 3100:
            v = v + 1e-3 * kick(x)
    np.testing.assert_allclose(places[0, 0], x, atol=1e-8)
    np.testing.assert_allclose(velocities[0, 0], v, atol=1e-8)
    assert places.shape == (1, 11, 5, 3)
    with pytest.raises(DataError, match="draws 2,000"):
        charged_particles((1, 2_001, 1))


@pytest.mark.parametrize("kind", ["field", "egnn"])
def test_predictions_turn_move_and_permute_with_the_frames(kind):
    key = jax.random.key(0)
    model = (
        build_flow(NBodyModelConfig(width=8, steps=3), key=key) if kind == "field" else ParticleEGNN(width=8, key=key)
    )
    rng = np.random.default_rng(0)
    x, u, q = (
        jnp.asarray(rng.normal(size=(5, 3))),
        jnp.asarray(rng.normal(size=(5, 3))),
        jnp.asarray([1.0, -1, 1, 1, -1]),
    )
    at = jax.jit(lambda *z: model(*z)[0])
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = np.array([3, 0, 4, 1, 2])
    assert gap(at(x @ turn.T + 2.0, u @ turn.T, q), at(x, u, q) @ turn.T + 2.0) < 1e-11
    assert gap(at(x[order], u[order], q[order]), at(x, u, q)[order]) < 1e-11
    assert gap(at(x, u, q[order]), at(x, u, q)) > 1e-4
    assert np.all(np.isfinite(at(jnp.zeros((5, 3)), jnp.zeros((5, 3)), q)))


# Whole runs.

SMALL = {
    "double-spring": [
        "--chunks",
        "40",
        "--validation-chunks",
        "4",
        "--test-trajectories",
        "6",
        "--epochs",
        "3",
        "--batch-size",
        "20",
    ],
    "nbody": [
        "--train-trajectories",
        "60",
        "--validation-trajectories",
        "10",
        "--test-trajectories",
        "20",
        "--epochs",
        "2",
        "--batch-size",
        "20",
    ],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setattr("equivax.tasks._cli._prepare", lambda: None)
        for task, options in SMALL.items():
            folders[task] = tmp_path_factory.mktemp("run") / task
            words = ["train", task, "--preset", "tiny", *options, "--out", str(folders[task])]
            # Nothing is learned in so few steps; whether the wrong group is refused is seen already.
            assert main(words) == 0, task
    return folders


@pytest.mark.parametrize("task", SMALL)
def test_a_run_is_checked_and_its_report_written_anew(runs, task, capsys):
    run = runs[task]
    assert {p.name for p in run.iterdir()} == {"checkpoints", "config.json", "figures", "metrics.json", "report.html"}
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["rollout_relative_error" if task == "double-spring" else "test_mse"] > 0
    assert all(v["passed"] for v in metrics["audit"]["verdicts"])
    assert {v["name"].split(" is refused")[0] for v in metrics["audit"]["verdicts"]} & {"tilting", "scaling"}
    assert main(["check", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert f"equivax train {task} --preset tiny" in page
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert len((run / "report.html").read_text()) > 0.9 * len(page)
    assert main(["train", task, "--resume", "--out", str(run)]) == 0
    assert "finished already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "shape", "future"), [("double-spring", (4, 3), (150, 4, 3)), ("nbody", (5, 7), (5, 7))]
)
def test_motions_are_continued(runs, task, shape, future, tmp_path, capsys):
    start = np.random.default_rng(0).normal(size=(3, *shape))
    np.save(tmp_path / "s.npy", start)
    words = ["predict", str(runs[task]), str(tmp_path / "s.npy"), "--out", str(tmp_path / "f.npy")]
    assert main(words) == 0
    found = np.load(tmp_path / "f.npy")
    assert found.shape == (3, *future)
    np.testing.assert_allclose(
        found[:, 0] if task == "double-spring" else found[..., 6],
        start if task == "double-spring" else start[..., 6],
        rtol=1e-5,
    )
    for bad, says in ((start[..., :2], "expected numbers"), (start * np.nan, "NaN")):
        np.save(tmp_path / "s.npy", bad)
        assert main(words) == 2
        assert says in capsys.readouterr().err
    assert main([*words[:3], "--out", str(tmp_path / "f.txt")]) == 2
    assert main(words[:3]) == 2


def test_wrong_requests_leave_nothing_behind(tmp_path, capsys):
    for words, says in (
        (["double-spring", "--group", "O3"], "--group O3: unknown"),
        (["double-spring", "--width", "0"], "at least 1"),
        (["nbody", "--steps", "0"], "at least 1"),
        (["nbody", "--train-trajectories", "20000"], "protocol draws"),
    ):
        assert main(["train", *words, "--out", str(tmp_path / "r")]) == 2
        assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
