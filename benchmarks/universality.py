"""Do the constructions of equivariant fields reach every equivariant field, and is a network without symmetry worse?

On six pairs of a manifold and an action, a random smooth equivariant field is learned from 1,024 points: the average over the
group, by a quadrature of high degree, of a random sum of waves. Fitted to it: `InvariantField` (moving frames), and what else
applies of `ScalarField`, `NetworkField` (equivariant multilayer perceptron), `FrameAveragedField` and `ReynoldsField`; beside
them a plain perceptron of at least as many weights. All by the same optimiser (L-BFGS, float64), data and number of steps.
Error: root mean square over 1,024 other points, relative to that of the field; for a second random seed of everything, too.

On three pairs an augmented flow learns a random equivariant diffeomorphism: the flow of another random field for unit time,
followed by a map that no flow of the space reaches.

    python benchmarks/universality.py [--steps N] [--only NAME]
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import sys
import time
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree

from equivax.dynamics import Flow
from equivax.fields import (
    Augmentation,
    Augmented,
    AugmentedField,
    FrameAveragedField,
    GramSchmidtFrame,
    InvariantField,
    NetworkField,
    PlainMLP,
    PlanarFrame,
    ReynoldsField,
    ScalarField,
    gram_schmidt_frame,
    haar_rule,
    polar_frame,
)
from equivax.geometry import SPD, Euclidean, Hyperbolic, Sphere
from equivax.symmetry import SO, LinearAction, O, PowerAction, defining, trivial

RESULTS = Path(__file__).parent / "results" / "universality.json"
POINTS = 1024

V = defining
AXIAL = V(SO(2)) + trivial(SO(2))


class Waves(eqx.Module):
    """A random sum of waves, sum_k a_k cos(b_k . x + c_k) over the coordinates of x."""

    a: jax.Array
    b: jax.Array
    c: jax.Array

    def __init__(self, size, key, count=24, frequency=0.4):
        a, b, c = jax.random.split(key, 3)
        self.a = jax.random.normal(a, (size, count)) / count**0.5
        self.b = frequency * jax.random.normal(b, (count, size))
        self.c = jax.random.uniform(c, (count,), maxval=6.28)

    def __call__(self, t, x, args=None):
        """The sum, of the shape of x."""
        flat, unravel = ravel_pytree(x)
        return unravel(self.a @ jnp.cos(self.b @ flat + self.c))


def pair_of_directions(x):
    """(S_11 - S_22, 2 S_12) of a symmetric matrix: turns twice as fast as the group."""
    return jnp.stack([x[0, 0] - x[1, 1], 2 * x[0, 1]])


def problems():
    """name -> (action, degree of the target's quadrature, how a point is drawn, the constructions)."""
    plane, space = LinearAction(V(O(2))), LinearAction(V(SO(3)))
    two, pair = PowerAction(plane, 2), PowerAction(space, 2)
    axis, sphere = LinearAction(AXIAL), LinearAction(AXIAL, Sphere(2))
    hyperbolic = LinearAction(trivial(SO(2)) + V(SO(2)), Hyperbolic(2))
    spd = LinearAction(V(O(2)) * V(O(2)), SPD(2))

    def order(*indices):
        return lambda x: x[jnp.asarray(indices)]

    def wrapped(space, centre, scale):
        return lambda key: space.wrapped_normal(centre, scale, key=key)

    def field(kind, action, *options, **named):
        return lambda key: kind(action, *options, key=key, **named)

    def frames(action, *list_of_frames, **options):
        return lambda key: InvariantField(list_of_frames, key=key, **options)

    def averaged(action, frame):
        return lambda key: FrameAveragedField(PlainMLP(action.space, 32, key=key), frame, action)

    def reynolds(action, degree):
        return lambda key: ReynoldsField(PlainMLP(action.space, 32, key=key), action, haar_rule(action.group, degree))

    return {
        "two vectors of the plane, O(2)": (
            two,
            24,
            lambda key: jax.random.normal(key, (2, 2)),
            {
                "InvariantField": frames(two, *(gram_schmidt_frame(two, order(*i)) for i in ((0, 1), (1, 0)))),
                "ScalarField": field(ScalarField, two),
                "NetworkField": field(NetworkField, two, 4, bilinear=True),
                "FrameAveragedField": averaged(two, GramSchmidtFrame(O(2))),
                "ReynoldsField": reynolds(two, 12),
            },
        ),
        "two vectors in space, SO(3)": (
            pair,
            14,
            lambda key: jax.random.normal(key, (2, 3)),
            {
                "InvariantField": frames(pair, *(gram_schmidt_frame(pair, order(*i)) for i in ((0, 1), (1, 0)))),
                "ScalarField": field(ScalarField, pair),
                "FrameAveragedField": averaged(pair, GramSchmidtFrame(SO(3))),
            },
        ),
        "space about an axis, SO(2)": (
            axis,
            24,
            lambda key: jax.random.normal(key, (3,)),
            {
                "InvariantField": frames(axis, polar_frame(axis, lambda x: x[:2])),
                "NetworkField": field(NetworkField, axis, 4, bilinear=True),
                "ReynoldsField": reynolds(axis, 12),
            },
        ),
        "the sphere about an axis, SO(2)": (
            sphere,
            24,
            lambda key: Sphere(2).random_point(key=key),
            {
                "InvariantField": frames(sphere, polar_frame(sphere, lambda x: x[:2])),
                "NetworkField": field(NetworkField, sphere, 4, bilinear=True),
                "FrameAveragedField": averaged(sphere, PlanarFrame(SO(2), lambda x: x[None, :2], (1,))),
                "ReynoldsField": reynolds(sphere, 12),
            },
        ),
        "the hyperbolic plane about a point, SO(2)": (
            hyperbolic,
            24,
            wrapped(Hyperbolic(2), jnp.asarray([1.0, 0.0, 0.0]), 0.7),
            {
                "InvariantField": frames(hyperbolic, polar_frame(hyperbolic, lambda x: x[1:])),
                "NetworkField": field(NetworkField, hyperbolic, 4, bilinear=True),
                "ReynoldsField": reynolds(hyperbolic, 12),
            },
        ),
        "positive matrices by congruence, O(2)": (
            spd,
            24,
            wrapped(SPD(2), jnp.eye(2), 0.5),
            {
                "InvariantField": frames(spd, polar_frame(spd, pair_of_directions, charge=2)),
                "NetworkField": field(NetworkField, spd, 4, bilinear=True),
                "ReynoldsField": reynolds(spd, 12),
            },
        ),
    }


def in_float64(module):
    """The module with weights in float64."""
    return jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, module)


