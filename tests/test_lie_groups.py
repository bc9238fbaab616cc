"""Laws x Lie groups: products, exponentials, adjoints, differentials, metrics; closed forms against derived ones."""

import functools
import json
import math
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from equivax.dynamics import Projected
from equivax.geometry import (
    AbstractLieAction,
    AbstractLieGroup,
    AbstractManifold,
    Heisenberg,
    Orthogonal,
    Power,
    RotationAction,
    SpecialEuclidean,
    SpecialOrthogonal,
    SpecialUnitary,
    Unitary,
    UnitQuaternions,
)
from equivax.geometry._matrix_functions import expm, polar
from equivax.geometry._unitary import complexify

REFERENCES = json.loads((Path(__file__).parent / "references" / "groups.json").read_text())
GROUPS = [
    SpecialOrthogonal(2),
    SpecialOrthogonal(3),
    SpecialUnitary(3),
    SpecialEuclidean(2),
    SpecialEuclidean(3),
    UnitQuaternions(),
    Heisenberg(2),
]
CASES = [(G, jnp.float64) for G in GROUPS]
BATCH = 3

over = functools.partial(pytest.mark.parametrize, ids=repr)


def tolerance(dtype):
    return 1000 * float(jnp.finfo(dtype).eps)


def gap(a, b):
    return float(np.max(np.abs(np.asarray(a, float) - np.asarray(b, float)), initial=0.0))


# Compiling dominates: each function here runs a few times on a few points, so it is not worth optimising.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


class Mapped:
    """The methods of an object, or those of a class applied to it, each compiled once for a batch of points."""

    def __init__(self, thing, kind=None):
        self.thing, self.kind, self.compiled = thing, kind, {}

    def __getattr__(self, name):
        if name not in self.compiled:
            method = functools.partial(getattr(self.kind, name), self.thing) if self.kind else getattr(self.thing, name)
            self.compiled[name] = quick(jax.vmap(method))
        return self.compiled[name]


