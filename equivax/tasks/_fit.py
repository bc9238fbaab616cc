"""theta' = theta - rate * AdamW(d loss / d theta), over and over: the one training loop of all tasks."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, PRNGKeyArray, PyTree
from rich.console import Console

from ._checkpoint import Checkpoints
from ._errors import InterruptedRunError, TaskError
from ._progress import Bar
from ._train_config import TrainConfig
from ._weights import split

# (model, batch, key) -> scalar. A batch has the structure of the data, with `batch_size` rows in each array.
Loss = Callable[[Any, Any, PRNGKeyArray], Array]
# What is known of one epoch: `epoch`, `loss`, `seconds`, and what `validate` measures.
Line = dict[str, float | int]


class State(NamedTuple):
    """All that training changes: the weights, their average, what the optimiser remembers, the number of steps."""

    weights: PyTree
    average: PyTree
    optimiser: PyTree
    step: Int[Array, ""]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What comes out of training.

    **Arguments:** `model`: with the last weights; `average`: with the averaged ones, the model to use; `history`: one
    dictionary for each epoch; `steps`: how many were made; `seconds`: in training, earlier parts of the run included.
    """

    model: Any
    average: Any
    history: list[Line]
    steps: int
    seconds: float


def fit(
    model: Any,
    loss: Loss,
    data: PyTree,
    config: TrainConfig,
    *,
    validate: Callable[[Any], Line] | None = None,
    checkpoints: Checkpoints | None = None,
    save_every: float = 10.0,
    on_epoch: Callable[[Line], None] | None = None,
    console: Console | None = None,
    title: str = "training",
    key: PRNGKeyArray,
) -> Fitted:
    """Minimise the mean of `loss` over `data`, starting from `model` or from the newest of `checkpoints`.

    The order of the examples follows from (seed, epoch) and the randomness of a step from (key, step), so a run that was
    killed at any instant and goes on from a checkpoint ends with the same bits as one that was not.

    **Arguments:** `loss`: (model, batch, key) -> scalar; `data`: arrays with one row for each example; `validate`: what
    to measure of the averaged model after every epoch; `checkpoints`: where to keep them, at the end of an epoch when
    `save_every` seconds have passed since the last, and at the end; `on_epoch`: told each line of the history.

    **Raises:** `TaskError` when the configuration makes no sense or the loss is no longer a number; `InterruptedRunError` on
    Ctrl-C, after the current step was saved.
    """
    rows = _rows(data)
    per_epoch = _steps_per_epoch(rows, config)
    weights, constants = split(model)
    total = per_epoch * config.epochs
    optimiser = _optimiser(config, total)
    advance = _make_step(loss, constants, optimiser, config)
    # Copies: the step gives its buffers away, and neither the caller's model nor the average may lose theirs.
    state = State(_copy(weights), _copy(weights), optimiser.init(weights), jnp.zeros((), jnp.int32))
    history: list[Line] = []
    losses: list[Any] = []  # of the steps of this epoch, so far
    before = 0.0
    if checkpoints is not None and (found := checkpoints.restore(state)) is not None:
        state, meta = found
        history, losses, before = list(meta["history"]), list(meta["losses"]), float(meta["seconds"])
    data = jax.tree.map(jnp.asarray, data)
    begun = saved = time.monotonic()

    def save() -> None:
        if checkpoints is not None:
            numbers = [float(value) for value in losses]
            meta = {"history": history, "losses": numbers, "seconds": before + time.monotonic() - begun}
            checkpoints.save(int(state.step), state, meta)

    done = int(state.step)
    try:
        with Bar(console, title, total) as bar:
            # The history counts the epochs, not the steps: an epoch may have all its steps and still lack its line.
            for epoch in range(len(history), config.epochs):
                order = np.random.default_rng([config.seed, epoch]).permutation(rows).astype(np.int32)
                for i in range(done - epoch * per_epoch, per_epoch):
                    batch = order[i * config.batch_size : (i + 1) * config.batch_size]
                    state, value = advance(state, data, batch, key)
                    losses.append(value)
                    done += 1
                    # Only the step before is waited for: the processor has work while Python prepares the next.
                    if len(losses) > 1:
                        last = _number(losses[-2], done - 1, checkpoints)
                        bar.to(done, _note(epoch, config, last, history))
                numbers = [_number(value, done, checkpoints) for value in losses]
                _check(state.weights, done, checkpoints)
                line: Line = {"epoch": epoch + 1, "loss": math.fsum(numbers) / len(numbers)}
                if validate is not None:
                    line |= validate(eqx.combine(state.average, constants))
                line["seconds"] = before + time.monotonic() - begun
                history.append(line)
                losses = []
                bar.to(done, _note(epoch, config, numbers[-1], history))
                _tell(line, config, console, on_epoch)
                if time.monotonic() - saved >= save_every and epoch + 1 < config.epochs:
                    save()
                    saved = time.monotonic()
        save()
    except KeyboardInterrupt:
        raise _interrupted(state, losses, history, per_epoch, save, checkpoints) from None
    return Fitted(
        eqx.combine(state.weights, constants),
        eqx.combine(state.average, constants),
        history,
        done,
        before + time.monotonic() - begun,
    )


