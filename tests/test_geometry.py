"""Laws x manifolds: projections, exp and log, transport, frames, divergence; closed forms against derived ones."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.spatial.transform import Rotation

from equivax._numerics import sinc_sqrt
from equivax.geometry import AbstractManifold, Euclidean, PixelGrid, Power, Product, Sphere, Torus


class Rotations(AbstractManifold):
    """SO(3) in R^9, as a user would add it: five members and nothing else."""

    shape = (3, 3)
    dim = 3

    def project(self, x):
        u, _, vt = jnp.linalg.svd(x)
        return u @ jnp.diag(jnp.ones(3, x.dtype).at[2].set(jnp.linalg.det(u @ vt))) @ vt

    def to_tangent(self, x, v):
        a = x.T @ v
        return x @ ((a - a.T) / 2)

    def exp(self, x, v):
        a = x.T @ v
        s = jnp.sum(a * a) / 2
        return x @ (jnp.eye(3, dtype=x.dtype) + sinc_sqrt(s) * a + sinc_sqrt(s / 4) ** 2 / 2 * a @ a)


class Bare(AbstractManifold):
    """M without its closed forms: the five members only, so that everything else is derived."""

    M: AbstractManifold

    @property
    def shape(self):
        return self.M.shape

    @property
    def dim(self):
        return self.M.dim

    def project(self, x):
        return self.M.project(x)

    def to_tangent(self, x, v):
        return self.M.to_tangent(x, v)

    def exp(self, x, v):
        return self.M.exp(x, v)


MANIFOLDS = [
    Euclidean(3),
    Euclidean((2, 2)),
    Sphere(1),
    Sphere(2),
    Sphere(3),
    Torus(2),
    Product(Sphere(2), Euclidean(2), Torus(1)),
    Power(Sphere(2), 3),
    Power(Product(Sphere(2), Euclidean(1)), 2),
    Rotations(),
]
CURVED = [M for M in MANIFOLDS if not isinstance(M, Euclidean | Torus)]
DTYPES = [jnp.float64, jnp.float32]
BATCH = 6

over = functools.partial(pytest.mark.parametrize, ids=repr)


def tolerance(dtype):
    return 1000 * float(jnp.finfo(dtype).eps)


def flat(x):
    return ravel_pytree(x)[0]


def gap(x, y):
    return jnp.linalg.norm(flat(x) - flat(y))


def unflat(x, u):
    return ravel_pytree(x)[1](u)


def stack(*vs):
    return jax.tree.map(lambda *a: jnp.stack(a), *vs)


def scaled(c, v):
    return jax.tree.map(lambda a: jnp.asarray(c, a.dtype) * a, v)


@functools.cache
def facts(index, dtype):
    """Every law of one manifold at BATCH random points, compiled once: a dictionary of errors."""
    M = MANIFOLDS[index]

    def at(key):
        keys = jax.random.split(key, 6)
        x = M.random_point(key=keys[0], dtype=dtype)
        v, w, u = (M.random_tangent(x, key=k) for k in keys[1:4])
        v = scaled(jax.random.uniform(keys[4], (), dtype, 0.3, 1.2) / M.norm(x, v), v)
        y = M.exp(x, v)
        a, b = (unflat(x, jax.random.normal(k, (flat(x).size,), dtype)) for k in jax.random.split(keys[5]))
        Pa, Pb = M.to_tangent(x, a), M.to_tangent(x, b)
        there, back = M.log(x, y), M.log(y, x)
        moved = jax.vmap(lambda z: M.transport(x, v, z))(stack(v, w, u))
        Tv, Tw, Tu = (jax.tree.map(lambda z, k=k: z[k], moved) for k in range(3))
        E = M.frame(x)
        gram = jax.vmap(lambda e: jax.vmap(lambda f: M.inner(x, e, f))(E))(E)
        return {
            "dtypes": [z.dtype for z in jax.tree.leaves((x, v, y, Tv, E, there, Pa))],
            "belongs": M.belongs(x) & M.belongs(y) & M.belongs(M.retract(x, v)) & M.belongs(M.project(a)),
            "off": M.belongs(jax.tree.map(lambda z: z + 8.0, x)),
            "tangent": M.is_tangent(x, v) & M.is_tangent(x, Pa) & M.is_tangent(y, Tw) & M.is_tangent(x, there),
            "not tangent": M.is_tangent(x, a),
            "length": M.norm(x, v),
            "log after exp": gap(there, v),
            "dist": jnp.abs(M.dist(x, y) - M.norm(x, v)),
            "dist is symmetric": jnp.abs(M.dist(x, y) - M.norm(y, back)),
            "project": gap(M.project(M.project(a)), M.project(a)),
            "project fixes M": gap(M.project(x), x),
            "to_tangent": gap(M.to_tangent(x, Pa), Pa),
            "to_tangent is symmetric": jnp.abs(flat(Pa) @ flat(b) - flat(a) @ flat(Pb)),
            "transport is an isometry": jnp.abs(M.inner(y, Tw, Tu) - M.inner(x, w, u)),
            "transport keeps geodesics": gap(Tv, scaled(-1, back)),
            "transport back": gap(M.transport(y, scaled(-1, Tv), Tw), w),
            "frame": jnp.max(jnp.abs(gram - jnp.eye(M.dim, dtype=dtype))),
            "frame is tangent": jnp.all(jax.vmap(lambda e: M.is_tangent(x, e))(E)),
        }

    return eqx.filter_jit(eqx.filter_vmap(at))(jax.random.split(jax.random.key(index), BATCH))


LAWS = [
    "log after exp",
    "dist",
    "dist is symmetric",
    "project",
    "project fixes M",
    "to_tangent",
    "to_tangent is symmetric",
    "transport is an isometry",
    "transport keeps geodesics",
    "transport back",
    "frame",
]


CASES = [(M, jnp.float64) for M in MANIFOLDS]
CASES += [(M, jnp.float32) for M in MANIFOLDS if M.dim <= 2 or isinstance(M, Product)]


@pytest.mark.parametrize("law", LAWS)
@over(("M", "dtype"), CASES)
def test_laws(M, law, dtype):
    found = facts(MANIFOLDS.index(M), dtype)
    assert jnp.min(found["length"]) > 0.29
    assert found[law].dtype == dtype
    assert jnp.max(found[law]) < tolerance(dtype)


@over(("M", "dtype"), CASES)
def test_membership_and_types(M, dtype):
    found = facts(MANIFOLDS.index(M), dtype)
    assert set(found["dtypes"]) == {jnp.dtype(dtype)}
    for answer in ("belongs", "tangent", "frame is tangent"):
        assert jnp.all(found[answer]), answer
    if not isinstance(M, Euclidean):
        assert not jnp.any(found["off"])
    if M in CURVED:
        assert not jnp.any(found["not tangent"])


@over("M", MANIFOLDS)
def test_nan_belongs_nowhere(M):
    x = jax.tree.map(lambda a: a * jnp.nan, M.random_point(key=jax.random.key(0)))
    assert not M.belongs(x)
    assert M.fits(x)


@over("M", CURVED)
def test_retraction_is_of_second_order(M, getkey):
    x = M.random_point(key=getkey())
    v = M.random_tangent(x, key=getkey())
    v = scaled(1 / M.norm(x, v), v)
    h = np.geomspace(0.02, 0.2, 6)
    error = eqx.filter_jit(jax.vmap(lambda h: gap(M.retract(x, scaled(h, v)), M.exp(x, scaled(h, v)))))(jnp.asarray(h))
    slope, _ = np.polyfit(np.log(h), np.log(error), 1)
    # exp and retract agree to h^2; the error of projecting x + hv starts at h^3
    assert 2.85 < slope < 3.15


def spread_points(M, key):
    """x, v and w such that no angle crosses the seam of a torus, which shooting cannot see across."""
    x = M.random_point(key=key)
    keys = jax.random.split(key, 2)
    if any(isinstance(N, Torus) for N in (M, *getattr(M, "factors", ()))):
        x = (
            x / 3
            if isinstance(M, Torus)
            else tuple(a / 3 if isinstance(N, Torus) else a for N, a in zip(M.factors, x, strict=True))
        )
    v, w = (M.random_tangent(x, key=k) for k in keys)
    return x, scaled(1.1 / M.norm(x, v), v), w


@over("M", [M for M in MANIFOLDS if not isinstance(M, Rotations)])
def test_closed_forms_against_derived(M, getkey):
    bare = Bare(M)

    @eqx.filter_jit
    def compare(x, v, w):
        y = M.exp(x, v)
        return {
            "inner": jnp.abs(M.inner(x, v, w) - bare.inner(x, v, w)),
            "log": gap(M.log(x, y), bare.log(x, y)),
            "dist": jnp.abs(M.dist(x, y) - bare.dist(x, y)),
            "transport": gap(M.transport(x, v, w), bare.transport(x, v, w)),
        }

    for name, error in compare(*spread_points(M, getkey())).items():
        assert error < 1e-12, name


def test_derived_log_has_the_derivatives_of_the_closed_form(getkey):
    # To second order, and mixed in both points: the Newton steps after the search must carry them, in both modes.
    M = Sphere(2)
    x, v, w = spread_points(M, getkey())

    def along(N, s):
        return N.log(M.exp(x, s * w), M.exp(M.exp(x, v), (s * s + s) * M.transport(x, v, w)))

    @functools.partial(jax.jit, static_argnums=0)
    def taylor(N, s):
        f = functools.partial(along, N)
        return jax.jacfwd(f)(s), jax.jacfwd(jax.jacfwd(f))(s), jax.jacrev(f)(s)

    s = jnp.asarray(0.1)
    for derived, closed in zip(taylor(Bare(M), s), taylor(M, s), strict=True):
        np.testing.assert_allclose(derived, closed, atol=1e-10)


@over("M", [Sphere(2), Torus(2), Power(Product(Sphere(2), Euclidean(1)), 2), Bare(Sphere(2))])
def test_derivatives_where_formulas_are_singular(M, getkey):
    # At v = 0 and y = x: exp and log are the identity to first order and have no second, transport has neither.
    x = M.random_point(key=getkey())
    v, w = (M.random_tangent(x, key=getkey()) for _ in range(2))

    def at(s):
        y = M.exp(x, scaled(s, v))
        return {"exp": flat(y), "log": flat(M.log(x, y)), "transport": flat(M.transport(x, scaled(s, v), w))}

    def slope(f, s):
        return jax.jvp(f, (s,), (jnp.ones(()),))[1]

    def lengths(s):
        length = M.norm(x, scaled(s, v))
        return length if isinstance(M, Bare) else length + M.dist(x, M.exp(x, scaled(s, v)))

    @jax.jit
    def derivatives(s):
        first, second = jax.jvp(lambda s: slope(at, s), (s,), (jnp.ones(()),))
        reverse = jax.grad(lambda s: flat(at(s)) @ flat(at(s)))(s)
        return first, second, reverse, jax.value_and_grad(jax.grad(lengths))(s)

    first, second, reverse, length = derivatives(jnp.zeros(()))
    np.testing.assert_allclose(first["exp"], flat(v), atol=1e-12)
    np.testing.assert_allclose(first["log"], flat(v), atol=1e-12)
    np.testing.assert_allclose(second["log"], 0, atol=1e-11)
    for normal in (second["exp"], first["transport"]):
        np.testing.assert_allclose(flat(M.to_tangent(x, unflat(x, normal))), 0, atol=1e-12)
    assert all(jnp.all(jnp.isfinite(d)) for d in jax.tree.leaves((second, length)))
    values = {"exp": flat(x), "log": 0 * flat(x), "transport": flat(w)}
    np.testing.assert_allclose(reverse, 2 * sum(values[k] @ first[k] for k in values), atol=1e-11)


@over("dtype", DTYPES)
def test_sphere_near_the_antipode(dtype):
    M = Sphere(2)
    x = jnp.asarray([0.6, 0.0, 0.8], dtype)
    u = jnp.asarray([0.0, 1.0, 0.0], dtype)
    eps = float(jnp.finfo(dtype).eps)

    @jax.jit
    def near(y):
        return M.log(x, y), M.dist(x, y), jax.jacrev(lambda y: M.log(x, y))(y), jax.hessian(lambda y: M.log(x, y))(y)

    for delta in (1e-2, 1e-4, eps, 0.0):
        y = M.exp(x, jnp.asarray(math.pi - delta, dtype) * u) if delta else -x
        v, d, first, second = near(y)
        assert jnp.all(jnp.isfinite(first))
        assert jnp.all(jnp.isfinite(second))
        assert jnp.all(jnp.isfinite(v))
        np.testing.assert_allclose(d, math.pi - delta, atol=8 * eps)
        if delta > 100 * eps:
            np.testing.assert_allclose(M.exp(x, v), y, atol=20 * eps / delta)


def test_sphere_against_rotations(getkey):
    # Transport along a geodesic of S^2 is the rotation about x cross v that takes x to exp_x(v).
    M = Sphere(2)
    for length in (1e-9, 1e-4, 0.3, 1.0, 3.0, 7.0):
        x = M.random_point(key=getkey())
        v, w = M.random_tangent(x, key=getkey()), M.random_tangent(x, key=getkey())
        v = length * v / jnp.linalg.norm(v)
        turn = Rotation.from_rotvec(np.cross(x, v))
        x0, w0 = np.array(x), np.array(w)
        np.testing.assert_allclose(M.exp(x, v), turn.apply(x0), atol=1e-14)
        np.testing.assert_allclose(M.transport(x, v, w), turn.apply(w0), atol=1e-14)
        if length < math.pi:
            np.testing.assert_allclose(M.log(x, M.exp(x, v)), v, atol=1e-13)


def test_derived_forms_of_a_user_manifold_against_rotations(getkey):
    M = Rotations()
    x, y = (jnp.asarray(Rotation.random(rng=seed).as_matrix()) for seed in (0, 1))
    omega = Rotation.from_matrix(x.T @ y).as_rotvec()
    hat = np.cross(np.eye(3), omega)
    v = jax.jit(M.log)(x, y)
    np.testing.assert_allclose(v, x @ hat, atol=1e-12)
    np.testing.assert_allclose(M.dist(x, y), math.sqrt(2) * np.linalg.norm(omega), atol=1e-12)
    # Transport on a group with bi-invariant metric: half of the turn from each side.
    w = M.random_tangent(x, key=getkey())
    half = Rotation.from_rotvec(omega / 2).as_matrix()
    np.testing.assert_allclose(jax.jit(M.transport)(x, v, w), x @ half @ (x.T @ w) @ half, atol=1e-12)


@over("M", MANIFOLDS)
def test_divergence_against_transported_differences(M, getkey):
    x = M.random_point(key=getkey())
    B = jax.random.normal(getkey(), (flat(x).size, flat(x).size))
    _, unravel = ravel_pytree(x)

    def f(x):
        return M.to_tangent(x, unravel(jnp.sin(B @ flat(x) + 0.3)))

    def difference(x, e, h):
        # the covariant derivative by definition: bring f(exp(x, h e)) back to x
        y = M.exp(x, scaled(h, e))
        velocity = scaled(h, M.transport(x, scaled(h, e), e))
        return flat(M.transport(y, scaled(-1, velocity), f(y)))

    @jax.jit
    def both(x):
        h = 1e-4
        E = M.frame(x)
        slopes = jax.vmap(lambda e: flat(e) @ (difference(x, e, h) - difference(x, e, -h)) / (2 * h))(E)
        return M.divergence(f, x), jnp.sum(slopes)

    got, want = both(x)
    assert jnp.abs(want) > 1e-3
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_divergence_known(getkey):
    a = jnp.asarray([0.3, -1.0, 2.0])
    x = Sphere(2).random_point(key=getkey())
    # the gradient of <a, x> on S^n is an eigenfunction's: div grad = -n <a, x>
    np.testing.assert_allclose(Sphere(2).divergence(lambda x: a - (a @ x) * x, x), -2 * a @ x, rtol=1e-13)
    np.testing.assert_allclose(Sphere(2).divergence(lambda x: jnp.cross(a, x), x), 0, atol=1e-14)
    angles = jnp.asarray([0.4, -2.0])
    np.testing.assert_allclose(Torus(2).divergence(jnp.sin, angles), jnp.sum(jnp.cos(angles)), rtol=1e-13)
    # and it can be differentiated, as densities on M need
    gradient = jax.jit(jax.grad(lambda x: Sphere(2).divergence(lambda x: a - (a @ x) * x, x)))(x)
    np.testing.assert_allclose(Sphere(2).to_tangent(x, gradient), Sphere(2).to_tangent(x, -2 * a), rtol=1e-12)


def test_frame_has_derivatives(getkey):
    M = Sphere(3)
    x = M.random_point(key=getkey())
    v = M.random_tangent(x, key=getkey())

    def gram(s):
        E = M.frame(M.exp(x, s * v))
        return E @ E.T, E @ M.exp(x, s * v)

    for d in jax.jit(jax.jacfwd(gram))(jnp.asarray(0.0)):
        np.testing.assert_allclose(d, 0, atol=1e-13)


def test_volumes():
    np.testing.assert_allclose(
        [Sphere(1).volume, Sphere(2).volume, Sphere(3).volume], [2 * np.pi, 4 * np.pi, 2 * np.pi**2]
    )
    assert Torus(3).volume == (2 * math.pi) ** 3
    assert Euclidean(2).volume == math.inf
    np.testing.assert_allclose(Product(Sphere(2), Torus(1)).volume, 8 * np.pi**2)
    np.testing.assert_allclose(Power(Sphere(2), 3).volume, (4 * np.pi) ** 3)
    with pytest.raises(NotImplementedError, match="volume of Rotations"):
        _ = Rotations().volume


def test_random_points_are_uniform(getkey):
    x = jax.vmap(lambda k: Sphere(2).random_point(key=k))(jax.random.split(getkey(), 4000))
    np.testing.assert_allclose(x.T @ x / 4000, np.eye(3) / 3, atol=0.03)
    angles = jax.vmap(lambda k: Torus(1).random_point(key=k))(jax.random.split(getkey(), 4000))
    np.testing.assert_allclose(np.mean(np.exp(1j * np.asarray(angles))), 0, atol=0.05)


@over("dtype", DTYPES)
def test_torus_seam(dtype):
    M = Torus(1)
    pi = jnp.asarray(math.pi, dtype)
    angles = [-pi, pi, 3 * pi, -3 * pi, jnp.nextafter(pi, 4 * pi), jnp.nextafter(-pi, -4 * pi), 100 * pi, pi - 0.1]
    for angle in angles:
        x = M.project(angle[None])
        assert -pi <= x[0] <= pi
        assert M.belongs(x)
        np.testing.assert_array_equal(M.project(x), x)
        np.testing.assert_allclose(
            [jnp.cos(x[0]), jnp.sin(x[0])], [jnp.cos(angle), jnp.sin(angle)], atol=tolerance(dtype)
        )
        np.testing.assert_array_equal(jax.jacrev(M.project)(angle[None]), [[1]])
    a, b = jnp.asarray([3.0], dtype), jnp.asarray([-3.0], dtype)
    np.testing.assert_allclose(M.dist(a, b), 2 * math.pi - 6, rtol=1e-5)


@over("M", MANIFOLDS)
def test_manifolds_are_static(M):
    assert jax.tree.leaves(M) == []
    assert isinstance(hash(M), int)


def test_wrong_points_are_named():
    with pytest.raises(ValueError, match=r"shape \(3,\); received shape \(5, 3\).*jax.vmap"):
        Sphere(2).check(jnp.ones((5, 3)))
    with pytest.raises(ValueError, match="floating-point numbers of one type; received int"):
        Sphere(2).check(jnp.array([1, 0, 0]))
    with pytest.raises(ValueError, match="received float32, float64"):
        Product(Euclidean(1), Euclidean(1)).check((jnp.ones(1), jnp.ones(1, jnp.float32)))
    with pytest.raises(ValueError, match=r"shape \(\(3,\), \(2,\)\); received shape \(3,\)"):
        Product(Sphere(2), Euclidean(2)).check(jnp.ones(3), name="x0")
    for wrong in (
        lambda: Sphere(0),
        lambda: Torus(0),
        lambda: Power(Sphere(2), 0),
        lambda: Product(),
        lambda: Euclidean(-1),
    ):
        with pytest.raises(ValueError, match=r"received|needs"):
            wrong()


# Pixel grids.

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])
FLIP = np.diag([-1.0, 1.0])


@pytest.mark.parametrize("size", [4, 5])
def test_quarter_turns_and_flips_are_permutations(size):
    grid = PixelGrid(size, size, 0.3)
    image = np.random.default_rng(0).normal(size=(size, size, 2))
    u = grid.flatten(jnp.asarray(image))

    def act(matrix):
        return grid.unflatten(u[grid.permutation(matrix)])

    for k in range(4):
        np.testing.assert_array_equal(act(np.linalg.matrix_power(QUARTER, k)), np.rot90(image, k))
        np.testing.assert_array_equal(act(np.linalg.matrix_power(QUARTER, k) @ FLIP), np.rot90(np.fliplr(image), k))
    angle = 0.1
    assert grid.permutation(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])) is None
    assert grid.permutation(2 * np.eye(2)) is None


def test_rectangles_turn_by_half():
    grid = PixelGrid(3, 4)
    image = np.arange(12.0).reshape(3, 4)
    assert grid.permutation(QUARTER) is None
    turned = grid.unflatten(grid.flatten(jnp.asarray(image))[grid.permutation(-np.eye(2))])[..., 0]
    np.testing.assert_array_equal(turned, np.rot90(image, 2))


def test_grid_geometry():
    grid = PixelGrid(2, 3, 0.5)
    np.testing.assert_allclose(grid.points[0], [-0.5, 0.25])  # the top left pixel
    np.testing.assert_allclose(grid.points[-1], [0.5, -0.25])
    np.testing.assert_allclose(np.mean(grid.points, axis=0), 0)
    assert grid.shape == (2, 3)
    assert grid.size == 6
    assert grid.extent == (1.0, 1.5)
    assert grid.manifold == Euclidean(2)
    assert hash(grid) is not None
    assert jax.tree.leaves(grid) == []


def test_integrals():
    grid = PixelGrid(28, 28, 2 / 28)
    for dtype in DTYPES:
        total = grid.integrate(jnp.ones((grid.size, 2), dtype))
        assert total.dtype == dtype
        np.testing.assert_allclose(total, [4, 4], rtol=tolerance(dtype))
    n = np.array([8, 16, 32, 64])
    errors = []
    for k in n:
        grid = PixelGrid(k, k, 2 / k)
        errors.append(abs(grid.weights @ np.cos(grid.points).prod(axis=1) - (2 * np.sin(1)) ** 2))
    slope, _ = np.polyfit(np.log(n), np.log(errors), 1)
    assert -2.1 < slope < -1.9


def test_coarsen_keeps_the_extent():
    grid = PixelGrid(28, 28, 0.5)
    for to, shape in ((2, (14, 14)), ((10, 10), (10, 10)), ((28, 28), (28, 28))):
        coarse = grid.coarsen(to)
        assert coarse.shape == shape
        np.testing.assert_allclose(coarse.extent, grid.extent)
        np.testing.assert_allclose(coarse.weights.sum(), grid.weights.sum())
    assert PixelGrid(8, 12).coarsen((2, 3)).spacing == 4
    for wrong in (3, (10, 14), (56, 56), (0, 0)):
        with pytest.raises(ValueError, match="cannot be"):
            grid.coarsen(wrong)


@over("dtype", [jnp.float32, jnp.float64, jnp.uint8])
def test_flatten(dtype):
    grid = PixelGrid(2, 3)
    grey = jnp.arange(6).reshape(2, 3).astype(dtype)
    assert grid.flatten(grey).shape == (6, 1)
    assert grid.flatten(grey).dtype == dtype
    colour = jnp.stack([grey, grey], axis=-1)
    assert grid.flatten(colour).shape == (6, 2)
    np.testing.assert_array_equal(grid.unflatten(grid.flatten(colour)), colour)
    with pytest.raises(ValueError, match="received"):
        grid.flatten(grey.T)
    with pytest.raises(ValueError, match="6 rows"):
        grid.unflatten(jnp.zeros((5, 1)))


def test_a_wrong_grid_is_named():
    for wrong in ((0, 3), (3, 3, -1.0), (3, 3, math.inf)):
        with pytest.raises(ValueError, match="positive"):
            PixelGrid(*wrong)
    with pytest.raises(TypeError):
        PixelGrid(2.5, 3)