@functools.cache
def facts(G, dtype):
    """Every law of one group at BATCH random points: a dictionary of errors."""
    k, action = G.dim, Mapped(G.motions)
    g, derived, series = Mapped(G), Mapped(G, AbstractLieGroup), Mapped(G.motions, AbstractLieAction)
    keys = jax.random.split(jax.random.key(1), (9, BATCH))
    draw = quick(jax.vmap(lambda a: G.random_point(key=a, dtype=dtype)))
    tangent = quick(jax.vmap(lambda x, a: G.random_tangent(x, key=a)))
    x, y, z = draw(keys[0]), draw(keys[1]), draw(keys[2])
    xi, eta, zeta = (0.5 * jax.random.normal(a[0], (BATCH, k), dtype) for a in keys[3:6])
    v, w = tangent(x, keys[6]), tangent(x, keys[7])
    v = v / g.norm(x, v).reshape(-1, *(1,) * (x.ndim - 1))
    b = jax.random.normal(keys[8, 0], x.shape, dtype)
    e = jnp.broadcast_to(jnp.asarray(G.identity, dtype), x.shape)
    bracket, Ad, inner, compose, expm = g.bracket, g.Ad, g.inner, g.compose, g.expm

    there, back = g.exp(x, v), g.log(g.exp(x, v), x)
    Tv, Tw = g.transport(x, v, v), g.transport(x, v, w)
    half = g.exp(x, v / 2)
    again = g.transport(half, g.transport(x, v / 2, v / 2), g.transport(x, v / 2, w))
    E = g.frame(x)
    gram = np.stack([[inner(x, E[:, i], E[:, j]) for j in range(k)] for i in range(k)])
    push = quick(jax.vmap(lambda g, x, v: jax.jvp(lambda x: G.compose(g, x), (x,), (v,))[1]))
    zx, zv, zw = compose(z, x), push(z, x, v), push(z, x, w)
    adjoint = np.asarray(g.ad(xi), float)
    u = 0.1 * xi
    twelfth = quick(jax.vmap(lambda u, w: AbstractLieAction.dexpinv(G.motions, u, w, 12)))
    results = (x, v, there, back, Tw, E, zx, g.logm(x), g.polish(x), Ad(x, xi), g.dexpinv(xi, eta), g.sharp(x, b))
    return {
        "types": {a.dtype for a in results},
        "belongs": [g.belongs(a) for a in (x, there, zx, g.project(x + 0.1 * b), g.retract(x, v), expm(xi))],
        "tangent": [g.is_tangent(x, v), g.is_tangent(there, Tw), g.is_tangent(x, g.to_tangent(x, b))],
        # The group.
        "associative": gap(compose(compose(x, y), z), compose(x, compose(y, z))),
        "inverse": gap(compose(x, g.inverse(x)), e),
        "identity": gap(compose(e, x), x),
        "hat and vee": gap(g.vee(g.hat(xi)), xi),
        "translations": gap(g.left_trivialise(x, g.left_invariant(x, xi)), xi)
        + gap(g.right_trivialise(x, g.right_invariant(x, xi)), xi),
        # The algebra.
        "Ad is a representation": gap(Ad(compose(x, y), xi), Ad(x, Ad(y, xi))),
        "Ad of expm": gap(
            Ad(expm(xi), eta), [scipy.linalg.expm(a) @ np.asarray(b, float) for a, b in zip(adjoint, eta, strict=True)]
        ),
        "Jacobi": gap(
            bracket(xi, bracket(eta, zeta)) + bracket(zeta, bracket(xi, eta)), -bracket(eta, bracket(zeta, xi))
        ),
        "bracket": gap(bracket(xi, eta), derived.bracket(xi, eta)),
        "ad": gap(adjoint @ np.asarray(eta, float)[..., None], bracket(xi, eta)[..., None]),
        "ad_norm": max(0.0, np.max(np.abs(np.linalg.eigvals(adjoint)).max(1) - np.asarray(g.ad_norm(xi)))),
        "dexp": gap(g.dexp(xi, eta), derived.dexp(xi, eta)),
        "dexpinv": gap(g.dexpinv(xi, g.dexp(xi, eta)), eta),
        "one-parameter groups": gap(compose(expm(xi), expm(0.7 * xi)), expm(1.7 * xi)),
        "logm": gap(g.logm(expm(xi)), xi),
        "expm of logm": gap(expm(g.logm(x)), x),
        # The action.
        "act": gap(action.act(xi, x), compose(expm(xi), x)),
        "lift": gap(action.generator(action.lift(x, v), x), v),
        "generator": gap(action.generator(xi, x), series.generator(xi, x)),
        "lift is equivariant": gap(action.lift(zx, zv), Ad(z, action.lift(x, v))),
        "dexpinv of the action": gap(twelfth(u, eta), g.dexpinv(u, eta)),
        # The metric.
        "left-invariant metric": gap(inner(zx, zv, zw), inner(x, v, w)),
        "metric of coordinates": gap(inner(x, v, w), derived.inner(x, v, w)),
        "frame": gap(gram.transpose(2, 0, 1), np.broadcast_to(np.eye(k), (BATCH, k, k))),
        "sharp": gap(inner(x, g.sharp(x, b), w), jnp.sum((b * w).reshape(BATCH, -1), axis=1)),
        "to_tangent": gap(jnp.sum(((b - g.to_tangent(x, b)) * w).reshape(BATCH, -1), axis=1), 0),
        "log": gap(g.log(x, there), v),
        "dist": gap(g.dist(x, there), 1) + gap(g.dist(zx, compose(z, there)), 1),
        "project": gap(g.project(x), x),
        "polish": gap(g.polish(x), x),
        "transport is an isometry": gap(inner(there, Tv, Tw), inner(x, v, w)),
        "transport keeps geodesics": gap(Tv, -back),
        "transport in two": gap(again, Tw),
    }


@over(("G", "dtype"), CASES)
def test_laws(G, dtype):
    laws = {law: error for law, error in facts(G, dtype).items() if law not in ("types", "belongs", "tangent")}
    assert {law: error for law, error in laws.items() if not error < tolerance(dtype)} == {}


