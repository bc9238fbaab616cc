"""Quadrature on compact groups: finitely many elements with weights in place of Haar measure."""

import functools

import jax
import numpy as np
import scipy.linalg
from jaxtyping import Float

from .._types import Key, Matrices
from ..symmetry import SO, SU, AbstractGroup, DirectProduct, GroupError, O

# Eigenvalues of a generator that agree with multiples of one frequency to this much are those of a circle.
COMMENSURABLE = 1e-9


class HaarRule:
    r"""A quadrature rule $\int_G F(g)\, dg \approx \sum_k w_k F(g_k)$ for normalised Haar measure.

    - `group`: G. `elements`: $g_k$, `(K, d, d)`; `weights`: $w_k$, `(K,)`, which sum to 1. NumPy arrays in float64.
    - `label`: how far it is to be trusted: "exact" (all elements of a finite group), "quadrature of degree L" (exact for
      matrix coefficients of irreducible representations up to L), "in distribution" (a random sample).

    An immutable value: rules of equal content are equal, so that compiled functions are shared.
    """

    def __init__(self, group: AbstractGroup, elements: Matrices, weights: Float[np.ndarray, " K"], label: str):
        self.group, self.label = group, label
        self.elements, self.weights = np.array(elements, np.float64), np.array(weights, np.float64)
        self.elements.flags.writeable = self.weights.flags.writeable = False
        self.inverses = np.stack([np.asarray(group.inverse(g)) for g in self.elements])
        self._content = group, self.elements.tobytes(), self.weights.tobytes(), label

    def __len__(self) -> int:
        return len(self.weights)

    def __eq__(self, other) -> bool:
        return isinstance(other, HaarRule) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        return f"HaarRule({self.group}, {len(self)} elements, {self.label})"


@functools.lru_cache(maxsize=64)
def haar_rule(group: AbstractGroup, degree: int = 8) -> HaarRule:
    r"""A rule for a finite group, a circle, SU(2), SO(3), one of these with reflections, or a product of them.

    - finite groups: all elements, exact.
    - one-dimensional groups, as $SO(2)$, $O(2)$, $U(1)$: `degree + 1` equally spaced turns, exact for trigonometric
      polynomials up to `degree`.
    - $SO(3)$, $O(3)$, $SU(2)$: Euler angles $R_z(\alpha) R_y(\beta) R_z(\gamma)$, equally spaced in $\alpha$, $\gamma$
      and Gauss-Legendre in $\cos \beta$, exact for matrix coefficients of spin up to `degree` (for $SU(2)$ half of
      `degree`, which is the degree as polynomials of the coordinates of $\mathbb{C}^2$).

    **Raises:** `GroupError` for a group that is not compact, which has no average, and for other compact groups, of which
    `sampled_rule` takes a random sample.
    """
    match group:
        case _ if group.is_finite:
            elements = group.elements
            return HaarRule(group, elements, np.full(len(elements), 1 / len(elements)), "exact")
        case _ if not group.is_compact:
            raise GroupError(
                f"{group} is not compact: its Haar measure is infinite, and there is no average over it. Average over a "
                "compact subgroup, or make the field equivariant by a frame: `FrameAveragedField`, `InvariantField`."
            )
        case DirectProduct(first=first, second=second):
            one, two = haar_rule(first, degree), haar_rule(second, degree)
            elements = np.stack([scipy.linalg.block_diag(g, h) for g in one.elements for h in two.elements])
            label = next((rule.label for rule in (one, two) if rule.label != "exact"), "exact")
            return HaarRule(group, elements, np.outer(one.weights, two.weights).reshape(-1), label)
        case SO(n=3) | O(n=3):
            elements, weights = _euler(group.lie_algebra[0], group.lie_algebra[1], degree + 1, degree // 2 + 1, turns=1)
        case SU(n=2):
            J = group.lie_algebra
            elements, weights = _euler(J[2] / 2, J[0] / 2, degree + 1, (degree // 2 + 2) // 2, turns=2)
        case _ if len(group.lie_algebra) == 1:
            A = group.lie_algebra[0]
            angles = np.arange(degree + 1) * _period(group) / (degree + 1)
            elements = np.stack([scipy.linalg.expm(a * A) for a in angles])
            weights = np.full(degree + 1, 1 / (degree + 1))
        case _:
            raise GroupError(
                f"No quadrature is known for {group}: there is one for finite groups, circles, SO(3), O(3), SU(2), and "
                "products of these. `sampled_rule(group, count, key=key)` averages over a random sample of any compact group."
            )
    components = np.asarray(group.components)
    elements = np.concatenate([elements @ h for h in components])
    return HaarRule(
        group, elements, np.tile(weights, len(components)) / len(components), f"quadrature of degree {degree}"
    )


def sampled_rule(group: AbstractGroup, count: int, *, key: Key) -> HaarRule:
    r"""`count` independent elements from Haar measure, of equal weight: an average that is equivariant in distribution.

    The field $f$ that it makes is random, and $g_* f(t, g^{-1} \cdot)$ has the same law as f; any one draw is equivariant
    up to $O(1 / \sqrt{\mathrm{count}})$ only.

    **Raises:** `GroupError` for a group that is not compact.
    """
    with jax.ensure_compile_time_eval():
        elements = np.asarray(jax.vmap(lambda k: group.haar(key=k))(jax.random.split(key, count)), np.float64)
    return HaarRule(group, elements, np.full(count, 1 / count), "in distribution")


def _euler(
    Z: Float[np.ndarray, "d d"], Y: Float[np.ndarray, "d d"], around: int, across: int, turns: int
) -> tuple[Matrices, Float[np.ndarray, " K"]]:
    """exp(alpha Z) exp(beta Y) exp(gamma Z): `around` angles in each of alpha and gamma, `across` Gauss nodes in cos(beta).

    For `turns` = 2 gamma runs over two turns, as it has to on the double cover.
    """
    alpha = 2 * np.pi * np.arange(around) / around
    gamma = turns * alpha
    cosines, weights = np.polynomial.legendre.leggauss(across)
    first, last = (np.stack([scipy.linalg.expm(a * Z) for a in angles]) for angles in (alpha, gamma))
    middle = np.stack([scipy.linalg.expm(b * Y) for b in np.arccos(cosines)])
    elements = np.einsum("aij,bjk,ckl->abcil", first, middle, last)
    full = np.broadcast_to(weights[None, :, None] / (2 * around**2), elements.shape[:3])
    return elements.reshape(-1, *Z.shape), full.reshape(-1)


def _period(group: AbstractGroup) -> float:
    """The smallest t > 0 with exp(t A) = 1 for the one generator A of a circle."""
    frequencies = np.abs(np.linalg.eigvals(group.lie_algebra[0]).imag)
    frequencies = frequencies[frequencies > COMMENSURABLE * frequencies.max()]
    ratios = frequencies / frequencies.min()
    for k in range(1, 65):
        if np.abs(k * ratios - np.round(k * ratios)).max() < COMMENSURABLE * k * ratios.max():
            common = np.gcd.reduce(np.round(k * ratios).astype(int))
            return float(2 * np.pi * k / (frequencies.min() * common))
    raise GroupError(
        f"The generator of {group} has frequencies {np.unique(frequencies.round(6))} without a small common measure: it winds "
        "round a torus, over which `sampled_rule` averages."
    )
