"""Irreducible representations by name: of C_n, D_n, SO(2), O(2), SO(3), O(3), SU(2), and of every finite group."""

import math

from ._classical import SO, O
from ._errors import GroupError
from ._finite import Cyclic, Dihedral
from ._group import AbstractGroup
from ._irreps_finite import FiniteIrrep, finite_irreps
from ._irreps_planar import PlanarIrrep
from ._irreps_rotations import HarmonicIrrep, spin_irrep
from ._rep import AbstractRep
from ._unitary import SU


def irrep(group: AbstractGroup, k: int | float, odd: bool = False) -> AbstractRep:
    r"""A real irreducible representation of a group, by its label $k$.

    | group | $k$ | dimension |
    |---|---|---|
    | SO(2), O(2), `Cyclic(n)`, `Dihedral(n)` | frequency 0, 1, ..., at most $n/2$ | 2; 1 at $k = 0$ and at $2k = n$ |
    | SO(3), O(3) | degree $l$ = 0, 1, 2, ... of spherical harmonics | $2l + 1$ |
    | SU(2) | spin $j$ = 0, 1/2, 1, ... | $2j + 1$; twice that for half-odd $j$ |
    | any other finite group | position in `irreps(group)` | |

    `odd` is the parity: of the one-dimensional irreps of O(2) and `Dihedral(n)` under reflections, of the irreps of O(3)
    under $-1$.

    **Raises:** `GroupError` when there is no such irrep, or for a group whose irreps have no names here.
    """
    if isinstance(group, Cyclic | Dihedral) or group in (SO(2), O(2)):
        return PlanarIrrep(group, _whole(group, k), odd)
    if group in (SO(3), O(3)):
        return HarmonicIrrep(group, _whole(group, k), odd)
    if odd:
        raise GroupError(f"`odd` is a label of irreps of O(2), Dihedral(n) and O(3), not of {group}.")
    if group == SU(2):
        return spin_irrep(group, k)
    if group.is_finite:
        return FiniteIrrep(group, _whole(group, k))
    raise GroupError(
        f"irrep(G, k) knows the irreps of SO(2), O(2), SO(3), O(3), SU(2) and of finite groups, not of {group}. Those in a "
        "given representation are found by `decompose(rep)`."
    )


def _whole(group: AbstractGroup, k: int | float) -> int:
    if not math.isfinite(k) or k != int(k):
        raise GroupError(f"The irreps of {group} are labelled by whole numbers, received {k!r}.")
    return int(k)


def irreps(group: AbstractGroup, highest: int | float | None = None) -> tuple[AbstractRep, ...]:
    r"""The real irreducible representations of a group, the trivial one first.

    All of them for a finite group: by frequency for `Cyclic(n)` and `Dihedral(n)`, by dimension otherwise. For SO(2),
    O(2), SO(3), O(3) and SU(2), which have infinitely many, those of label `highest` at most (see `irrep`).

    With $e_i = \dim \mathrm{End}_G(V_i)$, 1, 2 or 4 as $V_i$ is of real, complex or quaternionic type, those of a finite group
    satisfy $\sum_i (\dim V_i)^2 / e_i = |G|$.

    **Raises:** `GroupError` for an infinite group without `highest`, or whose irreps have no names here.
    """
    if isinstance(group, Cyclic | Dihedral):
        return tuple(_with_parities(group, range(group.n // 2 + 1)))
    if group.is_finite:
        return tuple(FiniteIrrep(group, i) for i in range(len(finite_irreps(group))))
    irrep(group, 0)
    if highest is None:
        raise GroupError(
            f"{group} has infinitely many irreps: a list needs `highest`, the largest label, as in irreps(group, 4); "
            "a single one needs `irrep(group, k)`."
        )
    if group == SU(2):
        return tuple(spin_irrep(group, twice / 2) for twice in range(int(2 * highest) + 1))
    return tuple(_with_parities(group, range(int(highest) + 1)))


def _with_parities(group: AbstractGroup, labels: range) -> list[AbstractRep]:
    """The irreps of each label, where there are two of them the even one first."""
    found = []
    for k in labels:
        found.append(irrep(group, k))
        one_dimensional = found[-1].dim == 1 and (isinstance(group, Dihedral) or group == O(2))
        if one_dimensional or group == O(3):
            found.append(irrep(group, k, odd=True))
    return found