def restore_average(model: Any, config: TrainConfig, checkpoints: Checkpoints) -> Any | None:
    """`model` with the averaged weights of the newest checkpoint that `fit` wrote with `config`, or None without one."""
    weights, constants = split(model)
    optimiser = _optimiser(config, 1)  # what it remembers does not depend on the number of steps
    found = checkpoints.restore(State(weights, weights, optimiser.init(weights), jnp.zeros((), jnp.int32)))
    return None if found is None else eqx.combine(found[0].average, constants)


def _make_step(
    loss: Loss, constants: PyTree, optimiser: optax.GradientTransformation, config: TrainConfig
) -> Callable[[State, PyTree, Any, PRNGKeyArray], tuple[State, Array]]:
    """One step, compiled once and called from Python: XLA compiles loops around it to code ten times slower on a CPU."""

    def step(state: State, data: PyTree, index: Array, key: PRNGKeyArray) -> tuple[State, Array]:
        batch = jax.tree.map(lambda array: array[index], data)

        def objective(weights: PyTree) -> Array:
            return loss(eqx.combine(weights, constants), batch, jax.random.fold_in(key, state.step))

        value, gradient = jax.value_and_grad(objective)(state.weights)
        # Optax raises floats to whole powers, which strict promotion (ours, in the tests) does not allow.
        with jax.numpy_dtype_promotion("standard"):
            updates, remembered = optimiser.update(gradient, state.optimiser, state.weights)
        weights = optax.apply_updates(state.weights, updates)
        # A young average forgets faster, or it would remember the random start for the whole of a short run.
        made = state.step.astype(jnp.float32)
        keep = jnp.minimum(jnp.float32(config.ema), (1 + made) / (10 + made))
        average = jax.tree.map(lambda a, w: a + (1 - keep).astype(a.real.dtype) * (w - a), state.average, weights)
        return State(weights, average, remembered, state.step + 1), value

    return jax.jit(step, donate_argnums=0)


def _optimiser(config: TrainConfig, total: int) -> optax.GradientTransformation:
    rising = max(1, round(config.warmup * total))

    def rate(count: Array) -> Array:
        t = jnp.asarray(count, jnp.float32)
        up = (t + 1) / rising
        down = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip((t - rising) / max(1, total - rising), 0, 1)))
        return jnp.float32(config.learning_rate) * jnp.minimum(up, down)

    def decays(weights: PyTree) -> PyTree:
        return jax.tree.map(lambda w: w.ndim >= 2, weights)

    adamw = optax.adamw(rate, weight_decay=config.weight_decay, mask=decays)
    return optax.chain(optax.clip_by_global_norm(config.clip), adamw) if config.clip else adamw


