"""Signals that have a velocity: oscillations with known solutions, and the symmetry of what drives them."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from equivax.dynamics import Flow
from equivax.fields import AbstractField, DifferentialInvariantField, NetworkField, WaveField
from equivax.geometry import PixelGrid
from equivax.laws import field_equivariance
from equivax.symmetry import SO, LinearAction, SignalAction, defining, trivial


class Restoring(AbstractField):
    """F(u) = -u, a spring at every pixel."""

    action: SignalAction

    def __call__(self, t, x, args=None):
        return -x


@pytest.mark.parametrize("damping", [0.0, 0.5, jnp.asarray(3.0)])
def test_waves_oscillate_and_are_damped(damping):
    rep, grid = trivial(SO(2)) + defining(SO(2)), PixelGrid(2, 2)
    field = WaveField(Restoring(SignalAction(rep, grid)), damping)
    x = jax.random.normal(jax.random.key(0), (grid.size, 2 * rep.dim))
    end = Flow(field, field.action.space, diffrax.Tsit5(), diffrax.PIDController(rtol=1e-10, atol=1e-12))(x)
    u, v = np.split(np.asarray(x), 2, axis=1)
    moved = scipy.linalg.expm(np.array([[0.0, 1.0], [-1.0, -float(damping)]])) @ np.stack([u.ravel(), v.ravel()])
    np.testing.assert_allclose(np.split(np.asarray(end), 2, axis=1), moved.reshape(2, *u.shape), atol=1e-9)


def test_waves_are_as_equivariant_as_what_drives_them():
    G, grid = SO(2), PixelGrid(5, 5)
    rep = 2 * trivial(G) + defining(G)
    driven = DifferentialInvariantField(rep, grid, order=2, sigma=1.0, key=jax.random.key(0))
    field = WaveField(driven, 0.3)
    u = jax.random.normal(jax.random.key(1), (grid.size, 2 * rep.dim))
    assert all(verdict.passed for verdict in field_equivariance(field, u))
    np.testing.assert_array_equal(field(0.0, u)[:, : rep.dim], u[:, rep.dim :])
    with pytest.raises(ValueError, match="made of a field of signals; this one is under LinearAction"):
        WaveField(NetworkField(LinearAction(defining(G)), hidden=defining(G), key=jax.random.key(2)))
