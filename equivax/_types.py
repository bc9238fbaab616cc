"""The vocabulary of shapes: what the signatures of the library call things."""

import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray, PyTree, Shaped

# A point of a manifold: an array, or for products a tuple of arrays (so any pytree of arrays).
Point = PyTree[Float[Array, "..."]]
# A tangent vector at a point: the same structure as the point.
Tangent = PyTree[Float[Array, "..."]]
# An element of a Lie algebra in whatever coordinates an action likes: an array, or a pytree of arrays.
Algebra = PyTree[Float[Array, "..."]]
# A signal over a sampled domain, flattened: one row for each sample point, one column for each channel.
# The axes are not bound to names: what goes into a layer and what comes out differ in them.
Signal = Float[Array, "_points _channels"]
# An element of a matrix group, and of its Lie algebra.
Element = Float[Array | np.ndarray, "d d"]
AlgebraElement = Float[Array | np.ndarray, "d d"]
# A linear map of the plane by its rows, in numbers that can be compared and hashed.
LinearMap = tuple[tuple[float, float], tuple[float, float]]
# A stack of matrices, as generators come; algebra is done in NumPy float64 at construction.
# How many there are is not bound to a name: two stacks in one signature differ in it.
Matrices = Float[np.ndarray, "_k d d"]
Key = PRNGKeyArray
RealScalar = float | int | Float[ArrayLike, ""]

__all__ = [
    "Algebra",
    "AlgebraElement",
    "Array",
    "ArrayLike",
    "Bool",
    "Element",
    "Float",
    "Int",
    "Key",
    "LinearMap",
    "Matrices",
    "Point",
    "PyTree",
    "RealScalar",
    "Shaped",
    "Signal",
    "Tangent",
]
