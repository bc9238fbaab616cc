"""What do others compute? Reference values of exp, log, distance and transport by geomstats, for `tests/test_manifolds.py`.

Run in an environment of its own (geomstats 2.8 does not import with numpy 2.4):

    python -m venv oracle && oracle/bin/pip install geomstats==2.8.0 "numpy<2.3"
    oracle/bin/python benchmarks/oracle_manifolds.py

Writes `tests/references/manifolds.json`: for each space a list of cases, points x, tangents v and w at x, and what
geomstats says of y = exp_x(v), of log_x(y), d(x, y) and of w transported from x to y.
"""

import json
import platform
from pathlib import Path

import geomstats
import numpy as np
from geomstats.geometry.grassmannian import Grassmannian
from geomstats.geometry.hyperboloid import Hyperboloid
from geomstats.geometry.hypersphere import Hypersphere
from geomstats.geometry.spd_matrices import SPDAffineMetric, SPDMatrices
from geomstats.geometry.stiefel import Stiefel, StiefelCanonicalMetric

OUT = Path(__file__).parents[1] / "tests" / "references" / "manifolds.json"
# Lengths of v: nearly nothing, ordinary, and half way to the nearest cut locus (pi/2 on a Grassmannian).
LENGTHS = (1e-5, 0.3, 0.75)


def points(name: str, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """One point of a space, by NumPy."""
    a = rng.normal(size=shape)
    if name == "Sphere":
        return a[:, 0] / np.linalg.norm(a)
    if name == "Hyperbolic":
        return np.concatenate([[np.sqrt(1 + np.sum(a[1:] ** 2))], a[1:, 0]])
    if name == "SPD":
        return a @ a.T / len(a) + 0.3 * np.eye(len(a))
    q = np.linalg.qr(a)[0]
    return q @ q.T if name == "Grassmann" else q


# The space, its metric, a point's generating matrix, and geomstats' metric in terms of ours: <,>_geomstats = c <,>.
SPACES = {
    "Sphere(3)": (Hypersphere(3), None, (4, 1), 1),
    "Hyperbolic(3)": (Hyperboloid(3), None, (4, 1), 1),
    "SPD(3)": (SPDMatrices(3, equip=False), SPDAffineMetric, (3, 3), 1),
    "Grassmann(5, 2)": (Grassmannian(5, 2), None, (5, 2), 2),
    "Stiefel(5, 2)": (Stiefel(5, 2, equip=False), StiefelCanonicalMetric, (5, 2), 1),
}


def cases(name: str) -> list[dict]:
    """The cases of one space."""
    space, metric, shape, scale = SPACES[name]
    if metric is not None:
        space.equip_with_metric(metric)
    rng = np.random.default_rng(7)
    found = []
    for length in LENGTHS:
        x = points(name.split("(")[0], rng, shape)
        v, w = (space.to_tangent(rng.normal(size=x.shape), base_point=x) for _ in range(2))
        v = v * length / np.sqrt(space.metric.squared_norm(v, base_point=x) / scale)
        y = space.metric.exp(v, base_point=x)
        case = {"x": x, "v": v, "w": w, "exp": y, "inner": space.metric.inner_product(v, w, base_point=x) / scale}
        case["log"] = space.metric.log(y, base_point=x)
        case["dist"] = space.metric.dist(x, y) / np.sqrt(scale)
        if not name.startswith("Stiefel"):
            case["transport"] = space.metric.parallel_transport(w, base_point=x, direction=v)
        found.append({k: np.asarray(a).tolist() for k, a in case.items()})
    return found


def main() -> None:
    """Write the file."""
    versions = {"geomstats": geomstats.__version__, "numpy": np.__version__, "python": platform.python_version()}
    result = {"versions": versions, "cases": {name: cases(name) for name in SPACES}}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
