"""Hyperbolic space, Stiefel, Grassmann, SPD, bundles, other metrics: against geomstats, SciPy, charts and each other."""

import functools
import json
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from jax.flatten_util import ravel_pytree

from equivax.geometry import (
    SPD,
    AbstractLieAction,
    Conformal,
    CotangentBundle,
    Euclidean,
    Grassmann,
    Hyperbolic,
    LeftInvariant,
    Orthogonal,
    Power,
    Product,
    PullBack,
    SpecialEuclidean,
    SpecialOrthogonal,
    SpecialUnitary,
    Sphere,
    Stiefel,
    TangentBundle,
    Torus,
    UnitQuaternions,
)
from equivax.geometry._spectral import inverse_root, leading_projector, symmetric_log
from equivax.laws import lie_action_axioms

REFERENCES = json.loads((Path(__file__).parent / "references" / "manifolds.json").read_text())["cases"]
NAMES = {"Sphere": Sphere, "Hyperbolic": Hyperbolic, "SPD": SPD, "Grassmann": Grassmann, "Stiefel": Stiefel}

over = functools.partial(pytest.mark.parametrize, ids=repr)


def named(text):
    kind, numbers = text.rstrip(")").split("(")
    return NAMES[kind](*map(int, numbers.split(",")))


def flat(x):
    return ravel_pytree(x)[0]


def scaled(c, v):
    return jax.tree.map(lambda a: c * a, v)


# Values.


@pytest.mark.parametrize("name", REFERENCES)
def test_against_geomstats(name):
    M = named(name)
    cases = REFERENCES[name]
    stacked = {k: jnp.asarray([c[k] for c in cases]) for k in cases[0]}

    @jax.jit
    @jax.vmap
    def ours(x, v, w, y):
        return {
            "exp": M.exp(x, v),
            "log": M.log(x, y),
            "dist": M.dist(x, y),
            "inner": M.inner(x, v, w),
            "transport": M.transport(x, v, w),
        }

    found = ours(*(stacked[k] for k in ("x", "v", "w", "exp")))
    # Logarithms on a Stiefel manifold are iterations, which geomstats ends at 1e-10: ours has v to answer to.
    stacked["log"] = stacked["v"]
    for key in found.keys() & stacked.keys():
        np.testing.assert_allclose(found[key], stacked[key], atol=1e-12, err_msg=key)


def differences(f, h=2e-3):
    # First and second derivatives at 0 by central differences of fourth order.
    y = {k: f(k * h) for k in range(-2, 3)}
    first = (-y[2] + 8 * y[1] - 8 * y[-1] + y[-2]) / (12 * h)
    return first, (-y[2] + 16 * y[1] - 30 * y[0] + 16 * y[-1] - y[-2]) / (12 * h * h)


def top_projector(S):
    return (lambda V: V @ V.T)(np.linalg.eigh(S)[1][:, 2:])


