"""How much memory and time does a training step take as the network gets deeper?

An image equation, u_t = F(differential invariants of u), eight regular features of C4 on 14 x 14 pixels, batch of 16, in n
equal steps; the gradient of a loss of the end with respect to all weights, by each way of differentiating. Beside it a residual
network: the same operators, nonlinearities and width, but weights of its own in each of its n layers, and plain
backpropagation. Memory is what XLA reserves for temporaries and results when it compiles the gradient (exact, no measurement).

    python benchmarks/depth.py                  # writes results/depth.json and results/depth.png
"""

import argparse
import json
import time
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from _machine import machine

from equivax.dynamics import Flow, Reversible, ReversibleAdjoint, Steps
from equivax.fields import DifferentialInvariantField
from equivax.geometry import PixelGrid
from equivax.symmetry import Cyclic, regular

RESULTS = Path(__file__).parent / "results"
GRID, BATCH, WIDTH = PixelGrid(14, 14), 16, 8
REP = WIDTH * regular(Cyclic(4))


def field(knots: int) -> DifferentialInvariantField:
    return DifferentialInvariantField(REP, GRID, order=2, sigma=1.3, knots=knots, key=jax.random.key(0))


def evolution(n: int, **kwargs) -> Flow:
    """The equation with two knots in time, solved in n steps."""
    f = field(2)
    return Flow(f, f.action.space, max_steps=n, **kwargs)


class Residual(eqx.Module):
    """u -> u + F_i(u) / n, n times, each layer with weights of its own."""

    fields: list[DifferentialInvariantField]

    def __call__(self, u):
        """The signal after all layers."""
        for f in self.fields:
            u = u + f(0.0, u) / len(self.fields)
        return u


MODELS = {
    "residual network": lambda n: Residual([field(1) for _ in range(n)]),
    "unrolled steps": lambda n: evolution(n, solver=diffrax.Euler(), controller=Steps(n)),
    "recursive checkpoints": lambda n: evolution(
        n, solver=diffrax.Euler(), controller=diffrax.ConstantStepSize(), dt0=1 / n
    ),
    "reversible": lambda n: evolution(
        n,
        solver=Reversible(diffrax.Euler()),
        controller=diffrax.ConstantStepSize(),
        dt0=1 / n,
        adjoint=ReversibleAdjoint(),
    ),
}


def measure(name: str, n: int, timed: bool) -> dict:
    """Bytes of temporaries and of results, weights, and seconds of a step."""
    weights, rest = eqx.partition(MODELS[name](n), eqx.is_inexact_array)
    u = jax.random.normal(jax.random.key(1), (BATCH, GRID.size, REP.dim), jnp.float32)

    def loss(weights, u):
        return jnp.mean(jax.vmap(eqx.combine(weights, rest))(u) ** 2)

    begun = time.perf_counter()
    compiled = jax.jit(jax.value_and_grad(loss)).lower(weights, u).compile()
    row = {"model": name, "steps": n, "seconds_compiling": time.perf_counter() - begun}
    memory = compiled.memory_analysis()
    row |= {"bytes_temporary": memory.temp_size_in_bytes, "bytes_of_gradients": memory.output_size_in_bytes}
    row["weights"] = sum(leaf.size for leaf in jax.tree.leaves(weights))
    if timed:
        jax.block_until_ready(compiled(weights, u))
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            jax.block_until_ready(compiled(weights, u))
            seconds.append(time.perf_counter() - begun)
        row["seconds"] = min(seconds)
    return row


def draw(rows: list[dict], where: Path) -> None:
    """Memory against depth, both logarithmic."""
    figure, axes = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    for name, mark in zip(MODELS, "so^D", strict=True):
        chosen = [r for r in rows if r["model"] == name]
        sizes = [(r["bytes_temporary"] + r["bytes_of_gradients"]) / 2**20 for r in chosen]
        axes.plot([r["steps"] for r in chosen], sizes, mark + "-", label=name)
    axes.set_xscale("log", base=2)
    axes.set(yscale="log", xlabel="steps, layers", ylabel="memory of a training step, MiB")
    axes.grid(which="both", alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(where, dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64])
    parser.add_argument("--times", action="store_true", help="time the steps as well; needs a quiet machine")
    args = parser.parse_args()
    rows = []
    for n in args.depths:
        for name in MODELS:
            row = measure(name, n, args.times)
            rows.append(row)
            print(
                f"{name:22} {n:3} steps {row['bytes_temporary'] / 2**20:8.1f} MiB, {row['weights']} weights", flush=True
            )
            document = {
                "question": "How much memory and time does a training step take as the network gets deeper?",
                "command": "python benchmarks/depth.py" + (" --times" if args.times else ""),
                "machine": machine("jax", "diffrax", "equinox"),
                "problem": f"{WIDTH} regular features of C4 on 14 x 14 pixels, order 2, batch of {BATCH}, float32",
                "rows": rows,
            }
            (RESULTS / "depth.json").write_text(json.dumps(document, indent=1) + "\n")
    draw(rows, RESULTS / "depth.png")


if __name__ == "__main__":
    main()
