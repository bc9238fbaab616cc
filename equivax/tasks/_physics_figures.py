"""The pictures of the tasks of physics, drawn from the numbers of a run."""

from typing import Any

import numpy as np

from ._figures import _BLUE, _GREEN, _GREY, _RED, _style, save
from ._run import Run

# (file, title, what to look for), in the order of reading.
SPRINGS = (
    (
        "rollouts.png",
        "Rollouts",
        "Heights and one horizontal coordinate of both masses over 30 seconds; dashed is the truth.",
    ),
    ("phase.png", "Phase portraits", "Position against momentum, of the height and of a horizontal coordinate."),
    ("error.png", "Error in t", "The relative error of the state: median, and the band from 10 to 90 %."),
    ("conserved.png", "Conserved quantities", "How far the energy and the angular momentum about the axis stray in t."),
    ("training.png", "Training", "Mean squared errors over the chunks."),
)
PARTICLES = (
    (
        "rollouts.png",
        "Rollouts",
        "Paths seen along the z axis; dots are the true frames, lines the prediction; red attracts blue.",
    ),
    (
        "conserved.png",
        "Conserved quantities",
        "The change of the total momentum and of the true energy along the predictions.",
    ),
    ("phase.png", "Phase portraits", "One coordinate of each particle against its velocity."),
    ("errors.png", "Errors", "Trajectories by their error: the mean is made by the few on the right."),
    ("training.png", "Training", "Mean squared errors after each epoch."),
)
_WARM, _COLD = _RED, _BLUE


def draw_springs(run: Run, metrics: dict[str, Any]) -> None:
    """Draw the figures of the double spring pendulum."""
    run.figures.mkdir(exist_ok=True)
    pictures = [_arrays(picture) for picture in metrics["pictures"]]
    t = 0.2 * np.arange(len(pictures[0]["true"]))
    with _style() as Figure:
        figure = Figure(figsize=(8.4, 5.4))
        for row, picture in zip(figure.subplots(2, 2, sharex=True), pictures, strict=True):
            for axes, axis, name in zip(row, (2, 0), ("height z", "horizontal x"), strict=True):
                for body, colour in ((0, _BLUE), (1, _RED)):
                    axes.plot(t, picture["predicted"][:, body, axis], color=colour, label=f"mass {body + 1}")
                    axes.plot(t, picture["true"][:, body, axis], color="black", linewidth=0.9, linestyle="--")
                axes.set(ylabel=name)
            row[0].set_title(picture["title"].capitalize(), fontsize=9)
        figure.axes[0].legend(loc="upper right", fontsize=8)
        for axes in figure.axes[2:]:
            axes.set_xlabel("t / s")
        save(figure, run.figures / "rollouts.png")

        figure = Figure(figsize=(8.4, 3.4))
        for axes, (body, axis, name) in zip(
            figure.subplots(1, 3), ((0, 2, "mass 1, z"), (1, 2, "mass 2, z"), (1, 0, "mass 2, x")), strict=True
        ):
            for kind, style in (
                ("predicted", {"color": _BLUE}),
                ("true", {"color": "black", "linestyle": "--", "linewidth": 0.8}),
            ):
                z = pictures[0][kind]
                axes.plot(z[:, body, axis], z[:, 2 + body, axis], **style, label=kind)
            axes.set(title=name, xlabel="position", ylabel="momentum")
        figure.axes[0].legend(fontsize=8)
        save(figure, run.figures / "phase.png")

        figure = Figure(figsize=(8.4, 3.0))
        _band(figure.subplots(), t, metrics["error_over_time"], "relative error of the state")
        save(figure, run.figures / "error.png")
        figure = Figure(figsize=(8.4, 3.0))
        left, right = figure.subplots(1, 2)
        _band(left, t, metrics["energy_over_time"], "error of the energy")
        _band(right, t, metrics["momentum_over_time"], "error of the angular momentum")
        save(figure, run.figures / "conserved.png")
    _training(run, metrics)


