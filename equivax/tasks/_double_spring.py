"""The task: two masses on springs that swing in space, from the simulation to the report."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Array, Float, PRNGKeyArray
from rich.console import Console

from ..data import angular_momentum, double_spring, spring_energy
from ..laws import VerdictTable, equivariance, field_equivariance, probe_elements, rejects
from ..symmetry import LinearAction, O, PowerAction, defining
from ._axial import AxialField, AxialHamiltonian, axial_group
from ._checkpoint import Checkpoints
from ._conduct import Prepared, conduct
from ._config import Preset
from ._errors import TaskError
from ._finish import finish
from ._fit import fit
from ._physics_figures import draw_springs
from ._progress import Bar
from ._run import Run
from ._show import show_comparison
from ._train_config import TrainConfig
from ._trained import restored, stored_config
from ._weights import count_parameters

TASK = "double-spring"
DT, FRAMES = 0.2, 150
# Of the EMLP paper, by model and group; the mean over seeds.
REFERENCE = {("node", "O2"): 0.0192, ("node", "1"): 0.0482, ("hnn", "O2"): 0.0121, ("hnn", "1"): 0.0281}


@dataclass(frozen=True)
class SpringModelConfig:
    """The model: Hamilton's equations of an invariant energy, or an equivariant field."""

    model: Literal["hnn", "node"] = "hnn"
    """hnn: the gradient of a learned invariant Hamiltonian; node: any equivariant field."""
    group: str = "O2"
    """The symmetry about the vertical axis: O2, SO2, 1 (none), or D<n>, C<n> for those of a regular polygon."""
    lengths: bool = True
    """Give the network the lengths of vectors and of their differences among the invariants (not without a group)."""
    width: int = 64
    """Hidden units in each layer."""
    depth: int = 2
    """Hidden layers."""
    substeps: int = 2
    """Runge-Kutta steps of order 4 in the .2 seconds between two states, in training and in prediction."""


def _train(epochs: int, **more: Any) -> TrainConfig:
    options = {"batch_size": 20, "learning_rate": 5e-3, "weight_decay": 0.0, "ema": 0.99, "label_smoothing": 0.0}
    return TrainConfig(epochs=epochs, **(options | more))


@dataclass(frozen=True)
class DoubleSpringConfig:
    """Train an equivariant neural ODE on chunks of .8 seconds of a double spring pendulum, and predict 30 seconds."""

    preset: Preset = "default"
    """Where the other options start from: tiny (half a minute), default (minutes), best (as good as it gets)."""
    out: Path | None = None
    """The folder of the run, new or empty; by default runs/double-spring-<time>."""
    resume: bool = False
    """Go on with the interrupted run in --out, or with the newest one in runs/."""
    config: Path | None = None
    """Repeat the run with this config.json (or in this folder); other options change it."""
    chunks: int = 500
    """How many chunks of 5 states to train on; 500 are the protocol."""
    validation_chunks: int = 500
    """How many to validate on after each epoch."""
    test_trajectories: int = 500
    """How many trajectories of 30 seconds to test on at the end."""
    data_seed: int = 0
    """Of the simulation."""
    model: Annotated[SpringModelConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=SpringModelConfig)
    """The model."""
    train: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=lambda: _train(200))
    """Training."""


def tiny() -> DoubleSpringConfig:
    """Half a minute: for CI, and a first look."""
    return DoubleSpringConfig(
        preset="tiny",
        chunks=100,
        validation_chunks=20,
        test_trajectories=20,
        model=SpringModelConfig(width=16, substeps=1),
        train=_train(20, batch_size=25, learning_rate=1e-2, ema=0.9),
    )


def best() -> DoubleSpringConfig:
    """Wider, and with more patience."""
    return DoubleSpringConfig(preset="best", model=SpringModelConfig(width=128), train=_train(600, ema=0.999))


PRESETS = {"tiny": tiny, "default": DoubleSpringConfig, "best": best}


class Pendulum(eqx.Module):
    """A field with its integrator: rows of z are x_1, x_2, p_1, p_2."""

    field: AxialField | AxialHamiltonian
    substeps: int = eqx.field(static=True)

    def step(self, z: Float[Array, "4 3"]) -> Float[Array, "4 3"]:
        """The state .2 seconds later."""
        h = DT / self.substeps
        for _ in range(self.substeps):
            a = self.field(0.0, z)
            b = self.field(0.0, z + h / 2 * a)
            c = self.field(0.0, z + h / 2 * b)
            z = z + h / 6 * (a + 2 * b + 2 * c + self.field(0.0, z + h * c))
        return z

    def path(self, z: Float[Array, "4 3"], frames: int) -> Float[Array, "frames 4 3"]:
        """The states at times 0, .2, .4, ..."""
        return jnp.concatenate([z[None], jax.lax.scan(lambda y, _: (self.step(y),) * 2, z, length=frames - 1)[1]])


