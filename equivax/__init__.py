"""Equivariant neural differential equations: on any manifold, under any group, in JAX.

Seven shelves, in reading order; each imports only those before it:

    geometry     where things live
    symmetry     what acts on them
    fields       maps that respect the action
    dynamics     how points, densities and signals move
    laws         what must be true, as functions
    data         where examples come from
    tasks        what people do: train, predict, check, report, the command line
"""

import importlib

__version__ = "0.1.0"
_SHELVES = ("geometry", "symmetry", "fields", "dynamics", "laws", "data", "tasks")
__all__ = ["__version__", *_SHELVES]


def __getattr__(name: str):
    # Shelves are imported when first asked for: `equivax --help` should not wait for JAX.
    if name in _SHELVES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
