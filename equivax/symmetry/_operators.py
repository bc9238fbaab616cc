"""Equivariant differential operators and kernels with polynomial entries: invariants of one representation each."""

import functools

import numpy as np
from jaxtyping import Float

from ._invariants import invariants
from ._rep import AbstractRep, Hom, same_group
from ._standard import defining


@functools.lru_cache(maxsize=4096)
def operator_basis(
    rep_in: AbstractRep, rep_out: AbstractRep, order: int, space_rep: AbstractRep | None = None
) -> Float[np.ndarray, "r out in jets"]:
    r"""The equivariant linear differential operators of one order $k$ with constant coefficients.

    $$ (L u)_o = \sum_{i,\alpha} A_{o i \alpha}\, \partial^\alpha u_i, \qquad
       A \in (V_{out} \otimes V_{in}^* \otimes \mathrm{Sym}^k X)^G, $$

    for signals $(g \cdot u)(x) = \rho(g)\, u(g^{-1} x)$ on the space $X$ = `space_rep` on which the group acts linearly;
    by its own matrices, if not given. The last axis runs over the monomials of the symmetric power,
    $\sqrt{k! / \alpha!}\, \partial^\alpha$; on the plane $\sqrt{\binom{k}{a}}\, \partial_x^{k-a} \partial_y^a$.

    **Returns:** an orthonormal basis, `(r, rep_out.dim, rep_in.dim, dim Sym^k X)`.

    **Raises:** `GroupError` for representations of different groups; else as `invariants`.
    """
    space = _space(rep_in, rep_out, space_rep)
    return _tensors(rep_in, rep_out, space.sym(order))


@functools.lru_cache(maxsize=4096)
def kernel_basis(
    rep_in: AbstractRep, rep_out: AbstractRep, degree: int, space_rep: AbstractRep | None = None
) -> Float[np.ndarray, "r out in monomials"]:
    r"""The steerable kernels that are homogeneous polynomials of one degree $k$.

    $$ K(x)_{oi} = \sum_\alpha A_{o i \alpha}\, \sqrt{k! / \alpha!}\; x^\alpha, \qquad
       K(g x) = \rho_{out}(g)\, K(x)\, \rho_{in}(g)^{-1}, $$

    so $A \in (V_{out} \otimes V_{in}^* \otimes \mathrm{Sym}^k X^*)^G$; multiplied by functions of invariants of $x$ they are
    the kernels of steerable convolutions (Weiler, Cesa, *General E(2)-equivariant steerable CNNs*, NeurIPS 2019, equation
    3). `space_rep` is $X$; the group acts by its own matrices, if not given. Monomials run as in `space_rep.sym(k)`.

    **Returns:** an orthonormal basis, `(r, rep_out.dim, rep_in.dim, dim Sym^k X)`.

    **Raises:** `GroupError` for representations of different groups; else as `invariants`.
    """
    space = _space(rep_in, rep_out, space_rep)
    return _tensors(rep_in, rep_out, (~space).sym(degree))


def _space(rep_in: AbstractRep, rep_out: AbstractRep, space_rep: AbstractRep | None) -> AbstractRep:
    if space_rep is None:
        return defining(same_group(rep_in, rep_out))
    same_group(rep_in, rep_out, space_rep)
    return space_rep


def _tensors(rep_in: AbstractRep, rep_out: AbstractRep, power: AbstractRep) -> Float[np.ndarray, "r out in power"]:
    found = invariants(Hom(rep_in, rep_out) * power)
    return found.vectors.reshape(len(found), rep_out.dim, rep_in.dim, power.dim)
