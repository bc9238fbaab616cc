"""Images to classes: an equivariant partial neural differential equation, read out invariantly."""

import dataclasses
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
from ..dynamics import Cascade, Flow, Reversible, Splitting, Steps
from ..fields import AffineLift, InvariantReadout, LeftInvariantLayer, SignalFrame, SteerableLayer, Vote, looks
from ..geometry import PixelGrid
from ..symmetry import AbstractGroup, rotation
from ._errors import TaskError
from ._named import cosets_of, symmetry_named
from ._stages import LIFT_WIDTH, canvas, stages

# The narrowest Gaussian that pixels can sample, in their widths.
NARROWEST = 0.4
# The part of a stretch that a frame takes back, and the root mean square along an axis at which it shows all objects, in
# images: that of upright digits in the disc, of upright clothes in the square.
STRETCH, STANDARD = {"scale": 0.0, "half": 0.5, "affine": 1.0}, {"disc": 0.17, "square": 0.223}


@dataclass(frozen=True)
class ModelConfig:
    """The model: u_t = F(differential invariants of u), lifted from the image, coarsened on the way."""

    group: str = "C8"
    """The group acting on the image: C<n>, D<n> (regular features), SO2 or O2 (irreducible features); mirror, for left
    and right exchanged; scale, for changes of scale alone, on eight times as many copies of a feature that is one number;
    similarity, for those and C8; affine, for those and stretches: fifteen looks at an image, at as many times the cost of
    C8."""
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
    """Solver steps on the first grid, t from 0 to 1/2."""
    coarse_steps: int = 2
    """Solver steps on the second grid, t from 1/2 to 1."""
    knots: int | None = None
    """At most so many knots of the coefficients in time on each grid, between which they are linear: more steps than that solve
    the equation more finely, with the same weights. By default one for each step."""
    evolution: Literal["parabolic", "hyperbolic", "reversible", "m2"] = "parabolic"
    """Parabolic: u_t = F. Hyperbolic: u_tt = F - c u_t, with a learned damping c; half of the copies of the feature are signal,
    half its velocity, so that widths are even. Reversible: u_t = F by steps that can be undone, so that training takes no more
    memory for more of them; each evaluates F twice. M2: on positions and orientations, in each step a reaction, then convection
    with diffusion, then dilation with erosion; few weights, equal widths, and no use for orders and dropout of the field."""
    solver: str = "Euler"
    """The solver: the name of any explicit Diffrax solver (Euler, Heun, Tsit5, ...)."""
    rtol: float | None = None
    """Relative tolerance of adaptive steps with an invariant error norm; fixed steps where it is not given."""
    domain: Literal["disc", "square"] = "disc"
    """Where signals live: in the disc in the image, which all turns keep; or, for a group that maps the square to itself, in
    all of it, for objects that reach into the corners."""
    width_of_stencil: float = 1.3
    """The width of the Gaussian under every derivative, in pixels of the grid that is differentiated."""
    read_width: int = 16
    """Copies of the feature at the centre, where the invariants are read out."""
    read_order: int = 3
    """The highest derivative of the jet at the centre."""
    head: int = 64
    """Hidden units of the perceptron on the invariants."""
    vote: bool = False
    """The perceptron sees the copies at one element of the group at a time, and the elements of the group vote, instead of the
    mean and the maximum of each copy. For finite groups; there are no invariants to leave out."""
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
    are four at each scale, else 1; with a frame 1."""
    frame: Literal["none", "scale", "half", "affine"] = "none"
    """Move each image first by a moving frame, for one object on black ground: to where it has the same size as all others
    (scale), so that predictions are invariant under changes of scale; and is as long as it is wide (affine), for invariance
    under stretches; or half way there, which leaves some of what tells a 1 from a 0."""
    upright: bool = False
    """With a frame: turn each image as well, to where its longest direction is upright. With a group that has half turns,
    predictions are then invariant under all turns, as far as pixels allow, and no average over `turns` is taken."""
    turns: int = 2
    """Predictions are averaged over so many turns of the image between two of a finite group, if it has four or more: they are
    invariant under a group that has so many times more, as far as pixels allow, at so many times the cost. Training is not
    touched."""
    zooms: int = 1
    """Predictions are averaged over so many changes of scale from one look to the next, where there are several scales: they
    are invariant under finer changes of scale, at so many times the cost. Training is not touched. With a frame: over so many
    sizes at which it shows objects, about the standard one, a fourth root of 2 apart; training averages losses over them."""
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
    A `frame` moves every image before. Where the read-out ends in a `Vote`, its invariants are the logits.

    Without a key the logits are a Reynolds average over `turns`, pairs of an angle and a weight, that stand for the cosets of a
    finite group in a larger one, $\sum_j w_j\, \mathrm{logits}(R_j u)$: what is left of the algebraic error of the
    finite group is that of the larger one. `zooms`, factors that all maps are multiplied by, are the same for changes of scale.
    With a frame they are sizes at which it shows the object, times the standard, and the logits their average, which is as
    invariant as each of them (*frame averaging*, Puny et al., ICLR 2022); there are `draws` for each of them.
    """

    cascade: Cascade
    readout: InvariantReadout
    head: eqx.nn.MLP | eqx.nn.Identity
    head_dropout: float = eqx.field(static=True)
    draws: int = eqx.field(static=True, default=1)
    maps: tuple[LinearMap, ...] = eqx.field(static=True, default=looks(1))
    turns: tuple[tuple[float, float], ...] = eqx.field(static=True, default=((0.0, 1.0),))
    zooms: tuple[float, ...] = eqx.field(static=True, default=(1.0,))
    frame: SignalFrame | None = None

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
        return self._lift(1.0)

    def __call__(
        self, image: Float[Array, "height width *channels"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*draws classes"]:
        if key is None:
            logits = jnp.stack([self._logits(self._turned(image, angle)) for angle, _ in self.turns])
            return jnp.asarray([weight for _, weight in self.turns], logits.dtype) @ logits
        field_key, head_key = jax.random.split(key)
        sizes = (1.0,) if self.frame is None else self.zooms
        return jnp.concatenate([self._draws(self._invariants(image, size, field_key), head_key) for size in sizes])

    def _draws(self, z: Float[Array, " m"], key: PRNGKeyArray) -> Float[Array, "draws classes"]:
        keep = jax.random.bernoulli(key, 1 - self.head_dropout, (self.draws, *z.shape)).astype(z.dtype)
        return jax.vmap(self.head)(keep * z[None] / (1 - self.head_dropout))

    def seen(self, image: Float[Array, "height width *channels"], size: float = 1.0) -> Float[Array, "points channels"]:
        """The signal that evolves: the image; where there is a frame, moved by it, to `size` times its standard."""
        u = self.grid.flatten(image)
        return u if self.frame is None else dataclasses.replace(self.frame, standard=size * self.frame.standard)(u)

    def invariants(
        self, image: Float[Array, "height width *channels"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, " m"]:
        """The invariants that the classes are decided on: of several looks, the largest of each; at the standard size."""
        return self._invariants(image, 1.0, key)

    def _invariants(
        self, image: Float[Array, "h w *channels"], zoom: float, key: PRNGKeyArray | None
    ) -> Float[Array, " m"]:
        u = self.seen(image, zoom)
        zoom = zoom if self.frame is None else 1.0
        if zoom == 1 and self.maps == looks(1):
            return self.readout(self.cascade(u, key))
        rest = Cascade(self.cascade.stages[1:])
        return jnp.max(jax.vmap(lambda v: self.readout(rest(v, key)))(self._lift(zoom)(u)), axis=0)

    def _logits(self, image: Float[Array, "h w *channels"]) -> Float[Array, " classes"]:
        return jnp.mean(jnp.stack([self.head(self._invariants(image, zoom, None)) for zoom in self.zooms]), axis=0)

    def _lift(self, zoom: float) -> AffineLift:
        layer = self.cascade.stages[0]
        assert isinstance(layer, SteerableLayer)
        return AffineLift(layer, tuple(((zoom * a, zoom * b), (zoom * c, zoom * d)) for (a, b), (c, d) in self.maps))

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
        moments = self.cascade.path(self.seen(image), n)[1:]
        # A lift and a down-sampling take no time: of several moments at one time on one grid the last one counts.
        latest = {(t, grid): u for t, grid, u in moments}
        return [
            (t, grid.unflatten(jnp.sqrt(jnp.mean(u**2, axis=-1, keepdims=True)))[..., 0])
            for (t, grid), u in latest.items()
        ]

    def count(self, image: Float[Array, "height width *channels"]) -> dict[str, int]:
        """Steps of the solver and evaluations of the field for one prediction: exact for adaptive steps, which depend on it.

        Those of the image as it is, are counted once for each look, turn and zoom.
        """
        u, steps, evaluations = self.seen(image), 0, 0
        flows = [stage for stage in self.cascade.stages if isinstance(stage, Flow)]
        adaptive = any(_steps(flow) is None for flow in flows)
        for stage in self.cascade.stages:
            if isinstance(stage, Flow):
                fixed = _steps(stage)
                n = int(stage.solve(u).stats["num_steps"]) if fixed is None else fixed
                steps += n
                evaluations += n * _evaluations_per_step(stage.solver)
            if adaptive:  # the signal matters to nobody else
                u = stage(u)
        passes = len(self.maps) * len(self.turns) * len(self.zooms)
        return {"steps": passes * steps, "function_evaluations": passes * evaluations}


def build_classifier(config: ModelConfig, *, size: int = 28, refine: int = 1, key: PRNGKeyArray) -> ImageClassifier:
    """The model of a configuration, with random weights in float32, for images of `size` x `size` pixels.

    `refine` samples the same continuous model more finely: every grid has `refine` times as many pixels across over the
    same square, while stencils keep their width. The weights mean the same at any refinement.

    **Raises:** `TaskError` for a group or a solver that is not known here, adaptive steps without an error estimate, odd widths
    of a hyperbolic evolution, a vote of a group that is not finite or with dropout on invariants, images put upright without a
    frame or a group that has half turns, and images whose pixels are wider than the Gaussians that are to differentiate them.
    """
    framed = config.frame != "none"
    # What a frame does needs no looks.
    group, maps, copies = symmetry_named(config.group, 1 if framed and config.scales is None else config.scales)
    largest = max(float(np.linalg.norm(A, 2)) for A in maps)
    smallest = math.ceil(NARROWEST * config.fine / LIFT_WIDTH * largest - 1e-9)
    if config.turns < 1:
        raise TaskError(f"turns is {config.turns}; expected 1, for the image as it is, or more.")
    if config.zooms < 1 or (config.zooms > 1 and len(maps) == 1 and not framed):
        raise TaskError(
            f"zooms is {config.zooms}; expected 1, for the looks as they are, or more where there are several (--scales) or "
            "there is a --frame."
        )
    square = PixelGrid(2, 2)
    kept = group.is_finite and all(square.permutation(h) is not None for h in group.discrete_generators)
    if config.domain == "square" and not kept:
        raise TaskError(
            f"{config.group} does not map the square to itself, only quarter turns and mirrors do: --domain disc."
        )
    if config.knots is not None and config.knots < 1:
        raise TaskError(f"knots is {config.knots}; expected 1, for coefficients that do not change in time, or more.")
    if config.upright and (not framed or (group.is_finite and not group.contains(rotation(math.pi)))):
        raise TaskError(
            "--upright goes with a --frame, and with a group that has half turns, such as C8, to which either end is up; "
            f"received --frame {config.frame} and --group {config.group}."
        )
    if config.head_draws < 1:
        raise TaskError(f"head_draws is {config.head_draws}; expected 1 or more.")
    if config.vote and (not group.is_finite or config.head_dropout):
        raise TaskError(
            f"--vote is for finite groups, and has no invariants to leave out: with --group {config.group} and --head-dropout "
            f"{config.head_dropout}; give C<n> or D<n>, and 0."
        )
    if size * refine < smallest:
        raise TaskError(
            f"images of {size} x {size} pixels are smaller than the stencils: on {config.fine} x {config.fine} points "
            f"(--fine) the model needs at least {smallest} x {smallest}. Give larger images, enlarge those of your own with "
            "--size, or make --fine smaller."
        )
    *keys, head_key = jax.random.split(key, 6)
    cascade, centre = stages(config, group, copies, canvas(config, size, refine), keys)
    readout, head = _readout(centre, config, head_key)
    turns = cosets_of(group, 1 if config.upright else config.turns)
    # Looks are a root of 2 apart. What lies between is reached from above, by smaller looks, which pixels can always sample.
    zooms = tuple(2.0 ** (-j / (2 * config.zooms)) for j in range(config.zooms))
    frame = None
    if framed:
        grid, zooms = (
            cascade.action_in.grid,
            tuple(2.0 ** ((j - (config.zooms - 1) / 2) / 4) for j in range(config.zooms)),
        )
        frame = SignalFrame(grid, STANDARD[config.domain] * size, STRETCH[config.frame], config.upright)
    return ImageClassifier(cascade, readout, head, config.head_dropout, config.head_draws, maps, turns, zooms, frame)


def _readout(
    centre: SteerableLayer | LeftInvariantLayer, config: ModelConfig, key: PRNGKeyArray
) -> tuple[InvariantReadout, eqx.nn.MLP | eqx.nn.Identity]:
    """From the signal to invariants, and from these to logits."""
    if config.vote:
        vote = Vote(centre.action_out.rep, config.classes, config.head, key=key)
        return InvariantReadout(centre, vote), eqx.nn.Identity()
    readout = InvariantReadout(centre)
    return readout, eqx.nn.MLP(
        readout.size, config.classes, config.head, 1, activation=jax.nn.silu, dtype=jnp.float32, key=key
    )


def _steps(flow: Flow) -> int | None:
    """The number of steps of a flow; None where it depends on the signal."""
    if isinstance(flow.controller, Steps):
        return flow.controller.n
    if flow.dt0 is None:
        return None
    start, stop, step = (float(np.asarray(t)) for t in (flow.t0, flow.t1, flow.dt0))
    return round((stop - start) / step)


def _evaluations_per_step(solver: diffrax.AbstractSolver | None) -> int:
    if isinstance(solver, Splitting):
        return sum(map(_evaluations_per_step, solver.solvers))
    if isinstance(solver, Reversible):  # there and back
        return 2 * _evaluations_per_step(solver.solver.base)
    tableau = getattr(solver, "tableau", None)  # Euler has none
    return 1 if tableau is None else tableau.num_stages
