"""Group convolutions are steerable operators and their residual layers Euler steps: equal output, and back again."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.dynamics import Flow, Steps
from equivax.fields import (
    DifferentialInvariantField,
    Disc,
    GaussianJet,
    SteerableOperator,
    convolution_of_field,
    field_of_convolution,
    filter_from_operator,
    operator_from_filter,
)
from equivax.geometry import PixelGrid
from equivax.symmetry import SO, Cyclic, Dihedral, GroupError, defining, regular, trivial

KEY = jax.random.key(3)
GRID = PixelGrid(8, 8)
PAIRS = {
    "lift of C4": (trivial(Cyclic(4)), regular(Cyclic(4))),
    "C8": (regular(Cyclic(8)), 2 * regular(Cyclic(8))),
    "D3": (regular(Dihedral(3)), trivial(Dihedral(3)) + regular(Dihedral(3))),
    "SO(2)": (trivial(SO(2)) + defining(SO(2)), 2 * defining(SO(2))),
}


def operator(name, reach=None):
    return SteerableOperator(*PAIRS[name], GaussianJet(GRID, GRID, 2, 0.9, reach=reach), key=KEY)


@pytest.mark.parametrize(("name", "reach"), [("lift of C4", None), ("C8", 2.0), ("D3", 3.0), ("SO(2)", 1.0)])
def test_an_operator_is_a_convolution(name, reach):
    P = operator(name, reach)
    u = jax.random.normal(KEY, (GRID.size, P.rep_in.dim))
    K = filter_from_operator(P)
    assert K.shape[0] == (11 if reach is None else 2 * reach + 1)
    image = GRID.unflatten(u)[None]
    v = jax.lax.conv_general_dilated(
        image, K.astype(u.dtype), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    np.testing.assert_allclose(GRID.flatten(v), P(u), atol=(2e-5 if reach is None else 1e-6) * float(jnp.abs(v).max()))


@pytest.mark.parametrize("name", PAIRS)
def test_and_back_again(name):
    P = operator(name)
    Q = operator_from_filter(filter_from_operator(P, 4), P.rep_in, P.rep_out, P.jet)
    for a, b in zip(P.weights, Q.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_jets_of_high_order_span_the_filters_of_others():
    # A filter with radial functions that are no Gaussian derivatives: constant on rings, turning with the angle.
    V = defining(SO(2))
    points = PixelGrid(5, 5).points.reshape(5, 5, 2)
    radius = np.linalg.norm(points, axis=-1, keepdims=True)
    K = np.where(radius < 2.1, points * (1 + np.round(radius) ** 3), 0.0)[:, :, None, :]
    P = operator_from_filter(K, trivial(SO(2)), V, GaussianJet(GRID, GRID, 11, 1.0, reach=2.0))
    np.testing.assert_allclose(filter_from_operator(P), K, atol=1e-6 * np.abs(K).max())
    with pytest.raises(GroupError, match="away from the nearest steerable one"):
        operator_from_filter(K, trivial(SO(2)), V, GaussianJet(GRID, GRID, 3, 1.0, reach=2.0))
    with pytest.raises(GroupError, match="away from the nearest steerable one"):
        operator_from_filter(K[:, ::-1], trivial(SO(2)), V, GaussianJet(GRID, GRID, 11, 1.0, reach=2.0))


def test_an_euler_step_is_a_residual_layer_and_the_layer_is_a_step():
    G = Cyclic(4)
    field = DifferentialInvariantField(regular(G), GRID, order=2, sigma=0.9, reach=2.0, hidden=2 * regular(G), key=KEY)
    dt = 0.4
    u = jax.random.normal(KEY, (GRID.size, 4), jnp.float32)
    step = Flow(field, field.action.space, diffrax.Euler(), Steps(1), t1=dt)(u)
    layer = convolution_of_field(field, 0.0, dt)
    after = GRID.flatten(layer(GRID.unflatten(u)))
    np.testing.assert_allclose(after, step, atol=1e-5)
    assert float(jnp.abs(after - u).max()) > 0.05, "the layer does nothing: nothing is shown"

    # The other way: a layer with any weights of the group, in the place of one that was trained elsewhere.
    other = jax.tree.map(lambda a: 1.3 * a, layer)
    back = field_of_convolution(other, dt, regular(G), 2 * regular(G), GRID)
    step = Flow(back, back.action.space, diffrax.Euler(), Steps(1), t1=dt)(u)
    np.testing.assert_allclose(GRID.flatten(other(GRID.unflatten(u))), step, atol=1e-5)


def test_errors_say_what_is_wanted():
    P = operator("C8")
    K = filter_from_operator(P, 2)
    with pytest.raises(ValueError, match="odd side"):
        operator_from_filter(K[:4, :4], P.rep_in, P.rep_out, P.jet)
    coarse = GaussianJet(GRID, PixelGrid(4, 4, 2.0), 2, 0.9)
    with pytest.raises(ValueError, match="no convolution on one grid"):
        filter_from_operator(SteerableOperator(*PAIRS["C8"], coarse, key=KEY), 2)
    G = Cyclic(4)
    field = DifferentialInvariantField(regular(G), GRID, order=1, sigma=0.9, window=Disc(2.0, 4.0), key=KEY)
    with pytest.raises(ValueError, match="window=None"):
        convolution_of_field(field, 0.0, 0.1)
