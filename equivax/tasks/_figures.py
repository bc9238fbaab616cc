"""The pictures of a run. Each function takes numbers and returns a figure; matplotlib comes in when one is drawn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..data import atomic_path
from ._measure import wilson

_INK, _BLUE, _RED, _GREEN, _GREY = "#1d2733", "#2a6f97", "#c8434f", "#3a8f5c", "#8a96a3"
_COLOURS = (_BLUE, _RED, _GREEN, "#8d6aa8", "#d08c2f")
_STYLE: Any = {
    "font.size": 10,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e7eb",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.dpi": 130,
    "figure.constrained_layout.use": True,
}


@contextmanager
def _style() -> Iterator[Any]:
    # `Figure` alone, without pyplot: no window system, no global list of open figures, half the import time.
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure


def save(figure: Any, path: Path) -> None:
    """Write `figure` as PNG, atomically."""
    with atomic_path(path) as part:
        figure.savefig(part, format="png", facecolor="white")


def training(history: Sequence[dict[str, Any]]) -> Any:
    """The loss, and beside it what was measured after every epoch, if there were images to validate on."""
    measured = [line["validation_accuracy"] * 100 for line in history if "validation_accuracy" in line]
    with _style() as Figure:
        figure = Figure(figsize=(8.4 if measured else 4.2, 3.1))
        left, *rest = figure.subplots(1, 1 + bool(measured), squeeze=False)[0]
        epochs = [line["epoch"] for line in history]
        left.plot(epochs, [line["loss"] for line in history], color=_BLUE, marker="o", markersize=3)
        left.set(title="Training loss", xlabel="epoch", ylabel="mean cross-entropy")
        left.set_ylim(bottom=0)
        for right in rest:
            right.set(title="Validation accuracy", xlabel="epoch", ylabel="%", xlim=left.get_xlim())
            right.plot(epochs, measured, color=_GREEN, marker="o", markersize=3)
            right.annotate(
                f"{measured[-1]:.2f} %",
                (epochs[-1], measured[-1]),
                (-6, -14),
                textcoords="offset points",
                ha="right",
                color=_GREEN,
            )
        for axes in figure.axes:
            axes.xaxis.get_major_locator().set_params(integer=True)
        return figure


def evolution(
    images: Sequence[np.ndarray],
    paths: Sequence[Sequence[tuple[float, np.ndarray]]],
    framed: Sequence[np.ndarray] | None = None,
) -> Any:
    """Images evolving in t: each row one image, on the left as it came and as a frame shows it, then its features' energy."""
    with _style() as Figure:
        pictures = {"image": images} | ({} if framed is None else {"framed": framed})
        columns = len(pictures) + max(len(path) for path in paths)
        figure = Figure(figsize=(1.05 * columns + 0.3, 1.12 * len(images) + 0.35))
        grid = figure.subplots(len(images), columns, squeeze=False)
        for row, path in enumerate(paths):
            for axes in grid[row]:
                axes.set_axis_off()
            for axes, (title, shown) in zip(grid[row], pictures.items(), strict=False):
                axes.imshow(np.clip(shown[row], 0, 1), cmap="gray", vmin=0, vmax=1)
                if row == 0:
                    axes.set_title(title, fontsize=8, loc="center")
            for axes, (t, energy) in zip(grid[row][len(pictures) :], path, strict=False):
                axes.imshow(energy, cmap="magma")
                if row == 0:
                    axes.set_title(f"t = {t:.2f}", fontsize=8, loc="center")
        return figure


def accuracy_by_angle(series: Sequence[tuple[str, dict[str, Any]]]) -> Any:
    """Accuracy over the angle (degrees) by which the image was turned; one line for each model."""
    with _style() as Figure:
        figure, axes = _accuracy_over(Figure, series)
        axes.set(title="Accuracy by angle of rotation", xlabel="angle / degrees", xlim=(0, 360))
        axes.set_xticks(range(0, 361, 45))
        return figure


def accuracy_by_zoom(series: Sequence[tuple[str, dict[str, Any]]]) -> Any:
    """Accuracy over the scale of the image; one line for each model."""
    with _style() as Figure:
        figure, axes = _accuracy_over(Figure, series)
        axes.set(title="Accuracy by scale", xlabel="scale of the image")
        return figure


def _accuracy_over(Figure: Any, series: Sequence[tuple[str, dict[str, Any]]]) -> tuple[Any, Any]:
    """Lines with 95 % intervals."""
    figure = Figure(figsize=(8.4, 3.4))
    axes = figure.subplots()
    for (name, measured), colour in zip(series, _COLOURS, strict=False):
        rows = [row for row in zip(*(measured[k] for k in ("at", "accuracy", "count")), strict=True) if row[2]]
        at, accuracy, counts = (np.array(column, float) for column in zip(*rows, strict=True))
        band = np.array([wilson(a * n, n) for a, n in zip(accuracy, counts, strict=True)])
        axes.fill_between(at, 100 * band[:, 0], 100 * band[:, 1], color=colour, alpha=0.16, linewidth=0)
        axes.plot(at, 100 * accuracy, color=colour, marker="o", markersize=3, label=name)
    axes.set(ylabel="accuracy / %")
    axes.legend(loc="lower right")
    return figure, axes


