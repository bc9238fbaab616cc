"""How many terms does the learned equation need, and what do they say?

The default classifier on rotated digits: its steerable operators and intertwiners are written out in a basis that has names,
and the smallest terms are set to zero, without training again. How many stay is chosen on validation images; the accuracy on
test images is reported for what was chosen.

    python benchmarks/interpretability.py             # writes results/interpretability.json, .png and equation.txt
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
from _digits import digits, trained
from _machine import machine

from equivax.dynamics import Flow
from equivax.fields import count_terms, evolution_equation, simplest
from equivax.tasks import Logits, accuracy

RESULTS = Path(__file__).parent / "results"


def draw(document: dict, where: Path) -> None:
    """Validation accuracy against the part of the terms that is kept."""
    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    axes.plot(*zip(*((100 * part, 100 * value) for part, value in document["validation_curve"]), strict=True), "o-")
    label = f"chosen: {document['kept']:,} of {document['terms']:,} terms"
    axes.axvline(100 * document["part_kept"], color="C3", linestyle=":")
    axes.set(xscale="log", xlabel="terms kept, %", ylabel="validation accuracy, %")
    axes.grid(which="both", alpha=0.25)
    axes.set_title(label, color="C3", fontsize=9)
    figure.savefig(where, dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-images", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=1_872)
    parser.add_argument("--pixels", type=int, default=28, choices=(14, 28), help="14: averages over 2 x 2 pixels")
    parser.add_argument("--test-images", type=int, default=5_000)
    parser.add_argument("--loss", type=float, default=0.0, help="accuracy on validation images that may be given up")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"))
    args = parser.parse_args()
    data = digits(args.test_images, args.pixels)
    model, _ = trained("ours", data, args.train_images, args.steps, args.folder)
    logits = Logits(model)

    def score(m) -> float:
        found = accuracy(logits(m, data.validation_images), data.validation_labels)
        print(f"validation: {found:.2%}", flush=True)
        return found

    found = simplest(model, score, loss=args.loss)
    test = {
        name: accuracy(logits(m, data.test_images), data.test_labels)
        for name, m in (("all terms", model), ("chosen", found.model))
    }
    flow = next(stage for stage in found.model.cascade.stages if isinstance(stage, Flow))
    text = evolution_equation(flow.field, flow.t0).text(12)
    (RESULTS / "equation.txt").write_text(text + "\n", encoding="utf-8")
    document = {
        "question": "How many terms does the learned equation need?",
        "command": f"python benchmarks/interpretability.py --train-images {args.train_images} --steps {args.steps} "
        f"--pixels {args.pixels} --test-images {args.test_images} --loss {args.loss}",
        "machine": machine("jax", "equinox", "numpy"),
        "terms": count_terms(model),
        "kept": found.terms,
        "part_kept": found.kept,
        "validation_curve": found.curve,
        "test_accuracy": test,
    }
    (RESULTS / "interpretability.json").write_text(json.dumps(document, indent=1) + "\n")
    draw(document, RESULTS / "interpretability.png")
    print(text, document["kept"], test)


if __name__ == "__main__":
    main()