def _rows(data: PyTree) -> int:
    counts = {array.shape[0] for array in jax.tree.leaves(data)}
    if len(counts) != 1:
        raise TaskError(
            f"arrays with different numbers of examples, {sorted(counts)}; expected one row for each example."
        )
    return int(counts.pop())


def _steps_per_epoch(rows: int, config: TrainConfig) -> int:
    wrong = None
    if config.epochs < 1:
        wrong = f"epochs is {config.epochs}; expected at least 1"
    elif not 1 <= config.batch_size <= rows:
        wrong = f"batch_size is {config.batch_size}; expected 1 to {rows}, the number of training examples"
    elif not 0 <= config.warmup <= 1:
        wrong = f"warmup is {config.warmup}; expected a part of the run, from 0 to 1"
    elif not 0 <= config.ema < 1:
        wrong = f"ema is {config.ema}; expected from 0 up to, not including, 1"
    elif not 0 <= config.label_smoothing < 1:
        wrong = f"label_smoothing is {config.label_smoothing}; expected from 0 up to, not including, 1"
    elif not (config.learning_rate > 0 and config.weight_decay >= 0 and config.clip >= 0):
        wrong = "learning_rate must be positive, weight_decay and clip not negative"
    if wrong:
        raise TaskError(f"training: {wrong}.")
    return rows // config.batch_size


def _copy(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.copy, tree)


def _number(value: Any, step: int, checkpoints: Checkpoints | None) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise _diverged(f"the loss is {number} at step {step}", checkpoints)
    return number


def _check(weights: PyTree, step: int, checkpoints: Checkpoints | None) -> None:
    # A gradient that is no number shows in the loss of the next step only; a checkpoint must not be written before.
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(weights)):
        raise _diverged(f"the weights are no longer finite at step {step}", checkpoints)


def _diverged(what: str, checkpoints: Checkpoints | None) -> TaskError:
    steps = checkpoints.steps() if checkpoints else []
    kept = f" The checkpoint of step {steps[-1]} is kept." if steps else ""
    return TaskError(f"training: {what}. Lower --learning-rate, warm up longer, or set --clip 1.{kept}")


def _interrupted(
    state: State,
    losses: list[Any],
    history: list[Line],
    per_epoch: int,
    save: Callable[[], None],
    checkpoints: Checkpoints | None,
) -> InterruptedRunError:
    """Keep the step that was reached, if the interruption left state and losses in agreement, and say what is kept."""
    if checkpoints is None:
        return InterruptedRunError("training: interrupted, nothing is kept.")
    alive = not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    if alive and int(state.step) == len(history) * per_epoch + len(losses):
        save()
    steps = checkpoints.steps()
    if not steps:
        return InterruptedRunError("training: interrupted before the first checkpoint.")
    return InterruptedRunError(f"training: interrupted; the checkpoint of step {steps[-1]} is in {checkpoints.folder}.")


def _note(epoch: int, config: TrainConfig, loss: float, history: list[Line]) -> str:
    parts = [f"epoch {epoch + 1}/{config.epochs}", f"loss {loss:.3f}"]
    if history:
        parts += [
            f"{name} {value:.2%}" for name, value in history[-1].items() if name not in ("epoch", "loss", "seconds")
        ]
    return "  ".join(parts)


def _tell(
    line: Line,
    config: TrainConfig,
    console: Console | None,
    on_epoch: Callable[[Line], None] | None,
) -> None:
    if on_epoch is not None:
        on_epoch(line)
    if console is not None and not console.is_terminal:
        # A log file gets lines where a terminal gets a bar.
        rest = "".join(f", {k} {v:.4f}" for k, v in line.items() if k not in ("epoch", "loss", "seconds"))
        console.print(f"epoch {line['epoch']}/{config.epochs}: loss {line['loss']:.4f}{rest}, {line['seconds']:.0f} s")
