"""Moving frames of the pairs: what `InvariantField` is built from in the tests."""

import jax.numpy as jnp
import pairs

from equivax.fields import (
    boost_frame,
    columns_frame,
    congruence_frame,
    gram_schmidt_frame,
    group_frame,
    lorentz_frame,
    polar_frame,
    similarity_frame,
    translation_frame,
)


def row(x):
    """The point itself, as the one vector there is."""
    return x[None]


def differences(i):
    """From point i to the others."""
    return lambda x: jnp.delete(x, i, axis=0, assume_unique_indices=True) - x[i][None]


def mean(x):
    """The centre of several points."""
    return jnp.mean(x, axis=0)


def axis(x):
    """sin(angle) times the axis of a rotation."""
    return jnp.stack([x[2, 1] - x[1, 2], x[0, 2] - x[2, 0], x[1, 0] - x[0, 1]])[None] / 2


def order(*indices):
    """Some of the points, in this order."""
    return lambda x: x[jnp.asarray(indices)]


def rigid(action, points):
    """Euclidean frames about the mean, by the differences from each of the points."""
    return [gram_schmidt_frame(action, differences(i), mean) for i in range(points)]


# name -> (frames, options of the field).
FRAMES = {
    "PLANE_SO2": ([polar_frame(pairs.PLANE_SO2, lambda x: x)], {}),
    "PLANE_O2": ([polar_frame(pairs.PLANE_O2, lambda x: x)], {}),
    "SPACE_SO3": ([gram_schmidt_frame(pairs.SPACE_SO3, row)], {}),
    "TWO_VECTORS_O2": (
        [gram_schmidt_frame(pairs.TWO_VECTORS_O2, order(*i)) for i in ((0, 1), (1, 0))],
        {"vanish": True},
    ),
    "TWO_VECTORS_SO3": (
        [gram_schmidt_frame(pairs.TWO_VECTORS_SO3, order(*i)) for i in ((0, 1), (1, 0))],
        {"vanish": True},
    ),
    "THREE_VECTORS_O3": (
        [gram_schmidt_frame(pairs.THREE_VECTORS_O3, order(*i)) for i in ((0, 1, 2), (1, 2, 0), (2, 0, 1))],
        {"vanish": True},
    ),
    "AXIS_SPACE": ([polar_frame(pairs.AXIS_SPACE, lambda x: x[:2])], {}),
    "SCALING": ([similarity_frame(pairs.SCALING, row)], {}),
    "TWO_VECTORS_SL2": ([columns_frame(pairs.TWO_VECTORS_SL2, lambda x: x)], {"vanish": True}),
    "THREE_VECTORS_GL2": ([columns_frame(pairs.THREE_VECTORS_GL2, order(*i)) for i in ((0, 1), (1, 2), (2, 0))], {}),
    "BOOSTS": ([boost_frame(pairs.BOOSTS, lambda x: x, spacelike=s) for s in (False, True)], {"vanish": True}),
    "TWO_MINKOWSKI": (
        [boost_frame(pairs.TWO_MINKOWSKI, lambda x, i=i: x[i], spacelike=s) for i in (0, 1) for s in (False, True)],
        {"vanish": True},
    ),
    "SIMILARITY": ([similarity_frame(pairs.SIMILARITY, differences(i), mean) for i in range(3)], {}),
    "TRANSLATIONS": ([translation_frame(pairs.TRANSLATIONS, mean)], {}),
    "TWO_POINTS_SE2": (rigid(pairs.TWO_POINTS_SE2, 2), {}),
    "THREE_POINTS_E2": (rigid(pairs.THREE_POINTS_E2, 3), {"vanish": True}),
    "SPHERE_AXIS": ([polar_frame(pairs.SPHERE_AXIS, lambda x: x[:2])], {}),
    "TORUS": ([polar_frame(pairs.TORUS, lambda x: jnp.stack([jnp.cos(x[0]), jnp.sin(x[0])]))], {}),
    "ROTATIONS_CONJUGATION": ([gram_schmidt_frame(pairs.ROTATIONS_CONJUGATION, axis)], {"vanish": True}),
    "ROTATIONS_LEFT": ([group_frame(pairs.ROTATIONS_LEFT, lambda x: x)], {}),
    "STIEFEL_LEFT": ([gram_schmidt_frame(pairs.STIEFEL_LEFT, lambda x: x.T)], {}),
    "SPD_CONGRUENCE_O": (
        [polar_frame(pairs.SPD_CONGRUENCE_O, lambda x: jnp.stack([x[0, 0] - x[1, 1], 2 * x[0, 1]]), charge=2)],
        {},
    ),
    "SPD_CONGRUENCE_GL": ([congruence_frame(pairs.SPD_CONGRUENCE_GL)], {}),
    "HYPERBOLIC_TURNS": ([polar_frame(pairs.HYPERBOLIC_TURNS, lambda x: x[1:])], {}),
    "TWO_HYPERBOLIC": ([lorentz_frame(pairs.TWO_HYPERBOLIC, lambda x: x)], {"vanish": True}),
}
