"""What do the jumps of unweighted frames cost an adaptive solver?

Two points of the plane under O(2), moved by a network that stretches the short principal axis and shrinks the long one, so
that the flow runs into round configurations, where the frame of principal axes jumps. The network is averaged over that
frame (Puny et al., 2022) and over the weighted one of `GramSchmidtFrame`. For each seed: the number of steps from x and
from g x, and the mismatch |Phi(g x) - g Phi(x)|. Run from the repository root:

    python benchmarks/frames.py
"""

import json
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _machine import machine

from equivax.dynamics import Flow, InvariantController
from equivax.fields import AbstractFrame, FrameAveragedField, GramSchmidtFrame, PlainMLP
from equivax.symmetry import LinearAction, O, PowerAction, defining, rotation

jax.config.update("jax_enable_x64", True)

RESULTS = Path(__file__).parent / "results" / "frames.json"
ACTION = PowerAction(LinearAction(defining(O(2))), 2)
SEEDS, END, ANGLE = 6, 3.0, 2.1
CONTROLLER = InvariantController(diffrax.PIDController(rtol=1e-6, atol=1e-8))


class PrincipalAxes(AbstractFrame):
    """The eigenvectors of the covariance with all signs, unweighted."""

    group: O = eqx.field(static=True)

    def __call__(self, x):
        """The elements and their weights."""
        _, axes = jnp.linalg.eigh(x.T @ x)
        signs = jnp.asarray([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], x.dtype)
        return axes[None] * signs[:, None, :], jnp.full(4, 0.25, x.dtype)


FRAMES = {"unweighted": PrincipalAxes(O(2)), "weighted": GramSchmidtFrame(O(2))}


def measure(name, seed):
    """The steps from x and from g x, and the mismatch of the ends."""
    mlp = PlainMLP(ACTION.space, 16, 1, key=jax.random.key(seed))

    def network(t, x, args):
        return mlp(t, x) + x * jnp.asarray([[1.0, -1.0]])

    field = FrameAveragedField(network, FRAMES[name], ACTION)
    flow = Flow(field, ACTION.space, diffrax.Tsit5(), CONTROLLER, t1=END, max_steps=400_000)
    x, g = ACTION.space.random_point(key=jax.random.key(100 + seed)), jnp.asarray(rotation(ANGLE))

    @jax.jit
    def end(x):
        solution = flow.solve(x)
        return solution.ys[-1], solution.stats["num_steps"]

    (y, n), (z, m) = end(x), end(ACTION(g, x))
    return {"steps": [int(n), int(m)], "mismatch": float(jnp.abs(ACTION(g, y) - z).max())}


def main():
    """Measure, print and write."""
    found = {name: [measure(name, seed) for seed in range(SEEDS)] for name in FRAMES}
    for name, rows in found.items():
        steps, gaps = [s for row in rows for s in row["steps"]], [row["mismatch"] for row in rows]
        print(
            f"{name:>10}: {min(steps)} to {max(steps)} steps, mismatch {np.median(gaps):.1e}, at most {max(gaps):.1e}"
        )
    document = {"machine": machine("jax", "diffrax", "equinox"), **found}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
