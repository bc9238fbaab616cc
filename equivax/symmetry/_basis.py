"""What a solver answers: an orthonormal basis of invariants, and how sure it is."""

import dataclasses
import functools

import numpy as np
import scipy.sparse
from jaxtyping import Float

from ._errors import GroupError
from ._memory import refuse_beyond_memory
from ._rep import AbstractRep, Hom


@dataclasses.dataclass(frozen=True, eq=False)
class Basis:
    r"""An orthonormal basis of the invariants of a representation, $\{ v : \rho(g) v = v \}$.

    - `rep`: the representation.
    - `rows`: the basis, `(r, rep.dim)`, as a NumPy array or, where most entries are zero, a SciPy sparse array.
    - `gap`: how decisively the rank was found (`NullSpace.gap`); infinite where it was found by counting.
    - `residual`: the largest violated constraint.
    - `tier`: how it was found: "orbits", "blocks", "Schur", "dense" or "matrix-free".
    """

    rep: AbstractRep
    rows: Float[np.ndarray, "r dim"] | scipy.sparse.csr_array
    gap: float
    residual: float
    tier: str = "dense"

    def __len__(self) -> int:
        return self.rows.shape[0]

    @functools.cached_property
    def vectors(self) -> Float[np.ndarray, "r dim"]:
        """The basis as a dense array, `(r, rep.dim)`.

        **Raises:** `GroupError` when that would not fit in memory; `sparse` does.
        """
        if isinstance(self.rows, np.ndarray):
            return self.rows
        what = f"A dense array of the {len(self)} basis vectors of {self.rep}"
        refuse_beyond_memory(8.0 * len(self) * self.rep.dim, what, "Use `basis.sparse`.")
        return self.rows.toarray()

    @functools.cached_property
    def sparse(self) -> scipy.sparse.csr_array:
        """The basis as a sparse array, `(r, rep.dim)`."""
        return scipy.sparse.csr_array(self.rows)

    @property
    def matrices(self) -> Float[np.ndarray, "r out in"]:
        """For `V >> W`: the intertwiners as matrices, `(r, W.dim, V.dim)`.

        **Raises:** `GroupError` when the representation is not of the form `V >> W`.
        """
        if not isinstance(self.rep, Hom):
            raise GroupError(f"Only a basis of V >> W has matrices; this one is of {self.rep}.")
        return self.vectors.reshape(len(self), self.rep.target.dim, self.rep.source.dim)
