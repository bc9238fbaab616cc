"""How much does a training step on positions and orientations gain from stencils instead of jets that are added up?

python benchmarks/stencils.py
"""

import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from _machine import machine

from equivax.fields import _oriented_jet
from equivax.tasks import build_classifier, cross_entropy
from equivax.tasks._allocator import keep_memory
from equivax.tasks._config import PRESETS

STEPS = 20


def step_of(stencils: bool):
    """One training step of the preset `m2`, compiled, on a batch of 64 images."""
    model = build_classifier(PRESETS["m2"]().model, key=jax.random.key(0))
    batch = (jax.random.uniform(jax.random.key(1), (64, 28, 28), jnp.float32), jnp.zeros((64,), jnp.int32))
    kept = _oriented_jet.STENCIL_ENTRIES
    _oriented_jet.STENCIL_ENTRIES = kept if stencils else 0
    step = eqx.filter_jit(eqx.filter_value_and_grad(cross_entropy())).lower(model, batch, jax.random.key(2)).compile()
    _oriented_jet.STENCIL_ENTRIES = kept
    return lambda: jax.block_until_ready(step(model, batch, jax.random.key(2)))


def main() -> None:
    keep_memory()
    steps = {name: step_of(name == "stencils") for name in ("jets", "stencils")}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses = {name: float(step()[0]) for name, step in steps.items()}
    for _ in range(STEPS):  # in turn: the machine's speed drifts
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begun)
    medians = {name: sorted(times)[STEPS // 2] for name, times in seconds.items()}
    result = {
        "question": "How much does a training step on positions and orientations gain from stencils?",
        "command": "python benchmarks/stencils.py",
        "seconds_per_step": medians,
        "ratio": medians["stencils"] / medians["jets"],
        "losses": losses,
        "machine": machine("jax", "equinox"),
    }
    print(json.dumps(result, indent=1))
    out = Path(__file__).parent / "results" / "stencils.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
