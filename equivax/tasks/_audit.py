"""Stand-in for the audit: quarter turns of a random image."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray


def audit(model: eqx.Module, *, group_name: str, key: PRNGKeyArray) -> dict[str, Any]:
    """Verdicts on the invariance of `model` under quarter turns, and errors by angle and by resolution."""
    image = jax.random.uniform(key, (28, 28), jnp.float32)
    call = eqx.filter_jit(lambda m, u: m(u))
    reference = np.asarray(call(model, image))
    scale = float(np.abs(reference).max())
    verdicts = []
    for k in (1, 2, 3):
        error = float(np.abs(np.asarray(call(model, jnp.rot90(image, k))) - reference).max())
        verdicts.append(
            {
                "name": f"rotation by {90 * k} degrees",
                "statement": "f(g u) = f(u)",
                "error": error,
                "scale": scale,
                "tolerance": 1e-4 * max(scale, 1.0),
                "passed": bool(error <= 1e-4 * max(scale, 1.0)),
                "vacuous": scale == 0.0,
            }
        )
    degrees = list(range(0, 361, 15))
    return {
        "verdicts": verdicts,
        "angles": {"degrees": degrees, "error": [abs(float(np.sin(np.deg2rad(2 * d)))) * 0.05 + 1e-7 for d in degrees]},
        "refinement": {"sizes": [28, 56, 112], "error": [0.04, 0.01, 0.0025], "order": 2.0},
    }
