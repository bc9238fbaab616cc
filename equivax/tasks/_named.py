"""Groups, features, solvers and steps, by what they are called on the command line."""

import math
import re
from typing import NamedTuple

import diffrax
import numpy as np

from .._types import LinearMap
from ..dynamics import InvariantController, Steps
from ..fields import looks
from ..symmetry import SO, AbstractGroup, AbstractRep, Cyclic, Dihedral, MatrixGroup, O, irrep, regular, trivial
from ._errors import TaskError

# Left and right exchanged. The reflection in `Dihedral(1)` is that in the horizontal line, which turns things upside down.
MIRROR = MatrixGroup(discrete_generators=[[[-1.0, 0.0], [0.0, 1.0]]], name="mirror")


def group_named(name: str) -> AbstractGroup:
    """The planar group that a name such as `C8`, `D4`, `SO2`, `O2` or `mirror` means.

    **Raises:** `TaskError` for any other name.
    """
    if name == "mirror":
        return MIRROR
    if name in ("SO2", "O2"):
        return SO(2) if name == "SO2" else O(2)
    if match := re.fullmatch(r"([CD])([1-9]\d?)", name):
        return (Cyclic if match[1] == "C" else Dihedral)(int(match[2]))
    raise TaskError(f"the group {name!r} is not known here. Use C<n> or D<n> with n from 1 to 99, SO2, O2 or mirror.")


def turns_of(group: AbstractGroup) -> int | None:
    """The number of turns in a planar group, without its reflections; None for all turns."""
    mirrored = any(np.linalg.det(h) < 0 for h in group.discrete_generators)
    return group.order // (1 + mirrored) if group.is_finite else None


def cosets_of(group: AbstractGroup, turns: int) -> tuple[tuple[float, float], ...]:
    """Angles and weights of an average over the turns between two of a finite group; one angle, 0, for all other groups.

    With reflections, which turn the other way round, each angle comes with both signs: the average keeps them exactly. A group
    of less than four turns is taken at its word: who asks for half turns does not mean all turns.
    """
    n = turns_of(group)
    if n is None or n < 4:
        return ((0.0, 1.0),)
    mirrored = group.order > n
    step = 2 * math.pi / n / turns
    between = [(sign * step * j, 1 / turns) for j in range(1, turns) for sign in (1, -1)[: 1 + mirrored]]
    return ((0.0, 1 / turns), *((angle, weight / (1 + mirrored)) for angle, weight in between))


class Symmetry(NamedTuple):
    """What acts on an image: a group of the plane about its centre, and linear maps by which it is moved to be looked at."""

    group: AbstractGroup
    maps: tuple[LinearMap, ...]
    """The identity, changes of scale and stretches (`fields.looks`)."""
    copies: int
    """How many copies of the group's feature have as many numbers as one of C8: 8 for the trivial group, else 1."""


def symmetry_named(name: str, scales: int | None) -> Symmetry:
    """The symmetry that a name means: as for `group_named`, and `scale`, `similarity`, `affine`.

    The first two have four scales unless told otherwise. The last has three, each of them as it is and in four
    stretches: fifteen looks.

    **Raises:** `TaskError` for any other name, and for no scale at all.
    """
    if scales is not None and scales < 1:
        raise TaskError(f"scales is {scales}; expected 1, for no more than the image itself, or more.")
    if name == "scale":
        return Symmetry(Cyclic(1), looks(scales or 4), 8)
    if name == "similarity":
        return Symmetry(Cyclic(8), looks(scales or 4), 1)
    if name == "affine":
        return Symmetry(Cyclic(8), looks(scales or 3, stretched=True), 1)
    try:
        return Symmetry(group_named(name), looks(scales or 1), 1)
    except TaskError as error:
        raise TaskError(
            f"{error}"[:-1]
            + "; on whole images also scale, similarity for C8 and scale, affine for those and stretches."
        ) from None


def features(group: AbstractGroup, width: int) -> AbstractRep:
    """`width` copies of the regular representation of a finite group, or of weights 0 to 3 of SO(2) and O(2)."""
    if group.is_finite:
        return width * regular(group)
    return width * trivial(group) + width * irrep(group, 1) + width * irrep(group, 2) + width * irrep(group, 3)


def solver_named(name: str) -> diffrax.AbstractSolver:
    """The explicit solver of Diffrax with this name; `TaskError` for any other."""
    explicit = {
        c.__name__: c
        for c in (
            diffrax.Euler,
            diffrax.Heun,
            diffrax.Midpoint,
            diffrax.Ralston,
            diffrax.Bosh3,
            diffrax.Tsit5,
            diffrax.Dopri5,
        )
    }
    if name not in explicit:
        raise TaskError(f"the solver {name!r} is not known here. Use one of {', '.join(explicit)}.")
    return explicit[name]()


def controller_of(solver: str, rtol: float | None, steps: int) -> Steps | InvariantController:
    """So many equal steps, or, with a tolerance, adaptive ones; `TaskError` when the solver has no error to adapt to."""
    if rtol is None:
        return Steps(steps)
    if solver == "Euler":
        raise TaskError("adaptive steps (--rtol) need a solver with an error estimate, such as Bosh3 or Tsit5.")
    return InvariantController(diffrax.PIDController(rtol=rtol, atol=1e-2 * rtol))
