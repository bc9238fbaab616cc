"""How fast are bases of equivariant maps built, against emlp on the same cases?

For each group and each pair of representations, both libraries build the basis of equivariant maps, each case in
processes of its own, one after the other on the same machine, one thread, the least of two times. The time is that of the
first build, after the library was imported and has built one basis of another group; `again` is the time of the same
build once more, with the caches of solutions emptied but emlp's compiled functions kept. Our cache on disk is off. The
dimensions must agree.

emlp (Finzi, Welling, Wilson 2021) stopped in 2023 and needs an old JAX: give it an environment of its own,

    python -m venv emlp-env
    emlp-env/bin/pip install jax==0.4.13 jaxlib==0.4.13 "numpy<2" "scipy<1.12" optax==0.1.7 \
        "chex<0.1.83" "flax<0.7.3" "plum-dispatch<2" scikit-learn matplotlib tqdm h5py pytest six objax
    emlp-env/bin/pip install --no-deps emlp==1.0.3

and run from the repository root:

    python benchmarks/intertwiners.py --emlp emlp-env/bin/python
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "intertwiners.json"
# A case that takes longer than this is not finished.
PATIENCE = 60.0
# Each case is repeated in so many processes.
PROCESSES = 2
PACKAGES = {"equivax": ("numpy", "scipy", "jax"), "emlp": ("emlp", "numpy", "scipy", "jax")}

# (name, ours, emlp's): a class and its argument, in `equivax.symmetry` and in `emlp.groups`.
GROUPS = {
    "SO(3)": (("SO", 3), ("SO", 3)),
    "O(3)": (("O", 3), ("O", 3)),
    "SO(5)": (("SO", 5), ("SO", 5)),
    "C_8": (("Cyclic", 8), ("C", 8)),
    "D_6": (("Dihedral", 6), ("D", 6)),
    "Z_8 shifts": (("CyclicShifts", 8), ("Z", 8)),
    "S_4": (("Symmetric", 4), ("S", 4)),
    "S_6": (("Symmetric", 6), ("S", 6)),
    "SO+(1,3)": (("Lorentz",), ("SO13p",)),
    "SL(3)": (("SL", 3), ("SL", 3)),
    "Sp(4)": (("Sp", 2), ("Sp", 2)),
    # emlp's own RubiksCube turns a face one way and the rows around it the other, which generates another group (six
    # orbits of pairs of facelets; the cube has nine). It gets our six moves.
    "Rubik's cube": (("RubiksCube",), ("Moves",)),
}
# (group, source, target): expressions in V, its dual D, and the scalars, one.
CASES = [
    ("SO(3)", "V", "V"),
    ("SO(3)", "V**2", "V"),
    ("SO(3)", "V**2", "V**2"),
    ("SO(3)", "V**3", "V**2"),
    ("SO(3)", "V**3", "V**3"),
    ("SO(3)", "20*V + 5*V**2", "20*V + 5*V**2"),
    ("O(3)", "V**2", "V**2"),
    ("SO(5)", "V**2", "V**2"),
    ("C_8", "V**2", "V**2"),
    ("D_6", "V**3", "V**3"),
    ("Z_8 shifts", "V**2", "V"),
    ("Z_8 shifts", "V**2", "V**2"),
    ("S_4", "V**2", "V**2"),
    ("S_6", "V**2", "V**2"),
    ("SO+(1,3)", "V", "V"),
    ("SO+(1,3)", "V*D", "V*D"),
    ("SO+(1,3)", "V**3", "V*D"),
    ("SL(3)", "V*D", "V*D"),
    ("SL(3)", "V**3", "V**3"),
    ("Sp(4)", "V**2", "V**2"),
    ("Rubik's cube", "V", "V"),
    ("SO(3)", "V**4", "V**4"),
    ("SO+(1,3)", "V**3", "V**3"),
    ("S_6", "V**3", "V**3"),
    ("Rubik's cube", "V**2", "V**2"),
]


def worker(library, group, source, target):
    """Build one basis twice; print the dimensions and the seconds as JSON."""
    forget, build = {"equivax": equivax_builder, "emlp": emlp_builder}[library](group, source, target)
    seconds = []
    for _ in range(2):
        forget()
        begin = time.perf_counter()
        shape = build()
        seconds.append(time.perf_counter() - begin)
    first, again = seconds
    versions = {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in PACKAGES[library]}
    print(json.dumps({"shape": shape, "first": first, "again": again, "versions": versions}))


def equivax_builder(group, source, target):
    """A function that empties all caches of equivax, and one that builds the basis: (how many, target, source)."""
    import equivax.symmetry as symmetry

    name, *arguments = GROUPS[group][0]
    V = symmetry.defining(getattr(symmetry, name)(*arguments))
    rep = eval(source, {"V": V, "D": ~V}) >> eval(target, {"V": V, "D": ~V})
    warm = symmetry.defining(symmetry.SO(2))
    symmetry.basis(warm >> warm)

    def forget():
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("equivax.symmetry"):
                for thing in vars(module).values():
                    if hasattr(thing, "cache_clear"):
                        thing.cache_clear()

    def build():
        return [len(symmetry.basis(rep)), rep.target.dim, rep.source.dim]

    return forget, build


def emlp_builder(group, source, target):
    """The same with emlp."""
    import emlp.groups
    import emlp.reps
    import emlp.reps.linear_operators
    import numpy as np

    class Moves(emlp.groups.Group):
        def __init__(self):
            moves = [np.array(images) for images in json.loads(sys.stdin.read())]
            self.discrete_generators = [emlp.reps.linear_operators.LazyPerm(images) for images in moves]
            super().__init__()

    name, *arguments = GROUPS[group][1]
    V = emlp.reps.V((Moves if name == "Moves" else getattr(emlp.groups, name))(*arguments))
    rep_in, rep_out = (eval(expression, {"V": V, "D": V.T}) for expression in (source, target))
    warm = emlp.reps.V(emlp.groups.SO(2))
    (warm >> warm).equivariant_basis()

    def build():
        basis = (rep_in >> rep_out).equivariant_basis()
        return [basis.shape[1], rep_out.size(), rep_in.size()]

    return emlp.reps.Rep.solcache.clear, build


def moves_of(group):
    """The permutations that generate a group which emlp is given, as JSON; nothing for groups that it has."""
    if GROUPS[group][1] != ("Moves",):
        return ""
    import equivax.symmetry as symmetry

    return json.dumps(getattr(symmetry, GROUPS[group][0][0])().discrete_generators.argmax(axis=1).tolist())


def run(python, library, case):
    """One case in a process of its own: what the worker prints, or why there is nothing."""
    command = [python, __file__, "--worker", library, *case]
    environment = os.environ | {"EQUIVAX_CACHE": "0", "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
    results = []
    for _ in range(PROCESSES):
        try:
            done = subprocess.run(
                command, env=environment, input=moves_of(case[0]), capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not finished in {PATIENCE:.0f} s"}
        if done.returncode:
            return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]}
        results.append(json.loads(done.stdout.splitlines()[-1]))
    # Whatever else the machine does only adds to times: the least of each counts.
    return results[0] | {key: min(result[key] for result in results) for key in ("first", "again")}


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def main():
    """Run all cases with both libraries, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emlp", help="the Python of an environment with emlp")
    parser.add_argument("--worker", nargs=4, metavar=("LIBRARY", "GROUP", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
        return
    if not arguments.emlp:
        parser.error("give the Python of an environment with emlp, --emlp emlp-env/bin/python (see --help)")
    rows, versions = [], {}
    print(f"{'case':<52}{'basis':>8}{'equivax':>11}{'emlp':>11}{'ratio':>8}{'again':>8}")
    for case in CASES:
        ours, theirs = run(sys.executable, "equivax", case), run(arguments.emlp, "emlp", case)
        row = {"group": case[0], "source": case[1], "target": case[2], "equivax": ours, "emlp": theirs}
        for library, result in (("equivax", ours), ("emlp", theirs)):
            versions[library] = result.pop("versions", versions.get(library))
        if "failed" not in ours and "failed" not in theirs:
            row["dimensions_agree"] = ours["shape"] == theirs["shape"]
            row["ratio"], row["ratio_again"] = (theirs[k] / ours[k] for k in ("first", "again"))
        rows.append(row)
        label = f"{case[0]}: {case[1]} >> {case[2]}"
        times = [f"{r['first']:11.2e}" if "first" in r else f"{'-':>11}" for r in (ours, theirs)]
        ratios = [f"{row[k]:8.0f}" if k in row else f"{'-':>8}" for k in ("ratio", "ratio_again")]
        print(f"{label:<52}{ours.get('shape', ['-'])[0]:>8}{times[0]}{times[1]}{ratios[0]}{ratios[1]}", flush=True)
        for r in (ours, theirs):
            if "failed" in r:
                print(f"    {r['failed']}", flush=True)
    summary = {"patience": PATIENCE, "finished_by_both": sum("ratio" in row for row in rows)}
    summary["not_finished_by_emlp"] = sum("failed" in row["emlp"] for row in rows)
    summary["all_dimensions_agree"] = all(row["dimensions_agree"] for row in rows if "ratio" in row)
    for key in ("ratio", "ratio_again"):
        ratios = [row[key] for row in rows if key in row]
        summary[key] = {"geometric_mean": geometric_mean(ratios), "minimum": min(ratios), "maximum": max(ratios)}
    print(json.dumps(summary, indent=2))
    result = {
        "question": (__doc__ or "").split("\n")[0],
        "command": "python benchmarks/intertwiners.py --emlp emlp-env/bin/python",
        "machine": {"platform": platform.platform(), "machine": platform.machine(), "cores": os.cpu_count()},
        "versions": versions,
        "summary": summary,
        "rows": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
