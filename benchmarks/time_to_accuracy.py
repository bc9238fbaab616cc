"""How many seconds of training until a test accuracy is reached, beside an escnn network with as many weights?

Rates fall to zero at the end of training, so a run has one accuracy worth having, its last. Each network is therefore trained
anew for several budgets of epochs, and the time to an accuracy is that of the quickest run that ends with it or better. Runs
follow one another, ours and theirs in turn, each in a process of its own on all cores, on the same images; in the end, all
test images are classified, which is not part of the time, nor is what is imported. Theirs needs an interpreter with `torch`
and `escnn`, and is tuned first, by the accuracy on the validation images after about equal seconds of training:

    python benchmarks/time_to_accuracy.py --escnn escnn-env/bin/python     # writes results/time_to_accuracy.json

Ours is trained as the presets are: nothing here is tuned. Runs that are finished are kept in --folder and not repeated.
"""

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from _machine import machine

HERE = Path(__file__).parent
TARGETS = (0.975, 0.98, 0.985)
# For each preset, networks of escnn with as many weights: copies of the regular field of C8 and of C4.
COPIES = {
    "small": {8: (4, 5, 6, 7, 8, 8), 4: (6, 8, 8, 11, 11, 11)},
    "default": {8: (5, 8, 9, 11, 12, 12), 4: (8, 11, 12, 16, 16, 16)},
}
# What tuning starts from: `peer_escnn.py` as it is, with Adam's rate of the examples of escnn and its one cycle.
START = {"n": 8, "pooled": "late", "batch": 64, "rate": 0.01, "rise": 0.3, "decay": 1e-5, "smoothing": 0.0}
START |= {"average": 0.0, "dropout": 0.0}
# One thing after the other, keeping the better. Networks that take less time for an epoch get more of them; see EPOCHS.
CHOICES = [
    [{"pooled": "early"}, {"n": 4, "pooled": "early"}],
    [{"rate": 0.02}, {"rate": 0.005}],
    [{"batch": 32}, {"batch": 128}],
    [{"smoothing": 0.05, "average": 0.98}],
    [{"dropout": 0.3, "decay": 1e-4}],
]
# What pays in long runs only, and is no better in the short ones of tuning: runs of so many epochs are made with it.
LONG, LONGER = 30, {"smoothing": 0.05, "average": 0.98}
EPOCHS = {(8, "late"): 3, (8, "early"): 5, (4, "early"): 6}


class Runs:
    """Finished runs by what they were asked for, in a file that grows with each."""

    def __init__(self, folder: Path, digits: Path, escnn: str, limits: dict):
        self.file, self.digits, self.escnn, self.limits = folder / "runs.json", digits, escnn, limits
        self.rows = json.loads(self.file.read_text()) if self.file.exists() else {}

    def row(self, system: str, **asked) -> dict:
        """The numbers of one run: of the file, or else of a process that is started now and waited for."""
        name = json.dumps({"system": system} | asked | self.limits, sort_keys=True)
        if name not in self.rows:
            out = self.file.with_name("last.json")
            (ours if system == "ours" else theirs)(self, asked, out)
            self.rows[name] = {"system": system, **asked, **json.loads(out.read_text())}
            self.file.write_text(json.dumps(self.rows, indent=1) + "\n")
            row = self.rows[name]
            print(f"{describe(row)}: {row['seconds_training']:.1f} s, {row['accuracy']:.2%} ({row['on']})", flush=True)
        return self.rows[name]


def ours(runs: Runs, asked: dict, out: Path) -> None:
    words = [__file__, "--one", json.dumps(asked | runs.limits), "--digits", str(runs.digits), "--out", str(out)]
    subprocess.run([sys.executable, *words], check=True)


