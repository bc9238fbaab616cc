"""Whole solves commute with the isometries of the space: every manifold, every kind of solver, constant and adaptive steps.

The field is any field f, and g_* f its image under an isometry g: the solution of g_* f from g x has to be g times the
solution of f from x, to rounding. (Where f is equivariant, g_* f = f, and this is the equivariance of the flow.)
"""

import functools
import os

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.flatten_util import ravel_pytree

from equivax.dynamics import (
    RKMK,
    AlgebraTerm,
    CommutatorFree,
    CrouchGrossman,
    InvariantController,
    Magnus,
    Projected,
    Reversible,
)
from equivax.geometry import (
    SPD,
    Euclidean,
    Grassmann,
    Heisenberg,
    Hyperbolic,
    Power,
    Product,
    SpecialEuclidean,
    SpecialOrthogonal,
    SpecialUnitary,
    Sphere,
    Stiefel,
    Torus,
    UnitQuaternions,
)

RNG = np.random.default_rng(11)
BOUND = 1e-10


def orthogonal(n):
    q, _ = np.linalg.qr(RNG.normal(size=(n, n)))
    return q


def rotation(n):
    a = RNG.normal(size=(n, n))
    return scipy.linalg.expm(a - a.T)


def boost(n):
    a = 0.4 * RNG.normal(size=(n + 1, n + 1))
    skew = a - a.T
    skew[0, 1:] *= -1
    return scipy.linalg.expm(skew)


def unitary(n):
    a = RNG.normal(size=(2, n, n))
    h = scipy.linalg.expm((a[0] - a[0].T) / 2 + 1j * (a[1] + a[1].T) / 2)
    h = h / np.linalg.det(h) ** (1 / n)
    return np.block([[h.real, -h.imag], [h.imag, h.real]])


def rigid(n):
    g = np.eye(n + 1)
    g[:n, :n], g[:n, n] = rotation(n), RNG.normal(size=n)
    return g


def left(g, x):
    return g @ x


def conjugated(g, x):
    return g @ x @ g.T


def both_sides(g, x):
    return g[0] @ x @ g[1]


def each(g, x):
    return x @ g.T


# (space, an isometry as a pytree of arrays, its action): one line for each manifold.
CASES = [
    (Euclidean(3), rotation(3), left),
    (Torus(2), np.array([1.0, -2.5]), lambda g, x: Torus(2).project(x + g)),
    (Sphere(1), orthogonal(2), left),
    (Sphere(2), orthogonal(3), left),
    (Sphere(3), orthogonal(4), left),
    (Sphere(4), orthogonal(5), left),
    (Hyperbolic(2), boost(2), left),
    (Stiefel(4, 2), orthogonal(4), left),
    (Grassmann(4, 2), orthogonal(4), conjugated),
    (SPD(3), np.eye(3) + 0.4 * RNG.normal(size=(3, 3)), conjugated),
    (SpecialOrthogonal(3), (rotation(3), rotation(3)), both_sides),
    (SpecialOrthogonal(4), (rotation(4), rotation(4)), both_sides),
    (SpecialUnitary(2), (unitary(2), unitary(2)), both_sides),
    (SpecialUnitary(3), (unitary(3), unitary(3)), both_sides),
    (SpecialEuclidean(3), rigid(3), left),
    (UnitQuaternions(), rotation(4), left),
    (Heisenberg(1), np.array([0.7, -0.4, 1.2]), lambda g, x: Heisenberg(1).compose(g, x)),
    (Product(Sphere(2), Euclidean(2)), (orthogonal(3), rotation(2)), lambda g, x: (g[0] @ x[0], g[1] @ x[1])),
    (Power(Sphere(2), 3), orthogonal(3), each),
]
SOLVERS = [
    RKMK(diffrax.Tsit5()),
    CrouchGrossman(3),
    CommutatorFree(4),
    Projected(diffrax.Bosh3()),
    Reversible(diffrax.Bosh3()),
    Magnus(4),
]
ADAPTIVE, CONSTANT = 1e-5, 1e3
# Every manifold with one solver, and every solver on some manifolds. All of them with all take five minutes:
# EQUIVAX_THOROUGH=1 pytest tests/test_solves_commute.py
SOME = (3, 9, 10, 14, 17)
PAIRS = [(i, s) for s in SOLVERS for i in range(len(CASES)) if s is SOLVERS[0] or i in SOME]
if os.environ.get("EQUIVAX_THOROUGH"):
    PAIRS = [(i, s) for s in SOLVERS for i in range(len(CASES))]


