"""The audit of a trained classifier: what is exact, what converges, what is only approximate, and what is refused."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import LinearMap
from ..fields import looks
from ..geometry import Euclidean, PixelGrid
from ..laws import Verdict, VerdictTable, equivariance, equivariance_by_element, rejects
from ..symmetry import REFLECTION, AbstractGroup, Dihedral, SignalAction, TrivialAction, rotation, trivial
from ._classifier import ImageClassifier, ModelConfig, build_classifier
from ._refinement import convergence, convergence_verdict, name_of, with_weights_of

# Below this relative error a float32 evaluation sees rounding, and no order of convergence can be read off.
ROUNDING_FLOOR = 2e-5
# More looks than these at an image are many.
MANY_LOOKS = 4


def audit(
    model: ImageClassifier, config: ModelConfig, *, refinements: tuple[int, ...] | None = None, key: PRNGKeyArray
) -> dict[str, Any]:
    r"""The verdicts of the laws on a model, and its errors of equivariance by angle and by resolution.

    - Elements that map the pixels to themselves (quarter turns; flips, if the group has them): exact to rounding, for the
      logits and for every stage of the evolution.
    - A reflection that the group has not, if there is one that keeps the square, is refused: the check that must fail.
    - Other angles: one band-limited picture, known at every point of the plane, is turned *before* it is sampled, so that no
      interpolation enters. For angles in the group what is left is the error of discretisation, which falls as the same
      weights are sampled on grids `refinements` times as fine (1, 2 and 4; of many looks at an image, each of which has
      stencils of its own, 1 and 2); for other angles a finite group leaves an algebraic error, which does not.
    - Changes of scale and stretches, where the image is looked at through them: a picture moved by one before it is sampled is
      lifted to the same features at other looks, up to an error that falls in the same way.

    **Returns:** `verdicts`, a list of dictionaries; `equivariance`, error by group element; `angles` with the errors at each
    refinement; `refinement` with sizes, errors and the observed `order`.
    """
    grid, group = model.grid, model.group
    if refinements is None:
        refinements = (1, 2, 4) if len(model.maps) <= MANY_LOOKS else (1, 2)
    # A picture like those the model was trained on: on noise a trained network may saturate, and prove nothing.
    picture = grid.flatten(_in_channels(_picture(grid, np.eye(2), key), config.channels))
    on_images = SignalAction(config.channels * trivial(group), grid)
    on_logits = TrivialAction(group, Euclidean(config.classes))
    logits = _Logits(model, grid)
    by_element = equivariance_by_element(logits, on_images, on_logits, picture)
    verdicts = VerdictTable(v for v in by_element if v.name != "identity") + _stages(model, picture)
    if (missing := _missing_reflection(group)) is not None:
        larger = Dihedral(4)
        refused = rejects(
            logits,
            SignalAction(config.channels * trivial(larger), grid),
            TrivialAction(larger, Euclidean(config.classes)),
            picture,
            elements=missing[None],
        )
        name = f"a reflection, which {config.group} has not, is refused"
        verdicts += (dataclasses.replace(refused, name=name),)
    angles = _by_angle(model, config, refinements, key)
    refinement = convergence(angles, group, config.fine, refinements, ROUNDING_FLOOR)
    verdicts += convergence_verdict(refinement, "|f_h(g u) - f_h(u)| = O(h^p), p >= 2")
    verdicts += _moves(model, config, refinements, key)
    return {
        "verdicts": verdicts.to_dicts(),
        "equivariance": {v.name: v.error for v in by_element},
        "angles": angles,
        "refinement": refinement,
    }


def _missing_reflection(group: AbstractGroup) -> Float[np.ndarray, "2 2"] | None:
    """A reflection that keeps the square and that the group has not: of up and down, or of left and right.

    None for groups of many reflections: the next one is so near that what is lacking is as small as the error of turns.
    """
    if not any(np.linalg.det(h) < 0 for h in group.discrete_generators):
        return REFLECTION
    if not group.is_finite or group.order > 8:
        return None
    return next((h for h in (REFLECTION, -REFLECTION) if not any(np.allclose(h, g) for g in group.elements)), None)


class _Logits(eqx.Module):
    """The logits as a map of signals."""

    model: ImageClassifier
    grid: PixelGrid

    def __call__(self, u: Float[Array, "points channels"]) -> Float[Array, " classes"]:
        return self.model(self.grid.unflatten(u))


def _stages(model: ImageClassifier, picture: Float[Array, "points channels"]) -> VerdictTable:
    """One verdict for each part of the model: the stages of the cascade, then the read-out."""
    verdicts, u, actions = [], picture, model.cascade.actions
    for i, stage in enumerate(model.cascade.stages):
        name = f"stage {i + 1}: {type(stage).__name__}"
        verdicts.append(equivariance(stage, actions[i], actions[i + 1], u, name=name))
        u = eqx.filter_jit(stage)(u)
    invariants = TrivialAction(model.group, Euclidean(model.readout.size))
    verdicts.append(equivariance(model.readout, actions[-1], invariants, u, name="read-out"))
    return VerdictTable(verdicts)


def _by_angle(
    model: ImageClassifier, config: ModelConfig, refinements: tuple[int, ...], key: PRNGKeyArray
) -> dict[str, list[float]]:
    """The relative change when the picture turns, by angle: of the invariants at each refinement, and of the prediction.

    The prediction is what a user gets: logits, from their mean, on the grid of training, averaged over turns and zooms.
    """
    degrees = np.arange(0.0, 91.0, 7.5)
    result: dict[str, list[float]] = {"degrees": degrees.tolist()}
    # A frame that turns sees what the border cuts off of a picture, and a smaller one loses nothing there.
    size = 0.5 if model.frame is not None and model.frame.upright else 1.0
    for factor in refinements:
        finer = _refined(model, config, factor)
        pictures = [
            _in_channels(_picture(finer.grid, size * R, key), config.channels)
            for R in map(rotation, np.deg2rad(degrees))
        ]
        read = eqx.filter_jit(lambda m, u: m.invariants(u))
        values = np.stack([np.asarray(read(finer, picture)) for picture in pictures])
        result[name_of(factor)] = _changes(values)
        if factor == 1:
            logits = np.stack([np.asarray(eqx.filter_jit(finer)(picture)) for picture in pictures])
            result["prediction"] = _changes(logits - logits.mean(axis=1, keepdims=True))
    return result


def _changes(values: Float[np.ndarray, "angles n"]) -> list[float]:
    return (np.linalg.norm(values - values[0], axis=1) / np.linalg.norm(values[0])).tolist()


def _refined(model: ImageClassifier, config: ModelConfig, factor: int) -> ImageClassifier:
    """The model with its own weights on grids `factor` times as fine."""
    return with_weights_of(model, functools.partial(build_classifier, config, size=model.grid.height, refine=factor))


def _moves(
    model: ImageClassifier, config: ModelConfig, refinements: tuple[int, ...], key: PRNGKeyArray
) -> tuple[Verdict, ...]:
    """Whether a picture that a linear map has moved is lifted to the same features at other looks, and framed to the same."""
    larger, stretched = np.array(looks(2)[1:]), np.array(looks(1, stretched=True)[1:3])
    kinds: list[tuple[str, str, np.ndarray, Any]] = [
        (name, statement, moves, _of_moves)
        for name, statement, moves in (
            ("a change of scale is a shift", "(L D u)_k = (L u)_{k+1}", larger),
            ("a stretch is a change of look", "(L P u)_A = (L u)_{A P}", stretched),
        )
        if all(_pairs(model.maps, B)[0] for B in moves)
    ]
    if model.frame is not None:
        kinds.append(
            ("a change of scale changes nothing that is seen", "T_h(Du)^-1 D u = T_h(u)^-1 u", larger, _of_frame)
        )
    verdicts = []
    for name, statement, moves, error in kinds:
        errors = [error(_refined(model, config, factor), config, moves, key) for factor in refinements[:2]]
        if errors[0] <= ROUNDING_FLOOR:
            verdicts.append(Verdict(name, statement, errors[0], 1.0, ROUNDING_FLOOR))
            continue
        order = float(np.log2(errors[0] / max(errors[-1], 1e-12)) / np.log2(refinements[1] / refinements[0]))
        statement += " + O(h^p), p >= 2"
        detail = f"observed order {order:.1f}"
        verdicts.append(Verdict(name, statement, 2 / max(order, 1e-9), order, 1.0, detail=detail))
    return tuple(verdicts)


def _of_moves(
    model: ImageClassifier, config: ModelConfig, moves: Float[np.ndarray, "n 2 2"], key: PRNGKeyArray
) -> float:
    r"""$\max |(L\, T_B u)_A - (L u)_{AB}|$ over moves B and looks A, relative to the largest feature."""
    lift = eqx.filter_jit(lambda u: model.lift(u))
    before, worst = lift(_moved(model, config, np.eye(2), key)), 0.0
    for B in moves:
        after, (looked, meant) = lift(_moved(model, config, B, key)), _pairs(model.maps, B)
        worst = max(worst, _change(after[jnp.array(looked)], before[jnp.array(meant)]))
    return worst


def _of_frame(
    model: ImageClassifier, config: ModelConfig, moves: Float[np.ndarray, "n 2 2"], key: PRNGKeyArray
) -> float:
    r"""$\max |F\, T_B u - F u|$ over changes of scale B, relative to the largest value, F being the frame at work."""
    assert model.frame is not None
    framed = eqx.filter_jit(model.frame)
    before = framed(_moved(model, config, np.eye(2), key))
    return max(_change(framed(_moved(model, config, B, key)), before) for B in moves)


def _moved(
    model: ImageClassifier, config: ModelConfig, move: Float[np.ndarray, "2 2"], key: PRNGKeyArray
) -> Float[Array, "points channels"]:
    """The picture at half its size, moved, on the grid of the model."""
    return model.grid.flatten(_in_channels(_picture(model.grid, move @ (0.5 * np.eye(2)), key), config.channels))


def _change(after: Array, before: Array) -> float:
    return float(jnp.max(jnp.abs(after - before)) / jnp.max(jnp.abs(after)))


def _pairs(maps: tuple[LinearMap, ...], B: Float[np.ndarray, "2 2"]) -> tuple[list[int], list[int]]:
    """Where A stands among the maps and where A B does, for all A for which both are there."""
    products, found = np.array(maps) @ B, np.array(maps)
    same = np.max(np.abs(products[:, None] - found[None]), axis=(2, 3)) < 1e-9
    looked, meant = np.nonzero(same)
    return looked.tolist(), meant.tolist()


def _picture(grid: PixelGrid, move: Float[np.ndarray, "2 2"], key: PRNGKeyArray) -> Float[np.ndarray, "height width"]:
    """A band-limited picture of six blobs inside the disc, moved by a linear map, and then sampled."""
    centre_key, height_key = jax.random.split(key)
    side = grid.height * grid.spacing
    centres = np.asarray(jax.random.ball(centre_key, 2, shape=(6,)), np.float64) * side / 4
    heights = np.asarray(jax.random.uniform(height_key, (6,), minval=0.4, maxval=1.0), np.float64)
    distances = np.linalg.norm((grid.points @ np.linalg.inv(move).T)[:, None] - centres, axis=-1)
    return (np.exp(-(distances**2) / 2 / (side / 14) ** 2) @ heights).reshape(grid.shape)


def _in_channels(picture: Float[np.ndarray, "height width"], channels: int) -> Float[Array, "height width channels"]:
    """The picture in so many channels, of different strengths: a model must not get by on one of them."""
    return jnp.asarray(picture[..., None] * np.linspace(1.0, 0.5, channels), jnp.float32)
