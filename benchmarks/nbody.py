"""How far off are charged particles after one unit of time, over seeds, and what does our own EGNN make of the same data?

    python benchmarks/nbody.py --seeds 0 1 2 3 4                # the preset default, EGNN beside the first seed
    python benchmarks/nbody.py --preset best --no-baseline      # hours
    python benchmarks/nbody.py --preset tiny --seeds 0          # a minute

Each seed is one run of `equivax train nbody`; the data are the same for all of them: those of EGNN's generator, seed 43,
3,000 trajectories to train, 2,000 to validate, 2,000 to test. Beside it, what the *true* force makes of the test trajectories
in steps of the model's integrator, equal ones or as short as the closest pair asks. Writes results/nbody_<preset>.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from equivax.data import charged_particles

KEPT = ("test_mse", "test_median", "validation_mse", "parameters", "seconds_training", "training_steps")
PUBLISHED = {"EGNN": 0.0071, "SEGNN": 0.0043, "SEGNO": 0.00433}


def train(words: list[str], run: Path) -> dict:
    """The metrics of one run, which is made unless it is there already, and resumed if it was interrupted."""
    if not (run / "metrics.json").exists():
        words = ["--resume"] if run.exists() else words
        subprocess.run([sys.executable, "-m", "equivax.tasks", "train", "nbody", *words, "--out", str(run)], check=True)
    return json.loads((run / "metrics.json").read_text())


def true_force(steps: int | None = None, pace: float | None = None) -> dict[str, float]:
    """Coulomb's law, cut as in the simulation, on the test trajectories: drift, kick, drift in so many equal steps, or in
    steps of `pace` times (d^2 + .03^2)^(3/4), d the least distance. The mean squared error, and steps on average."""
    test = charged_particles()[2]
    first, second = np.triu_indices(test.charges.shape[1], 1)
    incidence = np.zeros((test.charges.shape[1], len(first)))
    incidence[first, range(len(first))], incidence[second, range(len(first))] = 1, -1
    strength = test.charges[:, first] * test.charges[:, second]
    x, v = test.positions[:, 0].astype(float), test.velocities[:, 0].astype(float)
    t, made = np.zeros(len(x)), np.zeros(len(x))
    while t.min() < 1 - 1e-12:
        nearest = np.square(np.einsum("pk,npc->nkc", incidence, x)).sum(axis=-1).min(axis=1)
        h = np.full(len(x), 1 / steps) if steps else pace * (nearest + 0.03**2) ** 0.75
        h = np.minimum(h, 1 - t)
        x = x + h[:, None, None] / 2 * v
        spread = np.einsum("pk,npc->nkc", incidence, x)
        pull = spread * (strength / np.square(spread).sum(axis=-1) ** 1.5)[:, :, None]
        v = v + h[:, None, None] * np.clip(np.einsum("pk,nkc->npc", incidence, pull), -100, 100)
        x = x + h[:, None, None] / 2 * v
        t, made = t + h, made + (h > 0)
    errors = np.square(x - test.positions[:, 10]).mean(axis=(1, 2))
    return {"mse": float(errors.mean()), "median": float(np.median(errors)), "steps": float(made.mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--preset", default="default")
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("--runs", type=Path, default=Path("runs/nbody-benchmark"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows, baseline, metrics = [], None, {}
    for i, seed in enumerate(args.seeds):
        words = ["--preset", args.preset, "--seed", str(seed)]
        words += ["--baseline"] if i == 0 and not args.no_baseline else []
        metrics = train(words, args.runs / f"{args.preset}-{seed}")
        rows.append({"seed": seed, **{name: metrics[name] for name in KEPT}})
        if metrics["baseline"] is not None:
            baseline = {"seed": seed, **{name: metrics["baseline"][name] for name in KEPT}}
        print(f"seed {seed}: test MSE {metrics['test_mse']:.5f}", flush=True)
    values = np.array([row["test_mse"] for row in rows])
    result = {
        "question": "How far off are five charged particles after one unit of time, over seeds?",
        "command": "python " + " ".join(["benchmarks/nbody.py", *sys.argv[1:]]),
        "test_mse": {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(rows) > 1 else None},
        "published": PUBLISHED,
        "trivial_mse": metrics["trivial_mse"],
        "true_force": {
            **{f"{n} equal steps": true_force(steps=n) for n in (20, 64, 256)},
            **{f"invariant steps, pace {c}": true_force(pace=c) for c in (0.4, 0.2, 0.1)},
        },
        "versions": metrics["versions"],
        "seeds": rows,
        "egnn": baseline,
    }
    out = args.out or Path(__file__).parent / "results" / f"nbody_{args.preset}.json"
    out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
