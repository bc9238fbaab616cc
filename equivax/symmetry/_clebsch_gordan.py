"""Clebsch-Gordan coefficients of any three representations."""

import functools
import math

import numpy as np
from jaxtyping import Float

from ._classical import O
from ._coupling import real_coupling
from ._invariants import multilinear
from ._irreps_rotations import HarmonicIrrep
from ._rep import AbstractRep, same_group


@functools.lru_cache(maxsize=4096)
def clebsch_gordan(a: AbstractRep, b: AbstractRep, c: AbstractRep) -> Float[np.ndarray, "r p q s"]:
    r"""An orthonormal basis of the equivariant bilinear maps $a \otimes b \to c$, of shape `(r, c.dim, a.dim, b.dim)`.

    $$ \rho_c(g)\, C(x, y) = C(\rho_a(g) x, \rho_b(g) y), \qquad C(x, y)_k = \sum_{ij} C_{kij}\, x_i\, y_j $$

    For irreps of SO(3) and O(3) it is Racah's closed formula in the real basis, at most one array, with the sign of
    e3nn's `clebsch_gordan`; for other representations the null-space solver's answer, `multilinear((a, b), c)`.

    **Raises:** `GroupError` for representations of different groups; else as `invariants`.
    """
    group = same_group(a, b, c)
    if isinstance(a, HarmonicIrrep) and isinstance(b, HarmonicIrrep) and isinstance(c, HarmonicIrrep):
        allowed = abs(a.degree - b.degree) <= c.degree <= a.degree + b.degree
        if not allowed or (group == O(3) and a.odd ^ b.odd != c.odd):
            return np.zeros((0, c.dim, a.dim, b.dim))
        table = real_coupling(a.degree, b.degree, c.degree) / math.sqrt(c.dim)
        return np.moveaxis(table, 2, 0)[None]
    return multilinear((a, b), c)
