"""Maps that respect the action: intertwiners, nonlinearities, steerable operators, and the fields made of them."""

from ._field import AbstractField as AbstractField
from ._field import ScaledField as ScaledField
from ._field import SumField as SumField
from ._intertwiner import Bias as Bias
from ._intertwiner import Intertwiner as Intertwiner
from ._invariants import DifferentialInvariantField as DifferentialInvariantField
from ._jets import GaussianJet as GaussianJet
from ._knots import Knots as Knots
from ._network import EquivariantMLP as EquivariantMLP
from ._network import NetworkField as NetworkField
from ._nonlinear import AbstractNonlinearity as AbstractNonlinearity
from ._nonlinear import Gated as Gated
from ._nonlinear import NormGate as NormGate
from ._nonlinear import Pointwise as Pointwise
from ._nonlinear import default_nonlinearity as default_nonlinearity
from ._potential import GradientField as GradientField
from ._potential import InvariantPotential as InvariantPotential
from ._readout import InvariantPooling as InvariantPooling
from ._readout import InvariantReadout as InvariantReadout
from ._steerable import SteerableLayer as SteerableLayer
from ._steerable import SteerableOperator as SteerableOperator
from ._window import Disc as Disc
