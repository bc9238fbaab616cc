"""How far does one default configuration get on all sets of images, with nothing chosen but the symmetry?

    python benchmarks/images.py rs-mnist --group similarity --seeds 0     # trains, writes results/images.json
    python benchmarks/images.py scale-mnist --group scale --seeds 0
    python benchmarks/images.py mnist --group C1 --seeds 0 --options --epochs 24 --fine-width 16     # not the default

Each seed is one run of `equivax train`, with the sizes of the protocol and no augmentation, unless the options ask for it.
Results of other sets and groups in the file are kept.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from _machine import machine

KEPT = ("test_accuracy", "validation_accuracy", "parameters", "seconds_total", "seconds_training", "training_steps")
RESULTS = Path(__file__).parent / "results" / "images.json"


def train(task: str, group: str, seed: int, options: list[str], folder: Path) -> Path:
    """One run, unless it is there already; resumed if it was interrupted."""
    run = folder / "-".join([task, group, *(word.strip("-") for word in options), f"seed{seed}"])
    if not (run / "metrics.json").exists():
        words = ["--resume"] if run.exists() else ["--group", group, "--seed", str(seed), *options]
        subprocess.run([sys.executable, "-m", "equivax.tasks", "train", task, *words, "--out", str(run)], check=True)
    return run


def main() -> None:
    """Train, and write the table of the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="a task of images, such as rs-mnist: see `equivax tasks`")
    parser.add_argument("--group", default="C8")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("runs"))
    parser.add_argument("--note", default="", help="what else the machine did")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="last: more for `equivax train`")
    args = parser.parse_args()
    runs = [train(args.task, args.group, seed, args.options, args.folder) for seed in args.seeds]
    metrics = [json.loads((run / "metrics.json").read_text()) for run in runs]
    rows = [{"seed": seed, **{name: m[name] for name in KEPT}} for seed, m in zip(args.seeds, metrics, strict=True)]
    accuracies = 100 * np.array([row["test_accuracy"] for row in rows])
    config = json.loads((runs[0] / "config.json").read_text())["config"]
    entry = {
        "command": f"python benchmarks/images.py {args.task} --group {args.group} --seeds "
        + " ".join([*map(str, args.seeds), *(["--options", *args.options] if args.options else [])]),
        "test_accuracy_percent": {
            "mean": float(accuracies.mean()),
            "std": float(accuracies.std(ddof=1)) if len(rows) > 1 else None,
        },
        "images": {name: config[name] for name in ("train_images", "validation_images", "test_images")},
        "runs": rows,
        "machine": machine("jax", "numpy") | ({"note": args.note} if args.note else {}),
        "date": time.strftime("%Y-%m-%d"),
    }
    print(json.dumps(entry, indent=1))
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    question = "How far does one default configuration get on all sets of images, with nothing chosen but the symmetry?"
    document = {"question": question} | {k: v for k, v in kept.items() if k != "question"}
    name = " ".join([args.task, args.group, *args.options])
    RESULTS.write_text(json.dumps(document | {name: entry}, indent=1) + "\n")


if __name__ == "__main__":
    main()
