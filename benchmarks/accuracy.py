"""How accurate are series and closed forms on both sides of their switches? The tables of docs/accuracy.

    python benchmarks/accuracy.py

Value, first and second derivative in s (what the library differentiates, in float64) against the power series in long double,
45 terms with exact coefficients, over the ten per cent below each switch and above it: the largest error relative to the thing
itself, in units of eps = 2^-52. For `circular`, which has no switch: the largest absolute error on [0, pi^2], in eps.
Writes results/accuracy.json.
"""

import json
import math
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from _machine import machine

from equivax import _numerics as num

jax.config.update("jax_enable_x64", True)
RESULTS = Path(__file__).parent / "results" / "accuracy.json"
TERMS, POINTS, EPS = 45, 2001, 2.0**-52


def bernoulli(count: int) -> list[Fraction]:
    """B_0 to B_(count-1), by their recurrence."""
    found: list[Fraction] = []
    for n in range(count):
        found.append(Fraction(n == 0) - sum(math.comb(n, k) * found[k] / (n - k + 1) for k in range(n)))
    return found


BERNOULLI = bernoulli(2 * TERMS + 4)
factorial = math.factorial
# name -> (the function of one variable, the coefficients of its power series, its switch).
FUNCTIONS = {
    "cos_sqrt": (num.cos_sqrt, lambda k: Fraction((-1) ** k, factorial(2 * k)), 1.0),
    "sinc_sqrt": (num.sinc_sqrt, lambda k: Fraction((-1) ** k, factorial(2 * k + 1)), 1.0),
    "cos_defect": (num.cos_defect, lambda k: Fraction((-1) ** k, factorial(2 * k + 2)), 4.0),
    "sin_defect": (num.sin_defect, lambda k: Fraction((-1) ** k, factorial(2 * k + 3)), 4.0),
    "cot_defect": (num.cot_defect, lambda k: abs(BERNOULLI[2 * k + 2]) / factorial(2 * k + 2), 2.0),
    "angle_over_sine": (
        lambda q: num.angle_over_sine(q, 4 - q),
        lambda k: Fraction(factorial(k) ** 2, factorial(2 * k + 1)),
        0.125,
    ),
}


def long(a: Fraction) -> np.longdouble:
    """The fraction, correctly rounded or nearly so."""
    return np.longdouble(a.numerator) / np.longdouble(a.denominator)


def derivative(coefficients: list[Fraction], order: int, s: np.ndarray) -> np.ndarray:
    """The derivative of this order of the power series, in long double."""
    total = np.zeros(s.shape, np.longdouble)
    for k in range(len(coefficients) - 1, order - 1, -1):
        total = total * s + long(coefficients[k] * math.perm(k, order))
    return total


def errors(function, coefficients: list[Fraction], s: np.ndarray) -> list[float]:
    """The largest relative errors of the value and of two derivatives, in eps."""
    found = []
    for order in range(3):
        truth = derivative(coefficients, order, s.astype(np.longdouble))
        found.append(float(np.max(np.abs((np.asarray(jax.vmap(function)(jnp.asarray(s))) - truth) / truth)) / EPS))
        function = jax.grad(function)
    return found


def circular(m: int) -> float:
    """The largest absolute error of `circular` on [0, pi^2], in eps: phi_m = j_(m-1)(r)/r^(m-1) by its series."""
    coefficients = [Fraction((-1) ** k * math.perm(k + m, m) * 2**m, factorial(2 * k + 2 * m)) for k in range(TERMS)]
    s = np.linspace(0, math.pi**2, POINTS)
    return float(np.max(np.abs(np.asarray(num.circular(m, jnp.asarray(s))) - derivative(coefficients, 0, s))) / EPS)


def main() -> None:
    table = {}
    for name, (function, coefficient, switch) in FUNCTIONS.items():
        coefficients = [coefficient(k) for k in range(TERMS)]
        below = errors(function, coefficients, np.linspace(0.9 * switch, switch, POINTS, endpoint=False))
        above = errors(function, coefficients, np.linspace(switch, 1.1 * switch, POINTS))
        table[name] = {"switch": switch, "below": below, "above": above}
        print(f"{name:16} {switch:6} ", *(f"{e:8.1f}" for e in (*below, *above)))
    without_switch = {f"phi_{m}": circular(m) for m in range(3)}
    print("circular", without_switch)
    document = {
        "command": "python benchmarks/accuracy.py",
        "machine": machine("jax", "numpy"),
        "relative_errors_in_eps": table,
        "circular_absolute_errors_in_eps": without_switch,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
