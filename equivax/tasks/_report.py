"""report.html: one page that holds everything, and asks for nothing from elsewhere."""

import base64
import platform
from pathlib import Path
from typing import Any

from ..data import write_text
from . import _figures
from ._registry import task_of
from ._run import Run

# (file, title, what to look for), in the order of reading.
CAPTIONS = (
    (
        "accuracy_by_angle.png",
        "Accuracy by angle",
        "An invariant model has a level line; the bands are 95 % intervals.",
    ),
    (
        "accuracy_by_zoom.png",
        "Accuracy by scale",
        "What is small has fewer pixels to tell it apart; the bands are 95 % intervals.",
    ),
    (
        "equivariance.png",
        "Error of equivariance",
        "Of the invariants, and of the prediction, which may be averaged over turns and zooms. Where a turn maps the "
        "pixels to themselves the error is rounding. At other angles of the group it is what sampling costs, and falls on "
        "finer grids. At angles that a finite group has not, it is algebraic, and no grid removes it.",
    ),
    (
        "refinement.png",
        "Under refinement",
        "The same band-limited image on finer grids: what sampling costs must vanish at the order of the discretisation.",
    ),
    (
        "evolution.png",
        "Images evolving in t",
        "The image on the left, and as the frame shows it where there is one, then the energy of the features as the PDE runs.",
    ),
    ("training.png", "Training", "The loss on the training images, and the accuracy on validation images, if any."),
    ("confusion.png", "Confusions", "Rows are the true classes, columns what they were called."),
    ("mistakes.png", "Worst mistakes", "The test images that were called something else with the most confidence."),
)


def draw_from_metrics(run: Run, metrics: dict[str, Any]) -> None:
    """Draw the figures that follow from `metrics` alone; those that show images are drawn where the images are."""
    run.figures.mkdir(exist_ok=True)
    rows = [{**metrics, "title": "equivax"}, *metrics.get("baseline", {}).values()]
    audit = metrics["audit"]
    figures = {
        "training.png": _figures.training(metrics["history"]),
        "confusion.png": _figures.confusion(metrics["confusion"], metrics["class_names"]),
    }
    for name, draw in (("angle", _figures.accuracy_by_angle), ("zoom", _figures.accuracy_by_zoom)):
        if measured := [(row["title"], row[f"accuracy_by_{name}"]) for row in rows if f"accuracy_by_{name}" in row]:
            figures[f"accuracy_by_{name}.png"] = draw(measured)
    if audit.get("angles"):
        figures["equivariance.png"] = _figures.equivariance(audit["angles"])
    if audit.get("refinement", {}).get("sizes"):
        figures["refinement.png"] = _figures.refinement(audit["refinement"])
    for name, figure in figures.items():
        _figures.save(figure, run.figures / name)


def write_report(run: Run, metrics: dict[str, Any], config: dict[str, Any]) -> Path:
    """Write `report.html` of `run` from its numbers and the figures in its folder, and return its path.

    **Arguments:** `metrics`, `config`: as in `metrics.json` and `config.json`.
    """
    import jinja2

    task = task_of(config["task"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: "-" if value is None else f"{100 * value:.2f} %"
    environment.filters["scientific"] = lambda value: "-" if value is None else f"{value:.2e}"
    figures = [
        {"title": title, "text": text, "data": base64.b64encode((run.figures / name).read_bytes()).decode()}
        for name, title, text in task.part("captions")
        if (run.figures / name).is_file()
    ]
    plain = {name: value for name, value in config["config"].items() if not isinstance(value, dict)}
    groups = {name: value for name, value in config["config"].items() if isinstance(value, dict)}
    page = environment.get_template(task.template).render(
        name=run.path.absolute().name,
        m=metrics,
        figures=figures,
        settings={"run": plain, **groups},
        machine=platform.platform(),
    )
    write_text(run.path / "report.html", page)
    return run.path / "report.html"
