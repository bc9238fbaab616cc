"""How well are pixels told apart, upright and turned, and how much do seeds and few training images matter?

    python benchmarks/segmentation.py isbi2012 --seeds 0 1 2                      # trains, writes results/segmentation.json
    python benchmarks/segmentation.py isbi2012 --train-slices 1 --seeds 0 1 2     # fewer slices to learn from
    python benchmarks/segmentation.py digit-scenes --seeds 0 1 2                  # upright in training, turned in the test
    python benchmarks/segmentation.py nuclei --seeds 0 1 2                        # a data set that nothing was tuned on

Each seed is one run of `equivax train` with `--baseline`, whose U-Net has as many weights and sees the same crops, turned
at random. Results of other settings in the file are kept. `nuclei` takes the micrograph with annotated nuclei inside the
wheel of stardist (needed as files only), cuts it into sixteen pieces in two folders, and gives `equivax train segment` no
other option.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

MEASURES = ("iou", "dice", "v_rand", "iou_without_twins")
NUMBERS = ("parameters", "seconds_training", "training_steps")
RESULTS = Path(__file__).parent / "results" / "segmentation.json"


def train(task: str, options: list[str], seed: int, folder: Path) -> Path:
    """One run, unless it is there already; resumed if it was interrupted."""
    run = folder / "-".join([task, *(option.strip("-").replace("/", "_") for option in options), f"seed{seed}"])
    if not (run / "metrics.json").exists():
        new = [*options, "--baseline", "--seed", str(seed)]
        words = ["--resume", "--out", str(run)] if run.exists() else [*new, "--out", str(run)]
        # An exit code of 1 is a law that fails: the run is complete, and its audit is in the result.
        if subprocess.run([sys.executable, "-m", "equivax.tasks", "train", task, *words]).returncode not in (0, 1):
            raise SystemExit(f"{task} {options} seed {seed}: the run failed")
    return run


def nuclei(folder: Path) -> list[str]:
    """Sixteen pieces of a micrograph of nuclei, and masks of the nuclei, as annotated: the example inside stardist's wheel."""
    from PIL import Image

    found = importlib.util.find_spec("stardist")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("nuclei: needs the files in the wheel of stardist (`pip install --no-deps stardist`)")
    shelf = Path(found.submodule_search_locations[0]) / "data" / "images"
    image, mask = (np.array(Image.open(shelf / f"{name}2d.tif")) for name in ("img", "mask"))
    for name, array in (("images", image), ("masks", 255 * (mask > 0))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(4):
            for j in range(4):
                piece = array[128 * i : 128 * i + 128, 128 * j : 128 * j + 128]
                Image.fromarray(piece.astype(np.uint8)).save(folder / name / f"{i}{j}.png")
    return ["--images", str(folder / "images"), "--masks", str(folder / "masks")]


def spread(values: list[float | None]) -> dict[str, float | int | None] | None:
    known = [100 * v for v in values if v is not None]
    if not known:
        return None
    return {
        "mean": float(np.mean(known)),
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "seeds": len(known),
    }


def table(rows: list[dict]) -> dict:
    """Mean and standard deviation over seeds, upright and turned, in percent; and what it took."""
    names = [f"{measure}{turned}" for measure in MEASURES for turned in ("", "_rotated")]
    found = {name: spread([row[name] for row in rows]) for name in names if name in rows[0]}
    drops = [
        row["iou"] - row["iou_rotated"] for row in rows if row["iou"] is not None and row["iou_rotated"] is not None
    ]
    return {
        **found,
        "iou_drop": spread(drops),
        **{name: [row[name] for row in rows] for name in NUMBERS},
        "dice_by_class": [row["dice_by_class"] for row in rows],
        "dice_by_class_rotated": [row["dice_by_class_rotated"] for row in rows],
        "v_rand_by_class": [row["v_rand_by_class"] for row in rows],
    }


def collect(name: str, command: str, runs: list[Path], machine: str) -> None:
    metrics = [json.loads((run / "metrics.json").read_text()) for run in runs]
    models = {"equivax": table(metrics)}
    models |= {kind: table([m["baseline"][kind] for m in metrics]) for kind in metrics[0]["baseline"]}
    entry = {
        "command": command,
        "models": models,
        "images": metrics[0]["images"],
        "laws_that_fail": [[v["name"] for v in m["audit"]["verdicts"] if v["failed"]] for m in metrics],
        "equivariance": [m["equivariance"] for m in metrics],
        "refinement": [m["audit"]["refinement"] for m in metrics],
        # Where the files of a machine lie is nobody's business.
        "config": json.loads((runs[0] / "config.json").read_text())["config"] | {"images": None, "masks": None},
        "versions": metrics[0]["versions"],
        "machine": machine,
        "date": time.strftime("%Y-%m-%d"),
    }
    print(
        json.dumps(
            {
                k: {m: t[m] for m in t if m in ("dice", "dice_rotated", "iou", "iou_rotated", "v_rand")}
                for k, t in models.items()
            },
            indent=1,
        )
    )
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    question = "How well are pixels told apart, upright and turned, against a U-Net of equal size on turned crops?"
    kept = {"question": question, **{k: v for k, v in kept.items() if k != "question"}, name: entry}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("isbi2012", "digit-scenes", "nuclei"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train-slices", type=int, help="of isbi2012")
    parser.add_argument("--turned", action="store_true", help="digit-scenes: turned in training, too")
    parser.add_argument("--folder", type=Path, default=Path("runs"))
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores", help="what the seconds were measured on")
    args = parser.parse_args()
    options, task = [], args.what
    if args.train_slices:
        options += ["--train-slices", str(args.train_slices)]
    if args.turned:
        options += ["--turned"]
    name = " ".join([args.what, *options])
    command = " ".join(["python benchmarks/segmentation.py", name, "--seeds", *map(str, args.seeds)])
    if args.what == "nuclei":
        task, options = "segment", nuclei(args.folder / "nuclei")
    collect(name, command, [train(task, options, seed, args.folder) for seed in args.seeds], args.machine)


if __name__ == "__main__":
    main()
