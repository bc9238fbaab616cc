"""Equivariant operators by the names that people have for them: the Laplacian, the gradient, a derivative in a turned frame."""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..symmetry import AbstractRep
from ._blocks import jet_basis, linear_basis

# What is shorter than this after all others were taken off it is a combination of them.
DEPENDENT = 1e-6


class NaturalBasis(NamedTuple):
    r"""An orthonormal basis $N_r = \sum_s Q_{r s} B_s$ of the operators of one order between two blocks, with names.

    - `turn`: $Q$, an orthogonal matrix. - `units`: $c_r$, with $N_r = c_r \times$ the named operator.
    - `names`: with `{u}` in the place of what is differentiated.
    """

    turn: Float[np.ndarray, "r r"]
    units: tuple[float, ...]
    names: tuple[str, ...]


@functools.lru_cache(maxsize=1024)
def natural_basis(block_in: AbstractRep, block_out: AbstractRep, order: int | None) -> NaturalBasis:
    r"""The operators of one order between two blocks, None for the intertwiners, in coordinates that can be read.

    First those of vector analysis, where the group has them; then projections of single derivatives of single components,
    $\int \rho_{out}(g)\, e_o \otimes \rho_{in}(g)\, e_i \otimes g\, \partial^\alpha\, dg$, which for regular features are
    derivatives in a frame that turns with the feature. Each is made orthogonal to the ones before.
    """
    B = linear_basis(block_in, block_out) if order is None else jet_basis(block_in, block_out, (order,))
    flat = B.reshape(len(B), math.prod(B.shape[1:]))
    rows: list[np.ndarray] = []
    names: list[str | None] = []
    known = [(name, T) for name, T in _named(order or 0) if T.shape == B.shape[1:]]
    for name, T in known:
        c = flat @ T.reshape(-1)
        if np.isclose(c @ c, np.sum(T**2)):  # all of it is equivariant
            _append(rows, names, c, name)
    for column in flat.T:
        if len(rows) == len(B):
            break
        _append(rows, names, column, None)
    turn = np.stack(rows) if rows else np.zeros((0, 0))
    units, texts = [], []
    norms = {name: float(np.linalg.norm(T)) for name, T in known}
    for row, given in zip(turn, names, strict=True):
        unit, text = _written(np.tensordot(row, B, 1)) if given is None else (1 / norms[given], given)
        units.append(unit)
        texts.append(text)
    return NaturalBasis(turn, tuple(units), tuple(texts))


def _append(rows: list[np.ndarray], names: list[str | None], c: np.ndarray, name: str | None) -> None:
    rest = c.copy()
    for row in rows:
        rest -= (row @ rest) * row
    length = np.linalg.norm(rest)
    # A name is kept for the operator itself, not for what is left of it.
    if length > DEPENDENT and (name is None or np.isclose(length, np.linalg.norm(c))):
        rows.append(rest / length)
        names.append(name)


def _named(order: int) -> list[tuple[str, np.ndarray]]:
    """Operators of vector analysis of one order, as tensors `(out, in, jets)`: coefficients of the monomials over the roots
    of the binomial coefficients, which is how `Sym^k` is coordinatised."""
    J = np.array([[0.0, -1.0], [1.0, 0.0]])
    if order == 0:
        return [("{u}", np.ones((1, 1, 1))), ("{u}", np.eye(2)[..., None]), ("J {u}", J[..., None])]
    if order == 1:
        nabla = np.eye(2)[:, None, :]
        div = np.eye(2)[None]
        return [
            ("∇{u}", nabla),
            ("J∇{u}", np.einsum("op,pia->oia", J, nabla)),
            ("div {u}", div),
            ("rot {u}", -np.einsum("oia,ij->oja", div, J)),
        ]
    if order % 2:
        return []
    half = order // 2
    laplacian = np.zeros(order + 1)
    laplacian[::2] = [math.comb(half, a) / math.sqrt(math.comb(order, 2 * a)) for a in range(half + 1)]
    power = "Δ{u}" if half == 1 else f"Δ^{half} {{u}}"
    named = [(power, laplacian[None, None]), (power, np.eye(2)[..., None] * laplacian)]
    if order == 2:
        # 2 grad div - Laplacian: the part of grad div that is orthogonal to the Laplacian.
        x, y, xy = np.array([1.0, 0, 0]), np.array([0.0, 0, 1]), np.array([0, 1 / math.sqrt(2), 0])
        twisted = np.stack([np.stack([x - y, 2 * xy]), np.stack([2 * xy, y - x])])
        named += [("(2∇div - Δ) {u}", twisted)]
        named += [("J Δ{u}", np.einsum("op,pia->oia", J, named[1][1]))]
        named += [("J (2∇div - Δ) {u}", np.einsum("op,pia->oia", J, twisted))]
    return named


def _written(N: Float[np.ndarray, "out in jets"]) -> tuple[float, str]:
    """The first row that is not empty as a polynomial in the derivatives of components, over its largest coefficient."""
    order = N.shape[2] - 1
    monomials = N * np.sqrt([math.comb(order, a) for a in range(order + 1)])
    row = next(row for row in monomials if np.abs(row).max() > 1e-9)
    unit = row.reshape(-1)[np.argmax(np.abs(row) > (1 - 1e-9) * np.abs(row).max())]
    parts = []
    for i, polynomial in enumerate(row / unit):
        for a, c in enumerate(polynomial):
            if abs(c) > 1e-6:
                derivative = "∂" + "x" * (order - a) + "y" * a if order else ""
                component = f"{{u}}_{i}" if len(row) > 1 else "{u}"
                size = "" if np.isclose(abs(c), 1) else f"{abs(c):.3g} "
                parts.append(("- " if c < 0 else "+ ") + size + f"{derivative} {component}".strip())
    text = " ".join(parts).removeprefix("+ ")
    return float(unit), text if len(parts) == 1 else f"({text})"
