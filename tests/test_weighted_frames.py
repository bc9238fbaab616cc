"""Weighted frames make any network equivariant, continuously; the unweighted frame of principal axes does not."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest
from field_checks import (
    assert_equivariant_field,
    assert_equivariant_flow,
    assert_finite_derivatives,
    elements_of,
    flows,
    gap,
    point_of,
    size,
    some,
)

from equivax.dynamics import Flow, InvariantController
from equivax.fields import (
    AbstractFrame,
    AllElements,
    AngleFrame,
    BasisFrame,
    CentroidFrame,
    FrameAveragedField,
    GramSchmidtFrame,
    InvariantMetric,
    MovingFrames,
    PairedFrame,
    PlainMLP,
    PlanarFrame,
    ScaleFrame,
    SingleFrame,
    SortingFrame,
    boost_frame,
    canonicalise,
    columns_frame,
    lorentz_frame,
    similarity_frame,
)
from equivax.geometry import Conformal, Product, Sphere
from equivax.laws import field_equivariance
from equivax.symmetry import (
    GL,
    SE,
    SL,
    SO,
    Cyclic,
    Dihedral,
    E,
    GroupError,
    LinearAction,
    MatrixGroup,
    O,
    PowerAction,
    ProductAction,
    Scaling,
    Similarity,
    Symmetric,
    Translations,
    U,
    defining,
)

KEY = jax.random.key(3)


def columns(x):
    return x.T


def first_two(x):
    return x[None, :2]


def last_two(x):
    return x[None, 1:]


def gap_vector(S):
    return jnp.stack([S[0, 0] - S[1, 1], 2 * S[0, 1]])[None]


def centre(x):
    return jnp.mean(x, axis=0)


def from_first(x):
    return x[1:] - x[:1]


def flat(action):
    """The metric of R^n, in which no point is the origin."""
    return Conformal(action.space, lambda x: jnp.ones((), jnp.result_type(*jax.tree.leaves(x))))


def bases(action):
    """The metric of coordinates by each pair of three vectors."""
    choices = [jnp.asarray(i) for i in ((0, 1), (1, 2), (2, 0))]
    return InvariantMetric([columns_frame(action, lambda x, i=i: x[i]) for i in choices])


TURN_SO2, TURN_O2 = GramSchmidtFrame(SO(2)), GramSchmidtFrame(O(2))
CONFORMAL = MatrixGroup([[[0, -1], [1, 0]], np.eye(2)], [np.diag([1, -1])], name="R+ O(2)")
NUMBERS = LinearAction(defining(Symmetric(3)))
# A pair, and a frame of its group; for adaptive steps a metric that is invariant, where that of the space is not.
PAIRS = {
    "plane SO(2)": (pairs.PLANE_SO2, TURN_SO2, None),
    "plane O(2)": (pairs.PLANE_O2, TURN_O2, None),
    "plane C4": (pairs.PLANE_C4, AllElements(Cyclic(4)), None),
    "plane D3": (pairs.PLANE_D3, AllElements(Dihedral(3)), None),
    "two vectors O(2)": (pairs.TWO_VECTORS_O2, TURN_O2, None),
    "two vectors SO(3)": (pairs.TWO_VECTORS_SO3, GramSchmidtFrame(SO(3)), None),
    "three vectors O(3)": (pairs.THREE_VECTORS_O3, GramSchmidtFrame(O(3)), None),
    "space about an axis": (pairs.AXIS_SPACE, GramSchmidtFrame(SO(2), first_two), None),
    "translations": (pairs.TRANSLATIONS, CentroidFrame(Translations(2)), flat),
    "two points SE(2)": (pairs.TWO_POINTS_SE2, CentroidFrame(SE(2), TURN_SO2), flat),
    "three points E(2)": (pairs.THREE_POINTS_E2, CentroidFrame(E(2), TURN_O2), flat),
    "cloud E(2)": (
        pairs.CLOUD_E2,
        PairedFrame(CentroidFrame(E(2), TURN_O2), AllElements(Symmetric(3))),
        flat,
    ),
    "sphere about an axis": (pairs.SPHERE_AXIS, GramSchmidtFrame(SO(2), first_two), None),
    "torus": (pairs.TORUS, AngleFrame((1, -2, 0)), None),
    "rotations by SO(3)": (pairs.ROTATIONS_LEFT, GramSchmidtFrame(SO(3), columns), None),
    "Stiefel by SO(3)": (pairs.STIEFEL_LEFT, GramSchmidtFrame(SO(3), columns), None),
    "SPD by O(2)": (pairs.SPD_CONGRUENCE_O, PlanarFrame(O(2), gap_vector, (2,)), None),
    "hyperbolic plane turned": (pairs.HYPERBOLIC_TURNS, GramSchmidtFrame(SO(2), last_two), None),
    "phases U(1)": (LinearAction(2 * defining(U(1))), GramSchmidtFrame(U(1)), None),
    "numbers S3": (NUMBERS, SortingFrame(Symmetric(3)), None),
    "scalings": (
        pairs.SCALING,
        ScaleFrame(Scaling(2)),
        lambda a: InvariantMetric(similarity_frame(a, lambda x: x[None])),
    ),
    "similarities": (
        pairs.SIMILARITY,
        CentroidFrame(Similarity(2), ScaleFrame(CONFORMAL, TURN_O2)),
        lambda a: InvariantMetric(similarity_frame(a, from_first, centre)),
    ),
    "two vectors SL(2)": (
        pairs.TWO_VECTORS_SL2,
        BasisFrame(SL(2)),
        lambda a: InvariantMetric(columns_frame(a, lambda x: x)),
    ),
    "three vectors GL(2)": (
        pairs.THREE_VECTORS_GL2,
        BasisFrame(GL(2)),
        lambda a: InvariantMetric(
            [columns_frame(a, lambda x, i=i: x[jnp.asarray(i)]) for i in ((0, 1), (1, 2), (2, 0))]
        ),
    ),
}

for spot, (pair, moving) in {
    "boosts": (pairs.BOOSTS, [boost_frame(pairs.BOOSTS, lambda x: x, spacelike=s) for s in (False, True)]),
    "two points of the hyperbolic plane": (pairs.TWO_HYPERBOLIC, [lorentz_frame(pairs.TWO_HYPERBOLIC, lambda x: x)]),
}.items():
    PAIRS[spot] = (pair, MovingFrames(*moving), lambda _, moving=moving: InvariantMetric(moving))
NAMES = list(PAIRS)


def field_of(name, seed=0):
    action, frame, _ = PAIRS[name]
    return FrameAveragedField(PlainMLP(action.space, 8, 1, key=jax.random.key(seed)), frame, action)


@pytest.mark.parametrize("name", NAMES)
def test_any_network_is_made_equivariant(name):
    assert_equivariant_field(field_of(name))


@pytest.mark.parametrize("name", some(NAMES))
def test_in_single_precision_too(name):
    assert_equivariant_field(field_of(name), dtype=jnp.float32)


@flows(NAMES)
def test_flows_are_equivariant(name, dtype):
    # Sizes of points are invariant under linear isometries only; a metric that is not that of R^n says so.
    action, _, metric = PAIRS[name]
    assert_equivariant_flow(field_of(name), space=metric if metric is None else metric(action), t1=0.2, dtype=dtype)


# What a frame is.


@pytest.mark.parametrize("name", NAMES)
def test_frames_move_with_the_point_and_weigh_at_most_one(name):
    action, frame, _ = PAIRS[name]
    x = point_of(action)
    g, w = frame(x)
    assert np.all(w >= 0)
    assert 1e-3 < jnp.sum(w) <= 1 + 1e-12
    for h in elements_of(action)[-2:]:
        g_moved, w_moved = frame(action(h, x))
        # As measures: the sums of a function that tells elements apart.
        probe = jnp.asarray(np.random.default_rng(0).normal(size=g.shape[1:]))

        def mean(g, w, probe=probe):
            return jnp.sum(w * jnp.tanh(jnp.einsum("kij,ij->k", g, probe)))

        np.testing.assert_allclose(mean(g_moved, w_moved), mean(jnp.asarray(h) @ g, w), rtol=1e-9, atol=1e-9)


def mixed(t, x, args):
    """Equivariant under O(n) for points in order: no multiple of the point."""
    return jnp.roll(x, 1, 0) * jnp.sum(x[0] * x[1]) - jnp.cross(x[0], x[1])[None] * jnp.linalg.det(x) + t * x


def pairwise(t, x, args):
    """Equivariant under E(n) x S_n."""
    d = x[:, None] - x[None]
    return jnp.sum(d / (1 + jnp.sum(d * d, axis=-1, keepdims=True)), axis=1)


def squared(t, x, args):
    """Equivariant under congruence by O(n)."""
    return x @ x - t * x


@pytest.mark.parametrize(
    ("name", "network"), [("three vectors O(3)", mixed), ("cloud E(2)", pairwise), ("SPD by O(2)", squared)]
)
def test_an_equivariant_network_stays_what_it_was(name, network):
    action, frame, _ = PAIRS[name]
    x = point_of(action)
    expected = jnp.sum(frame(x)[1]) * network(0.3, x, None)
    np.testing.assert_allclose(FrameAveragedField(network, frame, action)(0.3, x), expected, rtol=1e-10, atol=1e-11)


def test_weights_are_trained_through_the_average():
    # A field that the frame's group allows, fitted in a few steps of gradient descent by the network inside.
    action = PAIRS["two vectors O(2)"][0]
    field = field_of("two vectors O(2)")
    xs = jax.vmap(lambda k: action.space.random_point(key=k, dtype=jnp.float64))(jax.random.split(KEY, 32))
    target = jnp.flip(xs, axis=1) * 0.5 - xs

    @eqx.filter_value_and_grad
    def loss(field):
        return jnp.mean((jax.vmap(lambda x: field(0.0, x))(xs) - target) ** 2)

    @eqx.filter_jit
    def train(field):
        def step(weights, _):
            value, grads = loss(eqx.combine(weights, rest))
            return jax.tree.map(lambda w, g: w - 0.1 * g, weights, grads), value

        weights, rest = eqx.partition(field, eqx.is_inexact_array)
        return jax.lax.scan(step, weights, None, length=100)[1]

    values = train(field)
    assert values[-1] < 0.3 * values[0]


def test_sorting_by_several_keys_covers_ties_of_one():
    action = LinearAction(2 * defining(Symmetric(3)))  # the first coordinates of three points, then the second ones

    def keys(x):
        x = x.reshape(2, 3)
        return jnp.stack([x[0], x[1], x[0] + x[1]])

    field = FrameAveragedField(PlainMLP(action.space, 8, 1, key=KEY), SortingFrame(Symmetric(3), keys), action)
    tied = jnp.asarray([1.0, 1.0, 2.0, 0.3, -0.2, 0.7])  # the first coordinates of two points agree
    assert_equivariant_field(field, tied)
    assert_finite_derivatives(field, tied)
    nearby = eqx.filter_jit(field)(0.3, tied + 1e-9 * jnp.asarray([1.0, -1.0, 0, 0, 0, 0]))
    other_side = eqx.filter_jit(field)(0.3, tied - 1e-9 * jnp.asarray([1.0, -1.0, 0, 0, 0, 0]))
    np.testing.assert_allclose(nearby, other_side, atol=1e-7)
    assert size(nearby) > 1e-2


def test_products_of_spaces_have_frames_too():
    action = ProductAction(pairs.SPHERE_AXIS, pairs.AXIS_SPACE)
    frame = GramSchmidtFrame(SO(2), lambda x: jnp.stack([x[0][:2], x[1][:2]]))
    field = FrameAveragedField(PlainMLP(Product(Sphere(2), pairs.AXIS_SPACE.space), 8, 1, key=KEY), frame, action)
    assert_equivariant_field(field)


# Where frames are singular.

CORNERS = {
    "plane O(2)": [np.zeros(2)],
    "two vectors O(2)": [np.zeros((2, 2)), np.array([[1.0, 0], [0, 0]]), np.ones((2, 2))],
    "two vectors SO(3)": [np.zeros((2, 3)), np.array([[1.0, 0, 0], [2.0, 0, 0]])],
    "three vectors O(3)": [np.zeros((3, 3)), np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 1.0, 0]])],
    "three points E(2)": [np.ones((3, 2)), np.array([[0, 0], [1.0, 0], [2.0, 0]])],
    "cloud E(2)": [np.ones((3, 2)), np.array([[0, 0], [1.0, 0], [1.0, 0]])],
    "sphere about an axis": [np.array([0, 0, 1.0]), np.array([0, 0, -1.0])],
    "torus": [np.array([np.pi, 0, 0]), np.zeros(3)],
    "rotations by SO(3)": [np.eye(3)],
    "SPD by O(2)": [np.eye(2)],
    "hyperbolic plane turned": [np.array([1.0, 0, 0])],
    "numbers S3": [np.zeros(3), np.array([1.0, 1.0, 2.0])],
    "scalings": [np.zeros(2)],
    "similarities": [np.ones((3, 2)), np.array([[0, 0], [1.0, 0], [2.0, 0]])],
    "two vectors SL(2)": [np.zeros((2, 2)), np.ones((2, 2))],
    "three vectors GL(2)": [np.zeros((3, 2)), np.ones((3, 2))],
}


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_derivatives_are_finite_where_frames_are_singular(name, dtype):
    field = field_of(name)
    for x in CORNERS[name]:
        assert_finite_derivatives(field, jnp.asarray(x, dtype), dtype)


# Centre, direction: a singular point and a way to approach it, on the space.
APPROACHES = {
    "plane O(2)": lambda s, v: s * v[:2],
    "two vectors SO(3)": lambda s, v: jnp.asarray([[1.0, 0, 0], [2.0, 0, 0]]) + s * v[:6].reshape(2, 3),
    "sphere about an axis": lambda s, v: Sphere(2).project(jnp.asarray([0, 0, 1.0]) + s * v[:3]),
    "SPD by O(2)": lambda s, v: jnp.eye(2) + s * (v[:4].reshape(2, 2) + v[:4].reshape(2, 2).T),
    "numbers S3": lambda s, v: jnp.asarray([1.0, 1.0, 2.0]) + s * v[:3],
    "two vectors SL(2)": lambda s, v: jnp.ones((2, 2)) + s * v[:4].reshape(2, 2),
    "scalings": lambda s, v: s * v[:2],
}


@pytest.mark.parametrize("name", APPROACHES)
def test_the_field_is_continuous_where_all_weights_vanish(name):
    field = eqx.filter_jit(field_of(name))
    ways = np.random.default_rng(1).normal(size=(4, 9))
    sizes = [max(size(field(0.3, APPROACHES[name](s, jnp.asarray(v)))) for v in ways) for s in (1e-3, 1e-4)]
    # From every side it falls to 0, at least as fast as the distance.
    assert sizes[1] < 0.2 * sizes[0] < 0.2


def test_isotropy_is_respected_at_the_poles():
    field = field_of("sphere about an axis")
    np.testing.assert_allclose(field(0.3, jnp.asarray([0, 0, 1.0])), 0, atol=1e-15)


# Unweighted frames, and what they cost.


class PrincipalAxes(AbstractFrame):
    """The eigenvectors of the covariance with all signs, unweighted: Puny et al. 2022."""

    group: O = eqx.field(static=True)

    def __call__(self, x):
        _, axes = jnp.linalg.eigh(x.T @ x)
        signs = jnp.asarray([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], x.dtype)
        return axes[None] * signs[:, None, :], jnp.full(4, 0.25, x.dtype)


def test_unweighted_frames_jump_where_axes_change_places_and_weighted_ones_do_not():
    action = PowerAction(LinearAction(defining(O(2))), 2)
    network = PlainMLP(action.space, 8, 1, key=KEY)
    round_ = jnp.eye(2)  # both principal axes are equal
    s = jnp.asarray([[1e-7, 0], [0, 0]])
    jumps = []
    for frame in (PrincipalAxes(O(2)), GramSchmidtFrame(O(2))):
        field = eqx.filter_jit(FrameAveragedField(network, frame, action))
        jumps.append(gap(field(0.0, round_ + s), field(0.0, round_ - s)))
    assert jumps[0] > 1e-2
    assert jumps[1] < 1e-6


def test_adaptive_solvers_pay_for_the_jumps_of_unweighted_frames():
    # A network that stretches the short axis and shrinks the long one: the flow runs into a round configuration.
    action = PowerAction(LinearAction(defining(O(2))), 2)
    mlp = PlainMLP(action.space, 16, 1, key=jax.random.key(0))

    def network(t, x, args):
        return mlp(t, x) + x * jnp.asarray([[1.0, -1.0]])

    controller = InvariantController(diffrax.PIDController(rtol=1e-6, atol=1e-8))
    x, g = point_of(action, seed=100), elements_of(action)[-1]
    steps, finished = [], []
    for frame in (PrincipalAxes(O(2)), GramSchmidtFrame(O(2))):
        field = FrameAveragedField(network, frame, action)
        flow = Flow(field, action.space, diffrax.Tsit5(), controller, t1=3.0, max_steps=2000)

        @jax.jit
        def end(x, flow=flow):
            solution = flow.solve(x, throw=False)
            return solution.ys[-1], solution.stats["num_steps"], solution.result == diffrax.RESULTS.successful

        (y, n, done), (z, as_many, _) = end(x), end(action(g, x))
        steps.append(int(n))
        finished.append(bool(done))
    assert finished == [False, True]
    assert steps[0] == 2000, "it would take some fifty thousand"
    assert steps[1] == as_many <= 20
    assert gap(action(g, y), z) < 1e-10


# Canonicalisation, and what is refused.


def test_a_moving_frame_canonicalises_any_network():
    frame = lorentz_frame(pairs.TWO_HYPERBOLIC, lambda x: x)
    network = PlainMLP(pairs.TWO_HYPERBOLIC.space, 8, 1, key=KEY)
    assert_equivariant_field(canonicalise(network, frame, pairs.TWO_HYPERBOLIC))


def test_shapes_that_do_not_fit_are_refused():
    action, frame, _ = PAIRS["two vectors SO(3)"]
    with pytest.raises(ValueError, match=r"f64\[2,3\].*returned f64\[6\]"):
        FrameAveragedField(lambda t, x, args: x.reshape(-1), frame, action)(0.0, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="frame of SO"):
        FrameAveragedField(PlainMLP(pairs.PLANE_SO2.space, key=KEY), TURN_O2, pairs.PLANE_SO2)
    with pytest.raises(ValueError, match="at least 2 vectors of 3"):
        GramSchmidtFrame(SO(3))(jnp.ones(3))
    with pytest.raises(GroupError, match="AllElements"):
        GramSchmidtFrame(Cyclic(4))
    with pytest.raises(GroupError, match=r"SO\(2\), O\(2\) or U\(1\)"):
        PlanarFrame(SO(n=3), gap_vector, (2,))
    with pytest.raises(ValueError, match="not 0"):
        PlanarFrame(SO(2), gap_vector, (0,))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        PlanarFrame(SO(2), gap_vector, (2, 1))(jnp.eye(2))
    with pytest.raises(ValueError, match="turns no angle"):
        AngleFrame((0, 0))
    with pytest.raises(GroupError, match="not finite"):
        AllElements(SO(2))
    with pytest.raises(GroupError, match=r"GL\(n\) or SL\(n\)"):
        BasisFrame(SO(2))
    with pytest.raises(ValueError, match="needs 2 vectors"):
        BasisFrame(GL(2))(jnp.ones((1, 2)))
    with pytest.raises(ValueError, match="2 x 2 matrices"):
        CentroidFrame(SE(2), GramSchmidtFrame(SO(3)))


def test_a_frame_that_does_not_move_with_the_point_is_noticed():
    lazy = SingleFrame(SO(2), lambda x: jnp.eye(2))
    field = FrameAveragedField(PlainMLP(pairs.PLANE_SO2.space, 8, 1, key=KEY), lazy, pairs.PLANE_SO2)
    assert not field_equivariance(field, point_of(pairs.PLANE_SO2), t=0.3, key=KEY).passed
    # Rotations are not reflections: a frame of SO(2) does not do for O(2).
    turning = FrameAveragedField(PlainMLP(pairs.PLANE_SO2.space, 8, 1, key=KEY), TURN_SO2, pairs.PLANE_SO2)
    wider = eqx.tree_at(lambda f: f.action, turning, pairs.PLANE_O2)
    assert not field_equivariance(wider, point_of(pairs.PLANE_O2), t=0.3, key=KEY).passed
