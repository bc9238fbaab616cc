"""The numbers of a test: accuracy, and where it comes from."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

# Of 50,000 images about 2,080 are in each of them; sectors of angles have 15 degrees.
_INTERVALS = 24


def measure(logits: Float[np.ndarray, "n classes"], labels: Shaped[np.ndarray, " n"]) -> dict[str, Any]:
    """Accuracy over all, and the matrix of confusions: `confusion[i][j]` counts the images of class i that were called j."""
    called, classes = logits.argmax(axis=1), logits.shape[1]
    confusion = np.bincount(labels.astype(int) * classes + called, minlength=classes**2).reshape(classes, classes)
    return {"accuracy": float((called == labels).mean()), "confusion": confusion.tolist()}


def accuracy_over(
    values: Float[np.ndarray, " n"], interval: tuple[float, float], right: Bool[np.ndarray, " n"]
) -> dict[str, Any]:
    """Accuracy over a quantity that images differ in: in equal parts of `interval`, with counts for the error bars.

    **Returns:** `at`, the middle of each part, `accuracy`, None where there is no image, and `count`.
    """
    low, high = interval
    place = np.clip(((values - low) / (high - low) * _INTERVALS).astype(int), 0, _INTERVALS - 1)
    counts = np.bincount(place, minlength=_INTERVALS)
    hits = np.bincount(place, weights=right, minlength=_INTERVALS)
    return {
        "at": [low + (i + 0.5) * (high - low) / _INTERVALS for i in range(_INTERVALS)],
        "accuracy": [float(h / c) if c else None for h, c in zip(hits, counts, strict=True)],
        "count": [int(c) for c in counts],
    }


def worst(
    logits: Float[np.ndarray, "n classes"], labels: Shaped[np.ndarray, " n"], count: int
) -> list[tuple[int, int, float]]:
    """The most confident mistakes: (index, class that was said, its probability), the most confident first."""
    probabilities = softmax(logits)
    called = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(called != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return [(int(i), int(called[i]), float(confidence[i])) for i in wrong]


def softmax(logits: Float[np.ndarray, "*batch classes"]) -> Float[np.ndarray, "*batch classes"]:
    """exp(z) / sum exp(z) over the last axis, shifted by its largest entry."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def wilson(hits: float | int, count: float | int, z: float = 1.96) -> tuple[float, float]:
    """The interval that holds a probability of which `count` trials had `hits` successes (Wilson's, 95 % at z = 1.96)."""
    p, spread = hits / count, z**2 / count
    centre = (p + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(p * (1 - p) / count + spread / (4 * count))
    return float(centre - half), float(centre + half)
