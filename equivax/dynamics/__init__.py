"""How points move: the flow of a field, in adaptive steps that keep its symmetry, or in a fixed number of steps."""

from ._cascade import Cascade as Cascade
from ._controller import InvariantController as InvariantController
from ._flow import Flow as Flow
from ._steps import Steps as Steps
