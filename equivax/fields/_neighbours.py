"""Who is near whom: lists of neighbours of a fixed length, in free space or in a periodic box."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Neighbours(eqx.Module):
    r"""For each of m points, up to k others.

    - `index`: `(m, k)`, the nearest first; where there are fewer than k, the point's own number stands for nobody.
    - `count`: `(m,)`, how many there are in truth; more than k are an overflow.
    """

    index: Int[Array, "m k"]
    count: Int[Array, " m"]

    @property
    def overflow(self) -> Bool[Array, ""]:
        """Whether some point has more neighbours than the list has room for: take a larger capacity."""
        return jnp.any(self.count > self.index.shape[1])


def neighbours(
    x: Float[Array, "m n"], cutoff: float, capacity: int, box: tuple[float, ...] | None = None
) -> Neighbours:
    r"""The neighbours $\{ j \ne i : |x_i - x_j| < r_c \}$ of every point, at most `capacity` of them, the nearest.

    Distances are those to the nearest image in a periodic `box`, the lengths of its sides. The lists may be built inside of
    `jax.jit`: their length does not depend on the points. They have no derivative and need none, since whatever is computed
    from the listed points has that of the points. All distances are compared, $m^2$ of them.

    **Raises:** `ValueError` for a capacity below 1 or a cut-off that is not positive.
    """
    if capacity < 1 or not cutoff > 0:
        raise ValueError(f"Neighbours take cutoff > 0 and capacity >= 1; received {cutoff} and {capacity}.")
    m = len(x)
    x = jax.lax.stop_gradient(x)
    distances = jnp.sum(nearest_image(x[:, None] - x[None], box) ** 2, axis=-1)
    near = (distances < cutoff**2) & ~jnp.eye(m, dtype=bool)
    best, index = jax.lax.top_k(jnp.where(near, -distances, -jnp.inf), min(capacity, m))
    nobody = jnp.broadcast_to(jnp.arange(m, dtype=index.dtype)[:, None], index.shape)
    return Neighbours(jnp.where(jnp.isfinite(best), index, nobody), jnp.sum(near, axis=1))


def nearest_image(r: Float[Array, "*batch n"], box: tuple[float, ...] | None) -> Float[Array, "*batch n"]:
    """The difference of two points of a periodic box, shortened by whole sides; `r` itself where there is no box."""
    if box is None:
        return r
    sides = jnp.broadcast_to(jnp.asarray(box, r.dtype), r.shape)
    return r - sides * jnp.round(r / sides)


def envelope(s: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    r"""$e^{-s/(1-s)}$ for $s < 1$ and 0 beyond: from 1 at $s = 0$ down to 0 with all derivatives at $s = 1$."""
    # Cut a little earlier, at e^-99: closer to 1 the derivatives are products of an overflow and an underflow.
    inside = s < 0.99
    safe = jnp.where(inside, s, 0.5)
    return jnp.where(inside, jnp.exp(-safe / (1 - safe)), 0)
