"""A group of your own in two arrays, and the equivariant maps between its representations."""

import numpy as np

from equivax.symmetry import GroupError, MatrixGroup, basis, defining, invariants

# Turning a molecule about its axis, and flipping it upside down.
turn = [[0, -1, 0], [1, 0, 0], [0, 0, 0]]
flip = np.diag([1.0, -1.0, -1.0])
G = MatrixGroup(lie_algebra=[turn], discrete_generators=[flip], name="D∞")

V = defining(G)
print(f"equivariant linear maps V -> V:            {len(basis(V >> V))}")
print(f"equivariant quadratic maps Sym^2 V -> V:   {len(basis(V.sym(2) >> V))}")
print(f"invariant polynomials of degree 2:         {len(invariants(V.sym(2)))}")
found = basis(V >> V)
print(f"rank decided by a gap of {found.gap:.0e}, residual {found.residual:.0e}; the maps are\n{found.matrices}")

# Generators that do not make a group are refused, and the message says which bracket is missing.
try:
    MatrixGroup(lie_algebra=[turn, [[0, 0, -1], [0, 0, 0], [1, 0, 0]]])
except GroupError as error:
    print(f"refused: {error}")
