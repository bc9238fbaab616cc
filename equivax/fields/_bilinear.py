"""Products of features: the nonlinearity that needs no norm."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key
from ..symmetry import AbstractRep, multilinear, trivial
from ._blocks import widened
from ._nonlinear import join_blocks, split_blocks
from ._scalars import squashed


@functools.lru_cache(maxsize=1024)
def bilinear_basis(first: AbstractRep, second: AbstractRep, out: AbstractRep) -> Float[np.ndarray, "r out a b"]:
    """The equivariant bilinear maps between three blocks."""
    return multilinear((first, second), out)


class Bilinear(eqx.Module):
    r"""An equivariant bilinear map of features with themselves, $V \to W$,

    $$ x \mapsto \sum_{a \le b} \sum_r \sum_{i, j} w^{ab}_{r, \cdot ij}\, \beta_r(x^a_i, x^b_j), \qquad
       \beta_r \in (W_c \otimes V_a^* \otimes V_b^*)^G, $$

    with $x^a_i$ the i-th copy of block a: contractions, cross products, Clebsch-Gordan products. It makes the scalar
    $t^2 - |x|^2$ of a Lorentz vector, which has no invariant norm. Where the result is a scalar it is squashed to (-1, 1).
    Products with scalars are left out: gates are just that.

    - `rep_in`, `rep_out`: V and W; `x` has channels last, `(..., V.dim)`.

    Finzi, Welling, Wilson, *A practical method for constructing equivariant multilayer perceptrons*, ICML 2021, section 5.
    """

    weights: tuple[Float[Array, "r out a b"], ...]
    rep_in: AbstractRep = eqx.field(static=True)
    rep_out: AbstractRep = eqx.field(static=True)
    # The blocks (a, b, c) that each array of weights is for.
    triples: tuple[tuple[int, int, int], ...] = eqx.field(static=True)
    # Which results are numbers that change at most their sign, and can be squashed.
    bounded: tuple[bool, ...] = eqx.field(static=True)

    def __init__(self, rep_in: AbstractRep, rep_out: AbstractRep, *, key: Key):
        blocks, scalar = rep_in.blocks, trivial(rep_in.group)
        vectors = [i for i, (_, block) in enumerate(blocks) if block != scalar]
        self.rep_in, self.rep_out = rep_in, rep_out
        self.bounded = tuple(block.dim == 1 and block.is_orthogonal for _, block in rep_out.blocks)
        self.triples = tuple(
            (a, b, c)
            for c, (_, out) in enumerate(rep_out.blocks)
            for a in vectors
            for b in vectors
            if a <= b and len(bilinear_basis(blocks[a][1], blocks[b][1], out))
        )
        sizes = [
            (len(self.basis(triple)), rep_out.blocks[triple[2]][0], blocks[triple[0]][0], blocks[triple[1]][0])
            for triple in self.triples
        ]
        terms = [
            sum(r * m_a * m_b for (_, _, d), (r, _, m_a, m_b) in zip(self.triples, sizes, strict=True) if d == c)
            for _, _, c in self.triples
        ]
        keys = jax.random.split(key, max(len(sizes), 1))
        self.weights = tuple(
            jax.random.normal(k, size, jnp.float32) / np.float32(np.sqrt(n))
            for k, size, n in zip(keys, sizes, terms, strict=False)
        )

    def basis(self, triple: tuple[int, int, int]) -> Float[np.ndarray, "r out a b"]:
        """The bilinear maps that the weights of a triple of blocks are coordinates in."""
        a, b, c = triple
        return bilinear_basis(self.rep_in.blocks[a][1], self.rep_in.blocks[b][1], self.rep_out.blocks[c][1])

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        parts = split_blocks(x, self.rep_in)
        rows = [jnp.zeros((*x.shape[:-1], m, block.dim), x.dtype) for m, block in self.rep_out.blocks]
        for (a, b, c), w in zip(self.triples, widened(self.weights, x.dtype), strict=True):
            # As for intertwiners: basis elements of norm sqrt(dim), so that unit variance stays unit variance.
            maps = jnp.asarray(self.basis((a, b, c)) * self.rep_out.blocks[c][1].dim ** 0.5, x.dtype)
            products = jnp.einsum("rcuv,...iu,...jv->...rcij", maps, parts[a], parts[b])
            rows[c] = rows[c] + jnp.einsum("rkij,...rcij->...kc", w.astype(x.dtype), products)
        return join_blocks([squashed(row) if b else row for row, b in zip(rows, self.bounded, strict=True)])
