"""States of the user's own, to be continued."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from ._errors import DataError


def read_states(path: Path | str, axes: tuple[int | None, ...]) -> Float[np.ndarray, "n ..."]:
    """The states in a .npy file, (n, *axes), or one of them, (*axes); None stands for any length.

    **Raises:** `DataError` when there is no such file, or it holds something else, or what is not finite.
    """
    path = Path(path)
    meant = ", ".join("any" if k is None else str(k) for k in axes)
    try:
        with open(path, "rb") as stream:
            states = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Expected a .npy array (n, {meant}).") from None
    states = states[None] if states.ndim == len(axes) else states
    fits = states.ndim == len(axes) + 1 and all(k in (None, s) for k, s in zip(axes, states.shape[1:], strict=True))
    if not fits or states.dtype.kind not in "fiu":
        raise DataError(f"{path}: an array {states.shape} of {states.dtype}; expected numbers (n, {meant}).")
    if not np.isfinite(states).all():
        raise DataError(f"{path}: holds NaN or infinity; a motion cannot start there.")
    return states.astype(np.float64)
