"""Group and steerable convolutions are steerable operators, and their residual layers are Euler steps: both, both ways."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .._types import RealScalar
from ..geometry import PixelGrid
from ..symmetry import AbstractRep, GroupError
from ._blocks import assemble, jet_basis
from ._connections import OUTSIDE, intertwiner_from_matrix
from ._invariants import DifferentialInvariantField
from ._jets import GaussianJet, dense_jet
from ._nonlinear import Pointwise
from ._steerable import SteerableOperator


class ResidualConvolution(eqx.Module):
    r"""A residual layer of a convolutional network, $u \mapsto u + s(K \star u + b)\, R$, on images with channels last.

    - `filter`: $K$, `(height, width, in, hidden)`, odd sides; `bias`: $b$, `(hidden,)`; `mixing`: $R$, `(hidden, in)`, a
      1 x 1 convolution; `function`: $s$, pointwise. The image is `(height, width, in)`, zero outside its frame.

    $K \star u\,(p) = \sum_q u(p + q) K(q)$, as libraries of networks compute it. A group convolution has a regular fibre in
    its channels, a steerable one any other.
    """

    filter: Float[Array, "height width in hidden"]
    bias: Float[Array, " hidden"]
    mixing: Float[Array, "hidden in"]
    function: Callable[[Array], Array] = eqx.field(static=True, default=jax.nn.silu)

    def __call__(self, u: Float[Array, "height width in"]) -> Float[Array, "height width in"]:
        padding = [(side // 2, side // 2) for side in self.filter.shape[:2]]
        v = jax.lax.conv_general_dilated(
            u[None], self.filter, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
        )[0]
        return u + self.function(v + jnp.broadcast_to(self.bias, v.shape)) @ self.mixing


def filter_from_operator(operator: SteerableOperator, radius: int | None = None) -> Float[Array, "side side in out"]:
    r"""The filter $K$ of a steerable operator on one grid, $P(\partial)\, u = K \star u$, as far as its jet reaches.

    $$ K(q) = \sum_k A_k\, (\partial^k G_\sigma)(q) $$

    - `radius`: where to cut the filter off, in pixels; by default at the `reach` of the jet, exactly, or where it has none at
      five widths of the Gaussian, which loses some $10^{-5}$.

    For `torch.nn.functional.conv2d` take `filter.transpose(3, 2, 0, 1)`.

    **Raises:** `ValueError` for an operator between two grids, which is no convolution.
    """
    _refuse_two_grids(operator.jet)
    symbol = assemble(operator.weights, operator.rep_in, operator.rep_out, operator.pair)
    side = 2 * (_radius(operator.jet) if radius is None else radius) + 1
    stencil = jnp.asarray(_stencil(operator.jet, side), symbol.dtype)
    return jnp.einsum("ks,kio->sio", stencil, symbol, precision="highest").reshape(side, side, *symbol.shape[1:])


def operator_from_filter(
    filter: Float[ArrayLike, "side side in out"], rep_in: AbstractRep, rep_out: AbstractRep, jet: GaussianJet
) -> SteerableOperator:
    r"""The steerable operator whose filter is a given one: the inverse of `filter_from_operator`.

    The weights solve $\sum_r w_r \sum_k B_{r k} (\partial^k G_\sigma)(q) = K(q)$ at the pixels $q$ of the filter, by least
    squares. On few pixels jets of high order span all steerable filters, so that layers of other libraries, with radial
    functions of their own, are reached: for five pixels across, order 8 to 12, $\sigma$ about one pixel, and a `reach` of two
    pixels, so that the operator is nothing but the filter.

    - `filter`: as `filter_from_operator` gives it; of escnn, `conv.filter` or the one that it expands, with its axes put
      in this order (`filter.transpose(2, 3, 1, 0)`) and its fields in the order of `rep_in` and `rep_out`.

    **Raises:** `ValueError` for a filter of another size; `GroupError`, saying by how much, when it is not one of the group's,
    or the jets do not span it.
    """
    _refuse_two_grids(jet)
    K = np.asarray(filter, np.float64)
    if K.ndim != 4 or K.shape[0] != K.shape[1] or K.shape[0] % 2 == 0 or K.shape[2:] != (rep_in.dim, rep_out.dim):
        raise ValueError(
            f"A filter from {rep_in} to {rep_out} has the shape (side, side, {rep_in.dim}, {rep_out.dim}) with an odd side; "
            f"received {K.shape}."
        )
    stencil = _stencil(jet, K.shape[0])
    weights, column = [], 0
    found = np.zeros_like(K)
    for m_out, block_out in rep_out.blocks:
        row = 0
        for m_in, block_in in rep_in.blocks:
            B = jet_basis(block_in, block_out, tuple(range(jet.order + 1))) * np.sqrt(block_out.dim)
            atoms = np.einsum("roik,ks->sior", B, stencil)
            part = np.s_[:, :, row : row + m_in * block_in.dim, column : column + m_out * block_out.dim]
            target = K[part].reshape(-1, m_in, block_in.dim, m_out, block_out.dim).transpose(0, 2, 4, 3, 1)
            flat = atoms.reshape(-1, len(B))
            w = np.linalg.lstsq(flat, target.reshape(len(flat), -1), rcond=1e-12)[0]
            fitted = (flat @ w).reshape(target.shape).transpose(0, 4, 1, 3, 2)
            found[part] = fitted.reshape(found[part].shape)
            weights.append(jnp.asarray(w.reshape(len(B), m_out, m_in), jnp.result_type(filter)))
            row += m_in * block_in.dim
        column += m_out * block_out.dim
    off = np.abs(K - found).max(initial=0.0)
    if off > OUTSIDE * max(np.abs(K).max(initial=0.0), 1e-30):
        raise GroupError(
            f"The filter is {off:.1e} away from the nearest steerable one for {rep_in} and {rep_out} of {rep_in.group} with "
            f"jets of order {jet.order}. Check the group and the order of the fields, or take a higher order or another sigma."
        )
    operator = SteerableOperator(rep_in, rep_out, jet, key=jax.random.key(0))
    return eqx.tree_at(lambda p: p.weights, operator, tuple(weights))


def convolution_of_field(field: DifferentialInvariantField, t: RealScalar, dt: float) -> ResidualConvolution:
    r"""The residual layer that is one explicit Euler step, $u + \Delta t\, F(t, j^K u)$: `dt` goes into its mixing.

    **Raises:** `ValueError` for a field with a window, which is no convolution, or a nonlinearity that is not pointwise.
    """
    term = field.terms(t)
    layer = term.layer
    if layer.window is not None or not isinstance(layer.nonlinearity, Pointwise):
        raise ValueError(
            "A residual convolution is a step of a DifferentialInvariantField on the whole plane (window=None), whose fibre "
            f"is permuted by the group (regular, trivial); this one has window={layer.window} and {layer.nonlinearity}."
        )
    filter = filter_from_operator(layer.operator)
    bias = layer.bias(filter.dtype)
    return ResidualConvolution(filter, bias, dt * term.reaction.matrix, layer.nonlinearity.function)


def field_of_convolution(
    layer: ResidualConvolution,
    dt: float,
    rep: AbstractRep,
    hidden: AbstractRep,
    grid: PixelGrid,
    *,
    order: int = 10,
    sigma: float = 1.0,
) -> DifferentialInvariantField:
    r"""The field of which a residual group convolution is an explicit Euler step of size `dt`: the inverse.

    - `rep`, `hidden`: the fibres of the image and between, permuted by the group; `grid`: of the image;
      `order`, `sigma`: of the jets that span the filter (`operator_from_filter`), `sigma` in pixels.

    **Raises:** `GroupError` when filter, bias or mixing are not the group's.
    """
    sigma, reach = sigma * grid.spacing, layer.filter.shape[0] // 2 * grid.spacing
    operator = operator_from_filter(layer.filter, rep, hidden, GaussianJet(grid, grid, order, sigma, reach=reach))
    biased = intertwiner_from_matrix(jnp.zeros((rep.dim, hidden.dim), layer.bias.dtype), rep, hidden, layer.bias)
    reaction = intertwiner_from_matrix(layer.mixing / dt, hidden, rep)
    field = DifferentialInvariantField(
        rep, grid, order=order, sigma=sigma, reach=reach, hidden=hidden, key=jax.random.key(0)
    )
    parts = operator.weights, biased.bias, reaction
    once = jax.tree.map(lambda a: a[None] if eqx.is_inexact_array(a) else a, parts)
    field = eqx.tree_at(
        lambda f: (f.terms.stack.layer.operator.weights, f.terms.stack.layer.bias, f.terms.stack.reaction), field, once
    )
    return eqx.tree_at(lambda f: f.terms.stack.layer.nonlinearity, field, Pointwise(hidden, layer.function))


def _radius(jet: GaussianJet) -> int:
    if jet.reach is not None:
        return math.floor(jet.reach / jet.source.spacing + 1e-9)
    return math.ceil(5 * jet.sigma / jet.source.spacing)


def _stencil(jet: GaussianJet, side: int) -> Float[np.ndarray, "jets pixels"]:
    """The jet at the centre pixel of a patch, in float64: away from its borders."""
    patch, centre = PixelGrid(side, side, jet.source.spacing), PixelGrid(1, 1, jet.source.spacing)
    return dense_jet(patch, centre, jet.order, jet.sigma, reach=jet.reach, turn=jet.turn)


def _refuse_two_grids(jet: GaussianJet) -> None:
    if jet.source != jet.target:
        raise ValueError(
            f"An operator from {jet.source} to {jet.target} is no convolution on one grid; its source and target must be equal."
        )
    if jet.mirror:
        raise ValueError("An operator that mirrors the image at its border is no convolution there; take mirror=False.")
