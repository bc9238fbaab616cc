"""What a classifier is made of: flows on two grids, the layers around them, and the layer to the centre that is read out."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..dynamics import Cascade, Flow, InvariantController, Reversible, ReversibleAdjoint, Splitting, Steps
from ..fields import (
    AbstractField,
    DifferentialInvariantField,
    Disc,
    GaussianJet,
    LeftInvariantLayer,
    PositionOrientationField,
    SteerableLayer,
    WaveField,
)
from ..geometry import PixelGrid
from ..symmetry import AbstractGroup, AbstractRep, Cyclic, trivial
from ._errors import TaskError
from ._named import controller_of, features, solver_named

if TYPE_CHECKING:
    from ._classifier import ModelConfig

# The width of the Gaussian of the lift, in pixels of the first grid; that of the read-out, in images.
LIFT_WIDTH, READ_WIDTH = 0.75, 1 / 3.5
# What is solved in turn in each step on positions and orientations: what copies do to each other at a point, what is linear
# in derivatives, the max and the min over growing balls. And the time spent on each grid.
PARTS, DURATION = (("reaction",), ("convection", "diffusion"), ("dilation", "erosion")), 1.5


class Canvas(NamedTuple):
    """What all evolutions are drawn on: the jets from the image to the first grid, to the second, and to the centre.

    `sigmas` are the widths of the Gaussians under derivatives on the two grids; signals live in `disc`, where there is one.
    """

    lift: GaussianJet
    down: GaussianJet
    centre: GaussianJet
    sigmas: tuple[float, float]
    disc: Disc | None


def canvas(config: "ModelConfig", size: int, refine: int) -> Canvas:
    """The canvas of a configuration, for images of `size` x `size` pixels, with `refine` times the pixels on each axis."""
    pixels = size, config.fine, config.coarse
    image, fine, coarse = (PixelGrid(n * refine, n * refine, size / n / refine) for n in pixels)
    sigmas = config.width_of_stencil * size / config.fine, config.width_of_stencil * size / config.coarse
    return Canvas(
        lift=GaussianJet(image, fine, config.lift_order, LIFT_WIDTH * size / config.fine),
        down=GaussianJet(fine, coarse, 2, sigmas[0]),
        centre=GaussianJet(coarse, PixelGrid(1, 1, coarse.spacing), config.read_order, READ_WIDTH * size),
        sigmas=sigmas,
        disc=None if config.domain == "square" else Disc(0.75 * size / 2, size / 2),
    )


def stages(
    config: "ModelConfig", group: AbstractGroup, copies: int, on: Canvas, keys: Sequence[PRNGKeyArray]
) -> tuple[Cascade, SteerableLayer | LeftInvariantLayer]:
    """The lift, a flow, a coarsening and a flow; and the layer to the centre.

    **Arguments:** `copies`: how many copies of the group's feature are meant by one of a width; `keys`: five.

    **Raises:** `TaskError` for a configuration that does not fit together.
    """
    parts = _on_positions_and_orientations if config.evolution == "m2" else _by_invariants
    return parts(config, group, copies, on, keys)


def _by_invariants(
    config: "ModelConfig", group: AbstractGroup, copies: int, on: Canvas, keys: Sequence[PRNGKeyArray]
) -> tuple[Cascade, SteerableLayer]:
    hyperbolic = config.evolution == "hyperbolic"
    if hyperbolic and (config.fine_width % 2 or config.coarse_width % 2):
        raise TaskError(
            f"widths are {config.fine_width} and {config.coarse_width}; a hyperbolic evolution takes half of the copies for "
            "velocities, so both have to be even."
        )
    fine_half, coarse_half = (
        features(group, copies * width // (1 + hyperbolic)) for width in (config.fine_width, config.coarse_width)
    )
    fine_rep, coarse_rep = (half + half if hyperbolic else half for half in (fine_half, coarse_half))

    def flow(
        rep: AbstractRep, grid: PixelGrid, sigma: float, order: int, steps: int, t0: float, key: PRNGKeyArray
    ) -> Flow:
        t1 = t0 + 0.5
        field: AbstractField = DifferentialInvariantField(
            rep,
            grid,
            order=order,
            sigma=sigma,
            window=on.disc,
            knots=_knots(config, steps),
            t0=t0,
            t1=t1,
            dropout=config.field_dropout,
            key=key,
        )
        if hyperbolic:
            field = WaveField(field, damping=jnp.ones((), jnp.float32))
        solver, controller = solver_named(config.solver), controller_of(config.solver, config.rtol, steps)
        if config.evolution == "reversible":
            return _reversible(field, solver, controller, t0, t1)
        return Flow(field, field.action.space, solver, controller, t0=t0, t1=t1)

    fine, coarse = on.down.source, on.down.target
    cascade = (
        SteerableLayer(config.channels * trivial(group), fine_rep, on.lift, window=on.disc, key=keys[0]),
        flow(fine_half, fine, on.sigmas[0], config.fine_order, config.fine_steps, 0.0, keys[2]),
        SteerableLayer(fine_rep, coarse_rep, on.down, window=on.disc, key=keys[1]),
        flow(coarse_half, coarse, on.sigmas[1], config.coarse_order, config.coarse_steps, 0.5, keys[3]),
    )
    read_rep = features(group, copies * config.read_width)
    return Cascade(cascade), SteerableLayer(coarse_rep, read_rep, on.centre, key=keys[4])


def _reversible(
    field: AbstractField,
    solver: diffrax.AbstractSolver,
    controller: Steps | InvariantController,
    t0: float,
    t1: float,
) -> Flow:
    """The flow by a solver whose steps can be undone, differentiated without remembering them: in a loop, not unrolled."""
    flow = Flow(field, field.action.space, Reversible(solver), controller, t0=t0, t1=t1, adjoint=ReversibleAdjoint())
    if not isinstance(controller, Steps):
        return flow
    # Where rounding leaves a sliver before the end, that is one step more.
    n, constant = controller.n, diffrax.ConstantStepSize()
    return dataclasses.replace(flow, controller=constant, dt0=(t1 - t0) / n, max_steps=n + 1)


def _on_positions_and_orientations(
    config: "ModelConfig", group: AbstractGroup, copies: int, on: Canvas, keys: Sequence[PRNGKeyArray]
) -> tuple[Cascade, LeftInvariantLayer]:
    n, width = group.order if isinstance(group, Cyclic) else 0, config.fine_width
    if n < 3:
        raise TaskError(
            "positions and orientations have turns alone: --evolution m2 needs --group C<n> with n from 3, similarity or "
            f"affine; received {config.group}."
        )
    if config.coarse_width != width or config.read_width % width:
        raise TaskError(
            f"an evolution on positions and orientations keeps its copies: --coarse-width is {config.coarse_width} and "
            f"--read-width {config.read_width} where --fine-width is {width}; give the same, and a multiple of it."
        )
    if config.rtol is not None:
        raise TaskError("a splitting has no error to adapt its steps to: leave out --rtol with --evolution m2.")

    def flow(grid: PixelGrid, sigma: float, steps: int, t0: float, key: PRNGKeyArray) -> Flow:
        knots, t1 = _knots(config, steps), t0 + DURATION
        first, *others = (
            PositionOrientationField(
                n, width, grid, sigma=sigma, parts=parts, window=on.disc, knots=knots, t0=t0, t1=t1, key=k
            )
            for parts, k in zip(PARTS, jax.random.split(key, len(PARTS)), strict=True)
        )
        solver = Splitting((solver_named(config.solver),) * len(PARTS), symmetric=False)
        return Flow(sum(others, first), first.action.space, solver, Steps(steps), t0=t0, t1=t1)

    lifted = features(group, width)
    cascade = (
        SteerableLayer(config.channels * trivial(group), lifted, on.lift, window=on.disc, key=keys[0]),
        flow(on.down.source, on.sigmas[0], config.fine_steps, 0.0, keys[2]),
        LeftInvariantLayer(n, width, on.down, window=on.disc, key=keys[1]),
        flow(on.down.target, on.sigmas[1], config.coarse_steps, DURATION, keys[3]),
    )
    return Cascade(cascade), LeftInvariantLayer(n, width, on.centre, multiple=config.read_width // width, key=keys[4])


def _knots(config: "ModelConfig", steps: int) -> int:
    return steps if config.knots is None else min(config.knots, steps)
