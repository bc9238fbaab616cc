"""The laws themselves: they hold where they should, catch what is broken, and say what could not have failed."""

import dataclasses
import json
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objects import AXIAL, GRID, KEY, MANIFOLDS, Chase, name_of

from equivax.dynamics import Flow, Steps
from equivax.fields import AbstractField, NetworkField
from equivax.geometry import AbstractManifold, Euclidean, PixelGrid, Sphere
from equivax.laws import (
    Verdict,
    VerdictTable,
    action_axioms,
    describe,
    equivariance,
    equivariance_by_element,
    exact_elements,
    field_equivariance,
    flow_equivariance,
    group_axioms,
    infinitesimal_equivariance,
    invariance_of_basis,
    manifold_axioms,
    probe_elements,
    refuted,
    rejects,
    representation_axioms,
    rounding,
)
from equivax.symmetry import (
    SO,
    AbstractAction,
    AbstractGroup,
    AbstractRep,
    Basis,
    Cyclic,
    Dihedral,
    GroupError,
    LinearAction,
    O,
    SignalAction,
    Symmetric,
    TrivialAction,
    defining,
    irrep,
    rotation,
    trivial,
)

PLANE = LinearAction(defining(SO(2)))
X = jnp.asarray([0.6, -1.1])


def by_name(table, name):
    return next(v for v in table if v.name == name)


# Verdicts and tables.


def test_a_verdict_passes_fails_or_is_vacuous():
    held, broken = Verdict("a", "x = y", 1e-16, 1.0, 1e-13), Verdict("b", "x = y", 1.0, 1.0, 1e-13, detail="at x = 0")
    empty, nan = dataclasses.replace(held, name="c", vacuous=True), dataclasses.replace(held, error=math.nan)
    assert (held.passed, held.failed, held.mark) == (True, False, "pass")
    assert (broken.passed, broken.failed, broken.mark) == (False, True, "FAIL")
    assert (empty.passed, empty.failed, empty.mark) == (False, False, "vacuous")
    assert nan.failed, "not a number is not a proof"
    assert dataclasses.replace(broken, vacuous=True).failed, "a law that is violated could have failed"
    table = VerdictTable([held, broken]) + VerdictTable([empty])
    assert isinstance(table, VerdictTable)
    assert (len(table), table.passed, table.exit_code) == (3, False, 1)
    assert VerdictTable([held, empty]).exit_code == 0
    assert table.worst == broken
    assert VerdictTable([held, nan]).worst is nan
    text = str(table).splitlines()
    assert [line.split()[0] for line in text] == ["law", "pass", "FAIL", "vacuous", "FAIL:", "vacuous"]
    assert len({line.index("x = y") for line in text[1:4]}) == 1, "columns are aligned"
    assert "at x = 0" in text[4]
    assert text[5].endswith(": c")
    assert str(table).isascii()
    assert str(VerdictTable()) == "no laws were asked"
    assert json.loads(json.dumps(VerdictTable([nan]).to_dicts(), allow_nan=False))[0]["error"] is None
    with pytest.raises(ValueError, match="empty VerdictTable"):
        _ = VerdictTable().worst


def test_refutation_turns_the_verdict_round():
    assert refuted(Verdict("a", "x = y", 0.3, 1.0, 1e-13)).passed
    assert refuted(Verdict("a", "x = y", 1e-14, 1.0, 1e-13)).failed
    assert refuted(Verdict("a", "x = y", 2e-13, 1.0, 1e-13)).failed, "twice the tolerance refutes nothing"
    assert refuted(Verdict("a", "x = y", 0.0, 0.0, 1e-13, vacuous=True)).failed


def test_tolerances_follow_the_type():
    assert rounding(jnp.float64) < 1e-12 < 1e-5 < rounding(jnp.float32) < 1e-3
    assert rounding(jnp.float32, tolerance=0.5) == 0.5


# Elements.


