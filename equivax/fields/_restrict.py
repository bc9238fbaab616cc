"""Loosening a symmetry: a trained model, seen as a model of a subgroup."""

import functools
import math
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..symmetry import AbstractGroup, AbstractRep, GroupError, invariants, restricted
from ._bilinear import Bilinear
from ._blocks import PairBasis, linear_basis
from ._intertwiner import Bias, Intertwiner
from ._rewrite import rewrite, with_fields
from ._steerable import SteerableOperator

T = TypeVar("T")

# More of a basis element than this outside the span of the subgroup's basis, and it is no subgroup.
OUTSIDE = 1e-8


def restrict(model: T, group: AbstractGroup, subgroup: AbstractGroup) -> T:
    r"""The same model as a model of a subgroup $H \subset G$: equal outputs, more weights to train.

    $$ \mathrm{Hom}_G(V, W) \subset \mathrm{Hom}_H(V|_H, W|_H), \qquad
       w'_s = \sum_r \langle B'_s, B_r \rangle\, w_r $$

    Every representation of `group` in the model is restricted, and the weights of intertwiners, bilinear maps, biases and
    steerable operators are written in the larger bases of the subgroup. The map is exact: what was learned under the
    larger symmetry is where training under the smaller one begins.

    - `model`: any `equinox.Module` made of this library's layers; other parts are kept.
    - `subgroup`: its elements are matrices of $G$, such as `Cyclic(4)` in `SO(2)`.

    **Raises:** `GroupError` when `subgroup` has other matrices than `group`, or is not contained in it.
    """
    if group.d != subgroup.d:
        raise GroupError(
            f"{subgroup} consists of {subgroup.d} x {subgroup.d} matrices and {group} of {group.d} x {group.d}: a "
            "subgroup is given by the same matrices, fewer of them."
        )

    @functools.cache
    def smaller(rep: AbstractRep) -> AbstractRep:
        return restricted(rep, subgroup)

    def pairs(layer: Intertwiner | SteerableOperator, pair: PairBasis) -> tuple[Array, ...]:
        blocks = [(b_in, b_out) for _, b_out in layer.rep_out.blocks for _, b_in in layer.rep_in.blocks]
        return tuple(
            _rewritten(w, pair(b_in, b_out), pair(smaller(b_in), smaller(b_out)), subgroup)
            for w, (b_in, b_out) in zip(layer.weights, blocks, strict=True)
        )

    def rule(part):
        if isinstance(part, AbstractGroup):
            return subgroup if part == group else None
        if isinstance(part, AbstractRep):
            return smaller(part) if part.group == group else None
        if isinstance(part, Bias) and part.rep.group == group:
            blocks = [block for _, block in part.rep.blocks]
            weights = tuple(
                w
                @ jnp.asarray(_coordinates(invariants(b).vectors, invariants(smaller(b)).vectors, subgroup), w.dtype).T
                for w, b in zip(part.weights, blocks, strict=True)
            )
            return with_fields(part, weights=weights, rep=smaller(part.rep))
        if isinstance(part, Intertwiner | SteerableOperator) and part.rep_in.group == group:
            pair = part.pair if isinstance(part, SteerableOperator) else linear_basis
            new = with_fields(
                part, weights=pairs(part, pair), rep_in=smaller(part.rep_in), rep_out=smaller(part.rep_out)
            )
            return with_fields(new, bias=rewrite(new.bias, rule)) if isinstance(new, Intertwiner) else new
        if isinstance(part, Bilinear) and part.rep_in.group == group:
            new = with_fields(part, rep_in=smaller(part.rep_in), rep_out=smaller(part.rep_out))
            rewritten = (
                _rewritten(w, part.basis(triple), new.basis(triple), subgroup)
                for w, triple in zip(part.weights, part.triples, strict=True)
            )
            return with_fields(new, weights=tuple(rewritten))
        return None

    return rewrite(model, rule)


def _rewritten(
    w: Float[Array, "r *copies"],
    larger: Float[np.ndarray, "r ..."],
    smaller: Float[np.ndarray, "s ..."],
    subgroup: AbstractGroup,
) -> Float[Array, "s *copies"]:
    size = math.prod(larger.shape[1:])
    change = _coordinates(larger.reshape(-1, size), smaller.reshape(-1, size), subgroup)
    return jnp.tensordot(jnp.asarray(change, w.dtype), w, 1)


def _coordinates(
    larger: Float[np.ndarray, "r n"], smaller: Float[np.ndarray, "s n"], subgroup: AbstractGroup
) -> Float[np.ndarray, "s r"]:
    """The coordinates of the basis elements of the group in the basis of the subgroup, both orthonormal."""
    change = smaller @ larger.T
    if (outside := float(np.abs(larger - change.T @ smaller).max(initial=0.0))) > OUTSIDE:
        raise GroupError(
            f"{subgroup} is not a subgroup: an equivariant map of the group is not one of it (off by {outside:.1e})."
        )
    return change
