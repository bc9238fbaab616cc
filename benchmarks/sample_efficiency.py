"""How many labelled images does a symmetry save?

Test accuracy on rotated MNIST against the number of training images: the default classifier, the same behind a moving frame
(`--frame half`), and a plain convolutional network with as many weights, each on the images as they are and on images turned by
a new random angle each time they are seen. All are trained with the same optimiser and schedule and for a number of steps that
does not depend on that of the images; the plain networks for more steps than ours, because theirs are cheaper and they learn
more slowly.

    python benchmarks/sample_efficiency.py                  # writes results/sample_efficiency.json and .png
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
from _digits import KINDS, digits, trained
from _machine import machine

from equivax.tasks import Logits, accuracy, count_parameters

RESULTS = Path(__file__).parent / "results"


def draw(rows: list[dict], where: Path) -> None:
    """Error against the number of images, both logarithmic."""
    figure, axes = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    for kind, colour, mark in zip(KINDS, ("C0", "C2", "C4", "C5", "C3", "C1"), "o^vPsD", strict=True):
        chosen = [r for r in rows if r["model"] == kind]
        images = sorted({r["images"] for r in chosen})
        errors = [[100 * (1 - r["accuracy"]) for r in chosen if r["images"] == n] for n in images]
        axes.plot(images, [sum(e) / len(e) for e in errors], mark + "-", color=colour, label=kind)
    axes.set(xscale="log", yscale="log", xlabel="training images", ylabel="test error, %")
    axes.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left", fontsize="small")
    figure.savefig(where, dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[100, 300, 1_000, 3_000, 10_000])
    parser.add_argument("--steps", type=int, nargs=2, default=[920, 2_760], help="of ours, and of the plain network")
    parser.add_argument("--test-images", type=int, default=5_000)
    parser.add_argument("--pixels", type=int, default=28, choices=(14, 28), help="14: averages over 2 x 2 pixels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"))
    args = parser.parse_args()
    data = digits(args.test_images, args.pixels)
    rows, logits = [], {}
    for seed in args.seeds:
        for images in args.images:
            for kind in KINDS:
                model, seconds = trained(
                    kind, data, images, args.steps[kind.startswith("plain")], args.folder, seed=seed
                )
                logits.setdefault(kind, Logits(model))
                found = accuracy(logits[kind](model, data.test_images), data.test_labels)
                weights = count_parameters(model)
                row = {"model": kind, "images": images, "seed": seed, "accuracy": found, "parameters": weights}
                rows.append(row | {"seconds": seconds})
                print(f"{kind:20} {images:6} images: {found:.2%} in {seconds:.0f} s", flush=True)
    document = {
        "question": "How many labelled images does a symmetry save?",
        "command": f"python benchmarks/sample_efficiency.py --images {' '.join(map(str, args.images))} "
        f"--steps {args.steps[0]} {args.steps[1]} --pixels {args.pixels} --test-images {args.test_images} "
        f"--seeds {' '.join(map(str, args.seeds))}",
        "machine": machine("jax", "equinox", "optax", "numpy"),
        "note": "seconds were taken on one core that was shared with other work: they say nothing about speed",
        "test_images": args.test_images,
        "pixels": args.pixels,
        "steps": args.steps,
        "rows": rows,
    }
    (RESULTS / "sample_efficiency.json").write_text(json.dumps(document, indent=1) + "\n")
    draw(rows, RESULTS / "sample_efficiency.png")


if __name__ == "__main__":
    main()
