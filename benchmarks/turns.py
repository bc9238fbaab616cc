"""What does an average over turns of the image give to the predictions of a trained classifier, and what does it cost?

Takes a finished run of `equivax train rotated-mnist`, and predicts with 1, 2 and 4 turns between two of the group:

    python benchmarks/turns.py RUN              # on the test images
    python benchmarks/turns.py RUN --left-out   # on the 8,000 digits that are in no part of the protocol: to choose by
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
from _machine import machine

from equivax.data import PROTOCOLS, Sizes, find_images, labelled_images
from equivax.data._labelled import _made
from equivax.tasks import Logits, accuracy, build_classifier, load_model, open_run
from equivax.tasks._measure import softmax
from equivax.tasks._refinement import with_weights_of
from equivax.tasks._trained import stored_config, trained_config

RESULTS = Path(__file__).parent / "results"


def left_out(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The images that the protocol `name` deals into no part, turned as the others are; and their labels."""
    protocol = PROTOCOLS[name]
    found = find_images(protocol.source)
    used = sum(dataclasses.astuple(protocol.sizes))
    rest = len(found.images) - used
    if found.embedded or rest < 1:
        raise SystemExit(f"Of {found.source} the protocol of {name} leaves out no images.")
    made = _made(protocol, found, (used, 0, rest), (0, 0, rest), seed, None)
    return np.divide(made["images"], np.float32(255), dtype=np.float32), made["labels"]


def main() -> None:
    """Print accuracy, likelihood and milliseconds of each average, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--left-out", action="store_true")
    parser.add_argument("--name", help="of the result; by default that of the preset")
    args = parser.parse_args()
    run = open_run(args.run)
    config, model = stored_config(run), load_model(run)
    if args.left_out:
        images, labels = left_out(config.data, config.data_seed)
    else:
        sizes = Sizes(config.train_images, config.validation_images, config.test_images)
        data = labelled_images(config.data, sizes, seed=config.data_seed)
        images, labels = data.test_images, data.test_labels
    which = "left_out" if args.left_out else "test"
    rows = []
    for turns in (1, 2, 4):
        options = dataclasses.replace(trained_config(run), turns=turns)
        averaged = with_weights_of(model, lambda key, options=options: build_classifier(options, key=key))
        logits = Logits(averaged)
        logits(averaged, images[:250])  # compiles
        begun = time.perf_counter()
        z = logits(averaged, images)
        each = 1e3 * (time.perf_counter() - begun) / len(images)
        found = accuracy(z, labels)
        likelihoods = np.log(softmax(z.astype(np.float64))[np.arange(len(labels)), labels])
        rows.append(
            {
                "turns": turns,
                f"{which}_accuracy": found,
                "negative_log_likelihood": -float(likelihoods.mean()),
                "milliseconds_an_image": each,
            }
        )
        print(rows[-1], flush=True)
    name, named = (args.name, f" --name {args.name}") if args.name else (config.preset, "")
    document = {
        "question": "What does an average over turns of the image give to predictions, and what does it cost?",
        "command": "python benchmarks/turns.py RUN" + " --left-out" * args.left_out + named,
        "model": {"preset": config.preset, "group": config.model.group, "seed": config.train.seed},
        f"{which}_images": len(images),
        "standard_error": float(np.sqrt(found * (1 - found) / len(images))),
        "machine": machine("jax", "numpy"),
        "rows": rows,
    }
    (RESULTS / f"turns_{name}{'_left_out' * args.left_out}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
