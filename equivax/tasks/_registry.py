"""What can be trained, and who does it: one entry for each task. Nothing heavy is imported before it is asked for."""

import importlib
from dataclasses import dataclass
from typing import Any

from ._errors import TaskError


@dataclass(frozen=True)
class Task:
    """One task of the command line: the place of each of its parts, as `module:name` within this shelf.

    **Arguments:** `summary`: what `equivax tasks` says of it; `config`: the class of its configuration; `presets`: the
    configurations by name; `train`: (config, command, console) -> exit code; `audit`: (run, key) -> verdicts, of a finished
    run; `draw`: (run, metrics) -> None, the figures that follow from the numbers; `template`, `captions`: of its report;
    `states`, `predict`: the axes of the states that it continues (None: any length), and (run, states) -> what comes after;
    `masks`: (run, configuration, console) -> files, writes the masks of images.
    """

    summary: str
    config: str
    presets: str
    train: str
    audit: str
    draw: str
    template: str
    captions: str
    states: tuple[int | None, ...] | None = None
    predict: str = ""
    masks: str = ""

    def part(self, name: str) -> Any:
        """The part called `name`, imported now."""
        module, _, found = getattr(self, name).partition(":")
        return getattr(importlib.import_module(f".{module}", __package__), found)


def task_of(name: str) -> Task:
    """The task called `name`, that a run says it is of; `TaskError` when this version has none of that name."""
    if name not in TASKS:
        raise TaskError(f"a run of {name!r}; expected one of {', '.join(map(repr, TASKS))}.")
    return TASKS[name]


def _images(presets: str, summary: str, config: str = "ImageConfig") -> Task:
    """A task of classifying images; they differ in their data only."""
    return Task(
        summary,
        config=f"_config:{config}",
        presets=f"_config:{presets}",
        train="_image_classification:train_classifier",
        audit="_check:audit_classifier",
        draw="_report:draw_from_metrics",
        template="_report.html.jinja",
        captions="_report:CAPTIONS",
    )


TASKS = {
    "rotated-mnist": _images("PRESETS", "digits turned by any angle: 10,000 to train, 50,000 to test"),
    "mnist": _images("MNIST", "digits as they were written: 55,000 to train, 10,000 to test"),
    "fashion-mnist": _images("FASHION_MNIST", "clothes, shoes and bags, upright: 55,000 to train, 10,000 to test"),
    "scale-mnist": _images("SCALE_MNIST", "digits scaled down to .3 of their size: 9,000 to train, 50,000 to test"),
    "scale-fashion": _images("SCALE_FASHION", "clothes, shoes and bags, scaled: 9,000 to train, 50,000 to test"),
    "rs-mnist": _images("RS_MNIST", "digits turned and scaled, on 56 x 56 pixels: 4,500 to train, 50,000 to test"),
    "rs-fashion": _images("RS_FASHION", "clothes, shoes and bags, turned and scaled: 4,500 to train, 50,000 to test"),
    "classify": _images(
        "CLASSIFY", "images of your own, in a folder for each class, or named in a table", "ClassifyConfig"
    ),
    "double-spring": Task(
        "two masses on springs: 500 chunks of .8 seconds to train, 30 seconds to predict",
        config="_double_spring:DoubleSpringConfig",
        presets="_double_spring:PRESETS",
        train="_double_spring:train_double_spring",
        audit="_double_spring:audit_run",
        draw="_physics_figures:draw_springs",
        template="_comparison.html.jinja",
        captions="_physics_figures:SPRINGS",
        states=(4, 3),
        predict="_double_spring:predict_states",
    ),
    "nbody": Task(
        "five charged particles: where they are one unit of time later, from 3,000 examples",
        config="_nbody:NBodyConfig",
        presets="_nbody:PRESETS",
        train="_nbody:train_nbody",
        audit="_nbody:audit_run",
        draw="_physics_figures:draw_particles",
        template="_comparison.html.jinja",
        captions="_physics_figures:PARTICLES",
        states=(5, 7),
        predict="_nbody:predict_states",
    ),
    "segment": Task(
        "your own images and masks, pixel by pixel: masks turn with the image",
        config="_segment_config:SegmentConfig",
        presets="_segment_config:SEGMENT_PRESETS",
        train="_segmentation:train_segmenter",
        audit="_segment_run:audit_run",
        draw="_segment_figures:draw_from_metrics",
        template="_comparison.html.jinja",
        captions="_segment_figures:CAPTIONS",
        masks="_segment_run:predict_masks",
    ),
    "isbi2012": Task(
        "membranes between nerve cells: 24 slices to learn from, 6 to test on",
        config="_segment_config:Isbi2012Config",
        presets="_segment_config:ISBI2012_PRESETS",
        train="_segmentation:train_segmenter",
        audit="_segment_run:audit_run",
        draw="_segment_figures:draw_from_metrics",
        template="_comparison.html.jinja",
        captions="_segment_figures:CAPTIONS",
        masks="_segment_run:predict_masks",
    ),
    "digit-scenes": Task(
        "which digit each pixel belongs to, in scenes of one to four",
        config="_segment_config:DigitScenesConfig",
        presets="_segment_config:DIGIT_SCENES_PRESETS",
        train="_segmentation:train_segmenter",
        audit="_segment_run:audit_run",
        draw="_segment_figures:draw_from_metrics",
        template="_comparison.html.jinja",
        captions="_segment_figures:CAPTIONS",
        masks="_segment_run:predict_masks",
    ),
}
