"""The dangerous arithmetic, against NumPy's long doubles and against derivatives known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax import _numerics as num

DTYPES = [jnp.float32, jnp.float64]


def sphere_pair(f):
    """A function of q = |x - y|^2 alone: p = |x + y|^2 = 4 - q for unit vectors."""
    return lambda q: f(q, 4 - q)


# name, function of one variable, the same in long double, value and first two derivatives at 0, where it goes up to
SERIES = [
    ("sinc_sqrt", num.sinc_sqrt, lambda s: np.sin(np.sqrt(s)) / np.sqrt(s), (1, -1 / 6, 1 / 60), 20.0),
    ("cos_sqrt", num.cos_sqrt, lambda s: np.cos(np.sqrt(s)), (1, -1 / 2, 1 / 12), 20.0),
    (
        "angle_over_sine",
        sphere_pair(num.angle_over_sine),
        lambda q: 2 * np.arcsin(np.sqrt(q) / 2) / np.sqrt(q * (1 - q / 4)),
        (1, 1 / 6, 1 / 15),
        3.9,
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "f", "exact", "at_zero", "top"), SERIES, ids=[s[0] for s in SERIES])
def test_values_on_both_sides_of_the_switch(name, f, exact, at_zero, top, dtype):
    s = np.concatenate([np.geomspace(1e-12, top, 300), 0.125 + np.linspace(-1e-6, 1e-6, 9), [1 - 1e-7, 1.0]])
    s = s.astype(dtype)
    got = f(jnp.asarray(s))
    want = exact(s.astype(np.longdouble))
    assert got.dtype == dtype
    # 4 - q loses what it loses: angle_over_sine is judged relative to its own size.
    assert np.max(np.abs(np.asarray(got) - want) / np.maximum(1, np.abs(want))) < 12 * np.finfo(dtype).eps


@pytest.mark.parametrize(("name", "f", "exact", "at_zero", "top"), SERIES, ids=[s[0] for s in SERIES])
def test_derivatives_at_the_singular_point(name, f, exact, at_zero, top):
    zero = jnp.zeros(())
    got = [g(zero) for g in (f, jax.grad(f), jax.hessian(f))]
    np.testing.assert_allclose(got, at_zero, rtol=1e-15)


@pytest.mark.parametrize(("name", "f", "exact", "at_zero", "top"), SERIES, ids=[s[0] for s in SERIES])
def test_derivatives_do_not_jump_at_the_switch(name, f, exact, at_zero, top):
    switch = 0.125 if name == "angle_over_sine" else 1.0
    below, above = jnp.asarray(np.nextafter(switch, 0)), jnp.asarray(switch)
    for g in (f, jax.grad(f), jax.hessian(f)):
        np.testing.assert_allclose(g(below), g(above), rtol=1e-12)
    # and they are the derivatives of the function, not of something continuous
    h = 1e-4
    s = switch + h * np.arange(-2, 3).astype(np.longdouble)
    want = exact(s) @ np.array([1, -8, 0, 8, -1], dtype=np.longdouble) / (12 * h)
    np.testing.assert_allclose(jax.grad(f)(above), float(want), rtol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_safe_norm(dtype):
    x = jnp.asarray([[3.0, 4.0], [0.0, 0.0]], dtype=dtype)
    norm = num.safe_norm(x, axis=1)
    assert norm.dtype == dtype
    np.testing.assert_array_equal(norm, [5, 0])
    assert num.safe_norm(x, axis=1, keepdims=True).shape == (2, 1)
    gradient = jax.grad(lambda x: jnp.sum(num.safe_norm(x, axis=1)))(x)
    np.testing.assert_allclose(gradient, [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert jnp.all(jax.hessian(num.safe_norm)(jnp.zeros(3, dtype)) == 0)
    assert jnp.all(jnp.isfinite(jax.hessian(num.safe_norm)(x[0])))


@pytest.mark.parametrize("dtype", DTYPES)
def test_safe_sqrt_of_rounding_below_zero(dtype):
    s = jnp.asarray([-1e-9, 0.0, 4.0], dtype=dtype)
    np.testing.assert_array_equal(num.safe_sqrt(s), [0, 0, 2])
    np.testing.assert_array_equal(jax.vmap(jax.grad(num.safe_sqrt))(s), [0, 0, 0.25])
    np.testing.assert_array_equal(jax.vmap(jax.hessian(num.safe_sqrt))(s), [0, 0, jnp.asarray(-1 / 32, dtype)])


def test_angles_keep_their_digits_at_both_ends():
    for a in (1e-12, 1e-3, 1.0, np.pi / 2, np.pi - 1e-3, np.pi - 1e-9):
        q, p = 4 * np.sin(a / 2) ** 2, 4 * np.cos(a / 2) ** 2
        np.testing.assert_allclose(num.angle_between(jnp.asarray(q), jnp.asarray(p)), a, rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_angles_are_finite_at_both_ends(dtype):
    for q, p in ((0.0, 4.0), (4.0, 0.0), (4.0, 1e-12)):
        q, p = jnp.asarray(q, dtype), jnp.asarray(p, dtype)
        for f in (num.angle_between, num.angle_over_sine):
            for derivative in (f, jax.grad(f, (0, 1)), jax.hessian(f, (0, 1))):
                for leaf in jax.tree.leaves(derivative(q, p)):
                    assert jnp.isfinite(leaf), (f, q, p)
