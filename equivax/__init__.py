"""Equivariant neural differential equations: on any manifold, under any group, in JAX.

Seven shelves, in reading order; each imports only those before it.
"""

from . import geometry as geometry
from . import symmetry as symmetry
