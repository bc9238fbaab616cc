"""The objects that laws are asked about: one line each. Adding one to a list adds it to every test that runs over it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from template_manifold import Cylinder

from equivax.fields import (
    AbstractField,
    EquivariantMLP,
    Gated,
    GaussianJet,
    GradientField,
    Intertwiner,
    InvariantPotential,
    NetworkField,
    NormGate,
    Pointwise,
    SteerableLayer,
    SteerableOperator,
)
from equivax.fields import DifferentialInvariantField as SignalField
from equivax.geometry import (
    SPD,
    Euclidean,
    Grassmann,
    Hyperbolic,
    PixelGrid,
    Power,
    Product,
    Sphere,
    Stiefel,
    TangentBundle,
    Torus,
)
from equivax.symmetry import (
    GL,
    SE,
    SL,
    SO,
    SU,
    AbstractAction,
    Affine,
    Alternating,
    AngleAction,
    Cyclic,
    CyclicShifts,
    Dicyclic,
    Dihedral,
    DirectProduct,
    E,
    Galilei,
    Hyperoctahedral,
    Icosahedral,
    IndefiniteO,
    IndefiniteSO,
    Inhomogeneous,
    LinearAction,
    Lorentz,
    MatrixGroup,
    O,
    Octahedral,
    Parity,
    Poincare,
    ProductAction,
    RubiksCube,
    Scaling,
    SemidirectProduct,
    SignalAction,
    Similarity,
    Sp,
    Symmetric,
    Tetrahedral,
    TimeReversal,
    Translations,
    Trivial,
    TrivialAction,
    U,
    Unitriangular,
    USp,
    WreathProduct,
    defining,
    determinant,
    from_e3nn,
    induced,
    irrep,
    pulled_back,
    quotient,
    regular,
    restricted,
    rotation,
    tensors,
    trivial,
)

# Groups that users define: two arrays each.


def boosts_and_turns():
    """A basis of so(1, 3): A eta + eta A^T = 0 for eta = diag(-1, 1, 1, 1)."""
    return np.diag([-1.0, 1.0, 1.0, 1.0]) @ SO(4).lie_algebra


TURN = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
QUARTER_Z = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
THIRD_XYZ = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]

CYLINDER = MatrixGroup([TURN], [np.diag([1.0, 1.0, -1.0])], name="SO(2) x Z2")
LORENTZ = MatrixGroup(boosts_and_turns(), name="SO(1,3)")
CUBE = MatrixGroup(discrete_generators=[QUARTER_Z, THIRD_XYZ], name="cube rotations")
FULL_CUBE = MatrixGroup(discrete_generators=[QUARTER_Z, THIRD_XYZ, -np.eye(3)], name="cube")
X, Y, Z = np.eye(3)
SHEARS = MatrixGroup([np.outer(X, Y), np.outer(Y, Z), np.outer(X, Z)], name="Heisenberg")
SPECIAL_LINEAR = MatrixGroup(
    [[[1.0, 0.0], [0.0, -1.0]], [[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]], name="SL(2)"
)
QUATERNIONS = MatrixGroup(
    discrete_generators=[
        np.kron(rotation(np.pi / 2), np.diag([1.0, -1.0])).round(),
        np.kron(np.eye(2), rotation(np.pi / 2)).round(),
    ],
    name="Q8",
)
TWO_CIRCLES = DirectProduct(SO(2), SO(2))
TURNS_AND_SWAPS = DirectProduct(SO(2), Symmetric(3))
FINITE_PRODUCT = DirectProduct(Cyclic(3), Dihedral(2))
SQUARE = SemidirectProduct(DirectProduct(O(1), O(1)), Symmetric(2))
# Rotations of the plane in coordinates in which they are no rotations.
SKEWED = MatrixGroup([[[1.0, -2.0], [1.0, -1.0]]], name="SO(2), skewed")

GROUPS = [
    Trivial(),
    Trivial(3),
    Cyclic(1),
    Cyclic(2),
    Cyclic(3),
    Cyclic(4),
    Cyclic(8),
    Cyclic(12),
    Dihedral(1),
    Dihedral(3),
    Dihedral(4),
    Dihedral(8),
    Symmetric(2),
    Symmetric(3),
    Symmetric(4),
    Symmetric(5),
    SO(1),
    SO(2),
    SO(3),
    SO(4),
    O(1),
    O(2),
    O(3),
    O(4),
    TWO_CIRCLES,
    TURNS_AND_SWAPS,
    FINITE_PRODUCT,
    CYLINDER,
    LORENTZ,
    CUBE,
    FULL_CUBE,
    SHEARS,
    SPECIAL_LINEAR,
    QUATERNIONS,
    Dicyclic(2),
    Dicyclic(3),
    Parity(3),
    TimeReversal(3),
    Alternating(4),
    Alternating(5),
    CyclicShifts(5),
    Hyperoctahedral(3),
    RubiksCube(),
    Tetrahedral(),
    Tetrahedral(reflections=True),
    Octahedral(),
    Octahedral(reflections=True),
    Icosahedral(),
    Icosahedral(reflections=True),
    U(1),
    U(2),
    SU(2),
    SU(3),
    USp(2),
    GL(2),
    GL(3),
    SL(2),
    SL(3),
    Sp(1),
    Sp(2),
    Scaling(2),
    Unitriangular(3),
    IndefiniteO(1, 2),
    IndefiniteSO(1, 2),
    IndefiniteSO(2, 2),
    Lorentz(),
    Lorentz(full=True),
    Translations(2),
    SE(2),
    SE(3),
    E(2),
    E(3),
    Inhomogeneous(Dihedral(4)),
    Similarity(2),
    Affine(2),
    Poincare(),
    Poincare(1, full=True),
    Galilei(),
    SQUARE,
    SemidirectProduct(SO(2), O(2)),
    WreathProduct(Cyclic(3), Symmetric(3)),
    WreathProduct(SO(2), Symmetric(2)),
    SKEWED,
]

V = {G: defining(G) for G in GROUPS}

REPS = [
    trivial(SO(3)),
    determinant(O(3)),
    determinant(SPECIAL_LINEAR),
    V[Symmetric(4)],
    regular(Cyclic(1)),
    regular(Cyclic(8)),
    regular(Dihedral(4)),
    regular(CUBE),
    regular(FINITE_PRODUCT),
    irrep(Cyclic(8), 3),
    irrep(Cyclic(8), 4),
    irrep(Dihedral(3), 1),
    irrep(Dihedral(4), 2, odd=True),
    irrep(SO(2), 5),
    irrep(O(2), 3),
    irrep(O(2), 0, odd=True),
    2 * irrep(SO(2), 1) + irrep(SO(2), 2) + trivial(SO(2)),
    regular(Dihedral(3)) + 2 * irrep(Dihedral(3), 1),
    ~V[LORENTZ],
    ~(V[SPECIAL_LINEAR] + trivial(SPECIAL_LINEAR)),
    V[SO(3)] ** 2,
    V[LORENTZ] * ~V[LORENTZ],
    irrep(O(2), 1) * irrep(O(2), 2),
    V[SHEARS] >> V[SHEARS],
    V[SO(4)] >> V[SO(4)].alt(2),
    V[SO(3)].sym(3),
    V[SPECIAL_LINEAR].sym(3),
    V[SO(2)].sym(0),
    V[SO(4)].alt(2),
    V[LORENTZ].alt(2),
    V[O(3)].alt(3),
    V[O(2)].sym(2) * determinant(O(2)),
    (V[CYLINDER].sym(2) + determinant(CYLINDER)) * V[CYLINDER],
    pulled_back(irrep(SO(2), 2), TWO_CIRCLES, 0) * pulled_back(irrep(SO(2), 1), TWO_CIRCLES, 1),
    pulled_back(V[Symmetric(3)], TURNS_AND_SWAPS, 1) * pulled_back(irrep(SO(2), 1), TURNS_AND_SWAPS, 0),
    pulled_back(regular(Cyclic(3)), FINITE_PRODUCT, 0),
    V[QUATERNIONS] ** 2,
    irrep(SO(3), 2),
    irrep(O(3), 3, odd=True),
    irrep(SU(2), 1),
    irrep(SU(2), 1.5),
    irrep(Alternating(5), 2),
    irrep(QUATERNIONS, 4),
    V[SO(3)].sym(4),
    V[SU(2)].alt(2),
    tensors(SPECIAL_LINEAR, 2, 1),
    restricted(irrep(O(3), 2), CYLINDER),
    induced(irrep(Cyclic(4), 1), Dihedral(4)),
    quotient(CUBE, DirectProduct(Cyclic(4), Trivial(1))),
    from_e3nn("2x0e + 1o + 2e"),
]

MANIFOLDS = [
    Sphere(2),
    Torus(2),
    Product(Sphere(2), Euclidean(2)),
    Power(Sphere(1), 3),
    Hyperbolic(2),
    Stiefel(3, 2),
    Grassmann(4, 2),
    SPD(2),
    TangentBundle(Sphere(2)),
    Cylinder(),
]

GRID = PixelGrid(8, 8)
AXIAL = irrep(SO(2), 1) + trivial(SO(2))

ACTIONS = [
    LinearAction(V[SO(3)], Sphere(2)),
    LinearAction(V[LORENTZ]),
    LinearAction(AXIAL, Sphere(2)),
    LinearAction(regular(Dihedral(3))),
    AngleAction((1, -2, 0)),
    TrivialAction(O(2), Sphere(1)),
    ProductAction(LinearAction(V[SO(2)], Sphere(1)), AngleAction((1, 3))),
    SignalAction(irrep(O(2), 1), GRID),
    SignalAction(regular(Cyclic(8)), GRID),
    SignalAction(trivial(Dihedral(4)), PixelGrid(4, 6)),
]


class Chase(AbstractField):
    """Angles that follow one another, (w_i sum_j sin(x_j / w_j - x_i / w_i)) for w = (1, 1): a user's own field."""

    action: AngleAction = AngleAction((1, 1))

    def __call__(self, t: Any, x: Any, args: Any = None) -> Any:
        return jnp.sin(x[::-1] - x) + jnp.cos(x[0] - x[1])


