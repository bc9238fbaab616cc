"""Which solver reaches a given error on a manifold in the least time, forward and with gradients?

Four problems with fields that depend on time and place: the sphere S^2, SO(3), SE(3), and 100 coupled copies of SO(3). Solved
over a range of tolerances by the solvers of this library, by Diffrax in the surrounding coordinates, by Diffrax with a
projection after every step written by hand, by SciPy in the surrounding coordinates, and, given an interpreter that has
it, by geomstats' integrator. For each run: error at the end against a reference (DOP853, rtol 1e-13), seconds of one solve
(the least of several), and for JAX seconds of one gradient with respect to the start. The table printed at the end compares
at equal error: peer's seconds over those of our fastest solver, interpolated along our work-precision curve.

    python benchmarks/work_precision.py [--geomstats PYTHON] [--quick] [--problems S2 SO3]
"""

import argparse
import functools
import importlib.metadata
import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
from _machine import machine

RESULTS = Path(__file__).parent / "results" / "work_precision.json"
END, COPIES = 6.0, 100
TOLERANCES = [10.0**-k for k in range(3, 12)]
# Seconds below this are repeated more often; a solve is timed as the least of several runs.
REPEATS = 7


# The fields, in NumPy (xp = numpy) and in JAX (xp = jax.numpy). A point is given and a tangent returned in the coordinates
# of the surrounding space; `velocity` is the element of the Lie algebra that moves it.


def hat(xp, w):
    """The skew matrix of w, for w of shape (..., 3)."""
    x, y, z, o = w[..., 0], w[..., 1], w[..., 2], 0 * w[..., 0]
    rows = [xp.stack(r, axis=-1) for r in ([o, -z, y], [z, o, -x], [-y, x, o])]
    return xp.stack(rows, axis=-2)


def turning(xp, t, a, b):
    """An angular velocity that depends on time, a vector a of the body and a number b."""
    drive = xp.stack([1 + 0 * t, 2 * xp.sin(3 * t), xp.cos(t)])
    return drive + 2 * a + b * xp.stack([a[1], a[2], -a[0]])


def sphere(xp, t, x):
    """omega(t, x) x x on S^2."""
    w = turning(xp, t, x[::-1], x[0])
    return xp.stack([w[1] * x[2] - w[2] * x[1], w[2] * x[0] - w[0] * x[2], w[0] * x[1] - w[1] * x[0]])


def rotation_velocity(xp, t, x):
    """omega(t, R) in so(3)."""
    return turning(xp, t, x[:, 2], x[0, 0])


def rotation(xp, t, x):
    """hat(omega(t, R)) R."""
    return hat(xp, rotation_velocity(xp, t, x)) @ x


def rigid_velocity(xp, t, x):
    """A twist (v, omega) of the position and attitude in x."""
    w = turning(xp, t, x[:3, 2], x[0, 0])
    return xp.concatenate([xp.stack([xp.cos(t), 0.5 + 0 * t, xp.sin(2 * t)]) - 0.3 * x[:3, 3], w])


def rigid(xp, t, x):
    """hat(twist) x."""
    xi = rigid_velocity(xp, t, x)
    block = xp.concatenate([hat(xp, xi[3:]), xi[:3, None]], axis=1)
    return xp.concatenate([block @ x, xp.zeros((1, 4))], axis=0)


def many_velocity(xp, t, x):
    """omega_i of 100 bodies: each turns on its own and towards the mean of all axes."""
    axes = x[:, :, 2]
    mean = xp.mean(axes, axis=0)
    pull = xp.stack([mean[i] * axes[:, j] - mean[j] * axes[:, i] for i, j in ((1, 2), (2, 0), (0, 1))], axis=1)
    drive = xp.stack([1 + 0 * t, 2 * xp.sin(3 * t), xp.cos(t)])
    return drive[None, :] + 2 * axes - pull


def many(xp, t, x):
    """hat(omega_i) R_i."""
    return hat(xp, many_velocity(xp, t, x)) @ x


