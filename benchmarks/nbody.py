"""How far off are charged particles after one unit of time, over seeds, and what does our own EGNN make of the same data?

    python benchmarks/nbody.py --seeds 0 1 2 3 4                # the preset default, EGNN beside the first seed
    python benchmarks/nbody.py --preset best --no-baseline      # hours
    python benchmarks/nbody.py --preset tiny --seeds 0          # a minute

Each seed is one run of `equivax train nbody`; the data are the same for all of them: those of EGNN's generator, seed 43,
3,000 trajectories to train, 2,000 to validate, 2,000 to test. Writes results/nbody_<preset>.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

KEPT = ("test_mse", "test_median", "validation_mse", "parameters", "seconds_training", "training_steps")
PUBLISHED = {"EGNN": 0.0071, "SEGNN": 0.0043, "SEGNO": 0.00433}


def train(words: list[str], run: Path) -> dict:
    """The metrics of one run, which is made unless it is there already, and resumed if it was interrupted."""
    if not (run / "metrics.json").exists():
        words = ["--resume"] if run.exists() else words
        subprocess.run([sys.executable, "-m", "equivax.tasks", "train", "nbody", *words, "--out", str(run)], check=True)
    return json.loads((run / "metrics.json").read_text())


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
        "versions": metrics["versions"],
        "seeds": rows,
        "egnn": baseline,
    }
    out = args.out or Path(__file__).parent / "results" / f"nbody_{args.preset}.json"
    out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
