"""The dangerous arithmetic, against NumPy's long doubles and against derivatives known by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy.spatial.transform import Rotation

from equivax import _numerics as num
from equivax import _rotations as rot

DTYPES = [jnp.float32, jnp.float64]


def sphere_pair(f):
    """A function of q = |x - y|^2 alone: p = |x + y|^2 = 4 - q for unit vectors."""
    return lambda q: f(q, 4 - q)


def sin_defect(s):
    """(r - sin(r))/r^3 in long double, by its Taylor polynomial where the closed form has nothing left."""
    series = sum((-s) ** n / math.factorial(2 * n + 3) for n in range(8))
    return np.where(s < 0.1, series, (1 - np.sin(np.sqrt(s)) / np.sqrt(s)) / s)


def cot_defect(s):
    """(1 - r/2 cot(r/2))/r^2 in long double, by its Taylor polynomial where the closed form has nothing left."""
    inverses = (12, 720, 30240, 1209600, 47900160, np.longdouble(1307674368000) / 691, 74724249600)
    series = sum(s**n / np.longdouble(c) for n, c in enumerate(inverses))
    r = np.sqrt(s) / 2
    return np.where(s < 0.1, series, (1 - r / np.tan(r)) / s)


SWITCHES = {
    "angle_over_sine": 0.125,
    "cos_sqrt": 1.0,
    "sinc_sqrt": 1.0,
    "cos_defect": 4.0,
    "sin_defect": 4.0,
    "cot_defect": 2.0,
}

# name, function of one variable, the same in long double, value and first two derivatives at 0, where it goes up to
SERIES = [
    ("sinc_sqrt", num.sinc_sqrt, lambda s: np.sin(np.sqrt(s)) / np.sqrt(s), (1, -1 / 6, 1 / 60), 20.0),
    ("cos_sqrt", num.cos_sqrt, lambda s: np.cos(np.sqrt(s)), (1, -1 / 2, 1 / 12), 20.0),
    ("cos_defect", num.cos_defect, lambda s: 2 * np.sin(np.sqrt(s) / 2) ** 2 / s, (1 / 2, -1 / 24, 1 / 360), 20.0),
    ("sin_defect", num.sin_defect, sin_defect, (1 / 6, -1 / 120, 1 / 2520), 20.0),
    ("cot_defect", num.cot_defect, cot_defect, (1 / 12, 1 / 720, 1 / 15120), 20.0),
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
    s = np.concatenate([np.geomspace(1e-12, top, 300), SWITCHES[name] * (1 + np.linspace(-1e-6, 1e-6, 9))])
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
    switch = SWITCHES[name]
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
    assert jnp.isnan(num.safe_sqrt(s * jnp.nan)).all()
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


def test_cot_defect_is_finite_where_it_has_its_pole():
    s = jnp.asarray([(2 * np.pi) ** 2, np.nextafter((2 * np.pi) ** 2, 0)])
    for f in (num.cot_defect, jax.grad(num.cot_defect), jax.hessian(num.cot_defect)):
        assert jnp.all(jnp.isfinite(jax.vmap(f)(s)))


def directions():
    return np.random.default_rng(3).normal(size=(400, 3))


def test_scipy_agrees_on_rotations_at_every_angle():
    small, large = np.geomspace(1e-15, 1, 200), np.pi - np.geomspace(1e-15, 1, 200)
    w = directions()
    w *= np.concatenate([small, large])[:, None] / np.linalg.norm(w, axis=1, keepdims=True)
    R = np.array(jax.jit(jax.vmap(rot.rotation_matrix))(w))
    np.testing.assert_allclose(R, Rotation.from_rotvec(w).as_matrix(), atol=1e-15)
    np.testing.assert_allclose(np.einsum("bij,bik->bjk", R, R), np.broadcast_to(np.eye(3), R.shape), atol=2e-15)
    got = np.asarray(jax.jit(jax.vmap(rot.rotation_vector))(R))
    # At angle pi both signs are right, and rounding may choose the other one.
    error = np.minimum(np.linalg.norm(got - w, axis=1), np.linalg.norm(got + w, axis=1) + (np.arange(400) < 200))
    assert np.max(error) < 4e-15


def test_rotations_differentiate_twice_at_the_identity_and_at_half_turns():
    weights = jnp.asarray([1.0, 2.0, 3.0])

    @jax.jit
    @jax.vmap
    def derivatives(R):
        def f(R):
            return jnp.dot(weights, rot.rotation_vector(R))

        return jax.grad(f)(R), jax.hessian(f)(R)

    half_turns = [np.diag(d) for d in ([1.0, -1, -1], [-1.0, 1, -1], [-1.0, -1, 1])]
    for found in derivatives(jnp.asarray(np.stack([np.eye(3), *half_turns]))):
        assert jnp.all(jnp.isfinite(found))

    @jax.jit
    def jacobians(w):
        return jax.jacfwd(rot.rotation_matrix)(w), jax.jacfwd(jax.jacfwd(rot.rotation_matrix))(w)

    first, second = jacobians(jnp.zeros(3))
    generators = np.stack([rot.cross_matrix(e) for e in jnp.eye(3)], axis=-1)
    np.testing.assert_allclose(first, generators, atol=1e-16)
    products = np.einsum("ija,jkb->ikab", generators, generators)
    np.testing.assert_allclose(second, (products + products.swapaxes(2, 3)) / 2, atol=1e-15)


def test_rotation_vectors_compose():
    u, w = directions()[:20], directions()[20:40]
    want = (Rotation.from_rotvec(u) * Rotation.from_rotvec(w)).as_rotvec()
    np.testing.assert_allclose(jax.vmap(rot.compose_vectors)(u, w), want, atol=1e-13)
    q = np.asarray(jax.vmap(rot.vector_quaternion)(u))
    np.testing.assert_allclose(q, Rotation.from_rotvec(u).as_quat(scalar_first=True), atol=1e-15)


def test_differentials_of_rotations_are_each_others_inverses():
    u, w = directions()[:20], directions()[20:40]
    u *= np.linspace(0, 6, 20)[:, None] / np.linalg.norm(u, axis=1, keepdims=True)
    forth = jax.vmap(rot.cross_dexp)(u, w)
    np.testing.assert_allclose(jax.vmap(rot.cross_dexpinv)(u, forth), w, atol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_circular_functions_are_spherical_bessel_functions(m):
    """phi_m(r^2) = j_(m-1)(r)/r^(m-1), and derivatives by the rule phi_m' = -phi_(m+1)/2."""
    r = np.linspace(0.3, np.pi, 50)
    s = jnp.asarray(r**2)
    np.testing.assert_allclose(num.circular(m, s), special.spherical_jn(m - 1, r) / r ** (m - 1), atol=4e-15)
    second = jax.vmap(jax.grad(jax.grad(lambda z: num.circular(m, z))))(s)
    np.testing.assert_allclose(second, special.spherical_jn(m + 1, r) / r ** (m + 1) / 4, atol=4e-15)
    np.testing.assert_allclose(num.circular(m, jnp.zeros(())), 1 / math.prod(range(1, 2 * m, 2)), rtol=1e-15)