def theirs(runs: Runs, asked: dict, out: Path) -> None:
    """A run of `peer_escnn.py`, with its last accuracy only."""
    asked = {name.replace("_", "-"): value for name, value in (asked | runs.limits).items() if name != "preset"}
    words = [
        [f"--{name}", *map(str, value if isinstance(value, list | tuple) else [value])] for name, value in asked.items()
    ]
    script = str(HERE / "peer_escnn.py")
    command = [runs.escnn, script, str(runs.digits), *itertools.chain(*words), "--between", "0", "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(out.read_text())
    row = {"parameters": found["parameters"], "seconds_to_build": found["seconds_to_build"], "on": asked["on"]}
    row |= {"seconds_training": found["history"][-1]["seconds_training"], "versions": found["versions"]}
    row |= {
        "accuracy": found["history"][-1][f"{asked['on']}_accuracy"],
        "images": found["history"][-1][f"{asked['on']}_images"],
    }
    out.write_text(json.dumps(row))


def one(asked: dict, digits: Path, out: Path) -> None:
    """A run of ours, in a process of its own: building the model and compiling a step are timed apart from training."""
    import jax

    from equivax.tasks import PRESETS, Logits, accuracy, build_classifier, count_parameters, cross_entropy, fit

    spans = []

    def compiled(name: str, seconds: float, **_) -> None:
        if name.startswith("/jax/core/compile/"):
            spans.append((time.monotonic() - seconds, time.monotonic()))

    jax.monitoring.register_event_duration_secs_listener(compiled)
    with np.load(digits) as file:
        data = dict(file)
    config = PRESETS[asked["preset"]]()
    train = dataclasses.replace(config.train, epochs=asked["epochs"], seed=asked["seed"])
    begun, key = time.monotonic(), jax.random.key(asked["seed"])
    model = build_classifier(config.model, size=data["train_images"].shape[1], key=jax.random.fold_in(key, 0))
    jax.block_until_ready(jax.tree.leaves(model))
    built = time.monotonic() - begun
    spans.clear()
    used = tuple(data[f"train_{name}"][: asked["train_images"]] for name in ("images", "labels"))
    begun = time.monotonic()
    fitted = fit(model, cross_entropy(train.label_smoothing), used, train, key=jax.random.fold_in(key, 1))
    whole, compiling = time.monotonic() - begun, union(spans)
    images, labels = (data[f"{asked['on']}_{name}"][: asked["test_images"]] for name in ("images", "labels"))
    row = {
        "parameters": count_parameters(model),
        "seconds_to_build": built + compiling,
        "seconds_training": whole - compiling,
        "on": asked["on"],
        "accuracy": accuracy(Logits(model)(fitted.average, images), labels),
        "images": len(images),
    }
    out.write_text(json.dumps(row))


def union(spans: list[tuple[float, float]]) -> float:
    """The length of a union of intervals: one function is traced while another is, and time passes once."""
    total, reached = 0.0, -np.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def describe(row: dict) -> str:
    if row["system"] == "ours":
        return f"ours, {row['preset']}, {row['epochs']} epochs"
    different = {k: v for k, v in row.items() if k in START and v != START[k]}
    return ", ".join(
        [f"escnn of the size of {row['preset']}, {row['epochs']} epochs", *(f"{k} {v}" for k, v in different.items())]
    )


def settings(preset: str, chosen: dict) -> dict:
    return {"preset": preset, "copies": list(COPIES[preset][chosen["n"]])} | chosen


def tuned(runs: Runs, preset: str, seed: int, scale: float) -> tuple[dict, list[dict]]:
    """The better settings of escnn, one choice after the other, by validation images; and all that was tried."""

    def tried(chosen: dict) -> dict:
        epochs = max(1, round(scale * EPOCHS[chosen["n"], chosen["pooled"]]))
        return runs.row("escnn", **settings(preset, chosen), epochs=epochs, on="validation", seed=seed)

    best, rows = START, [tried(START)]
    accuracy = rows[0]["accuracy"]
    for candidates in CHOICES:
        start = best
        for change in candidates:
            rows.append(tried(start | change))
            if rows[-1]["accuracy"] > accuracy:
                best, accuracy = start | change, rows[-1]["accuracy"]
    return best, rows


def time_to(rows: list[dict], target: float) -> dict | None:
    """The quickest of the runs that reach the target, if one does."""
    return min((r for r in rows if r["accuracy"] >= target), key=lambda r: r["seconds_training"], default=None)


def compared(mine: list[dict], peers: list[dict], target: float) -> dict:
    """Seconds to a target of both sides, and ours over theirs; if they never get there, their longest run bounds it."""
    entry = {"target": target}
    for side, rows in (("ours", mine), ("escnn", peers)):
        best = time_to(rows, target)
        entry[side] = None if best is None else {"run": describe(best), **{k: best[k] for k in KEPT}}
    if entry["ours"]:
        longest = max(peers, key=lambda r: r["seconds_training"])
        other = entry["escnn"] or {k: longest[k] for k in KEPT}
        entry["reached_by_escnn"] = entry["escnn"] is not None
        for name, more in (("ratio", ()), ("ratio_with_building", ("seconds_to_build",))):
            sums = [sum(x[k] for k in ("seconds_training", *more)) for x in (entry["ours"], other)]
            entry[name] = sums[0] / sums[1]
    return entry


KEPT = ("seconds_training", "seconds_to_build", "accuracy", "parameters")


def show(title: str, table: list[dict]) -> None:
    print(
        f"\n{title}\n| test accuracy | ours, s | escnn, s | ours / escnn | with building and compiling |\n|---|---|---|---|---|"
    )
    for entry in table:
        cells = [
            "not reached" if entry[s] is None else f"{entry[s]['seconds_training']:.1f}" for s in ("ours", "escnn")
        ]
        sign = "" if entry.get("reached_by_escnn") else "< "
        cells += [f"{sign}{entry[k]:.2f}" if k in entry else "" for k in ("ratio", "ratio_with_building")]
        print(f"| {entry['target']:.1%} | {' | '.join(cells)} |")


def exported(digits: Path, folder: Path) -> Path:
    """The digits, as `rotated_mnist.py --export` writes them."""
    if digits is None and not (digits := folder / "digits.npz").exists():
        subprocess.run([sys.executable, str(HERE / "rotated_mnist.py"), "--export", str(digits)], check=True)
    return digits


def budgets(word: str) -> tuple[str, list[int]]:
    preset, _, epochs = word.partition(":")
    return preset, [int(n) for n in epochs.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--escnn", help="an interpreter with torch and escnn")
    parser.add_argument("--ours", type=budgets, nargs="+", default=[("small", [3, 5, 8]), ("default", [4, 8, 12])])
    parser.add_argument(
        "--theirs", type=budgets, nargs="+", default=[("small", [5, 10, 20]), ("default", [10, 20, 32])]
    )
    parser.add_argument("--tune", default="small", choices=COPIES, help="the size at which escnn is tuned, for both")
    parser.add_argument("--tune-scale", type=float, default=1.0, help="times the epochs of tuning")
    parser.add_argument("--targets", type=float, nargs="+", default=TARGETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-images", type=int, default=10_000)
    parser.add_argument("--test-images", type=int, default=50_000)
    parser.add_argument("--digits", type=Path, help="exported digits; by default they are exported to --folder")
    parser.add_argument("--folder", type=Path, default=Path("runs/time_to_accuracy"))
    parser.add_argument("--note", default="", help="what else the machine did")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "time_to_accuracy.json")
    parser.add_argument("--one", type=json.loads, help="used by the script itself: one run of ours, as JSON")
    args = parser.parse_args()
    if args.one:
        one(args.one, args.digits, args.out)
        return
    if args.escnn is None:
        parser.error("--escnn is missing: name the interpreter of an environment with torch and escnn")
    args.folder.mkdir(parents=True, exist_ok=True)
    limits = {"train_images": args.train_images, "test_images": args.test_images}
    runs = Runs(args.folder, exported(args.digits, args.folder), args.escnn, limits)
    best, tried = tuned(runs, args.tune, args.seed, args.tune_scale)
    asked = [[("ours", {"preset": p}, n) for p, epochs in args.ours for n in epochs]]
    peer = [(p, n, best | LONGER if n >= LONG else best) for p, epochs in args.theirs for n in epochs]
    asked += [[("escnn", settings(p, chosen), n) for p, n, chosen in peer]]
    rows = [
        runs.row(system, **chosen, epochs=epochs, on="test", seed=args.seed)
        for system, chosen, epochs in filter(None, itertools.chain(*itertools.zip_longest(*asked)))
    ]
    mine, peers = ([r for r in rows if r["system"] == s] for s in ("ours", "escnn"))
    tables = {"the best of both": [compared(mine, peers, t) for t in args.targets]}
    for preset in dict.fromkeys(r["preset"] for r in mine):
        alike = [[r for r in side if r["preset"] == preset] for side in (mine, peers)]
        if all(alike):
            weights = [side[0]["parameters"] for side in alike]
            title = f"{preset}: {weights[0]:,} weights, escnn {weights[1]:,}"
            tables[title] = [compared(*alike, t) for t in args.targets]
    for title, table in tables.items():
        show(title, table)
    document = {
        "question": "How many seconds of training until a test accuracy, beside an escnn network with as many weights?",
        "command": "python benchmarks/time_to_accuracy.py --escnn escnn-env/bin/python",
        "options": {name: getattr(args, name) for name in ("ours", "theirs", "tune", "tune_scale", "seed", *limits)},
        "tables": tables,
        "runs": rows,
        "tuning": {"chosen": best, "tried": tried},
        "machine": machine("jax", "numpy") | ({"note": args.note} if args.note else {}),
        "date": time.strftime("%Y-%m-%d"),
    }
    args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
