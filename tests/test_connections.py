"""Layers of e3nn and EMLP are intertwiners: equal output with the weights of the one in the other."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.fields import Intertwiner, intertwiner_from_e3nn, intertwiner_from_matrix, intertwiner_to_e3nn
from equivax.symmetry import SO, GroupError, Lorentz, O, Symmetric, defining, from_e3nn, irrep, to_e3nn, trivial

KEY = jax.random.key(8)
REFERENCES = json.loads((Path(__file__).parent / "references" / "emlp.json").read_text())
IRREPS = [("8x0e + 4x1o", "3x0e + 2x1o + 1x2e"), ("2x0e + 3x1e + 2x2o", "1x1e + 4x0e + 2x2o + 2x1e"), ("1x3o", "2x3o")]


@pytest.fixture
def e3nn():
    """Compares with e3nn, in the single precision that its constants are in."""
    e3nn = pytest.importorskip("e3nn_jax")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield e3nn


@pytest.mark.parametrize(("irreps_in", "irreps_out"), IRREPS)
@pytest.mark.parametrize("biases", [False, True])
def test_a_linear_layer_of_e3nn_is_an_intertwiner(e3nn, irreps_in, irreps_out, biases):
    linear = e3nn.equinox.Linear(irreps_in=irreps_in, irreps_out=irreps_out, biases=biases, key=KEY)
    if biases:
        weights = {k: w + 0.3 if k.startswith("b") else w for k, w in linear._weights.items()}
        object.__setattr__(linear, "_weights", weights)
    layer = intertwiner_from_e3nn(linear, linear.irreps_in)
    x = jax.random.normal(KEY, (5, layer.rep_in.dim), jnp.float32)
    theirs = linear(e3nn.IrrepsArray(linear.irreps_in, x))
    np.testing.assert_allclose(layer(x), theirs.array, rtol=1e-6, atol=1e-6)
    assert to_e3nn(layer.rep_out) == str(theirs.irreps)


@pytest.mark.parametrize(("irreps_in", "irreps_out"), IRREPS)
def test_an_intertwiner_is_a_linear_layer_of_e3nn(e3nn, irreps_in, irreps_out):
    layer = Intertwiner(from_e3nn(irreps_in), from_e3nn(irreps_out), key=KEY)
    linear = e3nn.FunctionalLinear(irreps_in, irreps_out, biases=True)
    x = jax.random.normal(KEY, (5, layer.rep_in.dim), jnp.float32)
    weights = intertwiner_to_e3nn(layer, linear)
    assert [w.shape for w in weights] == [path.path_shape for path in linear.instructions]
    theirs = np.stack([linear(weights, e3nn.IrrepsArray(irreps_in, a)).array for a in x])
    np.testing.assert_allclose(theirs, layer(x), rtol=1e-6, atol=1e-6)


def test_there_and_back_again(e3nn):
    irreps = "4x0e + 3x1o"
    layer = Intertwiner(from_e3nn(irreps), from_e3nn(irreps), key=KEY)
    linear = e3nn.FunctionalLinear(irreps, irreps, biases=True)
    weights = intertwiner_to_e3nn(layer, linear)
    back = intertwiner_from_e3nn(jax.vmap(lambda x: linear(weights, x)), irreps)
    for a, b in zip(jax.tree.leaves(layer), jax.tree.leaves(back), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_other_irreps_are_refused(e3nn):
    layer = Intertwiner(from_e3nn("2x1o"), from_e3nn("1x1o"), key=KEY)
    with pytest.raises(GroupError, match="something else"):
        intertwiner_to_e3nn(layer, e3nn.FunctionalLinear("1x1o", "1x1o"))


EMLP = {
    "O(3)": (O(3), lambda V, one: one + V + V * V),
    "S(4)": (Symmetric(4), lambda V, one: one + V + V * V),
    "SO+(1,3)": (Lorentz(3), lambda V, one: 2 * one + 2 * V),
}


@pytest.mark.parametrize("name", EMLP)
def test_a_linear_layer_of_emlp_is_an_intertwiner(name):
    G, target = EMLP[name]
    one, V = trivial(G), defining(G)
    reference = {k: np.asarray(v, np.float32) for k, v in REFERENCES[name].items()}
    layer = intertwiner_from_matrix(
        reference["matrix"], 2 * one + 3 * V, target(V, one), reference["bias"] if np.any(reference["bias"]) else None
    )
    np.testing.assert_allclose(layer(jnp.asarray(reference["x"])), reference["y"], rtol=1e-5, atol=3e-6)


def test_a_matrix_goes_in_and_comes_out():
    G = SO(2)
    rep_in, rep_out = 2 * irrep(G, 1) + irrep(G, 2) + trivial(G), irrep(G, 2) + 3 * irrep(G, 1) + 2 * trivial(G)
    layer = Intertwiner(rep_in, rep_out, key=KEY)
    again = intertwiner_from_matrix(layer.matrix, rep_in, rep_out, layer.bias())
    x = jax.random.normal(KEY, (3, rep_in.dim))
    np.testing.assert_allclose(again(x), layer(x), rtol=1e-6, atol=1e-6)


def test_what_is_no_intertwiner_is_refused():
    G = O(3)
    one, V = trivial(G), defining(G)
    with pytest.raises(GroupError, match="not equivariant"):
        intertwiner_from_matrix(jnp.ones((3, 3)), V, V)
    with pytest.raises(GroupError, match="not invariant"):
        intertwiner_from_matrix(jnp.eye(3), V, V, jnp.ones(3))
    with pytest.raises(ValueError, match="transpose"):
        intertwiner_from_matrix(jnp.zeros((3, 4)), V + one, V)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        intertwiner_from_matrix(jnp.eye(3), V, V, jnp.ones(4))