def test_circular_cosine():
    r = np.linspace(0, np.pi, 50)
    np.testing.assert_allclose(num.circular(0, jnp.asarray(r**2)), np.cos(r), atol=4e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_determinants_and_their_derivatives_at_singular_matrices(n):
    det, a = num.det, jax.random.normal(jax.random.key(n), (4, n, n))
    np.testing.assert_allclose(det(a), np.linalg.det(np.asarray(a)), rtol=1e-12)
    # Of rank n - 1 the gradient is the matrix of cofactors; of rank 0 all derivatives below the n-th vanish.
    singular = a[0].at[-1].set(a[0][0] if n > 1 else 0.0)
    cofactors = [
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(np.asarray(singular), i, 0), j, 1)) for j in range(n)]
        for i in range(n)
    ]
    np.testing.assert_allclose(jax.grad(det)(singular), cofactors, atol=1e-12)
    hessian = jax.hessian(det)(jnp.zeros((n, n)))
    assert np.all(np.isfinite(hessian))
    assert np.any(hessian != 0) == (n == 2)


@pytest.mark.parametrize(("n", "m", "k"), [(3, 3, 3), (4, 2, 5), (2, 4, 1), (3, 5, 2)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.complex128])
def test_small_products_are_products(n, m, k, dtype):
    a, b = (jax.random.normal(jax.random.key(i), (2, *shape), dtype) for i, shape in enumerate([(n, m), (m, k)]))
    found = num.product(a, b)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.asarray(a) @ np.asarray(b), rtol=1e-5, atol=1e-5)
