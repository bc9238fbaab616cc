"""How much memory and time do gradients take as a solve gets deeper?

A field on 20 coupled rotations, SO(3)^20, driven by a small network, solved in n constant steps of Bogacki-Shampine's method by
`RKMK`; the gradient with respect to start and weights, by each adjoint. Memory is what XLA reserves for temporaries when it
compiles the gradient (exact, no measurement), time the least of several runs.

    python benchmarks/adjoints.py
"""

import json
import time
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from _machine import machine

from equivax.dynamics import RKMK, AlgebraTerm, Reversible, ReversibleAdjoint, backsolve
from equivax.geometry import Power, SpecialOrthogonal

jax.config.update("jax_enable_x64", True)
RESULTS = Path(__file__).parent / "results" / "adjoints.json"
COPIES, WIDTH = 20, 64
SPACE = Power(SpecialOrthogonal(3), COPIES)
DEPTHS = [16, 64, 256, 1024, 4096]


def field(t, x, weights):
    """Angular velocities of all bodies from all attitudes and the time."""
    into, out = weights
    hidden = jnp.tanh(into @ jnp.concatenate([x.ravel(), t[None]]))
    return (out @ hidden).reshape(COPIES, 3)


def tangent(t, x, weights):
    """The same as a tangent field, for the solver of the adjoint equation."""
    return SPACE.motions.generator(field(t, x, weights), x)


def gradient(adjoint, depth, reversible=False, ordinary=False):
    """The gradient of a loss of the end, as a compiled function of start and weights."""
    solver = RKMK(diffrax.Bosh3(), SPACE)
    solver = Reversible(solver) if reversible else solver

    def loss(x, weights):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(tangent) if ordinary else AlgebraTerm(field),
            solver,
            0.0,
            1.0,
            1.0 / depth,
            x,
            weights,
            stepsize_controller=diffrax.ConstantStepSize(),
            adjoint=adjoint,
            max_steps=depth,
        )
        return jnp.sum(jnp.sin(solution.ys[-1]))

    rng = np.random.default_rng(0)
    into = jnp.asarray(rng.normal(size=(WIDTH, 9 * COPIES + 1)) / 13)
    out = jnp.asarray(rng.normal(size=(3 * COPIES, WIDTH)) / 8)
    x = SPACE.random_point(key=jax.random.key(0))
    arguments = (x, (into, out))
    return jax.jit(jax.grad(loss, (0, 1))).lower(*arguments).compile(), arguments


def measure(make, depth):
    """Bytes of temporaries and seconds of a run."""
    compiled, arguments = make(depth)
    jax.block_until_ready(compiled(*arguments))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = jax.block_until_ready(compiled(*arguments))
        seconds.append(time.perf_counter() - start)
    leaves = np.concatenate([np.ravel(a) for a in jax.tree.leaves(result)])
    return compiled.memory_analysis().temp_size_in_bytes, min(seconds), leaves


ADJOINTS = {
    "a checkpoint every step": lambda n: gradient(diffrax.RecursiveCheckpointAdjoint(checkpoints=n), n),
    "recursive checkpoints": lambda n: gradient(diffrax.RecursiveCheckpointAdjoint(), n),
    "reversible": lambda n: gradient(ReversibleAdjoint(), n, reversible=True),
    "adjoint equation on T*M": lambda n: gradient(
        backsolve(SPACE, solver=diffrax.Bosh3(), stepsize_controller=diffrax.ConstantStepSize()), n, ordinary=True
    ),
}


def main():
    """Print a table and write it as JSON."""
    rows = []
    for name, make in ADJOINTS.items():
        for depth in DEPTHS:
            size, seconds, _ = measure(make, depth)
            rows.append({"adjoint": name, "steps": depth, "bytes": size, "seconds": seconds})
            print(f"{name:26} {depth:5} steps {size / 1024:10.0f} KiB {1e3 * seconds:9.1f} ms", flush=True)
    document = {
        "command": "python benchmarks/adjoints.py",
        "machine": machine("jax", "diffrax", "numpy"),
        "problem": f"SO(3)^{COPIES}, network of width {WIDTH}, Bosh3",
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
