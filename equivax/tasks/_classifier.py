"""Images to classes: an equivariant partial neural differential equation, read out invariantly."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import LinearMap
from ..dynamics import Cascade, Flow, Steps
from ..fields import (
    AbstractField,
    AffineLift,
    DifferentialInvariantField,
    Disc,
    GaussianJet,
    InvariantReadout,
    SteerableLayer,
    WaveField,
    looks,
)
from ..geometry import PixelGrid
from ..symmetry import AbstractGroup, AbstractRep, rotation, trivial
from ._errors import TaskError
from ._named import controller_of, cosets_of, features, solver_named, symmetry_named

# The width of the Gaussian of the lift, in pixels of the first grid; and the narrowest that pixels can sample, in theirs.
LIFT_WIDTH, NARROWEST = 0.75, 0.4


@dataclass(frozen=True)
class ModelConfig:
    """The model: u_t = F(differential invariants of u), lifted from the image, coarsened on the way."""

    group: str = "C8"
    """The group acting on the image: C<n>, D<n> (regular features), SO2 or O2 (irreducible features); scale, for changes of
    scale alone, on eight times as many copies of a feature that is one number; similarity, for those and C8; affine, for those
    and stretches: fifteen looks at an image, at as many times the cost of C8."""
    fine: int = 12
    """Pixels across the first grid that the signal evolves on."""
    coarse: int = 6
    """Pixels across the second grid."""
    fine_width: int = 8
    """Copies of the feature (regular, or one of each weight) on the first grid."""
    coarse_width: int = 12
    """Copies of the feature on the second grid."""
    lift_order: int = 4
    """The highest derivative taken of the image."""
    fine_order: int = 2
    """The highest derivative in the evolution on the first grid; 0 is a pure reaction, and the cheapest."""
    coarse_order: int = 2
    """The highest derivative in the evolution on the second grid."""
    fine_steps: int = 1
    """Solver steps (and knots of the coefficients in time) on the first grid, t from 0 to 1/2."""
    coarse_steps: int = 2
    """Solver steps (and knots) on the second grid, t from 1/2 to 1."""
    evolution: Literal["parabolic", "hyperbolic"] = "parabolic"
    """Parabolic: u_t = F. Hyperbolic: u_tt = F - c u_t, with a learned damping c; half of the copies of the feature are signal,
    half its velocity, so that widths are even."""
    solver: str = "Euler"
    """The solver: the name of any explicit Diffrax solver (Euler, Heun, Tsit5, ...)."""
    rtol: float | None = None
    """Relative tolerance of adaptive steps with an invariant error norm; fixed steps where it is not given."""
    width_of_stencil: float = 1.3
    """The width of the Gaussian under every derivative, in pixels of the grid that is differentiated."""
    read_width: int = 16
    """Copies of the feature at the centre, where the invariants are read out."""
    read_order: int = 3
    """The highest derivative of the jet at the centre."""
    head: int = 64
    """Hidden units of the perceptron on the invariants."""
    field_dropout: float = 0.1
    """The probability that a feature of the field is left out in training."""
    head_dropout: float = 0.3
    """The probability that an invariant is left out in training."""
    head_draws: int = 8
    """Which invariants are left out is drawn so many times for each image, and the losses averaged: the evolution, which
    costs the time, is the same for all (Inoue, Multi-sample dropout, 2019)."""
    scales: int | None = None
    """Scales, a factor of the root of 2 apart, at which the image is looked at with the same weights; 4 reach down to objects
    of a third of the size. By default 4 where the group has changes of scale, 3 where it has stretches as well, of which there
    are four at each scale, else 1."""
    turns: int = 2
    """Predictions are averaged over so many turns of the image between two of a finite group, if it has four or more: they are
    invariant under a group that has so many times more, as far as pixels allow, at so many times the cost. Training is not
    touched."""
    classes: Annotated[int, tyro.conf.Suppress] = 10
    """The number of classes: as many as the data have."""
    channels: Annotated[int, tyro.conf.Suppress] = 1
    """Numbers in a pixel, each invariant under the group: 1 for grey images, 3 in colour, as the data have it."""


class ImageClassifier(eqx.Module):
    r"""An invariant classifier, $u \mapsto \mathrm{MLP}(\text{invariants}(\Phi(u)))$ with $\Phi$ a `Cascade`.

    `model(image)` takes one square image `(size, size)` of grey values in [0, 1], or `(size, size, channels)` in colour, and
    returns the logits `(classes,)`; with a `key` it drops features out, as in training, and returns `(draws, classes)` for
    several draws of the invariants that are left out. The grids of the evolution divide
    the square of the image, whatever its size: more pixels are finer samples of the same picture. With several `maps`
    the lift is an `AffineLift`: the image is looked at as each of them moves it, and invariants are the largest over the looks.

    Without a key the logits are a Reynolds average over `turns`, pairs of an angle and a weight, that stand for the cosets of a
    finite group in a larger one, $\sum_j w_j\, \mathrm{logits}(R_j u)$: what is left of the algebraic error of the
    finite group is that of the larger one.
    """

    cascade: Cascade
    readout: InvariantReadout
    head: eqx.nn.MLP
    head_dropout: float = eqx.field(static=True)
    draws: int = eqx.field(static=True, default=1)
    maps: tuple[LinearMap, ...] = eqx.field(static=True, default=looks(1))
    turns: tuple[tuple[float, float], ...] = eqx.field(static=True, default=((0.0, 1.0),))

    @property
    def grid(self) -> PixelGrid:
        """The grid of the images."""
        return self.cascade.action_in.grid

    @property
    def group(self) -> AbstractGroup:
        """The group under which the logits are invariant."""
        return self.cascade.action_in.group

    @property
    def lift(self) -> AffineLift:
        """The first layer of the cascade, of the image as each map moves it."""
        layer = self.cascade.stages[0]
        assert isinstance(layer, SteerableLayer)
        return AffineLift(layer, self.maps)

    def __call__(
        self, image: Float[Array, "height width *channels"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*draws classes"]:
        if key is None:
            logits = jnp.stack([self.head(self.invariants(self._turned(image, angle))) for angle, _ in self.turns])
            return jnp.asarray([weight for _, weight in self.turns], logits.dtype) @ logits
        field_key, head_key = jax.random.split(key)
        z = self.invariants(image, key=field_key)
        keep = jax.random.bernoulli(head_key, 1 - self.head_dropout, (self.draws, *z.shape)).astype(z.dtype)
        return jax.vmap(self.head)(keep * z[None] / (1 - self.head_dropout))

    def invariants(
        self, image: Float[Array, "height width *channels"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, " m"]:
        """The invariants that the classes are decided on: of several looks, the largest of each."""
        u = self.grid.flatten(image)
        if self.maps == looks(1):
            return self.readout(self.cascade(u, key))
        rest = Cascade(self.cascade.stages[1:])
        return jnp.max(jax.vmap(lambda v: self.readout(rest(v, key)))(self.lift(u)), axis=0)

    def _turned(self, image: Float[Array, "height width *channels"], angle: float) -> Float[Array, "h w *channels"]:
        """g u, interpolated between pixels but for quarter turns: the image turned by an angle."""
        if angle == 0:
            return image
        on_images = self.cascade.action_in
        return self.grid.unflatten(on_images(rotation(angle), self.grid.flatten(image))).reshape(image.shape)

    def evolution(
        self, image: Float[Array, "height width *channels"], n: int
    ) -> list[tuple[float, Float[Array, "h w"]]]:
        """Moments `(t, picture)` of the evolution, `n` of each flow: the feature energy of the signal, as an image.

        Of several looks, at the first.
        """
        moments = self.cascade.path(self.grid.flatten(image), n)[1:]
        # A lift and a down-sampling take no time: of several moments at one time on one grid the last one counts.
        latest = {(t, grid): u for t, grid, u in moments}
        return [
            (t, grid.unflatten(jnp.sqrt(jnp.mean(u**2, axis=-1, keepdims=True)))[..., 0])
            for (t, grid), u in latest.items()
        ]

    def count(self, image: Float[Array, "height width *channels"]) -> dict[str, int]:
        """Steps of the solver and evaluations of the field for one prediction: exact for adaptive steps, which depend on it.

        Those of the image as it is, are counted once for each look and each turn.
        """
        u, steps, evaluations = self.grid.flatten(image), 0, 0
        flows = [stage for stage in self.cascade.stages if isinstance(stage, Flow)]
        adaptive = any(not isinstance(flow.controller, Steps) for flow in flows)
        for stage in self.cascade.stages:
            if isinstance(stage, Flow):
                fixed = stage.controller.n if isinstance(stage.controller, Steps) else None
                n = int(stage.solve(u).stats["num_steps"]) if fixed is None else fixed
                steps += n
                evaluations += n * _evaluations_per_step(stage.solver)
            if adaptive:  # the signal matters to nobody else
                u = stage(u)
        passes = len(self.maps) * len(self.turns)
        return {"steps": passes * steps, "function_evaluations": passes * evaluations}


def build_classifier(config: ModelConfig, *, size: int = 28, refine: int = 1, key: PRNGKeyArray) -> ImageClassifier:
    """The model of a configuration, with random weights in float32, for images of `size` x `size` pixels.

    `refine` samples the same continuous model more finely: every grid has `refine` times as many pixels across over the
    same square, while stencils keep their width. The weights mean the same at any refinement.

    **Raises:** `TaskError` for a group or a solver that is not known here, adaptive steps without an error estimate, odd widths
    of a hyperbolic evolution, and images whose pixels are wider than the Gaussians that are to differentiate them.
    """
    group, maps, copies = symmetry_named(config.group, config.scales)
    largest = max(float(np.linalg.norm(A, 2)) for A in maps)
    smallest = math.ceil(NARROWEST * config.fine / LIFT_WIDTH * largest - 1e-9)
    if config.turns < 1:
        raise TaskError(f"turns is {config.turns}; expected 1, for the image as it is, or more.")
    if config.head_draws < 1:
        raise TaskError(f"head_draws is {config.head_draws}; expected 1 or more.")
    if size * refine < smallest:
        raise TaskError(
            f"images of {size} x {size} pixels are smaller than the stencils: on {config.fine} x {config.fine} points "
            f"(--fine) the model needs at least {smallest} x {smallest}. Give larger images, enlarge those of your own with "
            "--size, or make --fine smaller."
        )
    image, fine, coarse = (PixelGrid(n, n, size / n) for n in (size, config.fine, config.coarse))
    finer = {
        grid: PixelGrid(grid.height * refine, grid.width * refine, grid.spacing / refine)
        for grid in (image, fine, coarse)
    }
    disc = Disc(0.75 * size / 2, size / 2)
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
    wide = config.width_of_stencil
    keys = jax.random.split(key, 6)

    def flow(
        rep: AbstractRep, grid: PixelGrid, order: int, steps: int, t0: float, t1: float, key: PRNGKeyArray
    ) -> Flow:
        field: AbstractField = DifferentialInvariantField(
            rep,
            finer[grid],
            order=order,
            sigma=wide * grid.spacing,
            window=disc,
            knots=steps,
            t0=t0,
            t1=t1,
            dropout=config.field_dropout,
            key=key,
        )
        if hyperbolic:
            field = WaveField(field, damping=jnp.ones((), jnp.float32))
        return Flow(
            field,
            field.action.space,
            solver_named(config.solver),
            controller_of(config.solver, config.rtol, steps),
            t0=t0,
            t1=t1,
        )

    lift_jet = GaussianJet(finer[image], finer[fine], config.lift_order, LIFT_WIDTH * fine.spacing)
    lift = SteerableLayer(config.channels * trivial(group), fine_rep, lift_jet, window=disc, key=keys[0])
    down_jet = GaussianJet(finer[fine], finer[coarse], 2, wide * fine.spacing)
    down = SteerableLayer(fine_rep, coarse_rep, down_jet, window=disc, key=keys[1])
    stages = (
        lift,
        flow(fine_half, fine, config.fine_order, config.fine_steps, 0.0, 0.5, keys[2]),
        down,
        flow(coarse_half, coarse, config.coarse_order, config.coarse_steps, 0.5, 1.0, keys[3]),
    )
    centre = GaussianJet(finer[coarse], PixelGrid(1, 1, finer[coarse].spacing), config.read_order, size / 3.5)
    read_rep = features(group, copies * config.read_width)
    readout = InvariantReadout(SteerableLayer(coarse_rep, read_rep, centre, key=keys[4]))
    head = eqx.nn.MLP(
        readout.size, config.classes, config.head, 1, activation=jax.nn.silu, dtype=jnp.float32, key=keys[5]
    )
    turns = cosets_of(group, config.turns)
    return ImageClassifier(Cascade(stages), readout, head, config.head_dropout, config.head_draws, maps, turns)


def _evaluations_per_step(solver: diffrax.AbstractSolver | None) -> int:
    tableau = getattr(solver, "tableau", None)  # Euler has none
    return 1 if tableau is None else tableau.num_stages
