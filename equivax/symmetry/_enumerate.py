"""Finite groups, element by element."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Key, Matrices
from ._errors import GroupError

# A finite group larger than this is not enumerated.
ENUMERATION_CAP = 10_000


def close_under_products(
    generators: Matrices, identity: Float[np.ndarray, "d d"], cap: int = ENUMERATION_CAP
) -> Matrices:
    """The finite group that matrices generate, `(order, d, d)`, breadth first from the identity.

    **Raises:** `GroupError` when more than `cap` elements appear.
    """

    def name(g: np.ndarray) -> bytes:
        return (np.round(g, 6) + 0.0).tobytes()  # + 0.0 turns -0.0 into 0.0

    found, seen, position = [identity], {name(identity)}, 0
    while position < len(found):
        for h in generators:
            product = h @ found[position]
            if name(product) not in seen:
                if len(found) >= cap:
                    raise GroupError(
                        f"These {len(generators)} generators make more than {cap} elements, too many to list."
                    )
                seen.add(name(product))
                found.append(product)
        position += 1
    return np.stack(found)


def sample_element(elements: Matrices, *, key: Key) -> Float[Array, "d d"]:
    """A uniformly random element of a finite list: Haar measure of a finite group."""
    return jnp.asarray(elements)[jax.random.randint(key, (), 0, len(elements))]
