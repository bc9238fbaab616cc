"""Does keeping freed memory make training faster? One training step with and without it, each in a process of its own.

python benchmarks/allocator.py
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

STEPS = 30


def measure(keep: bool) -> dict[str, float]:
    """Median seconds and page faults of one training step of the default model, after warming up."""
    from equivax.tasks._allocator import keep_memory

    if keep and not keep_memory():
        raise SystemExit("this C library has no mallopt: nothing to compare")
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from equivax.tasks import ModelConfig, build_classifier, cross_entropy

    model = build_classifier(ModelConfig(), key=jax.random.key(0))
    batch = (jax.random.uniform(jax.random.key(1), (64, 28, 28), jnp.float32), jnp.zeros((64,), jnp.int32))
    step = eqx.filter_jit(eqx.filter_value_and_grad(cross_entropy()))
    seconds, faults = [], []
    for _ in range(STEPS + 5):
        before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
        jax.block_until_ready(step(model, batch, jax.random.key(2)))
        seconds.append(time.perf_counter() - begun)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    middle = sorted(seconds[5:])[STEPS // 2]
    return {"seconds_per_step": middle, "page_faults_per_step": sorted(faults[5:])[STEPS // 2]}


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1] == "keep")))
        return
    answers = {}
    for _ in range(2):  # twice in turn, the better of the two: the machine's speed drifts
        for how in ("default", "keep"):
            found = json.loads(subprocess.run([sys.executable, __file__, how], capture_output=True, check=True).stdout)
            answers[how] = min(answers.get(how, found), found, key=lambda a: a["seconds_per_step"])
    result = {
        "question": "Does keeping freed memory make a training step faster?",
        "command": "python benchmarks/allocator.py",
        **answers,
        "ratio": answers["default"]["seconds_per_step"] / answers["keep"]["seconds_per_step"],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "libc": " ".join(platform.libc_ver()),
    }
    print(json.dumps(result, indent=1))
    out = Path(__file__).parent / "results" / "allocator.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
