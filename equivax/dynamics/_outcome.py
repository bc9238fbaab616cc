"""What to say when a solve ends early: where it stopped, why, and what to do."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

_REMEDIES = {
    "max_steps_reached": (
        "it took all `max_steps` steps. If steps shrink towards a time, the field is singular or too stiff there; "
        "otherwise loosen rtol and atol, or allow more by `max_steps`"
    ),
    "dt_min_reached": (
        "its steps shrank below `dtmin`, or a constant step turned by a full circle or more (|ad_u| >= 2 pi), where dexpinv "
        "is singular. Take smaller constant steps; or loosen rtol and atol, lower `dtmin`, or take an implicit solver"
    ),
    "nonlinear_divergence": "an implicit equation was not solved. Take smaller steps, or adaptive ones",
    "nonfinite_input": ("it started off the manifold. Start at `space.project(x0)`, the nearest point that is on it"),
}
_OTHER = "Diffrax gave up; its code is `solution.result`"


def raise_if_failed(solution: diffrax.Solution) -> diffrax.Solution:
    """The solution, or an error: at once where values are known, else (inside `jax.jit`) when the program runs.

    **Raises:** `RuntimeError` naming the cause and the remedy, and where values are known the time and point reached.
    """
    failed = jnp.logical_not(diffrax.is_okay(solution.result))
    if isinstance(failed, jax.core.Tracer):
        return _later(solution, failed)
    if not bool(np.any(failed)):
        return solution
    known = [
        text for name, text in _REMEDIES.items() if bool(np.all(solution.result == getattr(diffrax.RESULTS, name)))
    ]
    remedy = known[0] if known else f"{_OTHER}: {_text(solution.result)}"
    raise RuntimeError(f"The solve stopped{_where(solution)}: {remedy}.")


def _later(solution: diffrax.Solution, failed: Any) -> diffrax.Solution:
    codes = [solution.result == getattr(diffrax.RESULTS, name) for name in _REMEDIES]
    index = jnp.argmax(jnp.stack([*codes, jnp.asarray(True)]))
    texts = [f"The solve stopped: {remedy}." for remedy in (*_REMEDIES.values(), _OTHER)]
    return eqx.branched_error_if(solution, failed, index, texts)


def _text(result: Any) -> str:
    results: Any = diffrax.RESULTS
    return results[result]


def _where(solution: diffrax.Solution) -> str:
    if solution.ts is None:
        return ""
    ts = np.ravel(np.asarray(solution.ts))
    known = np.flatnonzero(np.isfinite(ts))
    if known.size == 0:
        return f" between t = {float(solution.t0):.6g} and the first time asked for"
    i = known[-1]
    point = jax.tree.map(lambda a: np.asarray(a)[i], solution.ys)
    steps = solution.stats.get("num_steps")
    return f" at t = {ts[i]:.6g}, x = {point}, after {steps} steps"
