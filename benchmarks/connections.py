"""Are escnn's convolutions steerable differential operators, and the other way round, with equal output?

1. From ours to theirs: a steerable operator of jets of order 2 between regular fields of C8 becomes the filter of an escnn
   `R2Conv`, whose weights are solved for; both are applied to the same noise.
2. From theirs to ours: a random `R2Conv` as escnn makes it by default, five pixels across, becomes a steerable operator of
   jets of high order; both are applied to the same noise.

Needs an interpreter with `torch` and `escnn`, in which this script runs the other side:

    python benchmarks/connections.py --escnn escnn-env/bin/python
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "connections.json"
N, COPIES_IN, COPIES_OUT, PIXELS = 8, 1, 2, 16


def theirs(folder: Path) -> None:
    """The side of escnn: solve for the weights of a given filter, apply it; make a filter, apply it."""
    import escnn
    import torch
    from escnn import gspaces, nn

    torch.manual_seed(0)
    given = np.load(folder / "ours.npz")
    plane = gspaces.rot2dOnR2(N)
    first, second = (nn.FieldType(plane, m * [plane.regular_repr]) for m in (COPIES_IN, COPIES_OUT))
    image = torch.from_numpy(given["image"]).float().permute(2, 0, 1)[None]

    def convolution(size, **options):
        return nn.R2Conv(first, second, size, padding=size // 2, bias=False, **options)

    size = given["filter"].shape[0]
    radii = sorted({np.floor(1e6 * np.hypot(i, j)) / 1e6 for i in range(size // 2 + 1) for j in range(size // 2 + 1)})
    conv = convolution(
        size, rings=radii, sigma=[0.05] * len(radii), frequencies_cutoff=lambda r: 8.0, maximum_offset=None
    )
    expand = conv.basisexpansion
    columns = []
    with torch.no_grad():
        for unit in torch.eye(conv.weights.numel()):
            columns.append(expand(unit).reshape(-1).clone())
    basis = torch.stack(columns, 1).double().numpy()
    target = torch.from_numpy(given["filter"]).permute(3, 2, 0, 1).reshape(-1).numpy()
    weights = np.linalg.lstsq(basis, target, rcond=1e-6)[0]
    residual = float(np.abs(basis @ weights - target).max() / np.abs(target).max())
    conv.weights.data[:] = torch.from_numpy(weights).float()
    conv.eval()
    with torch.no_grad():
        out = conv(nn.GeometricTensor(image, first)).tensor[0].permute(1, 2, 0).numpy()
    default = convolution(5)
    default.eval()
    with torch.no_grad():
        made = default(nn.GeometricTensor(image, first)).tensor[0].permute(1, 2, 0).numpy()
    np.savez(
        folder / "theirs.npz",
        out=out,
        residual=residual,
        made=made,
        filter=default.filter.detach().permute(2, 3, 1, 0).numpy(),
    )
    print(json.dumps({"escnn": escnn.__version__, "torch": torch.__version__}))


def main() -> None:
    """Print the differences and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--escnn", required=True, help="a Python interpreter that has torch and escnn")
    parser.add_argument("--theirs", type=Path, help=argparse.SUPPRESS)
    if "--theirs" in sys.argv:
        theirs(Path(sys.argv[sys.argv.index("--theirs") + 1]))
        return
    options = parser.parse_args()
    import jax
    import jax.numpy as jnp
    from _machine import machine

    from equivax.fields import GaussianJet, SteerableOperator, filter_from_operator, operator_from_filter
    from equivax.geometry import PixelGrid
    from equivax.symmetry import Cyclic, regular

    jax.config.update("jax_enable_x64", True)
    G, grid = Cyclic(N), PixelGrid(PIXELS, PIXELS)
    rep_in, rep_out = COPIES_IN * regular(G), COPIES_OUT * regular(G)
    u = jax.random.normal(jax.random.key(0), (grid.size, rep_in.dim))
    ours = SteerableOperator(rep_in, rep_out, GaussianJet(grid, grid, 2, 1.0, reach=3.0), key=jax.random.key(1))
    ours = jax.tree.map(lambda a: a.astype(jnp.float64), ours)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "ours.npz", filter=filter_from_operator(ours), image=grid.unflatten(u))
        command = [options.escnn, __file__, "--theirs", name]
        versions = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
        with np.load(folder / "theirs.npz") as file:
            found = dict(file)
    v = np.asarray(grid.unflatten(ours(u)))
    back = operator_from_filter(found["filter"], rep_in, rep_out, GaussianJet(grid, grid, 12, 1.0, reach=2.0))
    w = np.asarray(grid.unflatten(back(u)))
    results = {
        "ours as escnn's: filter": float(found["residual"]),
        "ours as escnn's: output": float(np.abs(found["out"] - v).max() / np.abs(v).max()),
        "escnn's as ours: filter": float(
            np.abs(filter_from_operator(back) - found["filter"]).max() / np.abs(found["filter"]).max()
        ),
        "escnn's as ours: output": float(np.abs(w - found["made"]).max() / np.abs(w).max()),
    }
    for name, value in results.items():
        print(f"{name:30} {value:.1e}")
    document = {
        "command": "python benchmarks/connections.py --escnn PYTHON",
        "machine": machine("jax", "numpy") | versions,
        "relative differences": results,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
