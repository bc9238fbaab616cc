"""Representations of O(3) as e3nn writes them, "8x0e + 4x1o"."""

import re
from typing import Any

from ._classical import O
from ._errors import GroupError
from ._irreps_rotations import HarmonicIrrep
from ._rep import AbstractRep, DirectSum
from ._standard import DefiningRep, DeterminantRep, TrivialRep

_TERM = re.compile(r"(?:(\d+)\s*x\s*)?(\d+)([eoy])")


def from_e3nn(irreps: Any) -> DirectSum:
    r"""The representation of O(3) that e3nn writes as `irreps`: a string like `"8x0e + 4x1o"`, or an `e3nn_jax.Irreps`.

    $l$e and $l$o are spherical harmonics of degree $l$ with $\rho(-1) = \pm 1$; $l$y has the parity $(-1)^l$. Coordinates run
    as they do in e3nn: terms, copies, $m = -l, \dots, l$.

    **Raises:** `GroupError` for a term that is not of this form, or when there is none.
    """
    blocks = []
    for term in str(irreps).split("+"):
        match = _TERM.fullmatch(term.strip())
        if match is None:
            raise GroupError(
                f"{term.strip()!r} in {str(irreps)!r} is not an e3nn irrep: write terms like 1o or 8x0e, a multiplicity, a "
                "degree and a parity e, o or y, joined by +."
            )
        multiplicity, degree, parity = match.groups()
        odd = parity == "o" or (parity == "y" and int(degree) % 2 == 1)
        blocks.append((int(multiplicity or 1), HarmonicIrrep(O(3), int(degree), odd)))
    return DirectSum(tuple(blocks))


def to_e3nn(rep: AbstractRep) -> str:
    r"""A sum of irreps of O(3) as e3nn writes it, `"8x0e+4x1o"`; `e3nn_jax.Irreps(to_e3nn(rep))` is e3nn's object.

    The trivial, defining and determinant representations are 0e, 1o and 0o, with the same matrices.

    **Raises:** `GroupError` for another group, or blocks that are no irreps by name; `decompose(rep).sum` has such blocks.
    """
    if rep.group != O(3):
        raise GroupError(f"e3nn knows representations of O(3); this one, {rep}, is of {rep.group}.")
    return "+".join(f"{m}x{_name(block)}" for m, block in rep.blocks)


def _name(block: AbstractRep) -> str:
    named = {TrivialRep: "0e", DefiningRep: "1o", DeterminantRep: "0o"}
    if isinstance(block, HarmonicIrrep):
        return str(block)
    if type(block) in named:
        return named[type(block)]
    raise GroupError(f"{block} is not written as a sum of irreps, as e3nn needs it: use `decompose(rep).sum`.")