def starts():
    """Where each problem begins, in NumPy."""
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(COPIES, 3, 3)))
    q[:, :, 2] *= np.linalg.det(q)[:, None]
    g = np.eye(4)
    g[:3, :3], g[:3, 3] = q[0], [0.2, -0.5, 1.0]
    return {"S2": q[0][:, 0].copy(), "SO3": q[0], "SE3": g, "SO3^100": q}


FIELDS = {"S2": sphere, "SO3": rotation, "SE3": rigid, "SO3^100": many}


def project_numpy(name, x):
    """The nearest point, for geomstats' integrator, which knows none."""
    if name == "S2":
        return x / np.linalg.norm(x)
    if name == "SE3":
        x = x.copy()
        x[:3, :3] = project_numpy("SO3", x[:3, :3])
        return x
    u, _, vt = np.linalg.svd(x)
    return u @ vt


def least(run):
    """Seconds of the fastest of several runs, after one that compiles."""
    run()
    seconds, spent = [], 0.0
    while len(seconds) < REPEATS or (spent < 0.25 and len(seconds) < 1000):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
        spent += seconds[-1]
    return min(seconds)


def references():
    """The end of each problem, by SciPy's DOP853 at rtol 1e-13."""
    from scipy.integrate import solve_ivp

    ends = {}
    for name, x in starts().items():

        def f(t, y, name=name, shape=x.shape):
            return FIELDS[name](np, t, y.reshape(shape)).ravel()

        ends[name] = (
            solve_ivp(f, (0, END), x.ravel(), method="DOP853", rtol=3e-14, atol=1e-14).y[:, -1].reshape(x.shape)
        )
    return ends


def scipy_runs(name, reference, tolerances):
    """SciPy's RK45 and DOP853, on the field in NumPy."""
    from scipy.integrate import solve_ivp

    x = starts()[name]

    def f(t, y):
        return FIELDS[name](np, t, y.reshape(x.shape)).ravel()

    for method in ("RK45", "DOP853"):
        for rtol in tolerances:

            def run(rtol=rtol, method=method):
                return solve_ivp(f, (0, END), x.ravel(), method=method, rtol=rtol, atol=rtol).y[:, -1]

            error = float(np.max(np.abs(run() - reference.ravel())))
            yield {"method": f"SciPy {method}", "rtol": rtol, "error": error, "seconds": least(run)}


def geomstats_runs():
    """geomstats' Runge-Kutta integrator, projected at the end; runs in an interpreter that has geomstats."""
    os.environ["GEOMSTATS_BACKEND"] = "numpy"
    from geomstats.integrator import integrate

    ends = references()
    for name, x in starts().items():

        def f(state, t, name=name):
            return FIELDS[name](np, t, state)

        for steps in (50, 100, 200, 400, 800, 1600, 3200):

            def run(name=name, steps=steps, x=x, f=f):
                return project_numpy(name, integrate(f, x, end_time=END, n_steps=steps, step="rk4")[-1])

            error = float(np.max(np.abs(run() - ends[name])))
            row = {"method": "geomstats rk4", "steps": steps, "error": error, "seconds": least(run)}
            print(json.dumps({"problem": name, **row, "version": importlib.metadata.version("geomstats")}))


