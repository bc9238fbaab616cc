"""The audit of a trained segmenter, pixel by pixel: what is exact, what converges, and what happens where tiles meet."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float, PRNGKeyArray

from ..geometry import PixelGrid
from ..laws import Verdict, VerdictTable, equivariance, equivariance_by_element, rejects, rounding
from ..symmetry import REFLECTION, Dihedral, SignalAction, rotation, trivial
from ._measure import softmax
from ._refinement import convergence, convergence_verdict, name_of, with_weights_of
from ._segmenter import ImageSegmenter, SegmenterConfig, build_segmenter
from ._tiles import TiledLogits, TilesConfig

# How far the probabilities of a pixel may differ between tiles and one piece: a border that is predicted, but not believed, is
# still within the reach of the stencils.
_SEAM = 0.02


def audit_segmenter(
    model: ImageSegmenter,
    config: SegmenterConfig,
    tiles: TilesConfig,
    *,
    refinements: tuple[int, ...] = (1, 2),
    key: PRNGKeyArray,
) -> dict[str, Any]:
    r"""The verdicts of the laws on a model, $f(g \cdot u)(x) = f(u)(g^{-1} x)$ for the logits at every pixel.

    - Quarter turns (and flips, if the group has them) are exact to rounding: for the logits, for each part of the model, and
      for an image in several tiles, where they meet included.
    - Reflections, where the group has none, are refused: the check that must fail.
    - Other angles of the group: a band-limited picture, known at every point of the plane, is turned *before* it is sampled;
      the error of the logits at every pixel of a disc falls as the same weights are sampled on finer grids.
    - An image in several tiles has, to a fiftieth of a probability, the mask that it has in one piece.

    **Returns:** `verdicts`, a list of dictionaries; `equivariance`, error by group element; `angles` with the errors at each
    refinement; `refinement` with sizes, errors and the observed `order`.
    """
    channels, group = model.lift.operator.rep_in.dim, model.group
    picture = _picture(model.grid, 0.0, channels, key).astype(np.float32)
    u = model.grid.flatten(jnp.asarray(picture))
    signal = _Signal(model)
    by_element = equivariance_by_element(signal, model.action_in, model.action_out, u)
    verdicts = VerdictTable(v for v in by_element if v.name != "identity") + _parts(model, u)
    if not any(np.linalg.det(h) < 0 for h in group.discrete_generators):
        larger = Dihedral(4)
        on_images, on_logits = (
            SignalAction(n * trivial(larger), model.grid) for n in (channels, int(model.head.out_size))
        )
        refused = rejects(signal, on_images, on_logits, u, elements=REFLECTION[None])
        name = f"a reflection, which {config.group} has not, is refused"
        verdicts += (dataclasses.replace(refused, name=name),)
    verdicts += _seams(model, config, tiles, key)
    angles = _by_angle(model, config, refinements, channels, key)
    refinement = convergence(angles, model.group, model.grid.height, refinements)
    verdicts += convergence_verdict(refinement, "|f_h(g u)(x) - f_h(u)(g^-1 x)| = O(h^p), p >= 2")
    return {
        "verdicts": verdicts.to_dicts(),
        "equivariance": {v.name: v.error for v in by_element},
        "angles": angles,
        "refinement": refinement,
    }


class _Signal(eqx.Module):
    """The logits as a map of signals."""

    model: ImageSegmenter

    def __call__(self, u: Float[Array, "points channels"]) -> Float[Array, "points classes"]:
        return self.model.signal(u)


def _parts(model: ImageSegmenter, u: Array) -> VerdictTable:
    lifted = eqx.filter_jit(model.lift)(u)
    features, invariants = model.lift.action_out, SignalAction(model.up.rep_out, model.grid)
    return VerdictTable(
        (
            equivariance(model.lift, model.action_in, features, u, name="part 1: lift"),
            equivariance(model.evolution, features, features, lifted, name="part 2: evolution"),
            equivariance(model.up, features, invariants, lifted, name="part 3: read-out"),
        )
    )


def _seams(
    model: ImageSegmenter, config: SegmenterConfig, tiles: TilesConfig, key: PRNGKeyArray
) -> tuple[Verdict, ...]:
    """Quarter turns of an image of several tiles, and that image in tiles against the same in one piece."""
    channels, classes = model.lift.operator.rep_in.dim, int(model.head.out_size)

    def build(shape: tuple[int, int]) -> ImageSegmenter:
        return _like(model, config, shape, 1, channels, classes)

    unit, stride = config.spacings[-1], tiles.large_tile - 2 * tiles.margin
    tiled = TiledLogits(build, tile=tiles.large_tile, margin=tiles.margin, unit=unit)
    # Two tiles along each axis.
    n = tiles.large_tile + stride
    noise = np.asarray(jax.random.normal(key, (n, n, channels), jnp.float32))
    image = scipy.ndimage.gaussian_filter(noise, (1, 1, 0))
    image = image / image.std()
    logits = tiled(model, image)
    turned = tiled(model, np.ascontiguousarray(np.rot90(image)))
    scale = float(np.abs(logits).max())
    limit = rounding(np.float32)
    error = float(np.abs(turned - np.rot90(logits)).max()) / scale
    whole = TiledLogits(build, tile=n, margin=unit, unit=unit)(model, image)
    gap = float(np.abs(softmax(whole) - softmax(logits)).max())
    constant = bool(np.ptp(logits, axis=(0, 1)).max() <= limit * scale)
    return (
        Verdict("rotation by 90 degrees, several tiles", "f(g u) = g f(u)", error, scale, limit, constant),
        Verdict("tiles agree with one piece", "|q_tiled - q_whole| <= 1/50", gap, 1.0, _SEAM, constant),
    )


def _by_angle(
    model: ImageSegmenter, config: SegmenterConfig, refinements: tuple[int, ...], channels: int, key: PRNGKeyArray
) -> dict[str, list[float]]:
    """The relative change of the logits at the pixels of a disc, turned back, by angle, at each refinement."""
    degrees = np.arange(0.0, 91.0, 15.0)
    result: dict[str, list[float]] = {"degrees": degrees.tolist()}
    # Twice as wide as the model: the picture has to be flat at the border, where a square is not a disc.
    shape = (2 * model.grid.height, 2 * model.grid.width)
    read = eqx.filter_jit(lambda m, u: m(u))
    for factor in refinements:
        finer = _like(model, config, shape, factor, channels, int(model.head.out_size))
        values = [
            np.asarray(read(finer, jnp.asarray(_picture(finer.grid, angle, channels, key, 4), jnp.float32)), np.float64)
            for angle in np.deg2rad(degrees)
        ]
        points = finer.grid.points
        disc = points[np.linalg.norm(points, axis=1) < model.grid.height / 2]
        upright = _at(finer.grid, values[0], disc)
        spread = np.linalg.norm(upright - upright.mean(axis=0))
        errors = [
            np.linalg.norm(_at(finer.grid, v, disc @ rotation(a).T) - upright) / spread
            for v, a in zip(values, np.deg2rad(degrees), strict=True)
        ]
        result[name_of(factor)] = [float(e) for e in errors]
    return result


def _at(grid: PixelGrid, image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """An image at any points, by quintic splines."""
    places = ((grid.height - 1) / 2 - points[:, 1] / grid.spacing, (grid.width - 1) / 2 + points[:, 0] / grid.spacing)
    return np.stack(
        [scipy.ndimage.map_coordinates(image[..., c], places, order=5, mode="reflect") for c in range(image.shape[-1])],
        -1,
    )


def _like(
    model: ImageSegmenter, config: SegmenterConfig, shape: tuple[int, int], refine: int, channels: int, classes: int
) -> ImageSegmenter:
    """The model with its own weights on other grids."""
    build = functools.partial(build_segmenter, config, shape=shape, channels=channels, classes=classes, refine=refine)
    return with_weights_of(model, build)


def _picture(
    grid: PixelGrid, angle: float, channels: int, key: PRNGKeyArray, within: int = 2
) -> Float[np.ndarray, "height width channels"]:
    """A band-limited picture of blobs, turned by an angle (radians) and then sampled; flat outside its middle."""
    centre_key, height_key = jax.random.split(key)
    side = min(grid.extent)
    centres = np.asarray(jax.random.ball(centre_key, 2, shape=(6,)), np.float64) * side / 2 / within
    heights = np.asarray(jax.random.uniform(height_key, (6, channels), minval=-2.0, maxval=2.0), np.float64)
    distances = np.linalg.norm((grid.points @ rotation(angle))[:, None] - centres, axis=-1)
    return (np.exp(-(distances**2) / 2 / (side / 14 / within) ** 2) @ heights).reshape(*grid.shape, channels)
