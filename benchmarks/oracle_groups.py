"""Do the Lie groups agree with jaxlie and geomstats? Writes tests/references/groups.json, which the tests compare with.

Both want an environment of their own: `pip install jaxlie geomstats "numpy<2.3"`, then `python benchmarks/oracle_groups.py`.
"""

import json
from importlib.metadata import version
from pathlib import Path

import jax
import jaxlie
import numpy as np
from geomstats.geometry.heisenberg import HeisenbergVectors
from geomstats.geometry.special_euclidean import SpecialEuclidean
from geomstats.geometry.special_orthogonal import SpecialOrthogonal

jax.config.update("jax_enable_x64", True)
TARGET = Path(__file__).parents[1] / "tests" / "references" / "groups.json"
COUNT = 6


def from_jaxlie(group, dim: int, largest: float, rng: np.random.Generator) -> dict:
    """exp, Ad and the inverse of the right Jacobian at twists whose rotations are by up to `largest`."""
    xi = rng.normal(size=(COUNT, dim))
    rotation = xi[:, -1:] if dim == 3 and group is jaxlie.SE2 else xi[:, -3:]
    rotation *= np.linspace(0.01, largest, COUNT)[:, None] / np.linalg.norm(rotation, axis=1, keepdims=True)
    points = [group.exp(a) for a in xi]
    return {
        "xi": xi,
        "expm": [g.as_matrix() for g in points],
        "logm": [g.log() for g in points],
        "Ad": [g.adjoint() for g in points],
        "right_jacobian_inverse": [g.jlog() for g in points],
    }


def from_geomstats(space, rng: np.random.Generator) -> dict:
    """Geodesics of the space's own metric."""
    x = space.random_point(COUNT)
    v = space.to_tangent(rng.normal(size=x.shape), x)
    v = v / space.metric.norm(v, x)[:, None, None]
    w = space.to_tangent(rng.normal(size=x.shape), x)
    y = space.metric.exp(v, x)
    return {
        "x": x,
        "v": v,
        "w": w,
        "exp": y,
        "log": space.metric.log(y, x),
        "transport": space.metric.parallel_transport(w, x, direction=v),
    }


def main() -> None:
    """Compute and write."""
    rng = np.random.default_rng(7)
    np.random.seed(7)  # noqa: NPY002 - geomstats draws from the global state
    heisenberg = HeisenbergVectors(equip=False)
    x, y = rng.normal(size=(2, COUNT, 3))
    found = {
        "versions": {name: version(name) for name in ("jaxlie", "geomstats", "numpy", "jax")},
        "jaxlie SO3": from_jaxlie(jaxlie.SO3, 3, 3.1, rng),
        "jaxlie SE2": from_jaxlie(jaxlie.SE2, 3, 3.1, rng),
        "jaxlie SE3": from_jaxlie(jaxlie.SE3, 6, 3.1, rng),
        "geomstats SO3": from_geomstats(SpecialOrthogonal(3), rng),
        "geomstats SO4": from_geomstats(SpecialOrthogonal(4), rng),
        "geomstats SE3": from_geomstats(SpecialEuclidean(3), rng),
        "geomstats Heisenberg": {"x": x, "y": y, "compose": heisenberg.compose(x, y)},
    }
    TARGET.parent.mkdir(exist_ok=True)
    text = json.dumps(found, default=lambda a: np.asarray(a).tolist())
    # One object a line: a change shows where it is.
    TARGET.write_text(text.replace("}, ", "},\n") + "\n")


if __name__ == "__main__":
    main()