def test_exact_elements_are_those_of_the_group_that_keep_the_grid():
    def count(group, grid=GRID):
        return len(exact_elements(SignalAction(trivial(group), grid)))

    assert [count(G) for G in (SO(2), O(2), Cyclic(8), Cyclic(3), Cyclic(2), Dihedral(8), Dihedral(6))] == [
        4,
        8,
        4,
        1,
        2,
        8,
        4,
    ]
    assert [count(G, PixelGrid(4, 6)) for G in (SO(2), O(2), Cyclic(4), Dihedral(1))] == [2, 4, 2, 2]


def test_elements_have_names():
    names = [describe(g) for g in (np.eye(3), rotation(np.pi / 2), np.diag([1.0, -1.0]), np.diag([-1.0, 1.0]))]
    assert names[:2] == ["identity", "rotation by 90 degrees"]
    assert names[2:] == ["reflection in the line at 0 degrees", "reflection in the line at 90 degrees"]
    assert "2." in describe(np.diag([2.0, 1.0, 1.0]))


def test_small_finite_groups_are_checked_exhaustively(getkey):
    assert len(probe_elements(Dihedral(5), key=getkey())) == 10
    assert len(probe_elements(Symmetric(5), key=getkey(), samples=3)) == 2 + 3


# Broken objects are caught.


@dataclasses.dataclass(frozen=True)
class Twisted(AbstractRep):
    """The vectors of SO(n), with a differential of the wrong sign or a product in the wrong order."""

    of: AbstractGroup
    sign: float = -1.0
    reversed: bool = False

    @property
    def group(self):
        return self.of

    @property
    def dim(self):
        return self.group.d

    def rho(self, g):
        return g.T if self.reversed else g

    def drho(self, xi):
        return self.sign * xi


def test_a_wrong_differential_is_caught(getkey):
    table = representation_axioms(Twisted(SO(3)), key=getkey())
    assert {v.name for v in table.failed} == {"derivative", "exponential", "bracket"}
    assert min(v.error for v in table.failed) > 1e-2
    assert representation_axioms(Twisted(SO(3), sign=1.0), key=getkey()).passed
    backwards = representation_axioms(Twisted(SO(3), reversed=True), key=getkey())
    assert by_name(backwards, "product").failed


def test_the_trivial_representation_is_vacuous(getkey):
    table = representation_axioms(trivial(SO(3)), key=getkey())
    assert table.passed
    assert by_name(table, "product").vacuous


@dataclasses.dataclass(frozen=True)
class Leaky(AbstractGroup):
    """A group that samples what it should not, and whose brackets do not close."""

    n: int = 3

    @property
    def lie_algebra(self):
        return SO(3).lie_algebra[:2]

    @property
    def discrete_generators(self):
        return np.zeros((0, 3, 3))

    def sample(self, *, key):
        return 1.5 * O(3).sample(key=key)


def test_a_group_that_leaks_is_caught(getkey):
    failed = {v.name for v in group_axioms(Leaky(), key=getkey()).failed}
    assert failed == {"closure of brackets", "orthogonality", "determinant"}


class Drift(AbstractAction):
    """Not an action: g (h x) differs from (g h) x, and the space is left."""

    group: AbstractGroup = eqx.field(static=True)
    space: AbstractManifold

    def __call__(self, g, x):
        return jnp.asarray(g, x.dtype) @ x + 0.1 * jnp.sum(jnp.asarray(g, x.dtype))


def test_what_is_not_an_action_is_caught(getkey):
    failed = {v.name for v in action_axioms(Drift(SO(3), Sphere(2)), key=getkey()).failed}
    assert {"composition", "unit", "space", "push-forward is tangent"} <= failed
    assert all(v.vacuous for v in action_axioms(TrivialAction(SO(3), Sphere(2)), key=getkey()) if v.name != "unit")


def test_a_basis_that_is_not_invariant_is_caught(getkey):
    rep = defining(SO(3)) ** 2
    good, bad = np.eye(3).reshape(1, 9) / 3**0.5, np.eye(9)[:1]
    assert invariance_of_basis(Basis(rep, good, 1e12, 0.0), key=getkey()).passed
    failed = {v.name for v in invariance_of_basis(Basis(rep, 2 * bad, 10.0, 0.0), key=getkey()).failed}
    assert failed == {"finite invariance", "infinitesimal invariance", "orthonormality", "decided rank"}
    assert by_name(invariance_of_basis(Basis(rep, bad[:0], 1e12, 0.0), key=getkey()), "finite invariance").vacuous


