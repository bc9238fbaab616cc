"""Checkpoints: the newest two are kept, and none goes before a newer one is whole."""

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import PyTree

from ._errors import TaskError

_KEPT = 2


class Checkpoints:
    """The checkpoints in one folder, each a folder named after its step, written and read by Orbax.

    What is stored are numbers and a JSON text, nothing that could execute. Orbax writes under a temporary name and
    renames when all is on the disk, so a folder named after a step is whole.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def steps(self) -> list[int]:
        """The steps of which there are checkpoints, the oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit() and path.is_dir())

    def save(self, step: int, state: PyTree, meta: dict[str, Any]) -> None:
        """Write the arrays of `state` and the plain values `meta`; then remove all but the newest two checkpoints.

        **Raises:** `TaskError` when it cannot be written (a full disk): the earlier checkpoints are all still there.
        """
        target = self.folder.absolute() / str(step)
        if target.exists():
            # The same step of the same run has the same content.
            return
        arrays = {name: np.asarray(leaf) for name, leaf in _named(state).items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(target, arrays, meta)
        except Exception as error:
            self._sweep()
            kept = f"the checkpoint of step {self.steps()[-1]} is kept" if self.steps() else "there is none before it"
            raise TaskError(f"{target}: the checkpoint cannot be written ({_reason(error)}); {kept}.") from error
        except BaseException:
            self._sweep()
            raise
        for old in self.steps()[:-_KEPT]:
            shutil.rmtree(self.folder / str(old), ignore_errors=True)

    def restore(self, like: PyTree) -> tuple[PyTree, dict[str, Any]] | None:
        """The newest readable checkpoint as (`like` with the stored arrays, the plain values), or None if there is none.

        A damaged one is passed over for the one before it.

        **Raises:** `TaskError` when what is stored does not have the arrays of `like`: another version or configuration.
        """
        problem: Exception | None = None
        for step in reversed(self.steps()):
            try:
                arrays, meta = _read(self.folder.absolute() / str(step))
            except Exception as error:
                problem = error
                continue
            return self._fill(like, arrays), meta
        if problem is not None:
            raise TaskError(f"{self.folder}: no checkpoint in it can be read ({_reason(problem)}). Repeat the run.")
        return None

    def _fill(self, like: PyTree, arrays: dict[str, np.ndarray]) -> PyTree:
        named = _named(like)
        for name in sorted(named.keys() | arrays.keys()):
            meant, found = (_described(tree.get(name)) for tree in (named, arrays))
            if meant != found:
                raise TaskError(
                    f"{self.folder}: the checkpoint does not fit the model: {name} is {found}, expected {meant}. "
                    "It is of another version of equivax or another configuration: repeat the run."
                )
        dynamic, static = eqx.partition(like, eqx.is_array)
        leaves = [jnp.asarray(arrays[name]) for name in named]
        return eqx.combine(jax.tree.unflatten(jax.tree.structure(dynamic), leaves), static)

    def _sweep(self) -> None:
        """Remove what an unfinished write has left behind."""
        for path in self.folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(path, ignore_errors=True)


def _named(tree: PyTree) -> dict[str, Any]:
    """The arrays of `tree` by their place in it, in the order of its leaves."""
    leaves = jtu.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))[0]
    # The number keeps the names apart and the folder listing in order, the path is for people.
    return {f"{i:04d}{jtu.keystr(path)}".replace("/", "|"): leaf for i, (path, leaf) in enumerate(leaves)}


def _described(array: Any) -> str:
    return "absent" if array is None else f"{array.dtype}{list(array.shape)}"


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().splitlines()[0]


def _orbax() -> Any:
    # A second of import time, spent only by those who write or read a checkpoint. It logs and warns about clusters.
    logging.getLogger("absl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import orbax.checkpoint as ocp
    return ocp


def _write(target: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    ocp = _orbax()
    # A plain Checkpointer is synchronous: when it returns, the folder has its final name.
    with warnings.catch_warnings(), ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        warnings.simplefilter("ignore")
        checkpointer.save(
            target, args=ocp.args.Composite(state=ocp.args.PyTreeSave(arrays), meta=ocp.args.JsonSave(meta))
        )


def _read(target: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    ocp = _orbax()
    with warnings.catch_warnings(), ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        warnings.simplefilter("ignore")
        # Restored as NumPy arrays: where they were when they were saved is of no interest here.
        found = checkpointer.restore(
            target, args=ocp.args.Composite(state=ocp.args.PyTreeRestore(), meta=ocp.args.JsonRestore())
        )
    return {name: np.asarray(array) for name, array in found["state"].items()}, dict(found["meta"])
