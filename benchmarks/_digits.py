"""Ours and the plain network of equal size on rotated digits, trained alike: what several benchmarks compare."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from equivax.data import LabelledImages, Sizes, labelled_images
from equivax.tasks import (
    ModelConfig,
    TrainConfig,
    augmented,
    build_baseline,
    build_classifier,
    count_parameters,
    cross_entropy,
    fit,
)

# Ours, ours behind a moving frame that makes all digits as large and takes half of what they are longer than wide, and the
# plain network; each on the images as they are, and on images that are turned anew at each step.
KINDS = ("ours", "ours, turned", "ours, framed", "ours, framed, turned", "plain", "plain, turned")
BATCH = 64


def digits(test: int, pixels: int = 28) -> LabelledImages:
    """Rotated MNIST with `test` test images; of 14 x 14 pixels, each is the mean of four: a quarter of the cost."""
    data = labelled_images("rotated-mnist", Sizes(10_000, 2_000, test))
    if pixels == 28:
        return data
    smaller = {
        name: getattr(data, name).reshape(-1, 14, 2, 14, 2).mean((2, 4))
        for name in ("train_images", "validation_images", "test_images")
    }
    return dataclasses.replace(data, **smaller)


def untrained(kind: str, seed: int, config: ModelConfig, size: int = 28) -> Any:
    """The model of a kind at the start of training; the plain one has as many weights as ours."""
    key = jax.random.key(seed)
    ours = build_classifier(config, size=size, key=jax.random.fold_in(key, 0))
    if kind.startswith("ours"):
        return ours
    return build_baseline(count_parameters(ours), key=jax.random.fold_in(key, 3))


def trained(
    kind: str,
    data: LabelledImages,
    images: int,
    steps: int,
    folder: Path,
    *,
    seed: int = 0,
    config: ModelConfig | None = None,
    label: str = "",
) -> tuple[Any, float]:
    """The model after so many steps on the first `images` images, and the seconds; from `folder` if it is there already.

    What is small is seen more often: the number of steps, rounded to whole epochs, is the same for all.
    """
    config = ModelConfig() if config is None else config
    if "framed" in kind:
        config = dataclasses.replace(config, frame="half")
    model = untrained(kind, seed, config, data.train_images.shape[1])
    name = f"{kind.replace(', ', '-')}{label}-{data.train_images.shape[1]}-{images}-{steps}-seed{seed}"
    kept, about = folder / f"{name}.eqx", folder / f"{name}.json"
    if about.exists():
        return eqx.tree_deserialise_leaves(kept, model), json.loads(about.read_text())["seconds"]
    train = TrainConfig(epochs=max(1, round(steps / (images // BATCH))), batch_size=BATCH, seed=seed)
    loss = cross_entropy(train.label_smoothing)
    begun = time.monotonic()
    fitted = fit(
        model,
        augmented(loss) if kind.endswith("turned") else loss,
        (data.train_images[:images], data.train_labels[:images]),
        train,
        key=jax.random.key(seed + 1),
    )
    seconds = time.monotonic() - begun
    folder.mkdir(parents=True, exist_ok=True)
    eqx.tree_serialise_leaves(kept, fitted.average)
    about.write_text(json.dumps({"seconds": seconds, "steps": fitted.steps, "epochs": train.epochs}))
    return fitted.average, seconds