@over(("G", "dtype"), CASES)
def test_membership_and_types(G, dtype):
    found = facts(G, dtype)
    assert found["types"] == {jnp.dtype(dtype)}
    assert np.all(found["belongs"])
    assert np.all(found["tangent"])


@over(
    ("G", "dtype"),
    [
        (SpecialOrthogonal(4), jnp.float64),
        (SpecialOrthogonal(3), jnp.float32),
        (Unitary(2), jnp.float32),
        (SpecialUnitary(2), jnp.float64),
        (SpecialEuclidean(4), jnp.float64),
    ],
)
def test_few_laws_of_the_other_groups(G, dtype):
    """What the larger table does not see of them: their own projections, and the other branches of their formulas."""

    @quick
    def errors(key):
        keys = jax.random.split(key, 4)
        x = G.random_point(key=keys[0], dtype=dtype)
        v, w = (G.random_tangent(x, key=k) for k in keys[1:3])
        v = v / G.norm(x, v)
        y, xi, eta = G.exp(x, v), G.left_trivialise(x, v), G.left_trivialise(x, w)
        b = jax.random.normal(keys[3], x.shape, dtype)
        return {
            "log": G.log(x, y) - v,
            "lift": G.motions.generator(G.motions.lift(x, v), x) - v,
            "metric": G.inner(x, v, w) - jnp.dot(xi, eta),
            "sharp": G.inner(x, G.sharp(x, b), w) - jnp.vdot(b, w),
            "bracket": G.hat(G.bracket(xi, eta)) - (G.hat(xi) @ G.hat(eta) - G.hat(eta) @ G.hat(xi)),
            "dexpinv": G.dexpinv(xi, G.dexp(xi, eta)) - eta,
            "project": G.project(y) - y,
            "points": [G.residual(z) for z in (x, y, G.retract(x, v), G.project(x + b / 10))],
            "tangents": G.to_tangent(x, w) - w,
        }

    found = errors(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(dtype)}
    for law, error in found.items():
        assert max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(error)) < tolerance(dtype), law


def reference(name):
    return {key: np.asarray(value) for key, value in REFERENCES[name].items()}


@pytest.mark.parametrize("n", [2, 3])
def test_jaxlie_agrees_on_rigid_motions(n):
    G, want = SpecialEuclidean(n), reference(f"jaxlie SE{n}")
    xi = jnp.asarray(want["xi"])
    g = Mapped(G)
    np.testing.assert_allclose(g.expm(xi), want["expm"], atol=1e-12)
    np.testing.assert_allclose(g.logm(want["expm"]), want["xi"], atol=1e-12)
    many = jax.vmap(quick(jax.vmap(G.Ad, in_axes=(None, 1), out_axes=1)), in_axes=(0, None))
    np.testing.assert_allclose(many(want["expm"], jnp.eye(G.dim)), want["Ad"], atol=1e-12)
    # The inverse Jacobian of the right is ours at -xi.
    many = jax.vmap(quick(jax.vmap(G.dexpinv, in_axes=(None, 1), out_axes=1)), in_axes=(0, None))
    np.testing.assert_allclose(many(-xi, jnp.eye(G.dim)), want["right_jacobian_inverse"], atol=1e-12)


def test_jaxlie_agrees_on_rotations():
    G, want = SpecialOrthogonal(3), reference("jaxlie SO3")
    np.testing.assert_allclose(Mapped(G).expm(want["xi"]), want["expm"], atol=1e-14)
    np.testing.assert_allclose(Mapped(G).logm(want["expm"]), want["xi"], atol=1e-12)
    got = quick(jax.vmap(lambda u: jax.vmap(lambda w: G.dexpinv(-u, w), out_axes=1)(jnp.eye(3))))(want["xi"])
    np.testing.assert_allclose(got, want["right_jacobian_inverse"], atol=1e-12)


