"""How accurate is a preset on rotated MNIST, and how much do seeds matter?

    python benchmarks/rotated_mnist.py --preset best --seeds 0 1 2     # trains, writes results/rotated_mnist_best.json
    python benchmarks/rotated_mnist.py --collect runs/a runs/b runs/c  # the same table from runs that exist
    python benchmarks/rotated_mnist.py --export digits.npz             # the digits, for peers in other environments
    python benchmarks/rotated_mnist.py --name framed --options --frame half     # the preset, changed: rotated_mnist_framed.json

Each seed is one run of `equivax train rotated-mnist`; the split of the data is the same for all of them.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

KEPT = (
    "test_accuracy",
    "validation_accuracy",
    "parameters",
    "seconds_total",
    "seconds_training",
    "seconds_evaluation",
    "training_steps",
    "equivariance",
    "refinement",
    "baseline",
)
BASELINE = ("test_accuracy", "parameters", "seconds_training")


def train(preset: str, options: list[str], seed: int, name: str, folder: Path) -> Path:
    """One run, unless it is there already; resumed if it was interrupted."""
    run = folder / f"{name}-seed{seed}"
    if not (run / "metrics.json").exists():
        words = (
            ["--resume", "--out", str(run)]
            if run.exists()
            else ["--preset", preset, *options, "--seed", str(seed), "--out", str(run)]
        )
        subprocess.run([sys.executable, "-m", "equivax.tasks", "train", "rotated-mnist", *words], check=True)
    return run


def collect(runs: list[Path], chosen: list[str], out: Path) -> None:
    """The table of several runs: each one, then mean and standard deviation over the seeds."""
    metrics = [json.loads((run / "metrics.json").read_text()) for run in runs]
    configs = [json.loads((run / "config.json").read_text())["config"] for run in runs]
    for m in metrics:
        m["refinement"] = m["audit"]["refinement"]
        m["baseline"] = {name: {k: its[k] for k in BASELINE} for name, its in m["baseline"].items()}
    rows = [{"seed": c["train"]["seed"], **{k: m[k] for k in KEPT}} for m, c in zip(metrics, configs, strict=True)]
    errors = np.array([100 * (1 - r["test_accuracy"]) for r in rows])
    spread = float(errors.std(ddof=1)) if len(rows) > 1 else None
    result = {
        "question": "How accurate is this preset on rotated MNIST (10k + 2k + 50k, generated), and how much do seeds matter?",
        "command": " ".join(
            ["python benchmarks/rotated_mnist.py --preset", configs[0]["preset"], "--seeds"]
            + [str(r["seed"]) for r in rows]
            + chosen
        ),
        "test_error_percent": {"mean": float(errors.mean()), "std": spread, "seeds": len(rows)},
        "parameters": rows[0]["parameters"],
        "runs": rows,
        "config": configs[0],
        "data_source": metrics[0]["data_source"].split(" in ")[0],
        "versions": metrics[0]["versions"],
        "cores": os.cpu_count(),
    }
    print(json.dumps({k: result[k] for k in ("test_error_percent", "parameters", "runs")}, indent=1))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="best")
    parser.add_argument("--epochs", type=int, help="instead of as many as the preset has")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("runs"))
    parser.add_argument("--collect", type=Path, nargs="+")
    parser.add_argument("--export", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--name", help="of runs and results; by default that of the preset")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="last: more for `equivax train`")
    args = parser.parse_args()
    if args.export:
        from equivax.data import labelled_images

        data = labelled_images("rotated-mnist")
        parts = ("train_images", "train_labels", "validation_images", "validation_labels", "test_images", "test_labels")
        np.savez(args.export, **{name: getattr(data, name) for name in parts})
        return
    if args.options and not args.name:
        parser.error("--options make another model than the preset: give its results a --name of their own")
    shorter = [] if args.epochs is None else ["--epochs", str(args.epochs)]
    name = args.name or args.preset + (f"_{args.epochs}_epochs" if args.epochs else "")
    runs = args.collect or [
        train(args.preset, [*shorter, *args.options], seed, name, args.folder) for seed in args.seeds
    ]
    named = ["--name", args.name] if args.name else []
    chosen = [*shorter, *named, *(["--options", *args.options] if args.options else [])]
    collect(runs, chosen, args.out or Path(__file__).parent / "results" / f"rotated_mnist_{name}.json")


if __name__ == "__main__":
    main()