def jax_runs(name, reference, tolerances):
    """The solvers of this library, and Diffrax's with and without a projection written by hand."""
    import diffrax
    import jax
    import jax.numpy as jnp

    from equivax.dynamics import RKMK, AlgebraTerm, CommutatorFree, InvariantController, Projected, TapeAdjoint
    from equivax.geometry import Power, SpecialEuclidean, SpecialOrthogonal, Sphere

    rotations = SpecialOrthogonal(3)
    spaces = {"S2": Sphere(2), "SO3": rotations, "SE3": SpecialEuclidean(3), "SO3^100": Power(rotations, COPIES)}
    velocities = {"SO3": rotation_velocity, "SE3": rigid_velocity, "SO3^100": many_velocity}
    M, x = spaces[name], jnp.asarray(starts()[name])

    class ByHand(diffrax.AbstractAdaptiveSolver):
        """A solver of Diffrax, and a projection of what it returns."""

        solver: diffrax.AbstractSolver
        term_structure = diffrax.ODETerm

        @property
        def interpolation_cls(self):
            return self.solver.interpolation_cls

        def order(self, terms):
            return self.solver.order(terms)

        def init(self, *args):
            return self.solver.init(*args)

        def func(self, *args):
            return self.solver.func(*args)

        def step(self, terms, t0, t1, y0, args, state, made_jump):
            y1, *rest = self.solver.step(terms, t0, t1, y0, args, state, True)
            return M.project(y1), *rest

    ambient = diffrax.ODETerm(lambda t, y, args: FIELDS[name](jnp, t, y))
    # On a group the angular velocity is what one knows.
    lie = AlgebraTerm(lambda t, y, args: velocities[name](jnp, t, y)) if name in velocities else ambient
    methods = [
        ("ours RKMK(Tsit5)", RKMK(diffrax.Tsit5(), M), lie),
        ("ours RKMK(Dopri8)", RKMK(diffrax.Dopri8(), M), lie),
        ("ours CommutatorFree(4)", CommutatorFree(4, M), lie),
        ("ours Projected(Tsit5)", Projected(diffrax.Tsit5(), M), ambient),
        ("ours Projected(Dopri8)", Projected(diffrax.Dopri8(), M), ambient),
        ("Diffrax Tsit5", diffrax.Tsit5(), ambient),
        ("Diffrax Dopri8", diffrax.Dopri8(), ambient),
        ("Diffrax Tsit5 + projection", ByHand(diffrax.Tsit5()), ambient),
        ("Diffrax Dopri8 + projection", ByHand(diffrax.Dopri8()), ambient),
    ]
    # All gradients are those of the discrete solution. Diffrax's are taken with as many checkpoints as it chooses itself,
    # and with one for each of the steps that most runs take; the faster of the two counts.
    adjoints = [diffrax.RecursiveCheckpointAdjoint(), diffrax.RecursiveCheckpointAdjoint(checkpoints=512)]
    for label, solver, term in methods:

        def end(x, rtol, adjoint, solver=solver, term=term, label=label):
            controller = diffrax.PIDController(rtol=rtol, atol=rtol)
            if label.startswith("ours"):
                controller = InvariantController(controller, M)
            solution = diffrax.diffeqsolve(
                term, solver, 0.0, END, 0.01, x, stepsize_controller=controller, adjoint=adjoint, max_steps=4096
            )
            return solution.ys[-1], solution.stats["num_steps"]

        def loss(x, rtol, adjoint, end=end):
            y, _ = end(x, rtol, adjoint)
            return jnp.sum(y * jnp.cos(jnp.arange(y.size, dtype=y.dtype).reshape(y.shape)))

        # Called as one calls it: `jax.jit` starts a program in 7 us, and what `lower().compile()` returns in 25 to 50.
        compiling, mine = {}, [TapeAdjoint()] if label.startswith("ours") else adjoints
        started = time.perf_counter()
        forward = jax.jit(functools.partial(end, adjoint=mine[0]))
        jax.block_until_ready(forward(x, 1e-6))
        compiling["compile"] = time.perf_counter() - started
        gradients = [jax.jit(jax.grad(functools.partial(loss, adjoint=a))) for a in mine]
        started = time.perf_counter()
        jax.block_until_ready(gradients[0](x, 1e-6))
        compiling["compile_gradient"] = time.perf_counter() - started
        # Ours once more beyond the last: a peer's last run is compared with our curve, which has to reach as far.
        for rtol in [*tolerances, tolerances[-1] / 10] if label.startswith("ours") else tolerances:
            y, steps = forward(x, rtol)
            yield {
                "method": label,
                "rtol": rtol,
                "steps": int(steps),
                "error": float(np.max(np.abs(np.asarray(y) - reference))),
                "seconds": least(lambda f=forward, r=rtol: jax.block_until_ready(f(x, r))),
                "seconds_gradient": min(least(lambda f=f, r=rtol: jax.block_until_ready(f(x, r))) for f in gradients),
                **compiling,
            }


