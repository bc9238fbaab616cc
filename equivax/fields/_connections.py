"""Layers of other libraries as intertwiners, which they are: by their matrices."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..symmetry import AbstractRep, GroupError, from_e3nn, invariants
from ._blocks import linear_basis
from ._intertwiner import Bias, Intertwiner

# More of a matrix than this outside the intertwiners, relative to its largest entry, and it is none.
OUTSIDE = 1e-5


def intertwiner_from_matrix(
    matrix: Float[ArrayLike, "in out"],
    rep_in: AbstractRep,
    rep_out: AbstractRep,
    bias: Float[ArrayLike, " _n"] | None = None,
) -> Intertwiner:
    r"""The layer $x \mapsto x A + b$ of a given equivariant matrix and invariant bias: the inverse of `Intertwiner.matrix`.

    $$ w_r = \langle B_r, A \rangle / |B_r|^2 $$

    How layers of other libraries are taken over: `intertwiner_from_matrix(W.T, rep_in, rep_out, b)` for the weight W and the
    bias b of an EMLP `Linear`, with the summands of the representations in its order.

    **Raises:** `ValueError` for arrays of another size; `GroupError`, saying by how much, when A is not equivariant or b
    not invariant.
    """
    A = np.asarray(matrix, np.float64)
    if A.shape != (rep_in.dim, rep_out.dim):
        raise ValueError(
            f"A map from {rep_in} to {rep_out} is a matrix of shape ({rep_in.dim}, {rep_out.dim}), inputs first; received "
            f"{A.shape}" + (": pass its transpose." if A.T.shape == (rep_in.dim, rep_out.dim) else ".")
        )
    dtype = jnp.result_type(matrix)
    layer = Intertwiner(rep_in, rep_out, use_bias=bias is not None, key=jax.random.key(0))
    weights, column = [], 0
    for m_out, block_out in rep_out.blocks:
        row, width = 0, m_out * block_out.dim
        for m_in, block_in in rep_in.blocks:
            part = A[row : row + m_in * block_in.dim, column : column + width]
            part = part.reshape(m_in, block_in.dim, m_out, block_out.dim)
            B = linear_basis(block_in, block_out)[..., 0] / np.sqrt(block_out.dim)
            weights.append(jnp.asarray(np.einsum("roi,aibo->rba", B, part), dtype))
            row += m_in * block_in.dim
        column += width
    layer = eqx.tree_at(lambda f: f.weights, layer, tuple(weights))
    _refuse_unless_equal(A, layer.matrix, "The matrix is not equivariant", rep_in, rep_out)
    if bias is None:
        return layer
    b, start, parts = np.asarray(bias, np.float64), 0, []
    if b.shape != (rep_out.dim,):
        raise ValueError(f"A bias in {rep_out} has shape ({rep_out.dim},); received {b.shape}.")
    for m, block in rep_out.blocks:
        vectors = invariants(block).vectors / np.sqrt(block.dim)
        part = b[start : start + m * block.dim].reshape(m, block.dim)
        parts.append(jnp.asarray(part @ vectors.T, jnp.result_type(bias)))
        start += m * block.dim
    invariant = eqx.tree_at(lambda c: c.weights, Bias(rep_out), tuple(parts))
    _refuse_unless_equal(b, invariant(jnp.result_type(bias)), "The bias is not invariant", rep_out, rep_out)
    return eqx.tree_at(lambda f: f.bias, layer, invariant)


def intertwiner_from_e3nn(linear: Callable[[Any], Any], irreps_in: Any) -> Intertwiner:
    r"""The intertwiner of an e3nn layer: any linear (or affine) map of `e3nn_jax.IrrepsArray`, with its weights inside.

    - `linear`: an `e3nn_jax.equinox.Linear`, or `lambda x: module.apply(params, x)` for Flax and Haiku.
    - `irreps_in`: of its input, as e3nn writes them: `"8x0e + 4x1o"`. Those of the output it says itself.

    Coordinates are those of e3nn: `layer(x.array)` is `linear(x).array`.
    """
    import e3nn_jax  # the optional extra `equivax[e3nn]`

    rep_in = from_e3nn(irreps_in)
    zero = linear(e3nn_jax.IrrepsArray(irreps_in, jnp.zeros((1, rep_in.dim), jnp.float32)))
    images = linear(e3nn_jax.IrrepsArray(irreps_in, jnp.eye(rep_in.dim, dtype=jnp.float32)))
    bias = zero.array[0] if bool(jnp.any(zero.array)) else None
    return intertwiner_from_matrix(images.array - zero.array, rep_in, from_e3nn(images.irreps), bias)


def intertwiner_to_e3nn(layer: Intertwiner, linear: Any) -> list[Float[Array, "..."]]:
    r"""The weights of an intertwiner for an `e3nn_jax.FunctionalLinear`: `linear(weights, x)` is then `layer(x.array)`.

    - `linear`: between the same irreps, `FunctionalLinear(to_e3nn(layer.rep_in), to_e3nn(layer.rep_out))`, with
      `biases=True` where the layer has one.

    **Raises:** `GroupError` when its irreps are others than the layer's.
    """
    for rep, irreps in ((layer.rep_in, linear.irreps_in), (layer.rep_out, linear.irreps_out)):
        theirs = from_e3nn(irreps)
        same = [(m, b.dim) for m, b in rep.blocks] == [(m, b.dim) for m, b in theirs.blocks]
        if rep.group != theirs.group or not same:
            raise GroupError(f"The layer maps {layer.rep_in} to {layer.rep_out}; {irreps} of e3nn is something else.")
    A, bias = layer.matrix, None if layer.bias is None else layer.bias()
    starts_in, starts_out = (_starts(irreps) for irreps in (linear.irreps_in, linear.irreps_out))
    weights = []
    for path in linear.instructions:
        m_out, d = linear.irreps_out[path.i_out].mul, linear.irreps_out[path.i_out].ir.dim
        out = slice(starts_out[path.i_out], starts_out[path.i_out] + m_out * d)
        if path.i_in == -1:
            part = jnp.zeros(m_out * d, A.dtype) if bias is None else bias[out]
        else:
            m_in = linear.irreps_in[path.i_in].mul
            rows = slice(starts_in[path.i_in], starts_in[path.i_in] + m_in * d)
            part = jnp.einsum("aibi->ab", A[rows, out].reshape(m_in, d, m_out, d)) / d
        weights.append(part / path.path_weight)
    return weights


def _starts(irreps: Any) -> list[int]:
    return [0, *np.cumsum([m * ir.dim for m, ir in irreps]).tolist()]


def _refuse_unless_equal(
    given: Float[np.ndarray, "..."], kept: Float[Array, "..."], what: str, rep_in: AbstractRep, rep_out: AbstractRep
) -> None:
    off = np.abs(given - np.asarray(kept, np.float64)).max(initial=0.0)
    if off > OUTSIDE * max(np.abs(given).max(initial=0.0), 1e-30):
        raise GroupError(
            f"{what}: it is {off:.1e} away from the nearest that is, for {rep_in} and {rep_out} of {rep_in.group}. Check the "
            "group, the order of the summands, and that outputs are the second axis."
        )