def flat(x):
    return ravel_pytree(x)[0]


@functools.cache
def solve(index, solver):
    """(x, g, rtol) -> (the end, the number of steps), compiled once: with a huge rtol all steps have length dtmax."""
    M, _, act = CASES[index]
    N = flat(M.random_point(key=jax.random.key(0))).size
    W = jnp.asarray(np.random.default_rng(3).normal(size=(2, N, N)) / np.sqrt(N))
    linear = isinstance(solver, Magnus)
    one = M.random_point(key=jax.random.key(4))

    def field(t, x):
        v = jnp.sin(W[0] @ flat(x) + 2 * t) + jnp.cos(W[1] @ flat(x))
        return M.to_tangent(x, ravel_pytree(x)[1](v / jnp.sqrt(1 + v @ v)))

    def pushed(t, y, args):
        # (g_* f)(y) = Dg f(g^-1 y), with g^-1 y by solving for it: act is invertible in its second argument.
        g, inverse = args
        x = act(inverse, y)
        return jax.jvp(lambda x: act(g, x), (x,), (field(t, x),))[1]

    def algebra(t, y, args):
        # A(t), carried along by the adjoint action as a motion is: lifted at one point that g moves.
        g, _ = args
        base = act(g, one)
        return M.motions.lift(base, jax.jvp(lambda x: act(g, x), (one,), (field(t, one),))[1])

    def run(x, g, inverse, rtol):
        controller = InvariantController(diffrax.PIDController(rtol=rtol, atol=rtol, dtmax=0.05), M)
        solution = diffrax.diffeqsolve(
            AlgebraTerm(algebra) if linear else diffrax.ODETerm(pushed),
            solver.on(M),
            0.0,
            1.0,
            0.05,
            x,
            (g, inverse),
            stepsize_controller=controller,
            max_steps=512,
        )
        return jax.tree.map(lambda a: a[-1], solution.ys), solution.stats["num_steps"]

    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(run, compiler_options=options)


def inverse_of(M, g):
    if isinstance(M, Torus):
        return -g
    if isinstance(M, Heisenberg):
        return M.inverse(g)
    return jax.tree.map(np.linalg.inv, g)


def identity_of(M, g):
    if isinstance(M, Torus | Heisenberg):
        return jnp.zeros_like(g)
    return jax.tree.map(lambda a: jnp.eye(len(a)), g)


@pytest.mark.parametrize(
    ("index", "solver"), PAIRS, ids=lambda a: str(CASES[a][0]) if isinstance(a, int) else type(a).__name__
)
def test_solves_commute_with_isometries(index, solver):
    M, g, act = CASES[index]
    g = jax.tree.map(jnp.asarray, g)
    inverse, unit = inverse_of(M, g), identity_of(M, g)
    x = M.random_point(key=jax.random.key(index))
    for rtol in (CONSTANT, ADAPTIVE):
        y, steps = solve(index, solver)(x, unit, unit, jnp.asarray(rtol))
        gy, steps_g = solve(index, solver)(act(g, x), g, inverse, jnp.asarray(rtol))
        assert steps == steps_g
        assert steps == 20 if rtol == CONSTANT else steps > 5
        assert M.dist(x, y) > 1e-2, "a flow that does not move shows nothing"
        assert jnp.max(jnp.abs(flat(gy) - flat(act(g, y)))) < BOUND * (1 + jnp.max(jnp.abs(flat(gy))))