# With more classes than this, cells are too small for numbers, and colours have to do.
_WRITTEN = 30


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str] | None = None) -> Any:
    """Which class was called which: counts off the diagonal, the recall of each class on it."""
    with _style() as Figure:
        counts = np.asarray(matrix, float)
        names = [shortened(name) for name in names or map(str, range(len(counts)))]
        longest, written = max(map(len, names)), len(counts) <= _WRITTEN
        side = min(14.0, max(5.0, 0.46 * len(counts))) + 0.07 * longest
        figure = Figure(figsize=(side + 0.4, side))
        axes = figure.subplots()
        off = counts.copy()
        np.fill_diagonal(off, np.nan)
        largest = max(1.0, float(np.nanmax(off)))
        axes.imshow(off, cmap="OrRd", vmin=0, vmax=1.25 * largest)
        axes.grid(False)
        for i, row in enumerate(counts if written else []):
            for j, count in enumerate(row):
                if i == j:
                    # A class without test images has no recall.
                    text = f"{100 * count / row.sum():.1f}%" if row.sum() else "-"
                    axes.text(j, i, text, ha="center", va="center", fontsize=8, color=_GREEN, weight="bold")
                elif count:
                    colour = "white" if count > 0.6 * largest else "black"
                    axes.text(j, i, f"{count:.0f}", ha="center", va="center", fontsize=8, color=colour)
        ticks, size = range(len(counts)), 10 if written else max(4.0, 300 / len(counts))
        axes.set(title="Confusions", xlabel="called", ylabel="is")
        axes.set_xticks(ticks, names, rotation=90 if longest > 2 else 0, fontsize=size)
        axes.set_yticks(ticks, names, fontsize=size)
        return figure


def mistakes(images: Sequence[np.ndarray], texts: Sequence[str]) -> Any:
    """The worst mistakes: images with what they are and what they were called."""
    with _style() as Figure:
        columns = 8
        rows = max(1, -(-len(images) // columns))
        # A name on a line of its own takes room above its image.
        lines = max((text.count("\n") for text in texts), default=1)
        figure = Figure(figsize=(8.4, (1.16 + 0.16 * lines) * rows))
        for axes in figure.subplots(rows, columns, squeeze=False).ravel():
            axes.set_axis_off()
        for axes, image, text in zip(figure.axes, images, texts, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            axes.set_title(text, fontsize=7.5, loc="center", weight="normal")
        return figure


def equivariance(angles: dict[str, Any]) -> Any:
    """The error of equivariance over the angle: down to rounding where the group maps the pixels to themselves."""
    with _style() as Figure:
        figure = Figure(figsize=(8.4, 3.2))
        axes = figure.subplots()
        for (name, errors), colour in zip(_curves(angles, "degrees"), _COLOURS, strict=False):
            # A logarithm has no place for an exact zero; it is drawn below the unit roundoff of float32.
            shown = np.maximum(np.asarray(errors, float), 1e-8)
            axes.semilogy(angles["degrees"], shown, color=colour, marker="o", markersize=3, label=name)
        top = max(angles["degrees"])
        for quarter in range(0, int(top) + 1, 90):
            axes.axvline(quarter, color=_GREY, linewidth=0.8, linestyle=":")
        axes.set(title="Error of equivariance by angle", xlabel="angle / degrees", ylabel="relative error")
        axes.set_xticks(range(0, int(top) + 1, 45 if top > 100 else 15))
        axes.legend(loc="best")
        return figure


def refinement(found: dict[str, Any]) -> Any:
    """The error of equivariance over the resolution of one and the same image: a straight line whose slope is the order."""
    with _style() as Figure:
        figure = Figure(figsize=(4.6, 3.4))
        axes = figure.subplots()
        sizes = np.asarray(found["sizes"], float)
        for (_, errors), colour in zip(_curves(found, "sizes"), _COLOURS, strict=False):
            shown = np.maximum(np.asarray(errors, float), 1e-16)
            axes.loglog(sizes, shown, color=colour, marker="o", markersize=4, label="error")
            if found.get("order") is not None:
                slope = shown[0] * (sizes / sizes[0]) ** -float(found["order"])
                axes.loglog(
                    sizes, slope, color=_GREY, linestyle="--", linewidth=1.2, label=f"order {found['order']:.2f}"
                )
        axes.set(title="Error under refinement", xlabel="pixels across", ylabel="relative error")
        axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
        axes.minorticks_off()
        axes.legend(loc="best")
        return figure


def shortened(name: str, letters: int = 16) -> str:
    """The name of a class, cut where it would not fit."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _curves(table: dict[str, Any], over: str) -> list[tuple[str, Any]]:
    """All lists of the table that are as long as the list `over`: an audit may tell several kinds of error apart."""
    return [
        (_finer(name), values)
        for name, values in table.items()
        if name != over and isinstance(values, list | tuple) and len(values) == len(table[over])
    ]


def _finer(name: str) -> str:
    # `error` is on the grid that was trained on, `error_2x` on one twice as fine.
    named = {"error": "on the grid of training", "prediction": "of the prediction, on the grid of training"}
    return named.get(name, name.replace("error_", "on a grid finer by ").replace("_", " "))