def seconds_at(rows, error, key):
    """The least seconds in which one of these methods reaches the error, interpolated along each one's curve."""
    best = np.inf
    for method in {r["method"] for r in rows}:
        curve = sorted((r["error"], r[key]) for r in rows if r["method"] == method and key in r)
        e, s = np.log([c[0] for c in curve]), np.log([c[1] for c in curve])
        if e[0] <= np.log(error):
            # Never dearer than the next more accurate run.
            s = np.minimum.accumulate(s)
            best = min(best, float(np.exp(np.interp(np.log(error), e, s))))
    return best


def compare(rows):
    """For each peer: its seconds over ours at equal error, the least and the median over its runs."""
    ours = [r for r in rows if r["method"].startswith("ours")]
    # Above 1e-2 nothing has been solved; below, our best error is what rounding leaves.
    floor = min(r["error"] for r in ours)
    table = {}
    for peer in dict.fromkeys(r["method"] for r in rows if not r["method"].startswith("ours")):
        for key in ("seconds", "seconds_gradient"):
            runs = [r for r in rows if r["method"] == peer and key in r and floor <= r["error"] <= 1e-2]
            ratios = [r[key] / seconds_at(ours, r["error"], key) for r in runs]
            if ratios:
                table[f"{peer}, {key}"] = {
                    "least": min(ratios),
                    "median": float(np.median(ratios)),
                    "runs": len(ratios),
                }
    return table


def draw(results):
    """The diagrams: error at the end against seconds, one column for each problem, forward above and gradients below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(results), figsize=(4.5 * len(results), 8), squeeze=False, sharex="col")
    for column, (name, result) in zip(axes.T, results.items(), strict=True):
        for ax, key in zip(column, ("seconds", "seconds_gradient"), strict=True):
            for method in dict.fromkeys(r["method"] for r in result["runs"] if key in r):
                curve = sorted((r["error"], r[key]) for r in result["runs"] if r["method"] == method and key in r)
                style = (
                    {"marker": "o", "lw": 1.8} if method.startswith("ours") else {"marker": ".", "ls": "--", "lw": 1}
                )
                ax.loglog(*zip(*curve, strict=True), label=method, ms=4, **style)
            ax.set_ylabel("seconds of a solve" if key == "seconds" else "seconds of a gradient")
            ax.grid(alpha=0.3)
        column[0].set_title(name)
        column[1].set_xlabel("error at the end")
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=110)


def main():
    """Run everything, print the comparison, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--geomstats", help="a Python interpreter that has geomstats")
    parser.add_argument("--geomstats-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="every second tolerance")
    parser.add_argument("--problems", nargs="+", default=list(FIELDS), choices=list(FIELDS))
    options = parser.parse_args()
    if options.geomstats_only:
        geomstats_runs()
        return
    import jax

    jax.config.update("jax_enable_x64", True)
    foreign: dict = {name: [] for name in FIELDS}
    if options.geomstats:
        command = [options.geomstats, __file__, "--geomstats-only"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        for row in map(json.loads, (line for line in lines if line.startswith("{"))):
            foreign[row.pop("problem")].append(row)
    ends = references()
    command = "python benchmarks/work_precision.py"
    command += " --quick" * options.quick + " --geomstats PYTHON" * bool(options.geomstats)
    how = {"command": command, "machine": machine("jax", "diffrax", "scipy", "numpy")}
    # What an earlier run has found of other problems is kept, with what it was measured on.
    results = json.loads(RESULTS.read_text())["problems"] if RESULTS.exists() else {}
    for name in options.problems:
        tolerances = TOLERANCES[::2] if options.quick else TOLERANCES
        rows = [*jax_runs(name, ends[name], tolerances), *scipy_runs(name, ends[name], tolerances), *foreign[name]]
        results[name] = how | {"runs": rows, "peer_over_ours_at_equal_error": compare(rows)}
        for peer, ratio in results[name]["peer_over_ours_at_equal_error"].items():
            print(f"{name:8} {peer:48} least {ratio['least']:8.2f}  median {ratio['median']:8.2f}", flush=True)
    document = {"end": END, "problems": results}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    draw(results)


if __name__ == "__main__":
    main()
