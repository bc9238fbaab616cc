"""Groups, features, solvers and steps, by what they are called on the command line."""

import re

import diffrax

from ..dynamics import InvariantController, Steps
from ..symmetry import SO, AbstractGroup, AbstractRep, Cyclic, Dihedral, O, irrep, regular, trivial
from ._errors import TaskError


def group_named(name: str) -> AbstractGroup:
    """The planar group that a name such as `C8`, `D4`, `SO2` or `O2` means.

    **Raises:** `TaskError` for any other name.
    """
    if name in ("SO2", "O2"):
        return SO(2) if name == "SO2" else O(2)
    if match := re.fullmatch(r"([CD])([1-9]\d?)", name):
        return (Cyclic if match[1] == "C" else Dihedral)(int(match[2]))
    raise TaskError(f"the group {name!r} is not known here. Use C<n> or D<n> with n from 1 to 99, SO2 or O2.")


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
