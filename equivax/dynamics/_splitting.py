"""Solving a sum of fields one after another."""

from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax

from .._types import Point
from ._lie_term import innermost


class Splitting(diffrax.AbstractSolver):
    r"""y' = f_1(t, y) + ... + f_n(t, y), a step at a time by the flows of the single fields.

    $$ \Phi_h \approx \Phi^n_h \circ \cdots \circ \Phi^1_h \quad\text{(Lie, Trotter: order 1)}, \qquad
       \Phi^1_{h/2} \circ \cdots \circ \Phi^n_h \circ \cdots \circ \Phi^1_{h/2} \quad\text{(Strang: order 2)} $$

    Each flow is approximated by one step of a solver of its own, which should have the order of the splitting. If every field
    is equivariant, so is every factor. For a `Flow` of a sum of fields (`f + g + h`), which hands them over one by one; with
    Diffrax itself for a `diffrax.MultiTerm` of terms, one for each solver.

    - `solvers`: one for each field. - `symmetric`: Strang's splitting rather than Lie's.

    A layer of a PDE-G-CNN is a step of Lie's splitting of a `PositionOrientationField`. Dense output is linear between steps.

    **Raises:** `ValueError` without two solvers.
    Strang, *On the construction and comparison of difference schemes*, SIAM J. Numer. Anal. 5, 1968.
    """

    solvers: tuple[diffrax.AbstractSolver, ...]
    symmetric: bool = eqx.field(static=True, default=True)

    interpolation_cls: ClassVar = diffrax.LocalLinearInterpolation

    def __check_init__(self) -> None:
        if len(self.solvers) < 2:
            raise ValueError(
                f"`Splitting` takes a solver for each of two or more fields; received {len(self.solvers)}."
            )

    @property
    def term_structure(self) -> Any:  # type: ignore[override]
        """A `diffrax.MultiTerm`, with one term for each solver."""
        return diffrax.MultiTerm[tuple[tuple(solver.term_structure for solver in self.solvers)]]  # type: ignore[misc]

    def order(self, terms: Any) -> int:
        """2 if symmetric, else 1."""
        del terms
        return 2 if self.symmetric else 1

    def init(self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any) -> None:
        """Nothing is remembered: what a solver knew of the end of its step is out of date after the others' steps."""
        del terms, t0, t1, y0, args

    def step(self, terms: Any, t0: Any, t1: Any, y0: Point, args: Any, solver_state: None, made_jump: Any) -> Any:
        """One step."""
        del solver_state
        middle = t0 + (t1 - t0) / 2
        pairs = [(_Summand(terms, i), solver) for i, solver in enumerate(self.solvers)]
        if self.symmetric:
            first, last = pairs[:-1], pairs[-1]
            plan = [(*p, t0, middle) for p in first] + [(*last, t0, t1)] + [(*p, middle, t1) for p in reversed(first)]
        else:
            plan = [(*p, t0, t1) for p in pairs]
        y, result = y0, diffrax.RESULTS.successful
        for term, solver, start, stop in plan:
            state = solver.init(term, start, stop, y, args)
            y, _, _, _, outcome = solver.step(term, start, stop, y, args, state, made_jump)
            result = diffrax.RESULTS.where(result == diffrax.RESULTS.successful, outcome, result)
        return y, None, {"y0": y0, "y1": y}, None, result

    def func(self, terms: Any, t0: Any, y0: Point, args: Any) -> Any:
        """The sum of the fields."""
        return jax.tree.map(lambda *v: sum(v[1:], v[0]), *terms.vf(t0, y0, args))


class _Summand(diffrax.AbstractTerm):
    """One of the terms of a `diffrax.MultiTerm`, below what Diffrax wraps around it: the others' fields are not computed."""

    terms: diffrax.AbstractTerm
    index: int = eqx.field(static=True)

    def vf(self, t: Any, y: Any, args: Any) -> Any:
        return self.terms.vf(t, y, args)[self.index]

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> Any:
        return self.terms.contr(t0, t1, **kwargs)[self.index]

    def prod(self, vf: Any, control: Any) -> Any:
        return innermost(self.terms).terms[self.index].prod(vf, control)