def draw_particles(run: Run, metrics: dict[str, Any]) -> None:
    """Draw the figures of the charged particles."""
    run.figures.mkdir(exist_ok=True)
    pictures = [_arrays(picture) for picture in metrics["pictures"]]
    with _style() as Figure:
        figure = Figure(figsize=(10, 3.7))
        for axes, picture in zip(figure.subplots(1, 3), pictures, strict=True):
            for i, q in enumerate(picture["charges"]):
                colour = _WARM if q > 0 else _COLD
                axes.plot(*picture["predicted"][:, i, :2].T, color=colour, linewidth=1.2)
                axes.plot(*picture["true"][:, i, :2].T, ".", color=colour, alpha=0.55, markersize=5)
                axes.plot(*picture["true"][-1, i, :2], "o", markerfacecolor="none", color=colour, markersize=8)
                axes.plot(*picture["predicted"][-1, i, :2], "x", color="black", markersize=6)
            axes.set(title=picture["title"], xlabel="x", ylabel="y", aspect="equal")
            axes.title.set_fontsize(9)
        save(figure, run.figures / "rollouts.png")

        figure = Figure(figsize=(8.4, 3.0))
        left, right = figure.subplots(1, 2)
        for picture, colour in zip(pictures, (_BLUE, _GREEN, _RED), strict=True):
            t = picture["times"]
            momentum = picture["velocities"].sum(axis=1)
            left.plot(t, np.linalg.norm(momentum - momentum[0], axis=1), color=colour, label=picture["title"])
            energy = _energy(picture["predicted"], picture["velocities"], picture["charges"])
            right.plot(t, energy - energy[0], color=colour)
            true = _energy(picture["true"], picture["true_velocities"], picture["charges"])
            right.plot(np.linspace(0, 1, len(true)), true - true[0], color=colour, linestyle=":")
        left.set(title="Change of the total momentum", xlabel="t", ylabel="|P(t) - P(0)|")
        right.set(title="Change of the true energy", xlabel="t", ylabel="H(t) - H(0)", yscale="symlog")
        left.legend(fontsize=8)
        save(figure, run.figures / "conserved.png")

        figure = Figure(figsize=(8.4, 3.0))
        for axes, picture in zip(figure.subplots(1, 3), pictures, strict=True):
            for i, q in enumerate(picture["charges"]):
                colour = _WARM if q > 0 else _COLD
                axes.plot(picture["predicted"][:, i, 0], picture["velocities"][:, i, 0], color=colour, linewidth=1.2)
                axes.plot(picture["true"][:, i, 0], picture["true_velocities"][:, i, 0], ".", color=colour, alpha=0.55)
            axes.set(title=picture["title"], xlabel="x", ylabel="velocity in x")
            axes.title.set_fontsize(9)
        save(figure, run.figures / "phase.png")

        figure = Figure(figsize=(8.4, 3.0))
        axes = figure.subplots()
        errors = np.maximum(np.asarray(metrics["errors"], float), 1e-12)
        axes.loglog(np.linspace(1, 0, len(errors), endpoint=False), errors, color=_BLUE)
        axes.axhline(metrics["test_mse"], color=_GREY, linestyle="--", linewidth=1)
        axes.annotate("mean", (0.7, metrics["test_mse"]), (0, 4), textcoords="offset points", color=_GREY)
        axes.set(
            title="Errors of the trajectories", xlabel="part of the trajectories with a larger error", ylabel="MSE"
        )
        axes.invert_xaxis()
        save(figure, run.figures / "errors.png")
    _training(run, metrics)


def _arrays(picture: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name == "title" else np.asarray(value, float) for name, value in picture.items()}


def _energy(x: np.ndarray, u: np.ndarray, q: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(q), 1)
    apart = np.linalg.norm(x[:, first] - x[:, second], axis=-1)
    return 0.5 * (u**2).sum(axis=(1, 2)) + (q[first] * q[second] / np.maximum(apart, 1e-3)).sum(axis=1)


def _band(axes: Any, t: np.ndarray, values: dict[str, Any], name: str) -> None:
    # The first state is given; a logarithm has no place for its zero.
    low, median, high = (np.maximum(np.asarray(values[k], float), 1e-12)[1:] for k in ("low", "median", "high"))
    axes.fill_between(t[1:], low, high, color=_BLUE, alpha=0.18, linewidth=0)
    axes.semilogy(t[1:], median, color=_BLUE)
    axes.set(title=name.capitalize(), xlabel="t / s", ylabel=name)


def _training(run: Run, metrics: dict[str, Any]) -> None:
    with _style() as Figure:
        figure = Figure(figsize=(8.4, 3.0))
        axes = figure.subplots()
        epochs = [line["epoch"] for line in metrics["history"]]
        axes.semilogy(epochs, [line["loss"] for line in metrics["history"]], color=_BLUE, label="training")
        axes.semilogy(
            epochs, [line["validation_loss"] for line in metrics["history"]], color=_GREEN, label="validation"
        )
        axes.set(title="Loss", xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
        save(figure, run.figures / "training.png")
