"""Derivatives along and across each orientation: a stencil for each copy and orientation."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Signal
from ._jets import GaussianJet, turned_axes

# Up to this many entries all stencils are written out as matrices, once for all images of a batch, and applied as one batch of
# matrix products: a sixth of the arithmetic of jets of second order that are added up afterwards (`benchmarks/stencils.py`).
STENCIL_ENTRIES = 10_000_000


def oriented(
    jet: GaussianJet, n: int, weights: Float[Array, "copies multiple jets"], u: Signal
) -> Float[Array, "points copies multiple n"]:
    r"""$\sum_{a + b \le K} w_{c m a b}\, A_1^a A_2^b\, (G_\sigma * u_c)$ at the orientations $\theta_k = 2\pi k / n$.

    `u` is `(source.size, copies * n)`; derivatives come with the factors of the `jet`.
    """
    copies, multiple, _ = weights.shape
    # From derivatives along x and y to those along and across each orientation.
    frames = np.stack([turned_axes(jet.order, 2 * np.pi * k / n) for k in range(n)])
    symbol = jnp.einsum("cmj,njk->cnmk", weights.astype(u.dtype), jnp.asarray(frames, u.dtype))
    symbol = symbol.reshape(copies * n, multiple, jet.size)
    if symbol.size // jet.size * jet.target.size * jet.source.size <= STENCIL_ENTRIES:
        stencils = jnp.tensordot(symbol, jnp.asarray(jet.matrices, u.dtype), 1)
        total = jnp.einsum("cmpq,qc->pcm", stencils, u)
    else:
        # Written as a sum that XLA fuses; the product of a contraction over so few would be slower.
        terms = (w[None] * v[..., None] for w, v in zip(jnp.moveaxis(symbol, -1, 0), jet(u), strict=True))
        total = sum(terms, jnp.zeros((), u.dtype))
    return jnp.swapaxes(total.reshape(jet.target.size, copies, n, multiple), -1, -2)