@over("G", [SpecialOrthogonal(3), SpecialOrthogonal(4), SpecialEuclidean(3)])
def test_geomstats_agrees_on_geodesics(G):
    want = reference(f"geomstats {'SE' if isinstance(G, SpecialEuclidean) else 'SO'}{G.n}")
    g, x, v, w = Mapped(G), *(jnp.asarray(want[key]) for key in ("x", "v", "w"))
    np.testing.assert_allclose(g.exp(x, v), want["exp"], atol=1e-12)
    np.testing.assert_allclose(g.log(x, want["exp"]), want["log"], atol=1e-12)
    np.testing.assert_allclose(g.transport(x, v, w), want["transport"], atol=1e-12)


def test_geomstats_agrees_on_the_heisenberg_group():
    want = reference("geomstats Heisenberg")
    np.testing.assert_allclose(jax.vmap(Heisenberg(1).compose)(want["x"], want["y"]), want["compose"], atol=1e-14)


def skew(rng, n, size):
    a = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
    a = a - a.conj().T
    return a * size / np.linalg.norm(a, 2)


@pytest.mark.parametrize("size", [0.0, 0.5, 3.0, 40.0])
def test_scipy_agrees_on_exponentials(size):
    rng = np.random.default_rng(0)
    a = np.stack([skew(rng, 4, size) for _ in range(3)])
    want = np.stack([scipy.linalg.expm(b) for b in a])
    np.testing.assert_allclose(quick(jax.vmap(expm))(a), want, atol=2e-14 * max(1, size))
    np.testing.assert_allclose(
        quick(jax.vmap(expm))(a.imag), np.stack([scipy.linalg.expm(b.imag) for b in a]), rtol=1e-12
    )


@over("G", [SpecialOrthogonal(5), Unitary(3), SpecialUnitary(3), SpecialEuclidean(4)])
def test_scipy_agrees_on_logarithms(G):
    xi = jax.random.normal(jax.random.key(3), (4, G.dim))
    # Shorter than the distance to the cut locus; in SU(3) the last has no principal logarithm, which may have a trace.
    xi = (
        xi
        * jnp.asarray([[0.1], [1.0], [2.0], [0.99 * G.injectivity_radius]])
        / jnp.linalg.norm(xi, axis=1, keepdims=True)
    )
    g = Mapped(G)
    x = g.expm(xi)
    want = np.stack([np.real(scipy.linalg.logm(a)) for a in np.asarray(x)[:3]])
    np.testing.assert_allclose(x, np.stack([scipy.linalg.expm(a) for a in np.asarray(g.hat(xi))]), atol=1e-13)
    np.testing.assert_allclose(g.hat(g.logm(x))[:3], want, atol=1e-12)
    np.testing.assert_allclose(g.logm(x), xi, atol=1e-12)


# Rotations at which formulas break: the identity, half turns, equal and opposite angles, -1.
HALF_TURNS = [np.diag(d).astype(float) for d in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1])]


