"""How well does a symmetry predict 30 seconds of the double spring pendulum, by model, group and seed?

    python benchmarks/double_spring.py                                   # all groups and models, 5 seeds: hours
    python benchmarks/double_spring.py --models hnn --groups O2 --seeds 0 1 2 3 4
    python benchmarks/double_spring.py --models hnn --groups O2 --preset tiny --seeds 0   # half a minute

Each seed is one run of `equivax train double-spring` with a model and a group; the data are the same for all of them.
Writes results/double_spring.json: the columns of the EMLP paper (Finzi et al. 2021), with ours beside theirs.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

KEPT = (
    "rollout_relative_error",
    "rollout_relative_error_without_start",
    "rollout_arithmetic_mean",
    "energy_error",
    "momentum_error",
    "validation_mse",
    "parameters",
    "seconds_training",
)
SPREADS = {("hnn", "O2"): 0.0018}


def train(words: list[str], run: Path) -> dict:
    """The metrics of one run, which is made unless it is there already, and resumed if it was interrupted."""
    if not (run / "metrics.json").exists():
        words = ["--resume"] if run.exists() else words
        subprocess.run(
            [sys.executable, "-m", "equivax.tasks", "train", "double-spring", *words, "--out", str(run)], check=True
        )
    return json.loads((run / "metrics.json").read_text())


def summary(rows: list[dict], name: str) -> dict:
    """Mean and standard deviation over the seeds."""
    values = np.array([row[name] for row in rows])
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(rows) > 1 else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["hnn", "node"])
    parser.add_argument("--groups", nargs="+", default=["O2", "SO2", "D6", "1"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--preset", default="default")
    parser.add_argument("--runs", type=Path, default=Path("runs/double-spring-benchmark"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "double_spring.json")
    args = parser.parse_args()
    columns, versions = [], {}
    for model in args.models:
        for group in args.groups:
            rows = []
            for seed in args.seeds:
                words = ["--preset", args.preset, "--model", model, "--group", group, "--seed", str(seed)]
                metrics = train(words, args.runs / f"{args.preset}-{model}-{group}-{seed}")
                rows.append({"seed": seed, **{name: metrics[name] for name in KEPT}})
                versions, published = metrics["versions"], metrics["published"]
            column = {name: summary(rows, name) for name in KEPT}
            published_spread = SPREADS.get((model, group))
            columns.append(
                {"model": model, "group": group, "published": published, "published_std": published_spread} | column
            )
            columns[-1]["seeds"] = rows
            found = column["rollout_relative_error"]
            print(
                f"{model} {group}: {found['mean']:.5f} +- {found['std'] or 0:.5f} (published {published})", flush=True
            )
    result = {
        "question": "How well does each symmetry predict 30 s of the double spring pendulum, over seeds?",
        "command": "python " + " ".join(["benchmarks/double_spring.py", *sys.argv[1:]]),
        "measure": "geometric mean over 150 states and 500 trajectories of |z' - z| / (|z'| + |z|); t = 0 counted as 1e-7",
        "versions": versions,
        "columns": columns,
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