class MinkowskiGrowth(AbstractField):
    """<x, x> x + x sin(t) with the Minkowski product: equivariant under a group that has no invariant norm."""

    action: LinearAction = LinearAction(V[LORENTZ])

    def __call__(self, t: Any, x: Any, args: Any = None) -> Any:
        square = jnp.sum(jnp.asarray([-1.0, 1.0, 1.0, 1.0], x.dtype) * x * x)
        return square * x + jnp.sin(t) * x


KEY = jax.random.key(2025)


def signal_field(rep, **options):
    return SignalField(rep, GRID, order=2, sigma=1.0, key=KEY, **options)


FIELDS = [
    (
        "network on the plane, O(2)",
        lambda: NetworkField(LinearAction(V[O(2)]), 2 * trivial(O(2)) + 2 * V[O(2)], key=KEY),
    ),
    (
        "network on the sphere, SO(2) about an axis",
        lambda: NetworkField(LinearAction(AXIAL, Sphere(2)), 3 * AXIAL, key=KEY),
    ),
    (
        "network in space, SO(3)",
        lambda: NetworkField(LinearAction(V[SO(3)]), trivial(SO(3)) + 2 * V[SO(3)], 1, key=KEY),
    ),
    ("network on sets, S_3", lambda: NetworkField(LinearAction(V[Symmetric(3)]), 3 * V[Symmetric(3)], 1, key=KEY)),
    (
        "gradient on the plane, C_4",
        lambda: GradientField(InvariantPotential(V[Cyclic(4)], 4, width=8, key=KEY), LinearAction(V[Cyclic(4)])),
    ),
    (
        "gradient on the sphere, SO(2) x Z2",
        lambda: GradientField(
            InvariantPotential(V[CYLINDER], 2, width=8, key=KEY), LinearAction(V[CYLINDER], Sphere(2))
        ),
    ),
    ("angles", Chase),
    ("Minkowski space", MinkowskiGrowth),
    ("signals, C_4 regular", lambda: signal_field(2 * regular(Cyclic(4)), knots=2)),
    ("signals, SO(2) irreps", lambda: signal_field(2 * trivial(SO(2)) + irrep(SO(2), 1) + irrep(SO(2), 2))),
    (
        "signals, D_4 reaction",
        lambda: 0.5 * signal_field(regular(Dihedral(4)), hidden=2 * irrep(Dihedral(4), 1) + trivial(Dihedral(4))),
    ),
    ("sum", lambda: (lambda f: f + 0.5 * f)(NetworkField(LinearAction(V[SO(2)]), 2 * V[SO(2)], 1, key=KEY))),
]


