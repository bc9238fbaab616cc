"""Pairs of a manifold and an action on it, isometric or not, that constructions of fields are asked about."""

from equivax.geometry import SPD, Hyperbolic, SpecialOrthogonal, Sphere, Stiefel
from equivax.symmetry import (
    GL,
    SE,
    SL,
    SO,
    SU,
    AffineAction,
    AngleAction,
    Cyclic,
    Dihedral,
    E,
    IndefiniteSO,
    LinearAction,
    Lorentz,
    O,
    PermutingAction,
    Poincare,
    PowerAction,
    Scaling,
    Similarity,
    Sp,
    Symmetric,
    Tetrahedral,
    Translations,
    U,
    USp,
    defining,
    trivial,
)


def left(G, p):
    """g x for matrices x with p columns."""
    return defining(G) * (p * trivial(G))


def conjugation(G):
    """g x g^-1."""
    return defining(G) * ~defining(G)


def congruence(G):
    """g x g^T."""
    return defining(G) * defining(G)


V = defining
AXIAL = V(SO(2)) + trivial(SO(2))

# Vectors, and several of them.
PLANE_SO2 = LinearAction(V(SO(2)))
PLANE_O2 = LinearAction(V(O(2)))
PLANE_C4 = LinearAction(V(Cyclic(4)))
PLANE_D3 = LinearAction(V(Dihedral(3)))
SPACE_SO3 = LinearAction(V(SO(3)))
TWO_VECTORS_O2 = PowerAction(PLANE_O2, 2)
TWO_VECTORS_SO3 = PowerAction(SPACE_SO3, 2)
THREE_VECTORS_O3 = PowerAction(LinearAction(V(O(3))), 3)
AXIS_SPACE = LinearAction(AXIAL)
# Actions that are not by isometries.
SCALING = LinearAction(V(Scaling(2)))
TWO_VECTORS_SL2 = PowerAction(LinearAction(V(SL(2))), 2)
THREE_VECTORS_GL2 = PowerAction(LinearAction(V(GL(2))), 3)
BOOSTS = LinearAction(V(IndefiniteSO(1, 1)))
TWO_MINKOWSKI = PowerAction(BOOSTS, 2)
SIMILARITY = PowerAction(AffineAction(Similarity(2)), 3)
# Affine actions by isometries.
TRANSLATIONS = PowerAction(AffineAction(Translations(2)), 2)
TWO_POINTS_SE2 = PowerAction(AffineAction(SE(2)), 2)
THREE_POINTS_E2 = PowerAction(AffineAction(E(2)), 3)
CLOUD_E2 = PermutingAction(AffineAction(E(2)), 3)
CLOUD_E3 = PermutingAction(AffineAction(E(3)), 4)
# Curved spaces.
SPHERE_AXIS = LinearAction(AXIAL, Sphere(2))
TORUS = AngleAction((1, -2, 0))
ROTATIONS_CONJUGATION = LinearAction(conjugation(SO(3)), SpecialOrthogonal(3))
ROTATIONS_LEFT = LinearAction(left(SO(3), 3), SpecialOrthogonal(3))
STIEFEL_LEFT = LinearAction(left(SO(3), 2), Stiefel(3, 2))
SPD_CONGRUENCE_O = LinearAction(congruence(O(2)), SPD(2))
SPD_CONGRUENCE_GL = LinearAction(congruence(GL(2)), SPD(2))
HYPERBOLIC_TURNS = LinearAction(trivial(SO(2)) + V(SO(2)), Hyperbolic(2))
TWO_HYPERBOLIC = PowerAction(LinearAction(V(Lorentz(2)), Hyperbolic(2)), 2)
# Other classical groups: complex, quaternionic, symplectic, in more dimensions.
COMPLEX_U2 = LinearAction(V(U(2)))
TWO_SPINORS_SU2 = PowerAction(LinearAction(V(SU(2))), 2)
QUATERNION_USP1 = LinearAction(V(USp(1)))
TWO_VECTORS_SP1 = PowerAction(LinearAction(V(Sp(1))), 2)
TWO_VECTORS_SP2 = PowerAction(LinearAction(V(Sp(2))), 2)
THREE_VECTORS_SO4 = PowerAction(LinearAction(V(SO(4))), 3)
TWO_VECTORS_LORENTZ = PowerAction(LinearAction(V(Lorentz(2))), 2)
EVENTS_POINCARE = PowerAction(AffineAction(Poincare(1)), 3)
# Points without names.
VECTORS_O2 = PermutingAction(PLANE_O2, 3)
CLOUD_SE2 = PermutingAction(AffineAction(SE(2)), 3)
CLOUD_SPHERE = PermutingAction(LinearAction(V(O(3)), Sphere(2)), 3)
CLOUD_HYPERBOLIC = PermutingAction(LinearAction(V(Lorentz(2)), Hyperbolic(2)), 2)
# Positions and momenta.
PHASE_PLANE_O2 = LinearAction(2 * V(O(2)))
PARTICLES_O2 = PermutingAction(PHASE_PLANE_O2, 2)
# Spheres in complex space, pairs of columns about an axis, and finite groups.
SPHERE_U2 = LinearAction(V(U(2)), Sphere(3))
TWO_ON_SPHERE = PowerAction(LinearAction(V(SO(3)), Sphere(2)), 2)
STIEFEL_AXIS = LinearAction(AXIAL * (2 * trivial(SO(2))), Stiefel(3, 2))
SPACE_TETRAHEDRAL = LinearAction(V(Tetrahedral()))
NUMBERS_S3 = LinearAction(V(Symmetric(3)))