@pytest.mark.parametrize("manifold", MANIFOLDS, ids=name_of)
def test_manifold_axioms(manifold, getkey):
    table = manifold_axioms(manifold, key=getkey())
    assert table.passed, str(table)


class Lumpy(AbstractManifold):
    """A circle that is not one: `project` is not idempotent, `exp` leaves, `to_tangent` is not orthogonal."""

    shape = (2,)
    dim = 1

    def project(self, x):
        return 0.9 * x

    def to_tangent(self, x, v):
        return v - jnp.dot(x, v) * jnp.asarray([1.0, 0.0], x.dtype)

    def exp(self, x, v):
        return x + v


def test_what_is_not_a_manifold_is_caught(getkey):
    failed = {v.name for v in manifold_axioms(Lumpy(), key=getkey()).failed}
    assert {"projection", "random points", "tangent projection", "orthogonal projection", "exp stays"} <= failed


# Equivariance of maps.


def spiral(x):
    return jnp.sum(x**2) * x + 0.3 * jnp.stack([-x[1], x[0]])


def skewed(x):
    return spiral(x) + 1e-6 * x[0]


def test_equivariance_holds_and_fails(getkey):
    assert equivariance(spiral, PLANE, PLANE, X, key=getkey()).passed
    assert infinitesimal_equivariance(spiral, PLANE, PLANE, X).passed
    assert equivariance(skewed, PLANE, PLANE, X, key=getkey()).failed, "one part in a million is not rounding"
    assert infinitesimal_equivariance(skewed, PLANE, PLANE, X).failed


def test_the_wrong_group_is_rejected(getkey):
    mirrored = LinearAction(defining(O(2)))
    assert rejects(spiral, mirrored, mirrored, X, key=getkey()).passed
    assert not rejects(spiral, PLANE, PLANE, X, key=getkey()).passed
    verdict = infinitesimal_equivariance(spiral, mirrored, mirrored, X)
    assert [v.mark for v in verdict] == ["pass", "FAIL"], "the Lie algebra does not see the reflection"
    assert "reflection" in verdict[1].detail


def test_invariance_is_equivariance_with_a_trivial_output(getkey):
    numbers = TrivialAction(SO(2), Euclidean(()))
    verdict = equivariance(lambda x: jnp.sum(x**2), PLANE, numbers, X, key=getkey())
    assert verdict.passed
    assert equivariance_by_element(lambda x: x @ x, PLANE, numbers, X, key=getkey())[0].statement == "f(g x) = f(x)"
    assert infinitesimal_equivariance(lambda x: jnp.sum(x**2), PLANE, numbers, X).passed
    assert equivariance(lambda x: x[0], PLANE, numbers, X, key=getkey()).failed


def test_vacuous_maps_are_named(getkey):
    numbers = TrivialAction(SO(2), Euclidean(()))
    constant = equivariance(lambda x: jnp.sum(0 * x) + 2, PLANE, numbers, X, key=getkey())
    zero = equivariance(lambda x: 0 * x, PLANE, PLANE, X, key=getkey())
    at_fixed_point = equivariance(spiral, PLANE, PLANE, 0 * X, key=getkey())
    for verdict in (constant, zero, at_fixed_point):
        assert verdict.vacuous
        assert not verdict.passed
        assert not verdict.failed
    assert infinitesimal_equivariance(lambda x: 0 * x, PLANE, PLANE, X)[0].vacuous
    assert equivariance(lambda x: 0 * x + 1, PLANE, PLANE, X, key=getkey()).failed, "constant, and wrong"
    # The identity says nothing; the verdict is that of the elements that do.
    elements = np.stack([np.eye(2), rotation(0.3)])
    table = equivariance_by_element(spiral, PLANE, PLANE, X, elements=elements)
    assert [v.mark for v in table] == ["vacuous", "pass"]
    assert equivariance(spiral, PLANE, PLANE, X, elements=elements).passed


