"""What must be true, as functions: axioms of groups, representations, manifolds and actions; equivariance of maps.

Each law measures an error against a tolerance and returns a `Verdict`, or a `VerdictTable` of them: nothing is
asserted, nothing is printed. Tests, the audit after a training and the command line make the same calls.
"""

from ._actions import action_axioms as action_axioms
from ._elements import describe as describe
from ._elements import draw as draw
from ._elements import exact_elements as exact_elements
from ._elements import probe_elements as probe_elements
from ._equivariance import equivariance as equivariance
from ._equivariance import equivariance_by_element as equivariance_by_element
from ._equivariance import infinitesimal_equivariance as infinitesimal_equivariance
from ._equivariance import rejects as rejects
from ._frames import frame_axioms as frame_axioms
from ._groups import group_axioms as group_axioms
from ._irreps import decomposition_axioms as decomposition_axioms
from ._irreps import orthogonality_relations as orthogonality_relations
from ._lie_actions import lie_action_axioms as lie_action_axioms
from ._lipschitz_bound import lipschitz_bound as lipschitz_bound
from ._manifolds import manifold_axioms as manifold_axioms
from ._motion import field_equivariance as field_equivariance
from ._motion import flow_equivariance as flow_equivariance
from ._reps import invariance_of_basis as invariance_of_basis
from ._reps import representation_axioms as representation_axioms
from ._stability import dissipativity as dissipativity
from ._stability import lipschitz as lipschitz
from ._verdict import Verdict as Verdict
from ._verdict import VerdictTable as VerdictTable
from ._verdict import refuted as refuted
from ._verdict import rounding as rounding
