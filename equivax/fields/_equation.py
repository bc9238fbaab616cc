"""What a model has learned, written out as an equation."""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Float

from ._intertwiner import Intertwiner
from ._invariants import DifferentialInvariantField
from ._jets import jet_factors
from ._natural import natural_basis
from ._steerable import SteerableOperator

Linear = SteerableOperator | Intertwiner

# A coefficient smaller than this part of the largest is rounding.
NOTHING = 1e-6


@dataclasses.dataclass(frozen=True)
class Term:
    r"""One term of an equation, $v_{target} \mathrel{+}= c\; D\, u_{source}$.

    - `source`, `target`: (block, copy) that the operator $D$ takes and gives. - `order`: of its derivatives.
    - `operator`: $D$ in words, with `{u}` in the place of what it acts on; of a block with components, numbered from 0, by
      its row for the first component that it reaches, from which the symmetry gives the others.
    - `coefficient`: $c$; derivatives are those of the smoothed signal $G_\sigma * u$, in the units of the grid's spacing.
    - `share`: the part of the term in $|A|_F^2$, from 0 to 1. All orders count alike there on white noise, and terms are
      orthogonal to each other.
    """

    source: tuple[int, int]
    target: tuple[int, int]
    order: int
    operator: str
    coefficient: float
    share: float

    def __str__(self) -> str:
        (b, c), (d, e) = self.source, self.target
        return f"v[{d},{e}] += {self.coefficient:+.4g} {self.operator.format(u=f'u[{b},{c}]')}"


@dataclasses.dataclass(frozen=True)
class Equation:
    """A linear map as the sum of its terms, the largest share first; it prints the first twenty of them.

    - `terms`: those whose coefficients are not zero. - `possible`: how many the symmetry allows.
    """

    terms: tuple[Term, ...]
    possible: int

    def __len__(self) -> int:
        return len(self.terms)

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def text(self, most: int = 20) -> str:
        """The first `most` terms, a line each."""
        lines = [f"{term!s:<56} {term.share:7.2%}" for term in self.terms[:most]]
        left = self.terms[most:]
        if left:
            lines.append(f"... and {len(left)} smaller terms, {math.fsum(term.share for term in left):.2%} together")
        return "\n".join(lines) if lines else "v = 0"

    def __str__(self) -> str:
        return self.text()


@dataclasses.dataclass(frozen=True)
class EvolutionEquation:
    r"""$u_t = R\, s(P(\partial)\, u + b)$ at one time, written out: `operator` is $P$, `reaction` $R$, `bias` $b$."""

    t: float
    operator: Equation
    bias: Float[np.ndarray, " hidden"]
    nonlinearity: str
    reaction: Equation

    def text(self, most: int = 20) -> str:
        """The first `most` terms of both maps."""
        head = f"u_t = R s(v + b), v = P u, s = {self.nonlinearity}, at t = {self.t:g}"
        parts = [("P", self.operator), ("R", self.reaction)]
        body = [f"{name}: {len(e)} terms of {e.possible}\n{e.text(most)}" for name, e in parts]
        return "\n".join([head, *body])

    def __str__(self) -> str:
        return self.text()


def equation(part: eqx.Module) -> Equation:
    """The terms of a steerable operator or an intertwiner, in the basis that vector analysis has names for.

    **Raises:** `TypeError` for anything else; of a field, write out a moment of it with `evolution_equation`.
    """
    if not isinstance(part, SteerableOperator | Intertwiner):
        raise TypeError(
            f"`equation` writes out a SteerableOperator or an Intertwiner; received {type(part).__name__}. Use "
            "`evolution_equation(field, t)` for a DifferentialInvariantField."
        )
    found, possible = [], 0
    for place, q in zip(_places(part), coordinates(part), strict=True):
        possible += q.size
        energy = place.dim * q**2
        for (r, o, i), value in np.ndenumerate(q):
            scale = math.sqrt(place.dim) * place.units[r] * _physical(part, place.orders[r])
            found.append((float(energy[r, o, i]), place, r, o, i, scale * value))
    total = math.fsum(e for e, *_ in found)
    largest = max((e for e, *_ in found), default=0.0)
    terms = [
        Term((p.source, i), (p.target, o), p.orders[r], p.names[r], float(c), e / total)
        for e, p, r, o, i, c in sorted(found, key=lambda f: -f[0])
        if e > NOTHING**2 * largest
    ]
    return Equation(tuple(terms), possible)


def evolution_equation(field: DifferentialInvariantField, t: float = 0.0) -> EvolutionEquation:
    """What a field is at time `t`: with several knots the equation changes in time."""
    term = field.terms(t)
    s = term.layer.nonlinearity
    function = getattr(getattr(s, "function", None), "__name__", "")
    return EvolutionEquation(
        t,
        equation(term.layer.operator),
        np.asarray(term.layer.bias(np.float32)),
        f"{type(s).__name__}({function})" if function else type(s).__name__,
        equation(term.reaction),
    )


class _Place(NamedTuple):
    # What the weights between one pair of blocks mean: one orthogonal matrix takes them to natural coordinates.
    source: int
    target: int
    dim: int
    turn: Float[np.ndarray, "r r"]
    orders: tuple[int, ...]
    units: tuple[float, ...]
    names: tuple[str, ...]


def _places(part: Linear) -> list[_Place]:
    orders = range(part.jet.order + 1) if isinstance(part, SteerableOperator) else (None,)
    places = []
    for o, (_, block_out) in enumerate(part.rep_out.blocks):
        for i, (_, block_in) in enumerate(part.rep_in.blocks):
            bases = [natural_basis(block_in, block_out, k) for k in orders]
            turn = scipy.linalg.block_diag(*(basis.turn for basis in bases if len(basis.turn)))
            each = tuple(k or 0 for k, basis in zip(orders, bases, strict=True) for _ in basis.names)
            units = tuple(unit for basis in bases for unit in basis.units)
            names = tuple(name for basis in bases for name in basis.names)
            places.append(_Place(i, o, block_out.dim, turn.reshape(len(names), len(names)), each, units, names))
    return places


def coordinates(part: Linear) -> list[Float[np.ndarray, "r out in"]]:
    """The weights in natural coordinates, one array for each pair of blocks, in float64."""
    return [
        np.einsum("rs,soi->roi", p.turn, np.asarray(w, np.float64))
        for p, w in zip(_places(part), part.weights, strict=True)
    ]


def with_coordinates(part: Linear, found: list[Float[np.ndarray, "r out in"]]) -> Linear:
    """The same map with other natural coordinates."""
    weights = tuple(
        jnp.asarray(np.einsum("rs,roi->soi", p.turn, q), w.dtype)
        for p, q, w in zip(_places(part), found, part.weights, strict=True)
    )
    return eqx.tree_at(lambda m: m.weights, part, weights)


def shares(part: Linear) -> list[Float[np.ndarray, "r out in"]]:
    """The part of each term in the sum of all squares of coefficients, as in `Term.share`."""
    energies = [p.dim * q**2 for p, q in zip(_places(part), coordinates(part), strict=True)]
    total = sum(float(e.sum()) for e in energies)
    return [e / total if total else e for e in energies]


def _physical(part: Linear, order: int) -> float:
    r"""What a jet coordinate of some order is of the derivative of $G_\sigma * u$: the kernel sums to 2 pi, not to one."""
    if isinstance(part, Intertwiner):
        return 1.0
    return 2 * math.pi * jet_factors(order)[order][0] * part.jet.sigma**order