def test_laws_compute_in_the_type_of_the_point(getkey):
    verdict = equivariance(spiral, PLANE, PLANE, X.astype(jnp.float32), key=getkey())
    assert verdict.passed
    assert verdict.tolerance == rounding(jnp.float32)
    assert verdict.error > 1e-12


def test_bad_questions_are_refused(getkey):
    with pytest.raises(GroupError, match="acts on the input"):
        equivariance(spiral, PLANE, LinearAction(defining(O(2))), X, key=getkey())
    with pytest.raises(ValueError, match="one point of"):
        equivariance(spiral, PLANE, PLANE, jnp.ones((4, 2)), key=getkey())
    with pytest.raises(ValueError, match=r"f\(x\)"):
        equivariance(lambda x: x @ x, PLANE, PLANE, X, key=getkey())
    with pytest.raises(ValueError, match="give `key="):
        equivariance(spiral, PLANE, PLANE, X)
    with pytest.raises(ValueError, match="carries no action"):
        flow_equivariance(Flow(lambda t, x, args: -x, Euclidean(2)), X, key=getkey())


# Fields and flows.


class Rotor(AbstractField):
    """A turn about the origin, of a speed that depends on the radius, plus a drift that breaks the symmetry."""

    drift: float
    action: LinearAction = PLANE

    def __call__(self, t, x, args=None):
        return jnp.stack([-x[1], x[0]]) * (1 + x @ x) + self.drift * jnp.asarray([1.0, 0.0], x.dtype)


def test_fields_and_flows_that_break_symmetry_are_caught(getkey):
    good, bad = Rotor(0.0), Rotor(0.01)
    assert field_equivariance(good, X, key=getkey()).passed
    assert {v.name for v in field_equivariance(bad, X, key=getkey()).failed} == {"field equivariance", "bracket"}
    assert flow_equivariance(Flow(good, Euclidean(2), controller=Steps(4)), X, key=getkey()).passed
    table = flow_equivariance(Flow(bad, Euclidean(2), controller=Steps(4)), X, key=getkey())
    assert [v.mark for v in table] == ["FAIL", "FAIL"]
    assert table.exit_code == 1


class Still(AbstractField):
    """Zero."""

    action: LinearAction = PLANE

    def __call__(self, t, x, args=None):
        return 0 * x


def test_a_field_that_does_nothing_is_vacuous(getkey):
    assert field_equivariance(Still(), X, key=getkey())[0].vacuous
    assert all(v.vacuous for v in flow_equivariance(Flow(Still(), Euclidean(2), controller=Steps(1)), X, key=getkey()))


def test_adaptive_flows_on_the_sphere_keep_their_symmetry(getkey):
    field = NetworkField(LinearAction(AXIAL, Sphere(2)), 2 * AXIAL, 1, key=KEY)
    x = Sphere(2).random_point(key=getkey())
    table = flow_equivariance(Flow(field, Sphere(2)), x, key=getkey())
    assert table.passed, str(table)
    full = LinearAction(defining(SO(3)), Sphere(2))
    assert field_equivariance(field, x, action=full, key=getkey())[0].failed, "an axis is not a sphere's symmetry"


def test_angles_are_compared_on_the_torus(getkey):
    # Just below the seam, so that some elements carry an angle across it.
    table = field_equivariance(Chase(), jnp.asarray([3.1, -3.0]), key=getkey())
    flow = Flow(Chase(), Chase().action.space, controller=Steps(4))
    table += flow_equivariance(flow, jnp.asarray([3.1, -3.0]), key=getkey())
    assert table.passed, str(table)


def test_models_of_one_structure_share_their_compilation():
    field = NetworkField(PLANE, irrep(SO(2), 1) + trivial(SO(2)), 1, key=KEY)
    traces = []

    class Counted(eqx.Module):
        inner: NetworkField

        def __call__(self, x):
            traces.append(None)
            return self.inner(0.0, x)

    for scale in (1.0, 2.0):
        f = Counted(jax.tree.map(lambda a, s=scale: s * a if eqx.is_inexact_array(a) else a, field))
        assert equivariance(f, PLANE, PLANE, X, elements=rotation(0.2)[None]).passed
    assert len(traces) == 1