@pytest.mark.parametrize(
    ("f", "reference", "eigenvalues"),
    [
        (symmetric_log, scipy.linalg.logm, [1.0, 1.0, 1.0, 1.0]),
        (symmetric_log, scipy.linalg.logm, [0.5, 1.0, 1.01, 4.0]),
        (inverse_root, lambda S: np.linalg.inv(scipy.linalg.sqrtm(S)), [1.0, 1.0, 1.0, 2.0]),
        (functools.partial(leading_projector, p=2), top_projector, [0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_functions_of_symmetric_matrices_where_eigenvalues_repeat(f, reference, eigenvalues):
    rng = np.random.default_rng(3)
    Q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    A, B = (0.1 * (a + a.T) for a in rng.normal(size=(2, 4, 4)))
    S = Q @ np.diag(eigenvalues) @ Q.T

    def along(s):
        return f(jnp.asarray(S) + s * jnp.asarray(A) + s * s * jnp.asarray(B))

    @jax.jit
    def taylor(s):
        first = jax.jacfwd(along)
        return along(s), first(s), jax.jacfwd(first)(s), jax.jacfwd(jax.jacrev(along))(s)

    value, first, second, mixed = taylor(0.0)
    want = differences(lambda s: reference(S + s * A + s * s * B))
    np.testing.assert_allclose(value, reference(S), atol=1e-13)
    np.testing.assert_allclose(first, want[0], atol=1e-9)
    np.testing.assert_allclose(second, want[1], atol=1e-7)
    np.testing.assert_allclose(mixed, second, atol=1e-11)


@over("M", [Hyperbolic(2), Grassmann(3, 1), SPD(2)])
def test_log_has_derivatives_where_points_meet(M, getkey):
    # At y = x, and for SPD at the identity, where all eigenvalues coincide: log inverts exp to second order.
    x = jnp.eye(2) if isinstance(M, SPD) else M.random_point(key=getkey())
    v, w = (M.random_tangent(x, key=getkey()) for _ in range(2))

    def round_trip(s):
        return M.log(x, M.exp(x, s * v + s * s * w))

    @jax.jit
    def derivatives(s):
        first = jax.jacfwd(round_trip)
        return first(s), jax.jacfwd(first)(s), jax.grad(lambda s: jnp.vdot(round_trip(s), w))(s)

    first, second, reverse = derivatives(0.0)
    np.testing.assert_allclose(first, v, atol=1e-11)
    np.testing.assert_allclose(second, 2 * w, atol=1e-10)
    np.testing.assert_allclose(reverse, jnp.vdot(v, w), atol=1e-11)


@over("M", [Hyperbolic(2), Stiefel(3, 2), Grassmann(3, 1), SPD(2)])
def test_other_maps_have_derivatives_at_zero(M, getkey):
    x = jnp.eye(2) if isinstance(M, SPD) else M.random_point(key=getkey())
    v, w = (M.random_tangent(x, key=getkey()) for _ in range(2))

    def total(s):
        moved = (M.project(x + s * v), M.transport(x, s * v, w), M.retract(x, s * v), M.polish(x + s * s * v))
        return sum(jnp.vdot(a, w) for a in moved)

    def by_geodesics(s):
        return 2 * jnp.vdot(M.exp(x, s * v), w) + jnp.vdot(M.transport(x, s * v, w), w)

    # project (in the metric of R^N) and retract (in that of M) follow the geodesic, to first and to second order.
    reverse, second = jax.jit(lambda s: (jax.grad(total)(s), jax.jacfwd(jax.grad(total))(s)))(0.0)
    np.testing.assert_allclose(reverse, jax.jacfwd(by_geodesics)(0.0), atol=1e-12)
    assert jnp.isfinite(second)


def test_subspaces_at_right_angles():
    # On the cut locus log is one of the shortest ways, to the point itself, and has finite derivatives.
    M = Grassmann(4, 2)
    x, y = jnp.diag(jnp.asarray([1.0, 1, 0, 0])), jnp.diag(jnp.asarray([0.0, 0, 1, 1]))
    v, slope = jax.jit(lambda y: (M.log(x, y), jax.jacfwd(lambda y: M.log(x, y))(y)))(y)
    np.testing.assert_allclose(M.norm(x, v), math.sqrt(2) * math.pi / 2, atol=1e-10)
    np.testing.assert_allclose(M.exp(x, v), y, atol=1e-10)
    assert jnp.all(jnp.isfinite(slope))


def test_volumes_and_radii():
    np.testing.assert_allclose(Grassmann(3, 1).volume, 2 * math.pi)  # half a sphere
    np.testing.assert_allclose(Stiefel(3, 2).volume, SpecialOrthogonal(3).volume)
    np.testing.assert_allclose(Stiefel(5, 1).volume, Sphere(4).volume)
    assert Grassmann(4, 2).injectivity_radius == math.pi / 2
    assert Hyperbolic(2).injectivity_radius == SPD(2).injectivity_radius == SPD(2).volume == math.inf
    assert Product(Sphere(2), Grassmann(3, 1), Torus(1)).injectivity_radius == math.pi / 2
    for wrong in (lambda: Hyperbolic(0), lambda: Stiefel(3, 3), lambda: Grassmann(3, 0), lambda: SPD(0)):
        with pytest.raises(ValueError, match="received"):
            wrong()


@over("M", [Hyperbolic(3), Stiefel(4, 2), Grassmann(4, 2), SPD(3), Product(SPD(2), Sphere(2))])
def test_random_tangents_are_standard_normal_in_the_metric(M, getkey):
    x = M.random_point(key=getkey())
    keys = jax.random.split(getkey(), 4000)

    @jax.jit
    def coordinates(keys):
        E = M.frame(x)
        return jax.vmap(lambda k: jax.vmap(lambda e: M.inner(x, e, M.random_tangent(x, key=k)))(E))(keys)

    c = coordinates(keys)
    np.testing.assert_allclose(c.T @ c / len(c), np.eye(M.dim), atol=0.12)
    u = M.random_tangent(x, key=keys[0])
    y = M.exp(x, scaled(0.1, u))
    np.testing.assert_allclose(flat(M.wrapped_normal(x, 0.1, key=keys[0])), flat(y), atol=1e-14)


# Divergence and gradient, in charts.

HALF_PLANE = Conformal(Euclidean(2), lambda x: 1 / x[1] ** 2)
CHARTS = {
    Hyperbolic(2): lambda c: jnp.concatenate([jnp.sqrt(1 + c @ c)[None], c]),
    SPD(2): lambda c: jnp.stack([c[0] + 2, c[1], c[1], c[2] + 3]).reshape(2, 2),
    HALF_PLANE: lambda c: c + jnp.asarray([0.0, 2.0]),
}


@pytest.mark.parametrize("M", CHARTS, ids=lambda M: type(M).__name__)
def test_divergence_and_gradient_in_a_chart(M, getkey):
    chart = CHARTS[M]
    B = jax.random.normal(getkey(), (math.prod(M.shape), math.prod(M.shape)))
    c = jnp.asarray([0.3, -0.2, 0.4][: M.dim])

    def field(x):
        return M.to_tangent(x, jnp.sin(B @ flat(x) + 0.3).reshape(M.shape))

    def function(x):
        return jnp.sum(jnp.cos(B @ flat(x)))

    def density_and_components(c):
        x, basis = chart(c), jax.jacfwd(chart)(c)
        columns = jnp.moveaxis(basis, -1, 0)
        gram = jax.vmap(lambda v: jax.vmap(lambda w: M.inner(x, v, w))(columns))(columns)
        J = columns.reshape(M.dim, -1).T
        return jnp.sqrt(jnp.linalg.det(gram)), jnp.linalg.solve(J.T @ J, J.T @ flat(field(x))), gram, J

    @jax.jit
    def both(c):
        density, _, gram, J = density_and_components(c)
        flux = jax.jacfwd(lambda c: density_and_components(c)[0] * density_and_components(c)[1])(c)
        slope = jax.grad(lambda c: function(chart(c)))(c)
        x = chart(c)
        return (
            (M.divergence(field, x), jnp.trace(flux) / density),
            (flat(M.gradient(function, x)), J @ jnp.linalg.solve(gram, slope)),
        )

    (got, want), (gradient, expected) = both(c)
    assert abs(want) > 1e-2
    np.testing.assert_allclose(got, want, rtol=1e-9)
    np.testing.assert_allclose(gradient, expected, atol=1e-11)


# Motions.

rng = np.random.default_rng(11)
TURN = np.linalg.qr(rng.normal(size=(5, 5)))[0]
SHEAR = rng.normal(size=(3, 3))
BOOST = scipy.linalg.expm(np.array([[0, 0.4, -0.3], [0.4, 0, 0.7], [-0.3, -0.7, 0]]))


def orthogonal(n):
    return np.linalg.qr(TURN[:n, :n])[0]


MOVING = [
    (Sphere(1), lambda x: orthogonal(2) @ x),
    (Sphere(2), lambda x: orthogonal(3) @ x),
    (Sphere(3), lambda x: orthogonal(4) @ x),
    (Sphere(4), lambda x: orthogonal(5) @ x),
    (Hyperbolic(2), lambda x: BOOST @ x),
    (Stiefel(4, 2), lambda x: orthogonal(4) @ x @ orthogonal(2)),
    (Grassmann(3, 1), lambda x: orthogonal(3) @ x @ orthogonal(3).T),
    (SPD(3), lambda x: SHEAR @ x @ SHEAR.T),
]


@pytest.mark.parametrize(("M", "isometry"), MOVING, ids=lambda M: repr(M) if isinstance(M, eqx.Module) else "")
def test_motions_are_a_lie_action(M, isometry, getkey):
    table = lie_action_axioms(M, key=getkey(), isometry=isometry)
    assert table.passed, str(table)
    assert len(table) == 12


def test_an_action_with_the_wrong_bracket_is_found_out(getkey):
    class Backwards(AbstractLieAction):
        # The bracket of left-invariant fields, where that of matrices is meant.
        A: AbstractLieAction

        def act(self, xi, x):
            return self.A.act(xi, x)

        def lift(self, x, v):
            return self.A.lift(x, v)

        def bracket(self, xi, eta):
            return self.A.bracket(eta, xi)

    failed = {v.name for v in lie_action_axioms(Sphere(4), Backwards(Sphere(4).motions), key=getkey()).failed}
    assert failed == {"bracket of fields", "compose", "dexpinv"}


# Bundles.


@over("M", [Sphere(2), Hyperbolic(2)])
def test_mechanics_on_a_cotangent_bundle(M, getkey):
    T = CotangentBundle(M)
    z = T.random_point(key=getkey())
    a, b = T.random_tangent(z, key=getkey()), T.random_tangent(z, key=getkey())
    A, B = (jax.tree.map(lambda c, k=k: jnp.sin(c * k + k), z) for k in (1.0, 2.0))

    def H(z):
        return jnp.sum(jnp.sin(flat(z[0]))) + jnp.sum(flat(z[1]) ** 3) + jnp.vdot(flat(z[0]), flat(z[1]))

    def energy(z):
        return T.one_form(z, T.sharp_point(z)[::-1]) / 2

    def extended(c):
        return lambda z: T.to_tangent(z, c)

    @jax.jit
    def facts(z, a, b):
        X = T.hamiltonian_vector(H, z)
        (_, dH), f, g = jax.jvp(H, (z,), (b,)), extended(A), extended(B)
        # d theta (f, g) = f(theta(g)) - g(theta(f)) - theta([f, g])
        _, fg = jax.jvp(lambda z: T.one_form(z, g(z)), (z,), (f(z),))
        _, gf = jax.jvp(lambda z: T.one_form(z, f(z)), (z,), (g(z),))
        there, back = jax.jvp(g, (z,), (f(z),))[1], jax.jvp(f, (z,), (g(z),))[1]
        bracket = jax.tree.map(jnp.subtract, there, back)
        # The motions of |p|^2/2 are the geodesics.
        x, u = T.sharp_point(z)
        speed = jax.jvp(lambda t: M.exp(x, scaled(t, u)), (0.5,), (1.0,))
        start = T.flat_point(speed)
        velocity = jax.jvp(
            lambda t: T.flat_point(jax.jvp(lambda t: M.exp(x, scaled(t, u)), (t,), (1.0,))), (0.5,), (1.0,)
        )
        return {
            "sharp and flat": (flat(T.flat_point(T.sharp_point(z))), flat(z)),
            "omega(X_H, b) = dH(b)": (T.symplectic(z, X, b), dH),
            "X_H is tangent": (flat(T.to_tangent(z, X)), flat(X)),
            "X_H keeps H": (jax.jvp(H, (z,), (X,))[1], 0.0),
            "omega = -d theta": (T.symplectic(z, f(z), g(z)), -(fg - gf - T.one_form(z, bracket))),
            "omega is antisymmetric": (T.symplectic(z, a, b), -T.symplectic(z, b, a)),
            "geodesic flow": (flat(T.hamiltonian_vector(energy, start)), flat(velocity[1])),
            "projections": (flat(T.project(z)), flat(z)),
            "log": (flat(T.log(z, T.exp(z, scaled(0.4, a)))), 0.4 * flat(a)),
            "sharp": (T.inner(z, T.sharp(z, A), b), flat(A) @ flat(b)),
        }

    for name, (got, want) in facts(z, a, b).items():
        np.testing.assert_allclose(got, want, atol=1e-11, err_msg=name)


def test_canonical_equations():
    T = CotangentBundle(Euclidean(2))
    z = (jnp.asarray([0.3, -1.0]), jnp.asarray([2.0, 0.5]))
    x_dot, p_dot = T.hamiltonian_vector(lambda z: z[0] @ z[0] * z[1][0] + z[1] @ z[1] / 2, z)
    np.testing.assert_allclose(x_dot, z[1] + jnp.asarray([z[0] @ z[0], 0]))
    np.testing.assert_allclose(p_dot, -2 * z[0] * z[1][0])
    S = TangentBundle(Euclidean(2))
    np.testing.assert_allclose(flat(S.exp(z, z)), 2 * flat(z))
    assert S.dim == 4


# Other metrics.


def test_the_half_plane_is_hyperbolic(getkey):
    # Stereographic projection takes the hyperboloid to the disc, and Cayley's map the disc to the half plane.
    M = Hyperbolic(2)

    def to_half_plane(x):
        a, b = x[1:] / (1 + x[0])
        return jnp.stack([-2 * b, 1 - a * a - b * b]) / ((1 - a) ** 2 + b * b)

    x = M.random_point(key=getkey())
    v = M.random_tangent(x, key=getkey())
    v = v * 0.9 / M.norm(x, v)
    w = M.random_tangent(x, key=getkey())
    p, a = jax.jvp(to_half_plane, (x,), (v,))
    b = jax.jvp(to_half_plane, (x,), (w,))[1]
    end, back = M.exp(x, v), jax.jit(HALF_PLANE.log)
    np.testing.assert_allclose(HALF_PLANE.inner(p, a, b), M.inner(x, v, w), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(HALF_PLANE.exp)(p, a), to_half_plane(end), rtol=1e-11)
    np.testing.assert_allclose(back(p, to_half_plane(end)), a, rtol=1e-10)
    moved = jax.jvp(to_half_plane, (end,), (M.transport(x, v, w),))[1]
    np.testing.assert_allclose(jax.jit(HALF_PLANE.transport)(p, a, b), moved, rtol=1e-10)


def test_a_rigid_body(getkey):
    G = SpecialOrthogonal(3)
    inertia = np.diag([1.0, 2.0, 3.0])
    x = G.random_point(key=getkey())
    xi = np.array([0.5, 0.9, -0.4])
    v = G.left_invariant(x, jnp.asarray(xi))
    np.testing.assert_allclose(eqx.filter_jit(LeftInvariant(G, np.eye(3)).exp)(x, v), G.exp(x, v), atol=1e-12)

    def euler(t, state):
        omega, R = state[:3], state[3:].reshape(3, 3)
        rate = np.linalg.solve(inertia, np.cross(inertia @ omega, omega))
        return np.concatenate([rate, (R @ np.cross(np.eye(3), omega).T.T).ravel()])

    start = np.concatenate([xi, np.asarray(x).ravel()])
    body = scipy.integrate.solve_ivp(euler, (0, 1), start, method="DOP853", rtol=1e-13, atol=1e-14)
    body_end = body.y[3:, -1].reshape(3, 3)
    body_metric = LeftInvariant(G, inertia)
    np.testing.assert_allclose(eqx.filter_jit(body_metric.exp)(x, v), body_end, atol=1e-11)
    np.testing.assert_allclose(body_metric.norm(x, v) ** 2, xi @ inertia @ xi, rtol=1e-12)
    with pytest.raises(ValueError, match=r"\(3, 3\); received shape \(2, 2\)"):
        LeftInvariant(G, np.eye(2))


def test_a_pulled_back_plane_is_flat(getkey):
    bend = PullBack(
        Euclidean(2),
        Euclidean(2),
        lambda x: jnp.stack([x[0], x[1] + jnp.sin(x[0])]),
        lambda y: jnp.stack([y[0], y[1] - jnp.sin(y[0])]),
    )
    x, y = jnp.asarray([0.3, 0.1]), jnp.asarray([-1.0, 2.0])
    v, w = bend.log(x, y), jnp.asarray([1.0, 2.0])
    np.testing.assert_allclose(bend.exp(x, v), y, atol=1e-14)
    np.testing.assert_allclose(bend.dist(x, y), np.linalg.norm(bend.map(x) - bend.map(y)), rtol=1e-14)
    # Flat: around a triangle a vector comes back as it was.
    z, moved = jnp.asarray([2.0, -1.0]), w
    for p, q in ((x, y), (y, z), (z, x)):
        moved = bend.transport(p, bend.log(p, q), moved)
    np.testing.assert_allclose(moved, w, atol=1e-13)
    np.testing.assert_allclose(bend.inner(x, bend.sharp(x, w), v), w @ v, rtol=1e-13)


# Bad input.


def test_points_off_the_manifold_are_named():
    M = Sphere(2)
    x, off = jnp.asarray([0.0, 0.0, 1.0]), jnp.asarray([0.0, 0.0, 1.1])
    M.check_point(x)
    M.check_tangent(x, jnp.asarray([1.0, 2.0, 0.0]))
    with pytest.raises(ValueError, match=r"`x0` is not on Sphere\(n=2\): .* is 0\.1, .*space\.project\(x0\)"):
        M.check_point(off, name="x0")
    with pytest.raises(ValueError, match=r"`v` is not tangent .* is 1.1, .*space\.to_tangent\(x, v\)"):
        M.check_tangent(x, off)
    with pytest.raises(ValueError, match="shape"):
        M.check_point(jnp.ones(2))
    # Angles outside of the interval name points inside, also in a product and a power; the other factor is still asked.
    both, several = Product(M, Torus(2)), Power(Torus(2), 3)
    both.check_point((x, jnp.asarray([7.0, -9.0])))
    several.check_point(jnp.full((3, 2), 20.0))
    assert not both.belongs((x, jnp.asarray([7.0, -9.0])))
    with pytest.raises(ValueError, match="is not on"):
        both.check_point((off, jnp.asarray([7.0, -9.0])))
    # Inside a compiled function values are not known, and nothing is said.
    jax.jit(lambda x: (M.check_point(x), M.check_tangent(x, x)))(off)
    assert not Hyperbolic(2).belongs(jnp.asarray([-1.0, 0, 0]))
    assert not SPD(2).belongs(jnp.diag(jnp.asarray([1.0, 0.0])))
    assert not SPD(2).belongs(jnp.asarray([[1.0, 0.1], [0.0, 1.0]]))


@pytest.mark.parametrize(
    ("M", "constant"),
    [
        (Euclidean(3), True),
        (Torus(2), True),
        (Sphere(2), True),
        (UnitQuaternions(), True),
        (SpecialOrthogonal(3), True),
        (Orthogonal(4), True),
        (SpecialUnitary(2), True),
        (SpecialEuclidean(2), True),
        (Grassmann(4, 2), True),
        (Power(SpecialOrthogonal(3), 2), True),
        (Product(Sphere(2), SpecialOrthogonal(3)), True),
        (Product(Sphere(2), Hyperbolic(2)), False),
        (Hyperbolic(2), False),
        (Stiefel(3, 2), False),
        (SPD(2), False),
        (Power(Hyperbolic(2), 2), False),
        (TangentBundle(Sphere(2)), False),
        (Conformal(Sphere(2), lambda x: 1 + x[0] ** 2), False),
    ],
    ids=lambda a: type(a).__name__ if isinstance(a, eqx.Module) else "",
)
def test_metrics_that_measure_every_vector_alike(M, constant, getkey):
    assert M.constant_metric == constant
    x, y = (M.random_point(key=getkey()) for _ in range(2))
    vs = jax.tree.map(lambda a: jax.random.normal(getkey(), (20, *a.shape), a.dtype), x)
    here, there = (np.asarray(jax.vmap(lambda v: M.inner(z, v, v))(vs)) for z in (x, y))  # noqa: B023
    alike = np.allclose(here, there, rtol=1e-12, atol=0) and here.min() > 0
    assert alike == constant
