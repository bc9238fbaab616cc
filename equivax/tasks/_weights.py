"""What is trained: the floating-point JAX arrays of a model. NumPy arrays in it are constants."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree


def is_weight(leaf: Any) -> bool:
    """Whether `leaf` is trained. Stencils, bases and quadrature weights are NumPy arrays, and so they are not."""
    return isinstance(leaf, jax.Array) and eqx.is_inexact_array(leaf)


def split(model: PyTree) -> tuple[PyTree, PyTree]:
    """The weights of `model`, and all the rest; `eqx.combine` puts them together again."""
    return eqx.partition(model, is_weight)


def count_parameters(model: PyTree) -> int:
    """The number of real weights of `model` (a complex one counts twice)."""
    leaves = jax.tree.leaves(eqx.filter(model, is_weight))
    return sum(leaf.size * (2 if leaf.dtype.kind == "c" else 1) for leaf in leaves)
