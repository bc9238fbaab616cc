"""Weights of an equivariant map between direct sums: one small array for each pair of blocks."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from .._types import Key
from ..symmetry import AbstractRep, basis, operator_basis

# The basis between two irreducible blocks, `(r, out, in, jets)`.
PairBasis = Callable[[AbstractRep, AbstractRep], Float[np.ndarray, "r out in jets"]]


@functools.lru_cache(maxsize=1024)
def linear_basis(rep_in: AbstractRep, rep_out: AbstractRep) -> Float[np.ndarray, "r out in 1"]:
    """The intertwiners between two blocks, with a jet axis of length one."""
    return basis(rep_in >> rep_out).matrices[..., None]


@functools.lru_cache(maxsize=1024)
def jet_basis(rep_in: AbstractRep, rep_out: AbstractRep, orders: tuple[int, ...]) -> Float[np.ndarray, "r out in jets"]:
    """The equivariant differential operators of several orders between two blocks; jets run over orders, then within."""
    parts = [operator_basis(rep_in, rep_out, k) for k in orders]
    jets = sum(p.shape[-1] for p in parts)
    rows, start = [], 0
    for p in parts:
        rows.append(np.pad(p, ((0, 0), (0, 0), (0, 0), (start, jets - start - p.shape[-1]))))
        start += p.shape[-1]
    return np.concatenate(rows)


def initial_weights(rep_in: AbstractRep, rep_out: AbstractRep, pair: PairBasis, *, key: Key) -> tuple[Array, ...]:
    r"""Random weights $(r, m_{out}, m_{in})$ for each pair of blocks, row by row over `rep_out.blocks`.

    Their variance is $1 / \sum_{in} r\, m_{in}$, so that inputs of unit variance give outputs of unit variance: basis
    elements have Frobenius norm $\sqrt{\dim_{out}}$ (see `assemble`).
    """
    weights = []
    for (m_out, block_out), row_key in zip(rep_out.blocks, jax.random.split(key, len(rep_out.blocks)), strict=True):
        counts = [len(pair(block_in, block_out)) for _, block_in in rep_in.blocks]
        fan_in = sum(r * m_in for r, (m_in, _) in zip(counts, rep_in.blocks, strict=True))
        keys = jax.random.split(row_key, len(counts))
        for r, (m_in, _), k in zip(counts, rep_in.blocks, keys, strict=True):
            # float32 whatever the default: learning is in single precision unless the user casts the model.
            weights.append(jax.random.normal(k, (r, m_out, m_in), jnp.float32) / np.float32(np.sqrt(max(fan_in, 1))))
    return tuple(weights)


def widened(weights: tuple[Array, ...], dtype: DTypeLike) -> tuple[Array, ...]:
    """Weights in at least the precision of the data: float64 data deserves bases that were not rounded to float32."""
    wanted = jnp.dtype(dtype)
    return tuple(w.astype(wanted) if w.dtype.itemsize < wanted.itemsize else w for w in weights)


def assemble(
    weights: tuple[Array, ...], rep_in: AbstractRep, rep_out: AbstractRep, pair: PairBasis
) -> Float[Array, "jets in out"]:
    r"""The matrix of the map: $\sum_r w_r\, \sqrt{\dim_{out}}\, B_r$ in each pair of blocks, `(jets, in, out)`."""
    rows, position = [], 0
    for m_out, block_out in rep_out.blocks:
        row = []
        for m_in, block_in in rep_in.blocks:
            w, position = weights[position], position + 1
            B = pair(block_in, block_out) * np.sqrt(block_out.dim)
            # One matrix product (out-copies x in-copies, r) times (r, jets x in x out), then axes into place.
            entries = B.shape[1] * B.shape[2] * B.shape[3]
            columns = jnp.asarray(B.transpose(0, 3, 2, 1).reshape(len(B), entries), w.dtype)
            flat = w.reshape(len(B), m_out * m_in).T @ columns
            full = flat.reshape(m_out, m_in, B.shape[3], block_in.dim, block_out.dim).transpose(2, 1, 3, 0, 4)
            row.append(full.reshape(B.shape[3], m_in * block_in.dim, m_out * block_out.dim))
        rows.append(jnp.concatenate(row, axis=1))
    return jnp.concatenate(rows, axis=2)
