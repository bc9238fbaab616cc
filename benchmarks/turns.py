"""What does an average over turns of the image give to the predictions of a trained classifier, and what does it cost?

Takes a finished run of `equivax train rotated-mnist`, and predicts with 1, 2 and 4 turns between two of the group:

    python benchmarks/turns.py RUN
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
from _machine import machine

from equivax.data import Sizes, labelled_images
from equivax.tasks import Logits, accuracy, build_classifier, load_model, open_run
from equivax.tasks._refinement import with_weights_of
from equivax.tasks._trained import stored_config, trained_config

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Print accuracy and milliseconds of each average, and write them as JSON, by the preset."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", type=Path)
    run = open_run(parser.parse_args().run)
    config, model = stored_config(run), load_model(run)
    sizes = Sizes(config.train_images, config.validation_images, config.test_images)
    data = labelled_images(config.data, sizes, seed=config.data_seed)
    rows = []
    for turns in (1, 2, 4):
        options = dataclasses.replace(trained_config(run), turns=turns)
        averaged = with_weights_of(model, lambda key, options=options: build_classifier(options, key=key))
        logits = Logits(averaged)
        logits(averaged, data.test_images[:250])  # compiles
        begun = time.perf_counter()
        found = accuracy(logits(averaged, data.test_images), data.test_labels)
        each = 1e3 * (time.perf_counter() - begun) / len(data.test_images)
        rows.append({"turns": turns, "test_accuracy": found, "milliseconds_an_image": each})
        print(rows[-1], flush=True)
    document = {
        "question": "What does an average over turns of the image give to predictions, and what does it cost?",
        "command": "python benchmarks/turns.py RUN",
        "model": {"preset": config.preset, "group": config.model.group, "seed": config.train.seed},
        "test_images": len(data.test_images),
        "standard_error": float(np.sqrt(found * (1 - found) / len(data.test_images))),
        "machine": machine("jax", "numpy"),
        "rows": rows,
    }
    (RESULTS / f"turns_{config.preset}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