def block(*angles):
    return scipy.linalg.block_diag(*[[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in angles])


def phases(*angles):
    c, s = np.diag(np.cos(angles)), np.diag(np.sin(angles))
    return np.block([[c, -s], [s, c]])


def turned(x):
    """x in a basis in which it is not diagonal."""
    q = scipy.linalg.qr(np.random.default_rng(0).normal(size=x.shape))[0]
    return q @ x @ q.T


# Where the logarithm is smooth, and where it is not.
REGULAR = {
    SpecialOrthogonal(3): [np.eye(3)],
    SpecialOrthogonal(4): [np.eye(4), turned(block(1.0, 1.0)), turned(block(1.0, -1.0)), turned(block(0.0, 2.0))],
    SpecialUnitary(2): [np.eye(4)],
    SpecialUnitary(3): [np.eye(6), phases(0.5, 0.5, -1.0), phases(3.1, 2.0, 2 * np.pi - 5.1)],
}
SINGULAR = {
    SpecialOrthogonal(2): [-np.eye(2)],
    SpecialOrthogonal(3): [*HALF_TURNS, turned(HALF_TURNS[0])],
    SpecialOrthogonal(4): [-np.eye(4), turned(block(np.pi, 1.0)), turned(block(np.pi, 0.0))],
    Unitary(2): [-np.eye(4), phases(np.pi, 0.3)],
    SpecialUnitary(2): [-np.eye(4)],
    SpecialUnitary(3): [phases(*[2 * np.pi / 3] * 3), phases(np.pi, np.pi, 0.0)],
}


@functools.cache
def jets(G):
    """The logarithm at all points of both lists and along a direction: value, derivatives, neighbours, gradient."""

    @quick
    @jax.vmap
    def at(x, d):
        def along(s):
            return G.logm(x @ G.expm(s * d))

        def slope(s):
            return jax.jvp(along, (s,), (jnp.ones_like(s),))

        (value, first), (_, second) = jax.jvp(slope, (jnp.zeros(()),), (jnp.ones(()),))
        gradient = jax.grad(lambda x: jnp.sum(G.logm(x) ** 2))(x)
        return value, first, second, jax.vmap(along)(1e-3 * jnp.arange(-2.0, 3)), gradient

    x = np.stack([*REGULAR.get(G, []), *SINGULAR.get(G, [])])
    return x, *map(np.asarray, at(x, jax.random.normal(jax.random.key(5), (len(x), G.dim))))


@over("G", REGULAR)
def test_derivatives_of_logarithms_at_repeated_eigenvalues(G):
    x, value, first, second, near, gradient = (a[: len(REGULAR[G])] for a in jets(G))
    np.testing.assert_allclose(jax.vmap(G.expm)(value), x, atol=1e-13)
    h = 1e-3
    np.testing.assert_allclose(first, np.einsum("bik,i->bk", near, [1, -8, 0, 8, -1]) / (12 * h), atol=1e-8)
    np.testing.assert_allclose(second, np.einsum("bik,i->bk", near, [-1, 16, -30, 16, -1]) / (12 * h * h), atol=1e-7)
    assert np.all(np.isfinite(gradient))


@over("G", SINGULAR)
def test_logarithms_on_the_cut_locus(G):
    x, value, first, second, _, gradient = (a[len(REGULAR.get(G, [])) :] for a in jets(G))
    np.testing.assert_allclose(jax.vmap(G.expm)(value), x, atol=1e-12)
    assert np.all(np.linalg.norm(value, axis=1) > 0.99 * G.injectivity_radius)
    for derivative in (first, second, gradient):
        assert np.all(np.isfinite(derivative))


def test_shortest_logarithms_of_special_unitary_matrices():
    G, torus = SpecialUnitary(3), np.random.default_rng(0).uniform(-np.pi, np.pi, (40, 2))
    g = jax.vmap(lambda key: G.random_point(key=key))(jax.random.split(jax.random.key(0), 40))
    x = np.stack([q @ phases(a, b, -a - b) @ q.T for q, (a, b) in zip(np.asarray(g), torus, strict=True)])
    got = np.linalg.norm(quick(jax.vmap(G.logm))(x), axis=1)
    angles = np.angle(np.linalg.eigvals(np.asarray(jax.vmap(complexify)(x))))
    turns = 2 * np.pi * np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3)).reshape(3, -1).T
    every = angles[:, None] + turns
    length = np.where(np.abs(every.sum(2)) < 1e-6, np.sqrt((every**2).sum(2) / 2), np.inf).min(1)
    np.testing.assert_allclose(got, length, rtol=1e-12)
    assert np.any(np.abs(angles.sum(1)) > 1), "some principal logarithms should have a trace"


