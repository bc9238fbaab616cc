"""Images to masks: an equivariant partial neural differential equation on nested grids, read out at every pixel."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..dynamics import Cycle, Flow
from ..fields import (
    Bias,
    DifferentialInvariantField,
    GaussianJet,
    SteerableLayer,
    SteerableOperator,
    in_turned_frame,
)
from ..geometry import PixelGrid
from ..symmetry import AbstractGroup, SignalAction, trivial
from ._errors import TaskError
from ._named import controller_of, cosets_of, features, group_named, solver_named


@dataclass(frozen=True)
class SegmenterConfig:
    """The model: u_t = F(differential invariants of u), lifted from the image, on grids that correct each other."""

    group: str = "C8"
    """The group acting on the plane: C<n>, D<n> (regular features), SO2 or O2 (irreducible features); mirror, for left and
    right exchanged."""
    spacings: tuple[int, ...] = (2, 4, 8)
    """The spacing of each grid in pixels of the image, each a multiple of the one before."""
    widths: tuple[int, ...] = (6, 8, 8)
    """Copies of the feature (regular, or one of each weight) on each grid."""
    steps: tuple[int, ...] = (1, 1, 2)
    """Solver steps (and knots of the coefficients in time) of each flow; all grids but the last have two, there and back."""
    order: int = 2
    """The highest derivative in the evolution and in changes of grid."""
    lift_order: int = 4
    """The highest derivative taken of the image."""
    solver: str = "Euler"
    """The solver: the name of any explicit Diffrax solver (Euler, Heun, Tsit5, ...)."""
    rtol: float | None = None
    """Relative tolerance of adaptive steps with an invariant error norm; fixed steps where it is not given."""
    width_of_stencil: float = 1.3
    """The width of the Gaussian under every derivative, in pixels of the grid that is differentiated."""
    read_width: int = 16
    """Invariants at every pixel that are read out."""
    head: int = 32
    """Hidden units of the perceptron on the invariants of a pixel."""
    field_dropout: float = 0.0
    """The probability that a feature of a field is left out in training."""
    turns: int = 2
    """Predictions are averaged over so many frames between two turns of a finite group, if it has four or more: masks turn with
    the image under a group that has so many times more, as far as pixels allow, at so many times the cost."""


class ImageSegmenter(eqx.Module):
    r"""An equivariant map of images to masks,

    $$ u \mapsto \mathrm{MLP}\bigl(P(\partial)\, \Phi(u) + Q(\partial)\, u + b\bigr), $$

    with $\Phi$ a `Cycle` on grids coarser than the pixels. $P$ is a steerable operator from its features to invariants at
    every pixel (means over the group, divergences, ...), where invariants $Q(\partial) u$ of the image itself are added. The
    fibre of the logits is trivial: they turn with the image.

    `model(image)` takes one image `(height, width, channels)` and returns logits `(height, width, classes)`; with a `key` it
    drops features out, as in training.

    Without a key the logits are a Reynolds average over `turns`, pairs of an angle and a weight, that stand for the cosets of a
    finite group in a larger one: the sum of $w_j$ times the logits in a frame turned by $\theta_j$ (`in_turned_frame`). Nothing
    is interpolated, so thin strokes stay where they are.
    """

    lift: SteerableLayer
    evolution: Cycle | Flow
    up: SteerableOperator
    skip: SteerableOperator
    bias: Bias
    head: eqx.nn.MLP
    turns: tuple[tuple[float, float], ...] = eqx.field(static=True, default=((0.0, 1.0),))

    @property
    def grid(self) -> PixelGrid:
        """The grid of the images."""
        return self.skip.jet.source

    @property
    def group(self) -> AbstractGroup:
        """The group under which the masks are equivariant."""
        return self.action_in.group

    @property
    def action_in(self) -> SignalAction:
        """The action on images."""
        return self.lift.action_in

    @property
    def action_out(self) -> SignalAction:
        """The action on logits: that on signals with a trivial fibre."""
        return SignalAction(int(self.head.out_size) * trivial(self.group), self.grid)

    def __call__(
        self, image: Float[Array, "height width channels"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "height width classes"]:
        return self.grid.unflatten(self.signal(self.grid.flatten(image), key))

    def signal(
        self, u: Float[Array, "points channels"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "points classes"]:
        """The logits of an image, both as signals over the grid."""
        if key is not None:
            return self._in_one_frame(u, key)
        logits = [weight * in_turned_frame(self, angle)._in_one_frame(u) for angle, weight in self.turns]
        return jnp.sum(jnp.stack(logits), axis=0)

    def _in_one_frame(
        self, u: Float[Array, "points channels"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "points classes"]:
        z = self.up(self.evolution(self.lift(u), key)) + self.skip(u)
        return jax.vmap(self.head)(jax.nn.silu(z + jnp.broadcast_to(self.bias(u.dtype), z.shape)))


def build_segmenter(
    config: SegmenterConfig,
    *,
    shape: tuple[int, int],
    channels: int = 1,
    classes: int = 2,
    refine: int = 1,
    key: PRNGKeyArray,
) -> ImageSegmenter:
    """The model of a configuration, with random weights in float32, for images of `shape` (height, width).

    `refine` samples the same continuous model more finely: every grid has `refine` times as many pixels across over the
    same rectangle, while stencils keep their width. The weights mean the same for any shape and any refinement.

    **Raises:** `TaskError` when the configuration makes no model or its grids do not fit the shape.
    """
    check_segmenter(config)
    group = group_named(config.group)
    grids = [
        PixelGrid(_points(shape[0], s) * refine, _points(shape[1], s) * refine, s / refine)
        for s in (1, *config.spacings)  # the pixels themselves, then every grid
    ]
    keys = iter(jax.random.split(key, 5 * len(config.spacings) + 4))
    wide, fibres = config.width_of_stencil, [features(group, w) for w in config.widths]
    count = 2 * len(config.spacings) - 1  # flows, each of which takes an equal part of time

    def flow(level: int, number: int) -> Flow:
        steps, t0, t1 = config.steps[level], number / count, (number + 1) / count
        field = DifferentialInvariantField(
            fibres[level],
            grids[level + 1],
            order=config.order,
            sigma=wide * config.spacings[level],
            mirror=True,
            knots=steps,
            t0=t0,
            t1=t1,
            dropout=config.field_dropout,
            key=next(keys),
        )
        controller = controller_of(config.solver, config.rtol, steps)
        return Flow(field, field.action.space, solver_named(config.solver), controller, t0=t0, t1=t1)

    def change(source: int, target: int) -> SteerableLayer:
        sigma = wide * config.spacings[min(source, target)]
        if source > target:  # up-sampling has to reach from one coarse point to the next
            sigma = 0.75 * config.spacings[source]
        jet = GaussianJet(grids[source + 1], grids[target + 1], config.order, sigma, mirror=True)
        return SteerableLayer(fibres[source], fibres[target], jet, key=next(keys))

    def evolve(level: int) -> Cycle | Flow:
        if level + 1 == len(config.spacings):
            return flow(level, level)
        return Cycle(
            flow(level, level),
            change(level, level + 1),
            evolve(level + 1),
            change(level + 1, level),
            flow(level, count - 1 - level),
        )

    image, pixels, fine = channels * trivial(group), grids[0], config.spacings[0]
    lift_jet = GaussianJet(pixels, grids[1], config.lift_order, max(1.0, 0.75 * fine), mirror=True)
    lift = SteerableLayer(image, fibres[0], lift_jet, key=next(keys))
    evolution = evolve(0)
    invariants = config.read_width * trivial(group)
    up_jet = GaussianJet(grids[1], pixels, config.order, 0.75 * fine, mirror=True)
    skip_jet = GaussianJet(pixels, pixels, 2, 1.0, mirror=True)
    return ImageSegmenter(
        lift,
        evolution,
        SteerableOperator(fibres[0], invariants, up_jet, key=next(keys)),
        SteerableOperator(image, invariants, skip_jet, key=next(keys)),
        Bias(invariants),
        eqx.nn.MLP(
            config.read_width, classes, config.head, 1, activation=jax.nn.silu, dtype=jnp.float32, key=next(keys)
        ),
        cosets_of(group, config.turns),
    )


def _points(pixels: int, spacing: int) -> int:
    """How many points a grid of this spacing has across so many pixels, with the same centre and ends that agree.

    An even number of pixels is divided; of an odd number, points lie on every `spacing`-th pixel from the first to the last.
    """
    odd = pixels % 2
    if (pixels - odd) % spacing:
        raise TaskError(
            f"{pixels} pixels across do not fit a grid with a point every {spacing}; take a multiple of that."
        )
    return (pixels - odd) // spacing + odd


def check_segmenter(config: SegmenterConfig) -> None:
    """Make sure that a configuration makes a model; `TaskError` otherwise."""
    group_named(config.group)
    levels = {len(config.spacings), len(config.widths), len(config.steps)}
    pairs = zip((1, *config.spacings), config.spacings, strict=False)
    if len(levels) != 1 or 0 in levels:
        raise TaskError("--spacings, --widths and --steps: one number for each grid, so equally many of them.")
    if min(*config.widths, *config.steps, config.read_width, config.head, *config.spacings) < 1:
        raise TaskError("--spacings, --widths, --steps, --read-width and --head have to be at least 1.")
    if any(coarse % fine or coarse < fine for fine, coarse in pairs):
        raise TaskError(f"--spacings {config.spacings}: each has to be a multiple of the one before it.")
    if config.turns < 1:
        raise TaskError(f"turns is {config.turns}; expected 1, for one frame, or more.")
    if config.order < 0 or config.lift_order < 1:
        raise TaskError("--order has to be at least 0, and --lift-order at least 1.")
