"""How points move: flows of fields by solvers, controllers and adjoints that keep the manifold and the symmetry."""

from ._backsolve import backsolve as backsolve
from ._cascade import Cascade as Cascade
from ._commutator_free import CommutatorFree as CommutatorFree
from ._controller import InvariantController as InvariantController
from ._crouch_grossman import CrouchGrossman as CrouchGrossman
from ._cycle import Cycle as Cycle
from ._filters import DigitalFilter as DigitalFilter
from ._flow import Flow as Flow
from ._lie_solver import AbstractLieSolver as AbstractLieSolver
from ._lie_solver import LieStep as LieStep
from ._lie_solver import Velocity as Velocity
from ._lie_term import AlgebraTerm as AlgebraTerm
from ._magnus import Magnus as Magnus
from ._projected import Projected as Projected
from ._reversible import Reversible as Reversible
from ._reversible_adjoint import ReversibleAdjoint as ReversibleAdjoint
from ._rkmk import RKMK as RKMK
from ._splitting import Splitting as Splitting
from ._steps import Steps as Steps
from ._tape_adjoint import TapeAdjoint as TapeAdjoint