@pytest.mark.parametrize("special", [False, True])
def test_polar_factor(special):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, 3))
    x *= np.sign(np.linalg.det(x)) * (-1 if special else 1)
    q = polar(jnp.asarray(x), special)
    if special:
        u, _, vt = np.linalg.svd(x)
        np.testing.assert_allclose(q, u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt, atol=1e-14)
    else:
        np.testing.assert_allclose(q, scipy.linalg.polar(x)[0], atol=1e-14)
    b, d = jnp.asarray(rng.normal(size=(2, 3, 3)))

    @jax.jit
    def derivatives(x):
        def f(s):
            return jnp.vdot(b, polar(x + s * d, special))

        zero = jnp.zeros(())
        return jax.grad(f)(zero), jax.grad(jax.grad(f))(zero), jax.vmap(f)(1e-3 * jnp.arange(-2.0, 3))

    for at in (x, np.eye(3)):
        first, second, near = map(np.asarray, derivatives(jnp.asarray(at)))
        np.testing.assert_allclose(first, near @ np.array([1, -8, 0, 8, -1]) / 12e-3, rtol=1e-7)
        np.testing.assert_allclose(second, near @ np.array([-1, 16, -30, 16, -1]) / 12e-6, rtol=1e-5)


@over("G", [SpecialOrthogonal(3), SpecialUnitary(3), SpecialEuclidean(2), Heisenberg(1)])
def test_retractions_are_of_second_order(G):
    x = G.random_point(key=jax.random.key(0))
    v = G.random_tangent(x, key=jax.random.key(1))
    v = v / G.norm(x, v)
    h = np.geomspace(0.02, 0.2, 6)
    errors = quick(jax.vmap(lambda h: jnp.linalg.norm(jnp.ravel(G.retract(x, h * v) - G.exp(x, h * v)))))(h)
    assert abs(np.polyfit(np.log(h), np.log(errors), 1)[0] - 3) < 0.2


def test_transport_of_a_symmetric_space_is_the_ladder():
    G = SpecialOrthogonal(3)
    x = G.random_point(key=jax.random.key(0))
    v, w = (G.random_tangent(x, key=jax.random.key(k)) for k in (1, 2))
    np.testing.assert_allclose(G.transport(x, v, w), AbstractManifold.transport(G, x, v, w), atol=1e-12)


def test_geodesics_of_the_heisenberg_group():
    """They solve the equation of Euler and Lagrange, and the transport along them is the ladder's, to third order."""
    G = Heisenberg(1)
    x, v, w = jax.random.normal(jax.random.key(2), (3, 3))

    def momentum(t):
        y, u = jax.jvp(lambda t: G.exp(x, t * v), (t,), (jnp.ones(()),))
        force, p = jax.grad(lambda y, u: G.inner(y, u, u) / 2, argnums=(0, 1))(y, u)
        return p, force

    _, dp = jax.jvp(lambda t: momentum(t)[0], (jnp.asarray(0.8),), (jnp.ones(()),))
    np.testing.assert_allclose(dp, momentum(jnp.asarray(0.8))[1], atol=1e-13)
    assert jnp.linalg.norm(dp) > 0.1
    h = np.geomspace(0.02, 0.2, 6)
    ladder = quick(jax.vmap(lambda h: G.transport(x, h * v, w) - AbstractManifold.transport(G, x, h * v, w)))(h)
    assert abs(np.polyfit(np.log(h), np.log(np.linalg.norm(ladder, axis=1)), 1)[0] - 3) < 0.3


def test_the_heisenberg_logarithm_up_to_its_cut_locus():
    G = Heisenberg(1)
    e, log = jnp.zeros(3), quick(lambda y: G.log(jnp.zeros(3), y))
    for c in (0.0, 1e-9, 3.0, 6.2, -6.28):
        xi = jnp.asarray([0.3, -1e-3, c])
        np.testing.assert_allclose(log(G.exp(e, xi)), xi, rtol=1e-8, atol=1e-10)
    hessian = quick(jax.jacfwd(jax.jacfwd(lambda y: G.log(e, y))))
    for y in (e, jnp.asarray([0.0, 0.0, 7.0]), jnp.asarray([1.0, 0.0, 0.0]), jnp.asarray([0.0, 0.0, 1.0])):
        assert jnp.all(jnp.isfinite(log(y)))
        assert jnp.all(jnp.isfinite(hessian(y)))


