"""Can depth be chosen at test time, by a tolerance?

A classifier of rotated digits is trained with a few fixed steps; then the same weights are solved with adaptive steps, whose
error is measured invariantly, at several tolerances: accuracy, and evaluations of the field for an image.

    python benchmarks/adaptive_depth.py             # writes results/adaptive_depth.json
"""

import argparse
import json
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _digits import digits, trained
from _machine import machine

from equivax.dynamics import Flow, InvariantController
from equivax.tasks import Logits, ModelConfig, accuracy

RESULTS = Path(__file__).parent / "results"


def flows(model):
    return [stage for stage in model.cascade.stages if isinstance(stage, Flow)]


def adaptive(model, rtol: float):
    """The model with adaptive steps of Bogacki and Shampine's method, whatever it was trained with."""
    controller = InvariantController(diffrax.PIDController(rtol=rtol, atol=1e-2 * rtol))
    model = eqx.tree_at(lambda m: [f.controller for f in flows(m)], model, [controller] * len(flows(model)))
    return eqx.tree_at(lambda m: [f.solver for f in flows(m)], model, [diffrax.Bosh3()] * len(flows(model)))


def evaluations(model, images) -> float:
    """The mean over images of the evaluations of the field in one pass."""

    def count(image):
        u, n = model.grid.flatten(image), 0
        for stage in model.cascade.stages:
            if isinstance(stage, Flow):
                n += 3 * stage.solve(u).stats["num_steps"]
            u = stage(u)
        return n

    return float(np.mean(eqx.filter_jit(jax.vmap(count))(jnp.asarray(images))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-images", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=936)
    parser.add_argument("--pixels", type=int, default=28, choices=(14, 28), help="14: averages over 2 x 2 pixels")
    parser.add_argument("--test-images", type=int, default=1_000)
    parser.add_argument("--solvers", nargs="+", default=["Euler", "Bosh3"], help="that the models are trained with")
    parser.add_argument("--tolerances", type=float, nargs="+", default=[1.0, 0.3, 0.1, 1e-2, 1e-3])
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"))
    args = parser.parse_args()
    data = digits(args.test_images, args.pixels)
    rows = []
    for solver in args.solvers:
        label = "" if solver == "Euler" else f"-{solver}"
        config = ModelConfig(solver=solver)
        model, _ = trained("ours", data, args.train_images, args.steps, args.folder, config=config, label=label)
        found = accuracy(Logits(model)(model, data.test_images), data.test_labels)
        fixed = model.count(jnp.asarray(data.test_images[0]))["function_evaluations"] // len(model.turns)
        rows.append({"trained_with": solver, "rtol": None, "accuracy": found, "evaluations": fixed})
        print(rows[-1], flush=True)
        for rtol in args.tolerances:
            deep = adaptive(model, rtol)
            found = accuracy(Logits(deep)(deep, data.test_images), data.test_labels)
            n = evaluations(deep, data.test_images[:100])
            rows.append({"trained_with": solver, "rtol": rtol, "accuracy": found, "evaluations": n})
            print(rows[-1], flush=True)
    document = {
        "question": "Can depth be chosen at test time, by a tolerance?",
        "command": f"python benchmarks/adaptive_depth.py --train-images {args.train_images} --steps {args.steps} "
        f"--pixels {args.pixels} --test-images {args.test_images} --solvers {' '.join(args.solvers)} "
        f"--tolerances {' '.join(map(str, args.tolerances))}",
        "machine": machine("jax", "diffrax", "equinox", "numpy"),
        "rows": rows,
    }
    (RESULTS / "adaptive_depth.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
