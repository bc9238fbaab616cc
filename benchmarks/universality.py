"""Do the constructions of equivariant fields reach every equivariant field, and is a network without symmetry worse?

On six pairs of a manifold and an action, a random smooth equivariant field is learned from 512 points: the average over the
group, by a quadrature of high degree, of a random sum of waves. Fitted to it: `InvariantField` (moving frames), and what else
applies of `ScalarField`, `NetworkField` (equivariant multilayer perceptron), `FrameAveragedField` and `ReynoldsField`; beside
them a plain perceptron of at least as many weights as the largest of them. All by the same optimiser (Levenberg-Marquardt,
float64), data and number of steps. Error: root mean square over 1,024 other points, relative to that of the field.

On three pairs an augmented flow learns a random equivariant diffeomorphism: the flow of another random field for unit time,
followed by a map that no flow of the space reaches.

    python benchmarks/universality.py [--steps N] [--seeds N] [--only NAME]
"""

import argparse
import json
import math
import time
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from _machine import machine
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
from equivax.geometry import SPD, Hyperbolic, SpecialOrthogonal, Sphere
from equivax.symmetry import SO, LinearAction, O, defining, trivial

RESULTS = Path(__file__).parent / "results" / "universality.json"
POINTS, FLOW_POINTS, TEST_POINTS = 512, 256, 1024

V = defining
AXIAL = V(SO(2)) + trivial(SO(2))


class Waves(eqx.Module):
    """A random sum of waves, sum_k a_k cos(b_k . x + c_k) over the coordinates of x."""

    a: jax.Array
    b: jax.Array
    c: jax.Array

    def __init__(self, size, key, frequency, count=24):
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


def axis_times_sine(x):
    """sin(angle) times the axis of a rotation: turns as x does under conjugation."""
    return jnp.stack([x[2, 1] - x[1, 2], x[0, 2] - x[2, 0], x[1, 0] - x[0, 1]])[None] / 2


def bounded_matrix(key):
    """The exponential of a symmetric matrix with entries in [-.7, .7]: few points far out would make the whole error."""
    a, b, c = jax.random.uniform(key, (3,), minval=-0.7, maxval=0.7)
    return SPD(2).exp(jnp.eye(2), jnp.stack([jnp.stack([a, b]), jnp.stack([b, c])]))


