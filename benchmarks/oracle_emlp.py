"""Is an EMLP layer an intertwiner of the same weights? Writes tests/references/emlp.json, which the tests compare with.

EMLP wants an environment of its own: `pip install emlp "jax<0.5" "scipy<1.13"`, then `python benchmarks/oracle_emlp.py`.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from emlp.groups import O, S, SO13p
from emlp.nn.flax import Linear
from emlp.reps import Scalar, T, V

TARGET = Path(__file__).parents[1] / "tests" / "references" / "emlp.json"
COUNT = 4


def layer(rep_in, rep_out, rng: np.random.Generator) -> dict:
    """A layer with random weights: what it computes, and the matrix and bias that it computes it with."""
    linear = Linear(rep_in, rep_out)
    w, b = rng.normal(size=(rep_out.size(), rep_in.size())), rng.normal(size=rep_out.size())
    x = rng.normal(size=(COUNT, rep_in.size())).astype(np.float32)
    y = linear.apply({"params": {"w": w.astype(np.float32), "b": b.astype(np.float32)}}, x)
    bias = linear.apply({"params": {"w": 0 * w.astype(np.float32), "b": b.astype(np.float32)}}, x[:1])[0]
    images = linear.apply({"params": {"w": w.astype(np.float32), "b": 0 * b.astype(np.float32)}}, np.eye(rep_in.size()))
    return {"x": x, "y": y, "matrix": images, "bias": bias}


def main() -> None:
    """Compute and write."""
    rng = np.random.default_rng(11)
    found = {"versions": {name: version(name) for name in ("emlp", "jax", "numpy")}}
    for name, G in (("O(3)", O(3)), ("S(4)", S(4)), ("SO+(1,3)", SO13p())):
        # Sums in the order in which EMLP sorts them, so that coordinates are the same there and here.
        rep_in = (2 * Scalar + 3 * V)(G)
        rep_out = (Scalar + V + T(2))(G) if name != "SO+(1,3)" else (2 * Scalar + 2 * V)(G)
        found[name] = layer(rep_in, rep_out, rng)
    TARGET.parent.mkdir(exist_ok=True)
    text = json.dumps(found, default=lambda a: np.asarray(a).tolist())
    # One object a line: a change shows where it is.
    TARGET.write_text(text.replace("}, ", "},\n") + "\n")


if __name__ == "__main__":
    main()