def test_the_orthogonal_group_has_two_parts():
    G, R = Orthogonal(3), SpecialOrthogonal(3)
    x, y = (R.random_point(key=jax.random.key(k)) for k in (0, 1))
    mirror = jnp.diag(jnp.asarray([1.0, 1.0, -1.0]))
    np.testing.assert_allclose(G.dist(mirror @ x, mirror @ y), R.dist(x, y), rtol=1e-13)
    assert G.belongs(mirror @ x)
    assert not R.belongs(mirror @ x)
    assert jnp.isnan(G.dist(x, mirror @ y))
    v = G.random_tangent(mirror @ x, key=jax.random.key(2))
    np.testing.assert_allclose(G.log(mirror @ x, G.exp(mirror @ x, v / 2)), v / 2, atol=1e-13)
    draws = jax.vmap(lambda key: G.random_point(key=key))(jax.random.split(jax.random.key(0), 64))
    assert 16 < jnp.sum(jnp.linalg.det(draws) > 0) < 48
    u, w = jnp.asarray([0.3, 0.1, -0.4]), jnp.asarray([1.0, 0.2, 0.5])
    for name in ("bracket", "dexp", "dexpinv"):
        np.testing.assert_array_equal(getattr(G, name)(u, w), getattr(R, name)(u, w))


def test_volumes():
    assert SpecialOrthogonal(2).volume == pytest.approx(2 * math.pi)
    assert SpecialOrthogonal(3).volume == pytest.approx(8 * math.pi**2)
    assert Orthogonal(4).volume == pytest.approx(32 * math.pi**4)
    assert SpecialUnitary(2).volume == pytest.approx(UnitQuaternions().volume)
    # Marinov, Invariant volumes of compact groups, J. Phys. A 13, 1980.
    assert SpecialUnitary(3).volume == pytest.approx(math.sqrt(3) * math.pi**5)
    assert Unitary(1).volume == pytest.approx(math.sqrt(2) * math.pi)
    assert SpecialEuclidean(3).volume == Heisenberg(1).volume == math.inf


def test_random_rotations_are_uniform():
    keys = jax.random.split(jax.random.key(11), 1000)
    angle = jax.vmap(lambda key: jnp.linalg.norm(SpecialOrthogonal(3).logm(SpecialOrthogonal(3).random_point(key=key))))
    law = scipy.stats.kstest(np.asarray(jax.jit(angle)(keys)), lambda a: (a - np.sin(a)) / np.pi)
    assert law.pvalue > 0.01
    trace = jax.jit(jax.vmap(lambda key: jnp.trace(complexify(SpecialUnitary(2).random_point(key=key)))))(keys)
    # The moments of the semicircle: E tr = 0, E tr^2 = 1, E tr^4 = 2.
    for power, want in ((1, 0), (2, 1), (4, 2)):
        assert abs(np.mean(np.real(trace) ** power) - want) < 0.35


