"""The audit of a trained classifier: what is exact, what converges, what is only approximate, and what is refused."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..geometry import Euclidean, PixelGrid
from ..laws import Verdict, VerdictTable, equivariance, equivariance_by_element, rejects
from ..symmetry import REFLECTION, Dihedral, SignalAction, TrivialAction, rotation, trivial
from ._classifier import ImageClassifier, ModelConfig, build_classifier
from ._weights import split

# Below this relative error a float32 evaluation sees rounding, and no order of convergence can be read off.
ROUNDING_FLOOR = 2e-5


def audit(
    model: ImageClassifier, config: ModelConfig, *, refinements: tuple[int, ...] = (1, 2, 4), key: PRNGKeyArray
) -> dict[str, Any]:
    r"""The verdicts of the laws on a model, and its errors of equivariance by angle and by resolution.

    - Elements that map the pixels to themselves (quarter turns; flips, if the group has them): exact to rounding, for the
      logits and for every stage of the evolution.
    - Reflections, where the group has none, are refused: the check that must fail.
    - Other angles: one band-limited picture, known at every point of the plane, is turned *before* it is sampled, so that no
      interpolation enters. For angles in the group what is left is the error of discretisation, which falls as the same
      weights are sampled on grids `refinements` times as fine; for other angles a finite group leaves an algebraic error,
      which does not.

    **Returns:** `verdicts`, a list of dictionaries; `equivariance`, error by group element; `angles` with the errors at each
    refinement; `refinement` with sizes, errors and the observed `order`.
    """
    grid, group = model.grid, model.group
    # A picture like those the model was trained on: on noise a trained network may saturate, and prove nothing.
    picture = grid.flatten(_in_channels(_picture(grid, 0.0, key), config.channels))
    on_images = SignalAction(config.channels * trivial(group), grid)
    on_logits = TrivialAction(group, Euclidean(config.classes))
    logits = _Logits(model, grid)
    by_element = equivariance_by_element(logits, on_images, on_logits, picture)
    verdicts = VerdictTable(v for v in by_element if v.name != "identity") + _stages(model, picture)
    if not any(np.linalg.det(h) < 0 for h in group.discrete_generators):
        larger = Dihedral(4)
        refused = rejects(
            logits,
            SignalAction(config.channels * trivial(larger), grid),
            TrivialAction(larger, Euclidean(config.classes)),
            picture,
            elements=REFLECTION[None],
        )
        verdicts += (_renamed(refused, f"a reflection, which {config.group} has not, is refused"),)
    angles = _by_angle(model, config, refinements, key)
    refinement = _convergence(angles, config, refinements)
    if refinement["order"] is not None:
        verdicts += (
            Verdict(
                f"rotation by {refinement['degrees']:g} degrees converges",
                "|f_h(g u) - f_h(u)| = O(h^p), p >= 2",
                2 / max(refinement["order"], 1e-9),
                refinement["order"],
                1.0,
                detail=f"observed order {refinement['order']:.1f}",
            ),
        )
    verdicts += _scaling(model, config, refinements, key)
    return {
        "verdicts": verdicts.to_dicts(),
        "equivariance": {v.name: v.error for v in by_element},
        "angles": angles,
        "refinement": refinement,
    }


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
    """The relative change of the invariants when the picture turns, by angle, at each refinement."""
    degrees = np.arange(0.0, 91.0, 7.5)
    result: dict[str, list[float]] = {"degrees": degrees.tolist()}
    weights = jax.tree.leaves(split(model)[0])
    for factor in refinements:
        finer = _refined(config, model.grid.height, factor, weights)
        pictures = [_picture(finer.grid, angle, key) for angle in np.deg2rad(degrees)]
        read = eqx.filter_jit(lambda m, u: m.invariants(u))
        values = np.stack([np.asarray(read(finer, _in_channels(picture, config.channels))) for picture in pictures])
        change = np.linalg.norm(values - values[0], axis=1) / np.linalg.norm(values[0])
        result["error" if factor == 1 else f"error_{factor}x"] = change.tolist()
    return result


def _refined(config: ModelConfig, size: int, factor: int, weights: list[Array]) -> ImageClassifier:
    """The model on grids `factor` times as fine with the given weights; none are drawn, only their places are asked for."""
    build = functools.partial(build_classifier, config, size=size, refine=factor)
    places = eqx.filter_eval_shape(lambda key: build(key=key), jax.random.key(0))
    given = iter(weights)
    return jax.tree.map(lambda leaf: next(given) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf, places)


def _scaling(
    model: ImageClassifier, config: ModelConfig, refinements: tuple[int, ...], key: PRNGKeyArray
) -> tuple[Verdict, ...]:
    """Whether a picture enlarged by one step is lifted to the same features one scale further on."""
    if config.scales == 1:
        return ()
    weights, errors = jax.tree.leaves(split(model)[0]), []
    for factor in refinements[:2]:
        finer = _refined(config, model.grid.height, factor, weights)
        lift = finer.lift
        pictures = (_picture(finer.grid, 0.0, key, zoom) for zoom in (0.5, 0.5 * 2**0.5))
        small, large = (lift(finer.grid.flatten(_in_channels(u, config.channels))) for u in pictures)
        errors.append(float(jnp.max(jnp.abs(large[:-1] - small[1:])) / jnp.max(jnp.abs(large))))
    name, statement = "a change of scale is a shift", "(L D u)_k = (L u)_{k+1}"
    if errors[0] <= ROUNDING_FLOOR:
        return (Verdict(name, statement, errors[0], 1.0, ROUNDING_FLOOR),)
    order = float(np.log2(errors[0] / max(errors[-1], 1e-12)) / np.log2(refinements[1] / refinements[0]))
    statement += " + O(h^p), p >= 2"
    return (Verdict(name, statement, 2 / max(order, 1e-9), order, 1.0, detail=f"observed order {order:.1f}"),)


def _picture(grid: PixelGrid, angle: float, key: PRNGKeyArray, zoom: float = 1.0) -> Float[np.ndarray, "height width"]:
    """A band-limited picture of six blobs inside the disc, scaled and turned (radians), and then sampled."""
    centre_key, height_key = jax.random.split(key)
    side = grid.height * grid.spacing
    centres = np.asarray(jax.random.ball(centre_key, 2, shape=(6,)), np.float64) * side / 4
    heights = np.asarray(jax.random.uniform(height_key, (6,), minval=0.4, maxval=1.0), np.float64)
    distances = np.linalg.norm((grid.points @ rotation(angle))[:, None] / zoom - centres, axis=-1)
    return (np.exp(-(distances**2) / 2 / (side / 14) ** 2) @ heights).reshape(grid.shape)


def _in_channels(picture: Float[np.ndarray, "height width"], channels: int) -> Float[Array, "height width channels"]:
    """The picture in so many channels, of different strengths: a model must not get by on one of them."""
    return jnp.asarray(picture[..., None] * np.linspace(1.0, 0.5, channels), jnp.float32)


def _convergence(angles: dict[str, list[float]], config: ModelConfig, refinements: tuple[int, ...]) -> dict[str, Any]:
    """Errors against resolution at the angle of the group that the pixels cannot represent, and their order."""
    finite = config.group[0] in "CD"
    n = int(config.group[1:]) if finite else None
    inside = [
        i
        for i, d in enumerate(angles["degrees"])
        if d % 90 and (n is None or abs((d * n / 360) - round(d * n / 360)) < 1e-9)
    ]
    outside = [i for i, d in enumerate(angles["degrees"]) if d % 90 and i not in inside]
    finest = angles[f"error_{refinements[-1]}x"]
    algebraic = max((finest[i] for i in outside), default=0.0)
    if not inside:
        return {"sizes": [], "error": [], "order": None, "degrees": None, "algebraic_error": algebraic}
    at = max(inside, key=lambda i: angles["error"][i])
    errors = [angles["error" if f == 1 else f"error_{f}x"][at] for f in refinements]
    used = [(f, e) for f, e in zip(refinements, errors, strict=True) if e > ROUNDING_FLOOR or f == 1]
    if len(used) < 2:
        used = list(zip(refinements, errors, strict=True))[:2]
    order = -float(np.polyfit(np.log([f for f, _ in used]), np.log([max(e, 1e-12) for _, e in used]), 1)[0])
    sizes = [f * config.fine for f in refinements]
    return {
        "sizes": sizes,
        "error": errors,
        "order": order,
        "degrees": angles["degrees"][at],
        "algebraic_error": algebraic,
    }


def _renamed(verdict: Verdict, name: str) -> Verdict:
    return Verdict(
        name, verdict.statement, verdict.error, verdict.scale, verdict.tolerance, verdict.vacuous, verdict.detail
    )