def _check(config: SpringModelConfig) -> None:
    axial_group(config.group)
    if min(config.width, config.depth, config.substeps) < 1:
        raise TaskError("--width, --depth and --substeps have to be at least 1.")


def build_pendulum(config: SpringModelConfig, examples: np.ndarray, *, key: PRNGKeyArray) -> Pendulum:
    """The model that `config` describes, standardised on the states `examples` (n, 4, 3)."""
    _check(config)
    kind: Any = {"hnn": AxialHamiltonian, "node": AxialField}[config.model]
    lengths = config.lengths and config.group != "1"
    field = kind(config.group, examples, lengths=lengths, width=config.width, depth=config.depth, key=key)
    return Pendulum(field, config.substeps)


def relative_error(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""$|z - y| / (|z| + |y|)$ of states (..., 4, 3)."""
    first, second, apart = (np.sqrt((a**2).sum(axis=(-2, -1))) for a in (z, y, z - y))
    return apart / (first + second)


def rollout_error(errors: np.ndarray) -> float:
    """The geometric mean over all times (the first one included) and trajectories; errors below 1e-7 count as 1e-7.

    As the code of the EMLP paper has it, where the clamp is what the first state, which is given, is counted as.
    """
    return float(np.exp(np.log(np.maximum(np.nan_to_num(errors, nan=1.0), 1e-7)).mean()))


def train_double_spring(config: DoubleSpringConfig, *, command: str = "", console: Console | None = None) -> int:
    """Train, evaluate, audit, and write the folder of the run; 0 when all laws hold, 1 when one fails.

    **Raises:** `TaskError`, `DataError`; `InterruptedRunError` on Ctrl-C.
    """
    to = Console(quiet=True) if console is None else console

    def prepare() -> Prepared:
        counts = (config.chunks, config.validation_chunks, config.test_trajectories)
        _check(config.model)
        with Bar(to, "simulating springs") as bar:
            data = double_spring(counts, seed=config.data_seed, advance=bar.to)
            bar.to(1.0)
        key = jax.random.key(config.train.seed)
        model = build_pendulum(config.model, data.train.reshape(-1, 4, 3), key=jax.random.fold_in(key, 0))
        return Prepared((data, model, key), "simulated from Hamilton's equations", f"{config.data_seed}-{counts}")

    def carry_out(run: Run, content: Any) -> int:
        data, model, key = content
        return _carry_out(run, config, data, model, key, command, to)

    return conduct(TASK, config, prepare, carry_out, show_comparison, command=command, console=to)


def load_pendulum(run: Run) -> Pendulum:
    """The model of the finished `run` with its averaged weights."""
    config = stored_config(run)
    model = build_pendulum(config.model, np.zeros((1, 4, 3)), key=jax.random.key(0))
    return restored(run, model, config.train)


def audit_run(run: Run, key: PRNGKeyArray) -> list[dict[str, Any]]:
    """The verdicts on the model of a finished run."""
    config = stored_config(run)
    data = double_spring((config.chunks, config.validation_chunks, config.test_trajectories), seed=config.data_seed)
    return audit_pendulum(load_pendulum(run), data.test[0, 0], key=key)


def predict_states(run: Run, states: np.ndarray) -> np.ndarray:
    """The 30 seconds after `states` (n, 4, 3), every .2 seconds: (n, 150, 4, 3)."""
    return _rollout(load_pendulum(run), states)


def audit_pendulum(model: Pendulum, z: np.ndarray, *, key: PRNGKeyArray) -> list[dict[str, Any]]:
    """The verdicts of the laws on the field at a state, and on 6 seconds of prediction, in double precision."""
    with jax.enable_x64(True):
        point, action = jnp.asarray(z, jnp.float64), model.field.action
        table = field_equivariance(model.field, point, key=key)
        later = _Later(model, 30)
        elements = probe_elements(action.group, key=key)
        table += (
            equivariance(
                later, action, action, point, name="6 seconds from turned states", elements=elements, tolerance=1e-9
            ),
        )
        tilts = PowerAction(LinearAction(defining(O(3))), 4)
        refused = rejects(_Field(model.field), tilts, tilts, point, key=key)
        table += (
            type(refused)(
                "tilting is refused: gravity has a direction",
                refused.statement,
                refused.error,
                refused.scale,
                refused.tolerance,
                refused.vacuous,
                refused.detail,
            ),
        )
        return VerdictTable(table).to_dicts()


class _Field(eqx.Module):
    field: Any

    def __call__(self, z: Float[Array, "4 3"]) -> Float[Array, "4 3"]:
        return self.field(0.0, z)


class _Later(eqx.Module):
    model: Pendulum
    frames: int = eqx.field(static=True)

    def __call__(self, z: Float[Array, "4 3"]) -> Float[Array, "4 3"]:
        return self.model.path(z, self.frames)[-1]


def _loss(model: Pendulum, batch: Float[Array, "b 5 4 3"], key: PRNGKeyArray) -> Float[Array, ""]:
    del key
    return jnp.mean((jax.vmap(lambda c: model.path(c[0], len(c)))(batch) - batch) ** 2)


def _rollout(model: Pendulum, start: np.ndarray) -> np.ndarray:
    run = eqx.filter_jit(lambda m, z: jax.vmap(lambda y: m.path(y, FRAMES))(z))
    return np.asarray(run(model, jnp.asarray(start, jnp.float32)), np.float64)


def _carry_out(
    run: Run, config: DoubleSpringConfig, data: Any, model: Pendulum, key: PRNGKeyArray, command: str, console: Console
) -> int:
    resumed = bool(Checkpoints(run.checkpoints / "model").steps())
    chunks, held = (np.asarray(a, np.float32) for a in (data.train, data.validation))
    measured = eqx.filter_jit(_loss)
    fitted = fit(
        model,
        _loss,
        chunks,
        config.train,
        validate=lambda m: {"validation_loss": float(measured(m, jnp.asarray(held), key))},
        checkpoints=Checkpoints(run.checkpoints / "model"),
        console=console,
        key=jax.random.fold_in(key, 1),
    )
    begun = time.monotonic()
    paths = _rollout(fitted.average, data.test[:, 0])
    errors = relative_error(paths, data.test)
    error = rollout_error(errors)
    energies = np.abs(spring_energy(paths) - spring_energy(data.test[:, :1]))
    momenta = np.abs(angular_momentum(paths) - angular_momentum(data.test[:, :1]))
    group, kind = config.model.group, config.model.model
    published = REFERENCE.get((kind, group))
    seconds = time.monotonic() - begun
    metrics: dict[str, Any] = {
        "title": "Double spring pendulum",
        "task": TASK,
        "subtitle": f"{group}-equivariant {'Hamiltonian' if kind == 'hnn' else 'neural'} differential equation",
        "note": f"Trained on {len(chunks)} chunks of 5 states, .2 seconds apart; tested on {len(paths)} trajectories of 30 "
        "seconds. The error is |z' - z| / (|z'| + |z|), its geometric mean over times and trajectories; the state given at "
        "t = 0 is counted as 1e-7, as in the code of the EMLP paper.",
        "group": group,
        "model": kind,
        "rollout_relative_error": error,
        "rollout_relative_error_without_start": rollout_error(errors[:, 1:]),
        "rollout_arithmetic_mean": float(np.nan_to_num(errors, nan=1.0).mean()),
        "energy_error": float(np.nanmean(energies)),
        "momentum_error": float(np.nanmean(momenta)),
        "validation_mse": fitted.history[-1]["validation_loss"],
        "published": published,
        "parameters": count_parameters(model),
        "seconds_training": fitted.seconds,
        "seconds_evaluation": seconds,
        "training_steps": fitted.steps,
        "history": fitted.history,
        "resumed": resumed,
        "tiles": [
            [f"{error:.4f}", f"relative error over 30 seconds, {len(paths)} trajectories"],
            ["-" if published is None else f"{published:.4f}", f"EMLP paper, {group} {kind.upper()}"],
            [f"{np.nanmean(energies):.1e}", "mean error of the energy"],
            [f"{np.nanmean(momenta):.1e}", "mean error of the angular momentum about the axis"],
            [f"{fitted.seconds:.0f} s", f"training, {count_parameters(model):,} parameters"],
        ],
        "comparison": {
            "columns": ["model", "group", "parameters", "rollout error", "published", "energy", "momentum", "training"],
            "rows": [
                [
                    kind.upper(),
                    group,
                    f"{count_parameters(model):,}",
                    f"{error:.4f}",
                    "-" if published is None else f"{published:.4f}",
                    f"{np.nanmean(energies):.1e}",
                    f"{np.nanmean(momenta):.1e}",
                    f"{fitted.seconds:.0f} s",
                ]
            ],
        },
        "audit": {"verdicts": audit_pendulum(fitted.average, data.test[0, 0], key=jax.random.fold_in(key, 2))},
        "error_over_time": _quantiles(errors),
        "energy_over_time": _quantiles(energies),
        "momentum_over_time": _quantiles(momenta),
        "pictures": _pictures(paths, data.test, errors),
    }
    return finish(run, metrics, draw_springs, command=command, console=console)


def _quantiles(values: np.ndarray) -> dict[str, Any]:
    found = np.quantile(np.nan_to_num(values, nan=1.0), [0.1, 0.5, 0.9], axis=0)
    return {"low": found[0], "median": found[1], "high": found[2]}


def _pictures(paths: np.ndarray, true: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
    """Two test trajectories: of middling error, and one worse than nine in ten."""
    total = np.log(np.maximum(np.nan_to_num(errors, nan=1.0), 1e-7)).mean(axis=1)
    order = np.argsort(total)
    found = []
    for title, part in (("a trajectory of middling error", 0.5), ("one worse than 90 %", 0.9)):
        i = order[int(part * len(order))]
        found.append(
            {"title": f"{title} ({np.exp(total[i]):.1e})", "true": true[i].round(5), "predicted": paths[i].round(5)}
        )
    return found
