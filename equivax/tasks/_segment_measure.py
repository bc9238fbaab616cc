"""The numbers of a segmentation: intersection over union, Dice, and the Rand score of the objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.special
from jaxtyping import Bool, Float, Int, Shaped

# Thresholds, evenly spaced in log-odds since objects are told apart far from 1/2, and exponents: validation images choose.
_THRESHOLDS = scipy.special.expit(np.linspace(-6, 6, 25))
_POWERS = np.linspace(0, 1, 5)


def confusion(said: Shaped[np.ndarray, "*shape"], true: Shaped[np.ndarray, "*shape"], classes: int) -> np.ndarray:
    """`[i, j]` counts the pixels of class i that were called j."""
    codes = true.astype(np.int64).ravel() * classes + said.astype(np.int64).ravel()
    return np.bincount(codes, minlength=classes**2).reshape(classes, classes)


def overlaps(counts: Int[np.ndarray, "classes classes"]) -> dict[str, Any]:
    r"""IoU $|A \cap B| / |A \cup B|$ and Dice $2 |A \cap B| / (|A| + |B|)$ from a matrix of confusions.

    **Returns:** `iou_by_class`, `dice_by_class`, None for a class that is neither there nor said to be; `iou`, `dice`, the
    means over the others; `accuracy`.
    """
    both = np.diag(counts).astype(float)
    sizes = counts.sum(axis=0) + counts.sum(axis=1)
    iou = [float(b / (s - b)) if s else None for b, s in zip(both, sizes, strict=True)]
    dice = [float(2 * b / s) if s else None for b, s in zip(both, sizes, strict=True)]
    return {
        "iou": float(np.mean([v for v in iou if v is not None])),
        "dice": float(np.mean([v for v in dice if v is not None])),
        "iou_by_class": iou,
        "dice_by_class": dice,
        "accuracy": float(both.sum() / counts.sum()),
    }


def v_rand(said: Bool[np.ndarray, "height width"], true: Bool[np.ndarray, "height width"]) -> float | None:
    r"""The foreground-restricted Rand F-score of the objects of a class, 1 for the same objects,

    $$ V = \frac{\sum_{ij} p_{ij}^2}{\tfrac12 \sum_i s_i^2 + \tfrac12 \sum_j t_j^2}, $$

    $p_{ij}$ the part of the pixels of the class in `true` that lies in object i of `said` and object j of `true`, $s$ and $t$
    its marginals. Objects are connected regions (through edges of pixels, not corners). So that it does not matter how thick
    borders are drawn, they are thinned first: a pixel between objects joins the nearest one; where nothing was found,
    each is a piece of its own. None where `true` has no object.

    (Arganda-Carreras et al., *Crowdsourcing the creation of image segmentation algorithms for connectomics*, 2015, with
    alpha = 1/2.)
    """
    inside = true.astype(bool)
    if not inside.any():
        return None
    objects, _ = scipy.ndimage.label(inside)
    pieces, found = scipy.ndimage.label(said.astype(bool))
    if not found:
        pieces = np.arange(said.size).reshape(said.shape)
    else:
        nearest = scipy.ndimage.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
        pieces = pieces[tuple(nearest)]
    pairs = np.unique(pieces[inside].astype(np.int64) * (int(objects.max()) + 1) + objects[inside], return_counts=True)
    i, j, p = *np.divmod(pairs[0], int(objects.max()) + 1), pairs[1] / inside.sum()
    s, t = np.bincount(i, weights=p), np.bincount(j, weights=p)
    return float((p**2).sum() / (0.5 * (s**2).sum() + 0.5 * (t**2).sum()))


def mean_v_rand(said: list[np.ndarray], true: list[np.ndarray], classes: int) -> list[float | None]:
    """The mean of `v_rand` over images, for each class; None where it is nowhere."""
    found = [
        [value for s, t in zip(said, true, strict=True) if (value := v_rand(s == c, t == c)) is not None]
        for c in range(classes)
    ]
    return [float(np.mean(values)) if values else None for values in found]


class Decision:
    """From probabilities to classes, as the validation images would have it.

    Of two classes, the second where its probability exceeds a threshold: `mask`, that of the best mean Dice; `objects`, that of
    the best Rand score of the second class. Of more, the largest $p_c f_c^a$, with the frequencies f of the classes and the
    exponent `a` of the best mean IoU, which takes back what the balance of classes in the loss has moved.
    """

    def __init__(
        self, frequencies: Sequence[float] | Float[np.ndarray, " classes"], mask: float = 0.5, objects: float = 0.5
    ):
        self.frequencies, self.mask, self.objects = np.asarray(frequencies, np.float32), mask, objects
        self.classes = len(self.frequencies)

    @classmethod
    def choose(
        cls, probabilities: list[np.ndarray], masks: list[np.ndarray], frequencies: Float[np.ndarray, " classes"]
    ) -> "Decision":
        """The decision that the images behind `probabilities`, which were not trained on, choose."""
        tried = _THRESHOLDS if len(frequencies) == 2 else _POWERS
        by_mask, by_objects = [], []
        for setting in tried:
            decision = cls(frequencies, float(setting), float(setting))
            said = [decision(p) for p in probabilities]
            total = _added([confusion(s, m, decision.classes) for s, m in zip(said, masks, strict=True)])
            found = overlaps(total)
            by_mask.append(found["dice"] if decision.classes == 2 else found["iou"])
            if decision.classes == 2:
                scores = (v_rand(s == 1, m == 1) for s, m in zip(said, masks, strict=True))
                by_objects.append(np.mean([score for score in scores if score is not None]))
        mask = float(tried[int(np.argmax(by_mask))])
        return cls(frequencies, mask, float(tried[int(np.argmax(by_objects))]) if by_objects else mask)

    def __call__(
        self, probabilities: Float[np.ndarray, "height width classes"], *, objects: bool = False
    ) -> Shaped[np.ndarray, "height width"]:
        """The class of each pixel; with `objects` by the setting that keeps objects apart."""
        setting = self.objects if objects else self.mask
        if self.classes == 2:
            return (probabilities[..., 1] > setting).astype(np.uint8)
        return np.argmax(probabilities * self.frequencies**setting, axis=-1).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON understands them; `Decision(**d)` makes them a decision again."""
        return {"frequencies": self.frequencies.tolist(), "mask": self.mask, "objects": self.objects}


def measure_masks(
    probabilities: list[np.ndarray], masks: list[np.ndarray], decision: Decision
) -> tuple[dict[str, Any], list[float]]:
    """IoU, Dice and V_rand, per class and in the mean (of V_rand over all classes but the first), and Dice by image."""
    classes = decision.classes
    said = [decision(p) for p in probabilities]
    each = [confusion(s, m, classes) for s, m in zip(said, masks, strict=True)]
    rand = mean_v_rand([decision(p, objects=True) for p in probabilities], masks, classes)
    objects = [value for value in rand[1:] if value is not None]
    total = _added(each)
    found = overlaps(total) | {
        "v_rand": float(np.mean(objects)) if objects else None,
        "v_rand_by_class": rand,
        "confusion": total.tolist(),
    }
    return found, [overlaps(counts)["dice"] for counts in each]


def _added(counts: list[np.ndarray]) -> np.ndarray:
    return np.sum(np.stack(counts), axis=0)
