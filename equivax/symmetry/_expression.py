"""Normal forms of representations: tensor products of factors, each a direct sum of blocks."""

import functools

import numpy as np
from jaxtyping import Float

from ._group import AbstractGroup
from ._rep import AbstractRep, DirectSum, Dual, Hom, TensorProduct
from ._standard import TrivialRep


@functools.lru_cache(maxsize=4096)
def tensor_factors(rep: AbstractRep) -> tuple[AbstractRep, ...]:
    r"""The factors $F_1, \dots, F_k$ with $\rho = F_1 \otimes \dots \otimes F_k$ in the same coordinates.

    $\mathrm{Hom}(V, W) = W \otimes V^*$; duals are pushed to the factors, where the dual of an orthogonal
    representation is itself, so that `V >> W` and `W * V` share what is computed for one of them.
    """
    if isinstance(rep, TensorProduct):
        return tensor_factors(rep.left) + tensor_factors(rep.right)
    if isinstance(rep, Hom):
        return tensor_factors(rep.target) + tensor_factors(Dual(rep.source))
    if isinstance(rep, Dual):
        return tuple(_dual(factor) for factor in tensor_factors(rep.of))
    return (rep,)


def _dual(factor: AbstractRep) -> AbstractRep:
    if isinstance(factor, Dual):
        return factor.of
    if isinstance(factor, DirectSum):
        return DirectSum(tuple((m, _dual_of_block(block)) for m, block in factor.summands))
    return factor if acts_orthogonally(factor) else Dual(factor)


def _dual_of_block(block: AbstractRep) -> AbstractRep:
    factors = tensor_factors(Dual(block))
    return functools.reduce(TensorProduct, factors)


@functools.lru_cache(maxsize=4096)
def acts_orthogonally(rep: AbstractRep) -> bool:
    """Whether a representation is orthogonal, worked out once for each."""
    return rep.is_orthogonal


@functools.lru_cache(maxsize=4096)
def summands(factor: AbstractRep) -> tuple[tuple[int, AbstractRep], ...]:
    """The blocks of a factor as `(multiplicity, block)`, sums inside of sums opened, empty ones left out."""
    if not isinstance(factor, DirectSum):
        return ((1, factor),)
    opened: list[tuple[int, AbstractRep]] = []
    for m, block in factor.summands:
        inner = summands(block)
        # A sum of several blocks, m times: its copies do not stand side by side, so they cannot be counted as one.
        opened += [(m * inner[0][0], inner[0][1])] if len(inner) == 1 else list(inner) * m
    return tuple((m, block) for m, block in opened if m and block.dim)


def product_of(factors: tuple[AbstractRep, ...], group: AbstractGroup) -> AbstractRep:
    """The tensor product of factors; the trivial representation when there are none."""
    return functools.reduce(TensorProduct, factors) if factors else TrivialRep(group)


# Matrices of representations up to this dimension are kept; larger ones are cheap to ask for again, and heavy to keep.
KEPT = 64


def generator_matrices(rep: AbstractRep) -> tuple[Float[np.ndarray, "_k n n"], Float[np.ndarray, "_m n n"]]:
    """The matrices of the generators of the group: `drho` of the Lie algebra's, `rho` of the discrete ones."""
    return _kept(rep) if rep.dim <= KEPT else _evaluated(rep)


def _evaluated(rep: AbstractRep) -> tuple[Float[np.ndarray, "_k n n"], Float[np.ndarray, "_m n n"]]:
    rates = [np.asarray(rep.drho(A)) for A in rep.group.lie_algebra]
    turns = [np.asarray(rep.rho(h)) for h in rep.group.discrete_generators]
    empty = np.zeros((0, rep.dim, rep.dim))
    return np.stack(rates) if rates else empty, np.stack(turns) if turns else empty


_kept = functools.lru_cache(maxsize=1024)(_evaluated)
