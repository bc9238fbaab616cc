"""The task: five charged particles, from the simulation to the report."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import PRNGKeyArray
from rich.console import Console

from ..data import ChargedParticles, charged_particles
from ._checkpoint import Checkpoints
from ._conduct import Prepared, conduct
from ._config import Preset
from ._finish import finish
from ._fit import Fitted, Loss, fit
from ._nbody_audit import audit_flow
from ._nbody_model import (
    NBodyModelConfig,
    ParticleEGNN,
    ParticleFlow,
    build_flow,
    robust_error,
    squared_error,
    trajectory_errors,
    with_steps,
)
from ._physics_figures import draw_particles
from ._progress import Bar
from ._run import Run
from ._show import show_comparison
from ._train_config import TrainConfig
from ._trained import restored, stored_config
from ._weights import count_parameters

TASK = "nbody"
# EGNN .0071 and SEGNN .0043 from their papers, SEGNO from the table of its paper.
_REFERENCE = 0.0043


@dataclass(frozen=True)
class NBodyConfig:
    """Train a second-order equivariant field on five charged particles, predict one unit of time ahead, and audit it."""

    preset: Preset = "default"
    """Where the other options start from: tiny (half a minute), default (minutes), best (as good as it gets)."""
    out: Path | None = None
    """The folder of the run, new or empty; by default runs/nbody-<time>."""
    resume: bool = False
    """Go on with the interrupted run in --out, or with the newest one in runs/."""
    config: Path | None = None
    """Repeat the run with this config.json (or in this folder); other options change it."""
    baseline: bool = False
    """Also train an EGNN (our own, from its paper) on the same data, by the same loop."""
    baseline_epochs: int = 100
    """Its epochs: its steps are cheaper, and it needs more of them."""
    train_trajectories: int = 3_000
    """How many trajectories to train on; 3,000 are the protocol."""
    validation_trajectories: int = 2_000
    """How many to validate on after each epoch."""
    test_trajectories: int = 2_000
    """How many to test on at the end."""
    data_seed: int = 43
    """Of the simulation; other than 43, results do not compare with those of others."""
    model: Annotated[NBodyModelConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=NBodyModelConfig)
    """The model."""
    train: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes] = field(
        default_factory=lambda: TrainConfig(
            epochs=60, batch_size=50, learning_rate=5e-3, weight_decay=1e-4, ema=0.99, label_smoothing=0.0
        )
    )
    """Training."""


def tiny() -> NBodyConfig:
    """Half a minute: for CI, and a first look."""
    return NBodyConfig(
        preset="tiny",
        train_trajectories=300,
        validation_trajectories=100,
        test_trajectories=200,
        baseline_epochs=4,
        model=NBodyModelConfig(width=8, steps=8, final_steps=100, pace=0.5),
        train=TrainConfig(
            epochs=12, batch_size=50, learning_rate=1e-2, weight_decay=1e-4, ema=0.9, label_smoothing=0.0
        ),
    )


def best() -> NBodyConfig:
    """Wider, shorter steps, and patience."""
    return NBodyConfig(
        preset="best",
        model=NBodyModelConfig(width=32, steps=80, final_steps=800, pace=0.1),
        train=TrainConfig(
            epochs=200, batch_size=50, learning_rate=5e-3, weight_decay=1e-4, ema=0.998, label_smoothing=0.0
        ),
    )


PRESETS = {"tiny": tiny, "default": NBodyConfig, "best": best}


def train_nbody(config: NBodyConfig, *, command: str = "", console: Console | None = None) -> int:
    """Train, evaluate, audit, and write the folder of the run; 0 when all laws hold, 1 when one fails.

    **Raises:** `TaskError`, `DataError`; `InterruptedRunError` on Ctrl-C.
    """
    to = Console(quiet=True) if console is None else console

    def prepare() -> Prepared:
        counts = (config.train_trajectories, config.validation_trajectories, config.test_trajectories)
        key = jax.random.key(config.train.seed)
        model = build_flow(config.model, key=jax.random.fold_in(key, 0))
        with Bar(to, "simulating charged particles") as bar:
            data = charged_particles(counts, seed=config.data_seed, advance=bar.to)
            bar.to(1.0)
        return Prepared((data, model, key), "simulated by Coulomb's law", f"{config.data_seed}-{counts}")

    def carry_out(run: Run, content: Any) -> int:
        data, model, key = content
        return _carry_out(run, config, data, model, key, command, to)

    return conduct(TASK, config, prepare, carry_out, show_comparison, command=command, console=to)


def audit_run(run: Run, key: PRNGKeyArray) -> list[dict[str, Any]]:
    """The verdicts on the model of a finished run."""
    config = stored_config(run)
    counts = (1, 1, config.test_trajectories)
    test = charged_particles(counts, seed=config.data_seed)[2]
    return audit_flow(load_flow(run), test, key=key)


def load_flow(run: Run) -> Any:
    """The model of the finished `run` with its averaged weights."""
    config = stored_config(run)
    flow = restored(run, build_flow(config.model, key=jax.random.key(0)), config.train)
    return with_steps(flow, config.model.final_steps)


def predict_states(run: Run, states: np.ndarray) -> np.ndarray:
    """One unit of time after `states` (n, particles, 7), rows of place, velocity and charge: the same, (n, particles, 7)."""
    model = load_flow(run)
    x, u, q = (jnp.asarray(a, jnp.float32) for a in (states[..., :3], states[..., 3:6], states[..., 6]))
    later = eqx.filter_jit(lambda m, *z: jax.vmap(m)(*z))(model, x, u, q)
    return np.concatenate([*map(np.asarray, later), np.asarray(q)[..., None]], axis=-1)


def _carry_out(
    run: Run, config: NBodyConfig, data: Any, model: Any, key: PRNGKeyArray, command: str, console: Console
) -> int:
    resumed = bool(Checkpoints(run.checkpoints / "model").steps())

    def trained(name: str, model: Any, loss: Loss, train: TrainConfig, stream: int, title: str, final: Any) -> Any:
        judged, held = eqx.filter_jit(loss), tuple(map(jnp.asarray, _examples(data[1])))
        fitted = fit(
            model,
            loss,
            _examples(data[0]),
            train,
            validate=lambda m: {"validation_loss": float(judged(m, held, key))},
            checkpoints=Checkpoints(run.checkpoints / name),
            console=console,
            title=title,
            key=jax.random.fold_in(key, stream),
        )
        return final(fitted.average), _numbers(final(fitted.average), fitted, data)

    def many(model: ParticleFlow) -> ParticleFlow:
        return with_steps(model, config.model.final_steps)

    flow, (numbers, errors) = trained("model", model, robust_error, config.train, 1, "training", many)
    rows = [{"title": "equivax, second-order field", **numbers}]
    if config.baseline:
        plain = ParticleEGNN(key=jax.random.fold_in(key, 2))
        train = replace(config.train, epochs=config.baseline_epochs, learning_rate=1e-3)
        _, (found, _) = trained("baseline-egnn", plain, squared_error, train, 3, "EGNN", lambda m: m)
        rows.append({"title": "EGNN, our own from the paper", **found})
    verdicts = audit_flow(flow, data[2], key=jax.random.fold_in(key, 4))
    still = float(np.mean((data[2].positions[:, 10] - data[2].positions[:, 0]) ** 2))
    straight = data[2].positions[:, 0] + data[2].velocities[:, 0]
    metrics: dict[str, Any] = {
        "title": "Charged particles",
        "task": TASK,
        "subtitle": "E(3) x S_5-equivariant second-order neural differential equation",
        "note": "The data are simulated, with the random numbers of the reference: five charges of +1 or -1 in empty space, "
        "seen at frame 30, to be predicted at frame 40, one unit of time later. Errors are mean squares over all coordinates; "
        "they are dominated by the few trajectories in which opposite charges circle each other closely.",
        **numbers,
        "baseline": rows[1] if config.baseline else None,
        "trivial_mse": {
            "nothing moves": still,
            "straight on": float(np.mean((data[2].positions[:, 10] - straight) ** 2)),
        },
        "resumed": resumed,
        "tiles": [
            [f"{numbers['test_mse']:.5f}", f"mean squared error on {len(data[2]):,} test trajectories"],
            [f"{numbers['test_median']:.1e}", "median over the trajectories"],
            [f"{_REFERENCE}", "SEGNN and SEGNO, as published"],
            [f"{numbers['parameters']:,}", "parameters"],
            [f"{numbers['seconds_training']:.0f} s", "training"],
        ],
        "comparison": {
            "columns": ["model", "parameters", "test MSE", "median", "validation MSE", "training"],
            "rows": [
                [
                    r["title"],
                    f"{r['parameters']:,}",
                    f"{r['test_mse']:.5f}",
                    f"{r['test_median']:.1e}",
                    f"{r['validation_mse']:.5f}",
                    f"{r['seconds_training']:.0f} s",
                ]
                for r in rows
            ],
        },
        "audit": {"verdicts": verdicts},
        "errors": np.sort(errors).tolist(),
        "pictures": _pictures(flow, data[2], errors),
    }
    return finish(run, metrics, draw_particles, command=command, console=console)


def _numbers(model: Any, fitted: Fitted, data: Any) -> tuple[dict[str, Any], np.ndarray]:
    """What is reported of a trained model, and its errors on the test trajectories."""
    begun = time.monotonic()
    errors = _measured(model, data[2])
    seconds = time.monotonic() - begun
    numbers = {
        "test_mse": float(errors.mean()),
        "test_median": float(np.median(errors)),
        "validation_mse": float(_measured(model, data[1]).mean()),
        "parameters": count_parameters(model),
        "seconds_training": fitted.seconds,
        "seconds_evaluation": seconds,
        "training_steps": fitted.steps,
        "history": fitted.history,
    }
    return numbers, errors


_errors = eqx.filter_jit(trajectory_errors)


def _measured(model: Any, part: ChargedParticles) -> np.ndarray:
    return np.asarray(_errors(model, *map(jnp.asarray, _examples(part))), np.float64)


def _examples(part: ChargedParticles) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return part.positions[:, 0], part.velocities[:, 0], part.charges, part.positions[:, 10]


def _pictures(model: Any, test: ChargedParticles, errors: np.ndarray) -> list[dict[str, Any]]:
    """Three test trajectories, of middling error, worse than nine in ten, and the worst: true and predicted paths."""
    order = np.argsort(errors)
    path = eqx.filter_jit(lambda m, x, u, q: m.path(x, u, q))
    found = []
    for title, part in (("median", 0.5), ("worse than 90 %", 0.9), ("the worst", 1.0)):
        i = order[min(len(order) - 1, int(part * len(order)))]
        x, u, q = (jnp.asarray(a[i]) for a in _examples(test)[:3])
        times, places, velocities = path(model, x, u, q)
        found.append(
            {
                "title": f"{title}, MSE {errors[i]:.1e}",
                "charges": test.charges[i],
                "true": test.positions[i],
                "true_velocities": test.velocities[i],
                "times": np.asarray(times),
                "predicted": np.asarray(places),
                "velocities": np.asarray(velocities),
            }
        )
    return found
