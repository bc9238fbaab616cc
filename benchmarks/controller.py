"""Do adaptive steps keep a flow's equivariance?

The two-body problem in the plane commutes with rotations g, and so does its exact flow Phi. For each tolerance this
script solves from x and from g x, with Diffrax's PIDController and with the InvariantController around it, and reports
the mismatch |Phi(g x) - g Phi(x)|, the number of steps for x and for g x, the error against a tight reference, and the
time of a solve relative to the plain controller's. Run from the repository root:

    python benchmarks/controller.py
"""

import importlib.metadata
import json
import platform
import shlex
import sys
import time
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from equivax.dynamics import Flow, InvariantController
from equivax.geometry import Euclidean, Product

jax.config.update("jax_enable_x64", True)

RESULTS = Path(__file__).parent / "results" / "controller.json"
PLANE = Product(Euclidean(2), Euclidean(2))
ECCENTRICITY, ANGLE, END, REPEATS = 0.8, 0.7, 20.0, 15
TOLERANCES = [10.0**-k for k in range(3, 11)]


def kepler(t, x, args):
    """dq/dt = p, dp/dt = -q / |q|^3."""
    q, p = x
    return p, -q / jnp.sum(q**2) ** 1.5


def start():
    """The point of the orbit nearest to the centre, for semi-major axis 1 (period 2 pi)."""
    e = ECCENTRICITY
    return jnp.asarray([1 - e, 0.0]), jnp.asarray([0.0, np.sqrt((1 + e) / (1 - e))])


def rotate(x):
    """g x: position and velocity turned by the same angle."""
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    return tuple(jnp.asarray([[c, -s], [s, c]]) @ a for a in x)


def distance(x, y):
    """The Euclidean distance in R^4."""
    return float(jnp.linalg.norm(jnp.concatenate(x) - jnp.concatenate(y)))


def reference():
    """The end of the orbit, by SciPy's DOP853 at its tightest."""

    def field(t, z):
        return np.concatenate([z[2:], -z[:2] / np.sum(z[:2] ** 2) ** 1.5])

    z = solve_ivp(field, (0, END), np.concatenate(start()), "DOP853", rtol=3e-14, atol=1e-15).y[:, -1]
    return jnp.asarray(z[:2]), jnp.asarray(z[2:])


def plain(rtol):
    """Diffrax's controller."""
    return diffrax.PIDController(rtol=rtol, atol=rtol * 1e-2)


def invariant(rtol):
    """The same, shown block sizes only."""
    return InvariantController(plain(rtol))


def solver_of(controller):
    """(x, rtol) -> (end point, number of steps), compiled once for all tolerances."""

    @eqx.filter_jit
    def solve(x, rtol):
        flow = Flow(kepler, PLANE, controller=controller(rtol), t1=END, max_steps=2**14)
        solution = flow.solve(x)
        return jax.tree.map(lambda a: a[-1], solution.ys), solution.stats["num_steps"]

    return solve


def seconds_of(solves, x, rtol):
    """The least time of a solve with each, measured in turn so that other load on the machine hits them alike."""
    best = [float("inf")] * len(solves)
    for _ in range(REPEATS):
        for k, solve in enumerate(solves):
            begin = time.perf_counter()
            jax.block_until_ready(solve(x, rtol))
            best[k] = min(best[k], time.perf_counter() - begin)
    return best


def main():
    """Run, print the table, write the JSON."""
    x, end = start(), reference()
    solves = {"PIDController": solver_of(plain), "InvariantController": solver_of(invariant)}
    rows = []
    print(f"{'rtol':>7}  {'controller':<20}{'mismatch':>10}{'steps x':>9}{'steps gx':>9}{'error':>10}{'seconds':>10}")
    for tolerance in TOLERANCES:
        rtol = jnp.asarray(tolerance)
        for name, solve in solves.items():
            (y, steps), (gy, steps_g) = solve(x, rtol), solve(rotate(x), rtol)
            rows.append(
                {
                    "rtol": tolerance,
                    "controller": name,
                    "mismatch": distance(gy, rotate(y)),
                    "steps": [int(steps), int(steps_g)],
                    "error": distance(y, end),
                }
            )
        pair = rows[-2:]
        for row, seconds in zip(pair, seconds_of(list(solves.values()), x, rtol), strict=True):
            row["seconds"] = seconds
            row["seconds_per_step"] = seconds / row["steps"][0]
        for row in pair:
            row["time_ratio"] = row["seconds"] / pair[0]["seconds"]
            row["time_per_step_ratio"] = row["seconds_per_step"] / pair[0]["seconds_per_step"]
            print(
                f"{tolerance:7.0e}  {row['controller']:<20}{row['mismatch']:10.1e}{row['steps'][0]:9d}{row['steps'][1]:9d}"
                f"{row['error']:10.1e}{row['seconds']:10.2e}"
                f"  x{row['time_ratio']:.2f} (per step x{row['time_per_step_ratio']:.2f})"
            )
    packages = ("jax", "jaxlib", "equinox", "diffrax", "numpy", "scipy")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps(
            {
                "question": (__doc__ or "").split("\n")[0],
                "command": shlex.join(["python", *sys.argv]),
                "problem": {
                    "eccentricity": ECCENTRICITY,
                    "angle": ANGLE,
                    "end": END,
                    "solver": "Tsit5",
                    "atol/rtol": 1e-2,
                },
                "machine": {
                    "platform": platform.platform(),
                    "machine": platform.machine(),
                    "jax": jax.default_backend(),
                },
                "versions": {"python": platform.python_version()}
                | {p: importlib.metadata.version(p) for p in packages},
                "rows": rows,
            },
            indent=2,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
