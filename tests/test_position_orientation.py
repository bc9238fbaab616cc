"""Evolutions on positions and orientations: what each part does, against closed forms; equivariance; splitting."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equivax.dynamics import Flow, Splitting, Steps
from equivax.fields import (
    AbstractField,
    GaussianJet,
    InvariantReadout,
    LeftInvariantLayer,
    PositionOrientationField,
    summands,
)
from equivax.geometry import Euclidean, PixelGrid
from equivax.laws import equivariance_by_element
from equivax.symmetry import SO, TrivialAction, rotation

KEY = jax.random.key(1)
N = 8
GRID = PixelGrid(24, 24)
SIGMA = 1.0
TABLE = np.linspace(-1.0, 3.0, 100_001)  # where silu grows


def field(*parts, copies=1, grid=GRID, sigma=SIGMA, **coefficients):
    made = PositionOrientationField(N, copies, grid, sigma=sigma, parts=parts, key=KEY)
    for name, value in coefficients.items():
        made = eqx.tree_at(
            lambda f, name=name: getattr(f.coefficients.stack, name), made, jnp.asarray(value)[None, None]
        )
    return made


def blob(width=2.5, centre=(0.0, 0.0), grid=GRID):
    """A Gaussian in the plane, the same for all orientations: at rest under the derivative along the circle."""
    square = ((grid.points - np.asarray(centre)) ** 2).sum(1)
    return jnp.asarray(np.repeat(np.exp(-square / (2 * width**2))[:, None], N, axis=1))


def inverse_softplus(x):
    return np.log(np.expm1(np.asarray(x)))


def run(f, u, steps=10):
    return Flow(f, f.action.space, diffrax.Tsit5(), Steps(steps))(u)


def moments(u, k):
    """Mean and covariance of the function at orientation k."""
    weights = np.asarray(u[:, k]) / float(u[:, k].sum())
    mean = weights @ GRID.points
    return mean, (GRID.points - mean).T @ ((GRID.points - mean) * weights[:, None])


def test_convection_moves_along_and_across_the_orientation():
    u = run(field("convection", convection=[2.0, 0.5, 0.0]), blob(1.8))
    for k in range(N):
        angle = 2 * np.pi * k / N
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        # The Gaussian under the derivatives slows down what is narrow, but moves the centre exactly.
        np.testing.assert_allclose(moments(u, k)[0], SIGMA * (2.0 * along + 0.5 * across), atol=2e-3)


def test_diffusion_widens_by_twice_the_time_in_each_direction():
    d = np.array([0.9, 0.2, 1e-6])  # about the circle it would mix orientations, whose widths differ
    u0 = blob(1.8)
    u = run(field("diffusion", diffusion=inverse_softplus(d)), u0, 20)
    for k in (0, 1, 2):
        angle = 2 * np.pi * k / N
        frame = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        grown = frame @ (moments(u, k)[1] - moments(u0, k)[1]) @ frame.T
        np.testing.assert_allclose(grown, 2 * SIGMA**2 * np.diag(d[:2]), atol=5e-3)


def test_the_circle_diffuses_its_frequencies():
    # On a constant of the plane only the circle is left: cos(2 theta) decays at the rate 4 d.
    theta = 2 * np.pi * np.arange(N) / N
    u0 = jnp.asarray(np.tile(np.cos(2 * theta), (GRID.size, 1)))
    rate = field("diffusion", diffusion=inverse_softplus([0.1, 0.1, 0.3]))(0.0, u0)
    middle = GRID.size // 2 + 12
    np.testing.assert_allclose(rate[middle], -4 * 0.3 * np.cos(2 * theta), atol=1e-5)


def test_dilation_grows_erosion_shrinks_and_they_are_dual():
    u = blob() + 0.3 * blob(1.5, (3.0, -2.0))
    dilation, erosion = field("dilation"), field("erosion")
    same = eqx.tree_at(lambda f: f.coefficients.stack.erosion, erosion, dilation.coefficients.stack.dilation)
    grow = dilation(0.0, u)
    assert float(grow.min()) >= 0
    assert float(grow.max()) > 0.03
    np.testing.assert_allclose(same(0.0, -u), -grow, atol=1e-12)


def test_dilation_is_as_fast_as_the_gradient_is_long():
    width, (a, b) = 2.5, (0.7, 0.2)
    wide = width**2 + SIGMA**2
    smooth = width**2 / wide * np.exp(-(GRID.points**2).sum(1) / (2 * wide))
    rate = field("dilation", dilation=inverse_softplus([a, b, 0.5]))(0.0, blob(width))
    for k in range(N):
        angle = 2 * np.pi * k / N
        along, across = (
            -SIGMA * smooth * (GRID.points @ e) / wide
            for e in ([np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)])
        )
        expected = np.sqrt(a * along**2 + b * across**2 + 0.1**2) - 0.1
        np.testing.assert_allclose(rate[:, k], expected, atol=1e-4)
    assert float(rate.max()) > 0.03


def test_quarter_turns_are_exact_and_eighths_converge():
    def errors(refine):
        grid = PixelGrid(24 * refine, 24 * refine, 1 / refine)
        f = PositionOrientationField(N, 2, grid, sigma=1.5, key=KEY)

        # One band-limited function of position and orientation, known everywhere: turned before it is sampled.
        def sampled(turn):
            theta = 2 * np.pi * np.arange(N) / N
            p = grid.points @ rotation(turn)
            angle = theta - turn
            bump = np.exp(-((p - [1.0, 0.5]) ** 2).sum(1) / 8)[:, None]
            first = bump * np.cos(angle)[None] + 0.5 * bump
            second = bump * (p[:, :1] * np.sin(angle)[None] + 0.2)
            return jnp.asarray(np.concatenate([first, second], axis=1))

        out, moved = f(0.0, sampled(0.0)), f(0.0, sampled(np.pi / 4))
        # Compare at the centre, which an eighth of a turn keeps: four pixels about it, averaged.
        centre = np.linalg.norm(grid.points, axis=1) < 0.8 / refine
        a, b = (np.asarray(v)[centre].mean(0).reshape(2, N) for v in (out, moved))
        quarter = equivariance_by_element(lambda u: f(0.0, u), f.action, f.action, sampled(0.0))
        exact = max(v.error for v in quarter if "90" in v.name or "180" in v.name)
        return np.abs(np.roll(a, 1, axis=1) - b).max(), exact

    (coarse, exact), (fine, _) = errors(1), errors(2)
    assert exact < 1e-10
    assert coarse > 1e-8, "nothing to converge"
    assert np.log2(coarse / fine) > 1.5


def left_invariant(target=GRID, order=2, copies=1, multiple=1, sigma=1.5):
    return LeftInvariantLayer(N, copies, GaussianJet(GRID, target, order, sigma), multiple=multiple, key=KEY)


def test_a_layer_differentiates_along_and_across_the_orientation():
    layer, width, sigma = left_invariant(), 2.0, 1.5
    u = blob(width, (1.0, -0.5))
    # A Gaussian smoothed by a Gaussian is one again, and its derivatives are polynomials times it.
    p, wide = GRID.points - np.asarray([1.0, -0.5]), width**2 + sigma**2
    smooth = width**2 / wide * np.exp(-(p**2).sum(1) / (2 * wide))
    for jet, polynomial in (
        (1, lambda a, b: -sigma * a / wide),
        (2, lambda a, b: -sigma * b / wide),
        (4, lambda a, b: sigma**2 * a * b / wide**2),
    ):
        chosen = eqx.tree_at(lambda f, jet=jet: f.weights, layer, jnp.zeros((1, 1, 6)).at[0, 0, jet].set(0.1))
        out, factor = np.asarray(chosen(u)), set()
        for k in range(N):
            a, b = (p @ rotation(-2 * np.pi * k / N).T).T  # along and across
            wanted = polynomial(a, b) * smooth
            linear = np.interp(out[:, k], np.asarray(jax.nn.silu(TABLE)), TABLE)
            near = np.abs(wanted) > 0.3 * np.abs(wanted).max()
            factor |= set(np.round(linear[near] / wanted[near], 3))
        assert max(factor) - min(factor) < 2e-3, "one factor of the jet's coordinates, at all points and orientations"
        assert min(factor) > 0


def test_layers_and_readouts_commute_with_quarter_turns():
    layer = left_invariant(PixelGrid(12, 12, 2.0), copies=2, multiple=2)
    u = jax.random.normal(KEY, (GRID.size, 2 * N))
    exact = {v.name: v.error for v in equivariance_by_element(layer, layer.action_in, layer.action_out, u)}
    assert max(error for name, error in exact.items() if "45" not in name and "135" not in name) < 1e-10
    readout = InvariantReadout(left_invariant(PixelGrid(1, 1), copies=2, multiple=3, sigma=6.0))
    assert readout.size == 2 * 3 * 2
    quarter = layer.action_in(rotation(np.pi / 2), u)
    np.testing.assert_allclose(readout(quarter), readout(u), rtol=0, atol=1e-10)
    assert float(jnp.abs(readout(u[::-1]) - readout(u)).max()) > 1e-4, "turned in the plane without the orientations"
    with pytest.raises(ValueError, match="a layer to one point"):
        InvariantReadout(layer)


class Turn(AbstractField):
    matrix: jax.Array
    action: TrivialAction

    def __call__(self, t, x, args=None):
        return jnp.sin(self.matrix @ x) * (1 + t)


def turns():
    action = TrivialAction(SO(2), Euclidean(2))
    return [
        Turn(jnp.asarray(m), action)
        for m in ([[0.0, -1.0], [1.0, 0.3]], [[0.5, 0.2], [0.0, -1.0]], [[1.0, 1.0], [0.0, 0.2]])
    ]


@pytest.mark.parametrize("symmetric", [True, False])
def test_splitting_has_the_order_of_its_name(symmetric):
    f, g, h = turns()
    x = jnp.asarray([0.4, -0.7])
    assert len(summands(f + g + h)) == 3
    solver = Splitting((diffrax.Heun(), diffrax.Heun(), diffrax.Midpoint()), symmetric)

    def end(solver, dt):
        return Flow(f + g + h, Euclidean(2), solver, diffrax.ConstantStepSize(), dt0=dt)(x)

    exact, steps = jax.jit(lambda: end(diffrax.Tsit5(), 1 / 64))(), np.array([8, 16, 32])
    split = jax.jit(lambda dt: end(solver, dt))
    errors = [float(jnp.abs(split(1 / n) - exact).max()) for n in steps]
    slope = np.polyfit(np.log(1 / steps), np.log(errors), 1)[0]
    assert abs(slope - solver.order(None)) < 0.2
    # In Diffrax by hand, the same numbers.
    terms = diffrax.MultiTerm(*(diffrax.ODETerm(lambda t, y, args, f=f: f(t, y)) for f in (f, g, h)))
    by_hand = jax.jit(lambda: diffrax.diffeqsolve(terms, solver, 0.0, 1.0, 1 / 8, x).ys[-1])()
    np.testing.assert_allclose(by_hand, split(1 / 8), atol=1e-12)


def test_stencils_and_jets_give_the_same_numbers_and_slopes(monkeypatch):
    grid, coarse = PixelGrid(10, 10), PixelGrid(5, 5, 2.0)
    u = jax.random.normal(KEY, (grid.size, 2 * N))
    evolution = PositionOrientationField(N, 2, grid, sigma=1.5, key=KEY)
    layer = LeftInvariantLayer(N, 2, GaussianJet(grid, coarse, 3, 1.5), multiple=3, key=KEY)

    def loss(modules, u):
        f, g = modules
        return jnp.sum(f(0.0, u) ** 2) + jnp.sum(jnp.sin(g(u)))

    def results(stencils, dense):
        monkeypatch.setattr("equivax.fields._oriented_jet.STENCIL_ENTRIES", stencils)
        monkeypatch.setattr("equivax.fields._jets.DENSE_ENTRIES", dense)
        # Traced anew, with these thresholds.
        slopes = eqx.filter_jit(eqx.filter_grad(lambda both: loss(*both)))(((evolution, layer), u))
        return evolution(0.0, u), layer(u), *jax.tree.leaves(slopes)

    few, many = 0, 10**9
    for pair in zip(results(few, few), results(many, many), strict=True):
        np.testing.assert_allclose(*pair, rtol=1e-5, atol=1e-5)
        assert float(jnp.abs(pair[0]).max()) > 1e-2


def test_a_layer_of_a_pde_group_network_is_a_step_of_a_splitting():
    parts = [field(p, copies=2) for p in ("convection", "dilation", "erosion")]
    total = parts[0] + parts[1] + parts[2]
    u = jnp.concatenate([blob(), 0.5 * blob(1.8, (2.0, 1.0))], axis=1)
    step = Flow(total, total.action.space, Splitting((diffrax.Euler(),) * 3, symmetric=False), Steps(1))(u)
    layer = u
    for part in parts:
        layer = layer + part(0.0, layer)
    np.testing.assert_allclose(step, layer, atol=1e-12)


def test_errors_say_what_is_wanted():
    with pytest.raises(ValueError, match="at least 3 orientations"):
        PositionOrientationField(2, 1, GRID, sigma=1.0, key=KEY)
    with pytest.raises(ValueError, match="Unknown part 'shear'"):
        field("shear")
    with pytest.raises(ValueError, match="two or more fields"):
        Splitting((diffrax.Euler(),))