def count(module):
    """How many weights it has."""
    return sum(a.size for a in jax.tree.leaves(eqx.filter(module, eqx.is_inexact_array)))


def plain(space, weights, key):
    """A perceptron with at least as many weights."""

    def size(width):
        shapes = eqx.filter_eval_shape(lambda key: PlainMLP(space, width, key=key), key)
        return sum(math.prod(a.shape) for a in jax.tree.leaves(shapes) if hasattr(a, "shape"))

    return PlainMLP(space, next(w for w in range(4, 400) if size(w) >= weights), key=key)


def fit(model, predict, x, y, test, steps):
    """L-BFGS on the mean square; the relative error on the test data, and the seconds."""
    weights, rest = eqx.partition(in_float64(model), eqx.is_inexact_array)
    start, unravel = ravel_pytree(weights)
    scale = jnp.mean(y**2)

    @jax.jit
    def value_and_slope(w):
        return jax.value_and_grad(lambda w: jnp.mean((predict(eqx.combine(unravel(w), rest), x) - y) ** 2) / scale)(w)

    @jax.jit
    def error(w):
        out = predict(eqx.combine(unravel(w), rest), test[0])
        return jnp.sqrt(jnp.mean((out - test[1]) ** 2) / jnp.mean(test[1] ** 2))

    begun = time.perf_counter()
    options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 40, "ftol": 0, "gtol": 0}
    found = scipy.optimize.minimize(
        lambda w: tuple(np.asarray(a, float) for a in value_and_slope(w)),
        np.asarray(start),
        jac=True,
        method="L-BFGS-B",
        options=options,
    )
    return float(error(found.x)), time.perf_counter() - begun


