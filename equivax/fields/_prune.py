"""Small terms left out of an equation, as long as nobody notices."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ._equation import coordinates, shares, with_coordinates
from ._intertwiner import Intertwiner
from ._rewrite import rewrite
from ._steerable import SteerableOperator

T = TypeVar("T")


def prune(model: T, kept: float) -> T:
    r"""The model with the part `kept` of the terms of its equations: the others, the smallest, have coefficient 0.

    Terms are those of `equation`, of every steerable operator and intertwiner in the model, at each knot, and they are
    compared by their shares in the $|A|_F^2$ of their own map. Coefficients are coordinates in a basis of equivariant
    maps, so that what is left is as equivariant as the model was. Nothing else is changed: no bias, no other network.

    **Raises:** `ValueError` unless 0 <= kept <= 1.
    """
    if not 0 <= kept <= 1:
        raise ValueError(f"`kept` is the part of the terms that stays, from 0 to 1; received {kept}.")
    sizes = np.sort(np.concatenate([np.zeros(0), *_sizes(model)]))
    dropped = len(sizes) - round(kept * len(sizes))
    if dropped == 0:
        return model
    least = np.inf if dropped == len(sizes) else sizes[dropped]

    def rule(part: Any) -> Any:
        if not isinstance(part, SteerableOperator | Intertwiner):
            return None
        pairs = zip(coordinates(part), shares(part), strict=True)
        return with_coordinates(part, [np.where(share >= least, q, 0.0) for q, share in pairs])

    return rewrite(model, rule)


def count_terms(model: Any) -> int:
    """How many terms the equations of a model may have, over all maps and knots."""
    return sum(map(len, _sizes(model)))


class Pruned(NamedTuple):
    """A model with as few terms as it does without.

    - `kept`: the part of its terms; `terms`: their number. - `curve`: (part kept, score) for all parts that were tried.
    """

    model: Any
    kept: float
    terms: int
    curve: tuple[tuple[float, float], ...]


def simplest(
    model: Any,
    score: Callable[[Any], float],
    parts: Sequence[float] = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05),
    loss: float = 0.0,
) -> Pruned:
    """`prune`, as far as the score on validation data stays within `loss` of what it is with all terms.

    - `score`: of a model, the larger the better: its accuracy on images that were *not* trained on, and not those that the
      result is to be tested on either.
    - `parts`: what to try to keep. The smallest one that does as well as the whole model is taken.
    """
    whole = score(model)
    curve = [(part, whole if part == 1 else score(prune(model, part))) for part in sorted(parts, reverse=True)]
    best = min((part for part, found in curve if found >= whole - loss), default=1.0)
    return Pruned(prune(model, best), best, round(best * count_terms(model)), tuple(curve))


def _sizes(model: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []

    def rule(part: Any) -> Any:
        if not isinstance(part, SteerableOperator | Intertwiner):
            return None
        found.extend(share.reshape(-1) for share in shares(part))
        return part

    rewrite(model, rule)
    return found
