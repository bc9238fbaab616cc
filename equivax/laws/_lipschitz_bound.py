"""A number that no image can exceed: how far a model may take two signals apart, from its weights alone."""

import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics import Cascade, Flow, Steps
from ..fields import (
    AbstractNonlinearity,
    DifferentialInvariantField,
    LeftInvariantLayer,
    Monotone,
    NonexpansiveField,
    Pointwise,
    SteerableLayer,
    operator_bound,
)

# The steepest slopes of the functions of one variable that are used most: of silu, at x = 2.3994, rounded up.
SLOPES = {jax.nn.relu: 1.0, jax.nn.softplus: 1.0, jnp.tanh: 1.0, jax.nn.sigmoid: 0.25, jax.nn.silu: 1.09985}


def lipschitz_bound(stage: Cascade | Flow | SteerableLayer | LeftInvariantLayer) -> float:
    r"""$L$ with $|\Phi(u) - \Phi(w)| \le L\, |u - w|$ for all signals, by bounds of each stage, multiplied.

    - A `SteerableLayer`: $|P|\, \max |s'|$, with the bound of `operator_bound`.
    - A `Flow` of a `NonexpansiveField`: 1, of the exact flow and of Euler steps of size up to 2.
    - A `Flow` of a `DifferentialInvariantField`: $e^{T L}$ with $L = |R|\, \max |s'|\, |P|$ at the worst knot: by
      Grönwall's inequality, of the exact flow and of Euler steps.

    In the Euclidean norm of all numbers of a signal.

    **Raises:** `ValueError` for Euler steps of a non-expansive field that are longer than 2; `TypeError` for stages,
    solvers and nonlinearities about which nothing is known here.
    """
    if isinstance(stage, Cascade):
        return math.prod(lipschitz_bound(part) for part in stage.stages)
    if isinstance(stage, SteerableLayer):
        return float(operator_bound(stage.operator)) * _slope(stage.nonlinearity)
    if not isinstance(stage, Flow) or not isinstance(stage.field, NonexpansiveField | DifferentialInvariantField):
        raise TypeError(
            "Bounds are known of a Cascade, a SteerableLayer, and a Flow of a NonexpansiveField or a "
            f"DifferentialInvariantField; received {type(getattr(stage, 'field', stage)).__name__}."
        )
    duration = float(np.abs(np.asarray(stage.t1) - np.asarray(stage.t0)))
    euler = isinstance(stage.solver, diffrax.Euler)
    if isinstance(stage.controller, Steps) and not euler:
        raise TypeError(
            f"Nothing is known here of a fixed number of steps of {stage.solver}. Use diffrax.Euler(), or adaptive steps, "
            "whose bound is that of the exact flow."
        )
    if isinstance(stage.field, DifferentialInvariantField):
        return math.exp(duration * _field_bound(stage.field))
    step = duration / stage.controller.n if isinstance(stage.controller, Steps) else 0.0
    if step > 2:
        raise ValueError(
            f"Euler steps of size {step:g} may expand: a non-expansive field has curvature up to 1, which allows 2. Use "
            f"Steps({math.ceil(duration / 2)}) or more."
        )
    return 1.0


def _field_bound(field: DifferentialInvariantField) -> float:
    # Norms are convex: between two knots each of the two is no larger than at one of them. The window is at most one.
    knots = field.terms
    terms = [
        jax.tree.map(lambda leaf, i=i: leaf[i] if eqx.is_inexact_array(leaf) else leaf, knots.stack)
        for i in range(knots.count)
    ]
    operator = max(float(operator_bound(term.layer.operator)) for term in terms)
    reaction = max(float(operator_bound(term.reaction)) for term in terms)
    return operator * _slope(terms[0].layer.nonlinearity) * reaction


def _slope(nonlinearity: AbstractNonlinearity) -> float:
    if isinstance(nonlinearity, Monotone):
        return 1.0
    if isinstance(nonlinearity, Pointwise) and nonlinearity.function in SLOPES:
        return SLOPES[nonlinearity.function]
    raise TypeError(
        f"The slope of {nonlinearity} is not known here. Use Monotone(rep), or Pointwise with relu, softplus, tanh, sigmoid or "
        "silu."
    )