def learn_field(name, action, degree, draw, constructions, steps, seed):
    """Errors of every construction on one target."""
    keys = jax.random.split(jax.random.key(seed), 4)
    size = ravel_pytree(draw(keys[0]))[0].size
    target = ReynoldsField(Waves(size, keys[1]), action, haar_rule(action.group, degree))
    field = jax.jit(jax.vmap(lambda x: ravel_pytree(target(0.0, x))[0]))
    sets = []
    for key in keys[2:]:
        x = jax.vmap(draw)(jax.random.split(key, POINTS))
        sets.append((x, field(x)))

    def predict(model, x):
        return jax.vmap(lambda x: ravel_pytree(model(jnp.zeros(()), x))[0])(x)

    rows, models = {}, {n: make(jax.random.key(seed)) for n, make in constructions.items()}
    models["plain perceptron"] = plain(action.space, max(map(count, models.values())), jax.random.key(seed))
    for construction, model in models.items():
        error, seconds = fit(model, predict, *sets[0], sets[1], steps)
        rows[construction] = {"error": error, "weights": count(model), "seconds": seconds}
        print(f"{name:45} {construction:22} {error:9.2e} {count(model):6} weights {seconds:6.1f} s", flush=True)
    return rows


def maps():
    """name -> (action, extra representation, how a point is drawn, a map no flow of the space reaches, that commutes)."""
    line, mirrors = LinearAction(V(O(1))), LinearAction(V(O(1)) + trivial(O(1)))
    axis = LinearAction(AXIAL)
    return {
        "the line, O(1), after x -> -x": (line, V(O(1)), lambda key: jax.random.normal(key, (1,)), lambda x: -x),
        "the plane, a mirror, after the mirror": (
            mirrors,
            2 * (V(O(1)) + trivial(O(1))),
            lambda key: jax.random.normal(key, (2,)),
            lambda x: x * jnp.asarray([-1.0, 1.0]),
        ),
        "space about an axis, SO(2), after z -> -z": (
            axis,
            AXIAL,
            lambda key: jax.random.normal(key, (3,)),
            lambda x: x * jnp.asarray([1.0, 1.0, -1.0]),
        ),
    }


def learn_map(name, action, rep, draw, unreachable, steps, seed):
    """Errors of an augmented flow, and of a flow of the space itself, on one target."""
    keys = jax.random.split(jax.random.key(seed), 4)
    size = ravel_pytree(draw(keys[0]))[0].size
    wind = ReynoldsField(Waves(size, keys[1]), action, haar_rule(action.group, 24))
    tight = diffrax.PIDController(rtol=1e-9, atol=1e-9)
    target = jax.jit(jax.vmap(lambda x: unreachable(Flow(wind, action.space, controller=tight)(x))))
    sets = []
    for key in keys[2:]:
        x = jax.vmap(draw)(jax.random.split(key, POINTS // 4))
        sets.append((x, target(x)))
    lift = Augmentation(action, rep)
    hidden = 6 * trivial(action.group) + 6 * rep
    solver = {"solver": diffrax.Tsit5() if isinstance(action.space, Euclidean) else None}

    def flow(field, space):
        return Flow(
            field,
            space,
            **solver,
            controller=diffrax.ConstantStepSize(),
            dt0=0.125,
            adjoint=diffrax.DirectAdjoint(),
            max_steps=9,
        )

    def augmented(field, x):
        return jax.vmap(Augmented(flow(field, lift.space), lift))(x)

    def bare(field, x):
        return jax.vmap(flow(field, action.space))(x)

    rows = {}
    for label, model, predict in (
        ("augmented flow", AugmentedField(lift, hidden, key=jax.random.key(seed)), augmented),
        (
            "flow of the space",
            NetworkField(action, 6 * trivial(action.group) + 6 * action.rep, key=jax.random.key(seed)),
            bare,
        ),
    ):
        error, seconds = fit(model, predict, *sets[0], sets[1], steps)
        rows[label] = {"error": error, "weights": count(model), "seconds": seconds}
        print(f"{name:45} {label:22} {error:9.2e} {count(model):6} weights {seconds:6.1f} s", flush=True)
    return rows


def main():
    """Run everything, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="problems whose name contains this")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    fields, flows = {}, {}
    for seed in range(options.seeds):
        for name, problem in problems().items():
            if options.only in name:
                fields.setdefault(name, []).append(learn_field(name, *problem, options.steps, seed))
        for name, problem in maps().items():
            if options.only in name:
                flows.setdefault(name, []).append(learn_map(name, *problem, options.steps // 2, seed))
    if options.only:
        return
    document = {
        "command": f"python benchmarks/universality.py --steps {options.steps} --seeds {options.seeds}",
        "machine": {
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "python": sys.version.split()[0],
            **{p: importlib.metadata.version(p) for p in ("jax", "diffrax", "scipy", "numpy")},
        },
        "points": POINTS,
        "fields": fields,
        "flows": flows,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