def test_quaternions_are_rotations():
    G, R = UnitQuaternions(), SpecialOrthogonal(3)
    p, q = (G.random_point(key=jax.random.key(k)) for k in (0, 1))
    np.testing.assert_allclose(G.rotation(G.compose(p, q)), G.rotation(p) @ G.rotation(q), atol=1e-14)
    xi = jnp.asarray([0.3, -0.5, 0.2])
    np.testing.assert_allclose(G.rotation(G.expm(xi)), R.expm(2 * xi), atol=1e-14)
    np.testing.assert_allclose(R.dist(G.rotation(p), G.rotation(q)), 2 * min(G.dist(p, q), G.dist(p, -q)), rtol=1e-12)
    S = SpecialUnitary(2)
    u, w = jnp.asarray([0.3, 0.1, -0.4]), jnp.asarray([1.0, 0.2, 0.5])
    np.testing.assert_allclose(S.bracket(u, w), G.bracket(u, w), atol=1e-15)
    np.testing.assert_allclose(S.logm(S.expm(u) @ S.expm(w)), G.logm(G.compose(G.expm(u), G.expm(w))), atol=1e-14)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_rotations_move_the_sphere(dtype):
    A, R = RotationAction(), SpecialOrthogonal(3)
    x = jnp.asarray([0.6, 0.0, 0.8], dtype)
    v, w, u = (jnp.asarray(a, dtype) for a in ([0.0, 0.7, 0.0], [0.3, -0.2, 1.0], [0.5, 0.4, -0.1]))
    eps = 10 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(A.act(w, x), R.expm(w) @ x, atol=eps)
    np.testing.assert_allclose(A.generator(A.lift(x, v), x), v, atol=eps)
    np.testing.assert_allclose(A.generator(w, x), AbstractLieAction.generator(A, w, x), atol=eps)
    np.testing.assert_allclose(A.dexpinv(u, w, 4), AbstractLieAction.dexpinv(A, u, w, 12), atol=1e-6)
    np.testing.assert_allclose(A.dexpinv(u, w, 4), R.dexpinv(u, w), atol=eps)
    np.testing.assert_allclose(R.expm(A.compose(u, w)), R.expm(u) @ R.expm(w), atol=eps)
    np.testing.assert_allclose(A.bracket(u, w), R.bracket(u, w), atol=eps)
    assert A.within_radius(u)
    assert not A.within_radius(20 * u)
    assert not A.within_radius(u * jnp.nan)
    mirror = -R.expm(u)
    np.testing.assert_allclose(A.lift(mirror @ x, mirror @ v), -mirror @ A.lift(x, v), atol=eps)
    assert A.act(w, x).dtype == A.lift(x, v).dtype == A.compose(u, w).dtype == dtype


def test_polish_takes_rounding_away():
    for G in (SpecialOrthogonal(3), Unitary(2), SpecialUnitary(3), SpecialEuclidean(3), UnitQuaternions()):
        x = G.random_point(key=jax.random.key(0))
        noisy = x + 1e-6 * jax.random.normal(jax.random.key(1), x.shape)
        assert G.residual(noisy) > 1e-7
        assert G.residual(G.polish(noisy)) < 1e-11


def test_what_is_refused():
    with pytest.raises(ValueError, match="n >= 2; received n = 1"):
        SpecialOrthogonal(1)
    with pytest.raises(ValueError, match="n >= 2; received n = 1"):
        Orthogonal(1)
    with pytest.raises(ValueError, match="n >= 2; received n = 0"):
        SpecialEuclidean(0)
    with pytest.raises(ValueError, match="n >= 2; received n = 1"):
        SpecialUnitary(1)
    with pytest.raises(ValueError, match="n >= 1; received n = 0"):
        Unitary(0)
    with pytest.raises(ValueError, match="n >= 1; received n = 0"):
        Heisenberg(0)
    with pytest.raises(ValueError, match="not on SpecialOrthogonal"):
        SpecialOrthogonal(3).check_point(2 * jnp.eye(3))


@pytest.mark.parametrize("M", [SpecialOrthogonal(3), SpecialEuclidean(3), Power(SpecialOrthogonal(2), 3)], ids=str)
def test_the_nearest_point_to_a_point_nearby(M):
    x = M.random_point(key=jax.random.key(0), dtype=jnp.float64)
    noise = jax.random.normal(jax.random.key(1), x.shape, x.dtype)
    for size in (1e-8, 1e-5):
        found, square = M.nearby(x + size * noise)
        assert float(square) < 1e-8
        np.testing.assert_allclose(found, M.project(x + size * noise), rtol=0, atol=1e-14)
    assert float(M.nearby(x + 1e-3 * noise)[1]) > 1e-8
    # Steps of any length land on the nearest point.
    land = eqx.filter_jit(Projected(diffrax.Tsit5(), M)._land)
    for size in (1e-5, 1e-3, 1e-2, 0.5):
        np.testing.assert_allclose(land(x + size * noise), M.project(x + size * noise), rtol=0, atol=1e-14)
    if isinstance(M, SpecialOrthogonal):
        assert np.isinf(M.nearby(-x)[1]), "orthonormal columns do not make a rotation"