def problems():
    """name -> (action, frequency of the waves, how a point is drawn, the constructions)."""
    plane = LinearAction(V(O(2)))
    turns = LinearAction(V(SO(3)) * ~V(SO(3)), SpecialOrthogonal(3))
    axis, sphere = LinearAction(AXIAL), LinearAction(AXIAL, Sphere(2))
    hyperbolic = LinearAction(trivial(SO(2)) + V(SO(2)), Hyperbolic(2))
    spd = LinearAction(V(O(2)) * V(O(2)), SPD(2))

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
        "the plane, O(2)": (
            plane,
            0.6,
            lambda key: jax.random.normal(key, (2,)),
            {
                "InvariantField": frames(plane, polar_frame(plane, lambda x: x)),
                "ScalarField": field(ScalarField, plane),
                "NetworkField": field(NetworkField, plane, 5, bilinear=True),
                "FrameAveragedField": averaged(plane, GramSchmidtFrame(O(2))),
                "ReynoldsField": reynolds(plane, 24),
            },
        ),
        "space about an axis, SO(2)": (
            axis,
            0.4,
            lambda key: jax.random.normal(key, (3,)),
            {
                "InvariantField": frames(axis, polar_frame(axis, lambda x: x[:2])),
                "NetworkField": field(NetworkField, axis, 5, bilinear=True),
                "ReynoldsField": reynolds(axis, 12),
            },
        ),
        "the sphere about an axis, SO(2)": (
            sphere,
            1.2,
            lambda key: Sphere(2).random_point(key=key),
            {
                "InvariantField": frames(sphere, polar_frame(sphere, lambda x: x[:2])),
                "NetworkField": field(NetworkField, sphere, 5, bilinear=True),
                "FrameAveragedField": averaged(sphere, PlanarFrame(SO(2), lambda x: x[None, :2], (1,))),
                "ReynoldsField": reynolds(sphere, 12),
            },
        ),
        "the hyperbolic plane about a point, SO(2)": (
            hyperbolic,
            0.7,
            wrapped(Hyperbolic(2), jnp.asarray([1.0, 0.0, 0.0]), 0.4),
            {
                "InvariantField": frames(hyperbolic, polar_frame(hyperbolic, lambda x: x[1:])),
                "NetworkField": field(NetworkField, hyperbolic, 5, bilinear=True),
                "ReynoldsField": reynolds(hyperbolic, 12),
            },
        ),
        "positive matrices by congruence, O(2)": (
            spd,
            0.8,
            bounded_matrix,
            {
                "InvariantField": frames(spd, polar_frame(spd, pair_of_directions, charge=2)),
                "NetworkField": field(NetworkField, spd, 3, bilinear=True),
                "ReynoldsField": reynolds(spd, 12),
            },
        ),
        "rotations by conjugation, SO(3)": (
            turns,
            0.7,
            lambda key: SpecialOrthogonal(3).random_point(key=key),
            {
                "InvariantField": frames(turns, gram_schmidt_frame(turns, axis_times_sine), vanish=True),
                "NetworkField": field(NetworkField, turns, 2, bilinear=True),
                "ReynoldsField": reynolds(turns, 6),
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


def fit(model, predict, data, test, steps):
    """Levenberg-Marquardt on the relative mean square; the relative errors on the data and on the test, and the seconds.

    `predict(model, x)`: what the model makes of one point, as a vector.
    """
    weights, rest = eqx.partition(in_float64(model), eqx.is_inexact_array)
    w, unravel = ravel_pytree(weights)
    every = jax.vmap(lambda w, x: predict(eqx.combine(unravel(w), rest), x), (None, 0))
    size = jnp.sqrt(jnp.sum(data[1] ** 2))

    @jax.jit
    def squared(w):
        return jnp.sum(((every(w, data[0]) - data[1]) / size) ** 2)

    @jax.jit
    def normal_equations(w):
        miss = ((every(w, data[0]) - data[1]) / size).ravel()
        one = jax.jacrev(lambda w, x: predict(eqx.combine(unravel(w), rest), x))
        jacobian = jax.vmap(one, (None, 0))(w, data[0]).reshape(-1, w.size) / size
        return jacobian.T @ jacobian, jacobian.T @ miss

    @jax.jit
    def step(w, matrix, slope, damping):
        factor = jax.scipy.linalg.cho_factor(matrix + damping * jnp.eye(w.size))
        return w - jax.scipy.linalg.cho_solve(factor, slope)

    begun, damping, best = time.perf_counter(), 1e-2, float(squared(w))
    for _ in range(steps):
        matrix, slope = normal_equations(w)
        for _ in range(12):
            tried = step(w, matrix, slope, damping)
            value = float(squared(tried))
            if value < best:  # not so for NaN
                w, best, damping = tried, value, max(damping / 5, 1e-14)
                break
            damping *= 4
        else:
            break
    error = jnp.sqrt(jnp.mean((every(w, test[0]) - test[1]) ** 2) / jnp.mean(test[1] ** 2))
    return {"error": float(error), "error_on_the_data": best**0.5, "weights": int(w.size)}, time.perf_counter() - begun


def show(name, label, row, seconds):
    """One line on the screen; seconds are not kept, for other work may run beside."""
    print(f"{name:45} {label:20} {row['error']:9.2e} {row['weights']:6} weights {seconds:6.1f} s", flush=True)


def learn_field(name, action, frequency, draw, constructions, steps, seed):
    """Errors of every construction on one target."""
    keys = jax.random.split(jax.random.key(seed), 4)
    size = ravel_pytree(draw(keys[0]))[0].size
    degree = 24 if len(action.group.lie_algebra) == 1 else 18  # at 12 the field on SO(3) is equivariant to 2e-3 only
    target = ReynoldsField(Waves(size, keys[1], frequency), action, haar_rule(action.group, degree))
    field = jax.jit(jax.vmap(lambda x: ravel_pytree(target(0.0, x))[0]))
    sets = []
    for key, points in zip(keys[2:], (POINTS, TEST_POINTS), strict=True):
        x = jax.vmap(draw)(jax.random.split(key, points))
        sets.append((x, field(x)))

    def predict(model, x):
        return ravel_pytree(model(jnp.zeros(()), x))[0]

    rows, models = {}, {n: make(jax.random.key(seed)) for n, make in constructions.items()}
    models["plain perceptron"] = plain(action.space, max(map(count, models.values())), jax.random.key(seed))
    for construction, model in models.items():
        rows[construction], seconds = fit(model, predict, *sets, steps)
        show(name, construction, rows[construction], seconds)
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
    wind = ReynoldsField(Waves(size, keys[1], 0.7), action, haar_rule(action.group, 24))
    tight = diffrax.PIDController(rtol=1e-9, atol=1e-9)
    target = jax.jit(jax.vmap(lambda x: unreachable(Flow(wind, action.space, controller=tight)(x))))
    sets = []
    for key, points in zip(keys[2:], (FLOW_POINTS, TEST_POINTS), strict=True):
        x = jax.vmap(draw)(jax.random.split(key, points))
        sets.append((x, target(x)))
    lift = Augmentation(action, rep)
    hidden = 6 * trivial(action.group) + 6 * rep

    def flow(field, space):
        return Flow(
            field,
            space,
            diffrax.Tsit5(),
            controller=diffrax.ConstantStepSize(),
            dt0=0.125,
            adjoint=diffrax.DirectAdjoint(),
            max_steps=9,
        )

    def augmented(field, x):
        return Augmented(flow(field, lift.space), lift)(x)

    def bare(field, x):
        return flow(field, action.space)(x)

    rows = {}
    for label, model, predict in (
        ("augmented flow", AugmentedField(lift, hidden, key=jax.random.key(seed)), augmented),
        (
            "flow of the space",
            NetworkField(action, 4 * trivial(action.group) + 4 * action.rep, key=jax.random.key(seed)),
            bare,
        ),
    ):
        rows[label], seconds = fit(model, predict, *sets, steps)
        show(name, label, rows[label], seconds)
    return rows


def main():
    """Run everything, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="problems whose name contains this; the results of others are kept")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    document = json.loads(RESULTS.read_text()) if options.only and RESULTS.exists() else {"fields": {}, "flows": {}}
    document |= {
        "command": f"python benchmarks/universality.py --steps {options.steps} --seeds {options.seeds}",
        "machine": machine("jax", "diffrax", "numpy"),
        "points": {"fields": POINTS, "flows": FLOW_POINTS, "test": TEST_POINTS},
    }
    for kind, learn, cases in (("fields", learn_field, problems()), ("flows", learn_map, maps())):
        for name, problem in cases.items():
            if options.only in name:
                document[kind][name] = [learn(name, *problem, options.steps, seed) for seed in range(options.seeds)]
                RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