class AtTime(eqx.Module):
    """A potential as a map of points alone."""

    potential: Any

    def __call__(self, x: Any) -> Any:
        return self.potential(jnp.asarray(0.3, x.dtype), x)


def linear_map(make, rep_in, rep_out):
    return lambda: (make(), LinearAction(rep_in), LinearAction(rep_out))


def nonlinear(s):
    return lambda: (s, LinearAction(s.rep_in), LinearAction(s.rep))


def layer(rep_in, rep_out, target=GRID, order=2):
    def make():
        f = SteerableLayer(rep_in, rep_out, GaussianJet(GRID, target, order, 1.0), key=KEY)
        return f, f.action_in, f.action_out

    return make


def operator(rep_in, rep_out):
    f = SteerableOperator(rep_in, rep_out, GaussianJet(GRID, GRID, 3, 1.0), key=KEY)
    return lambda: (f, SignalAction(rep_in, GRID), SignalAction(rep_out, GRID))


MIXED = 2 * trivial(O(2)) + 2 * irrep(O(2), 1) + irrep(O(2), 2)

# Equivariant maps: (name, a function that makes (f, action_in, action_out)).
MAPS = [
    ("intertwiner", linear_map(lambda: Intertwiner(MIXED, V[O(2)] ** 2, key=KEY), MIXED, V[O(2)] ** 2)),
    (
        "intertwiner of Lorentz vectors",
        linear_map(lambda: Intertwiner(V[LORENTZ] ** 2, V[LORENTZ] ** 2, key=KEY), V[LORENTZ] ** 2, V[LORENTZ] ** 2),
    ),
    ("pointwise on regular", nonlinear(Pointwise(2 * regular(Dihedral(3))))),
    ("norm gate", nonlinear(NormGate(MIXED))),
    ("gated", nonlinear(Gated(MIXED))),
    (
        "multilayer perceptron",
        linear_map(
            lambda: EquivariantMLP(
                V[SO(3)], V[SO(3)].sym(2), 2 * trivial(SO(3)) + 2 * V[SO(3)] + V[SO(3)].sym(2), key=KEY
            ),
            V[SO(3)],
            V[SO(3)].sym(2),
        ),
    ),
    ("lifting to C_8", layer(trivial(Cyclic(8)), regular(Cyclic(8)))),
    ("lifting to D_4, down-sampling", layer(trivial(Dihedral(4)), regular(Dihedral(4)), GRID.coarsen(2))),
    ("O(2) irreps", layer(MIXED, MIXED, order=1)),
    ("third-order operator", operator(irrep(SO(2), 1), irrep(SO(2), 2))),
    (
        "potential",
        lambda: (
            AtTime(InvariantPotential(V[CUBE], 4, width=8, key=KEY)),
            LinearAction(V[CUBE]),
            TrivialAction(CUBE, Euclidean(())),
        ),
    ),
]


def name_of(thing: Any) -> str:
    """A short name for the test's id."""
    if isinstance(thing, tuple):
        return thing[0]
    if isinstance(thing, LinearAction | SignalAction):
        return f"{type(thing).__name__} of {thing.rep} of {thing.group}"
    if isinstance(thing, AbstractAction):
        return f"{type(thing).__name__} of {thing.group}"
    return f"{thing} of {thing.group}" if hasattr(thing, "rho") else str(thing)
