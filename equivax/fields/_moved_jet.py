"""Jets of signals that a linear map has moved: the pixels move, and no value is interpolated."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float

from .._types import LinearMap, Signal
from ..geometry import PixelGrid
from ..symmetry import rotation
from ._jets import GaussianJet, jet_factors

# So many entries of the stencils are worked out at once: 32 MiB in single precision.
ENTRIES = 2**23


def linear_map(matrix: LinearMap | Float[ArrayLike, "2 2"]) -> LinearMap:
    """A 2 x 2 matrix in plain numbers. **Raises:** `ValueError` for other shapes, and where it is singular."""
    A = np.asarray(matrix, np.float64)
    if A.shape != (2, 2) or not abs(np.linalg.det(A)) > 1e-12 * np.linalg.norm(A) ** 2:
        raise ValueError(f"Signals on the plane are moved by an invertible 2 x 2 matrix; received {matrix}.")
    (a, b), (c, d) = A.tolist()
    return (a, b), (c, d)


class MovedJet(eqx.Module):
    r"""The Gaussian jet of a signal moved by a linear map of the plane, $u \mapsto J(T_A u)$ with $(T_A u)(x) = u(A^{-1} x)$.

    $$ \partial^\alpha (G_\sigma * T_A u)(p) = |\det A| \int (\partial^\alpha G_\sigma)(p - A z)\, u(z)\, dz
       = \bigl( (A^{-T})^{\otimes k}\, \nabla^k (G_\Sigma * u) \bigr)_\alpha (A^{-1} p), \qquad
       \Sigma = \sigma^2 A^{-1} A^{-T} $$

    In words: each value is kept and its pixel moved, from $z$ to $A z$, where it stands for an area $|\det A|$ times as large;
    or, seen from the signal, the Gaussian is an ellipse, and the points $p$ are those of a sheared grid. What
    changes of scale can do without interpolation, stretches and shears can do, too.

    - `jet`: $J$; its `sigma`, `reach` and `target` are lengths after the move. - `A`: any invertible matrix.

    `u` is `(source.size, channels)`, the result `(jets, target.size, channels)`. For a multiple of the identity this is
    `jet` itself with its Gaussian and its target as many times narrower, row by row and column by column. For other maps
    the stencils are worked out where they are used, which costs less than the product with the signal, and are not kept:
    as constants they would be 7 MB for each map from 28 x 28 to 12 x 12 points, and 1.7 GB with four times as many points on
    each axis.

    **Raises:** `ValueError` where the narrow side of the ellipse slips between the pixels, $\sigma < 0.4\, h\, |A|$ with the
    largest singular value $|A|$; and for a mirrored jet, unless A is a multiple of the identity.
    """

    jet: GaussianJet
    A: LinearMap = eqx.field(static=True, converter=linear_map)

    def __check_init__(self):
        if self._scale is not None:
            self._narrowed(self._scale)
            return
        widest = float(np.linalg.norm(self.A, 2))
        if self.jet.mirror:
            raise ValueError(
                "A signal that is mirrored at its border cannot be moved but by multiples of the identity."
            )
        if self.jet.sigma < 0.4 * widest * self.jet.source.spacing:
            raise ValueError(
                f"sigma={self.jet.sigma} is under 0.4 of the grid's spacing {self.jet.source.spacing} times {widest:.3g}, by "
                f"which {self.A} stretches it: the stencil would miss the Gaussian between pixels. Use a wider sigma, a "
                "finer grid or a smaller map."
            )

    @property
    def size(self) -> int:
        """The number of jet coordinates."""
        return self.jet.size

    def __call__(self, u: Signal) -> Float[Array, "jets points channels"]:
        if self._scale is not None:
            return self._narrowed(self._scale)(u)
        moved = self.jet.source.points @ np.asarray(self.A).T
        # Derivatives along turned axes are derivatives of what is turned back.
        z, p = (x @ rotation(-self.jet.turn).T / self.jet.sigma for x in (moved, self.jet.target.points))
        # Behind the barrier XLA does not know that they are constants, and leaves the work to the program.
        z, p = jax.lax.optimization_barrier((jnp.asarray(z, u.dtype), jnp.asarray(p, u.dtype)))
        rows = max(1, ENTRIES // (self.size * self.jet.source.size))
        jets = jax.lax.map(lambda q: self._stencils(z - q[None], u.dtype) @ u, p, batch_size=rows)
        return jnp.moveaxis(jets, 0, 1)

    def _stencils(self, distance: Float[Array, "pixels 2"], dtype: DTypeLike) -> Float[Array, "jets pixels"]:
        """All derivatives of the Gaussian at one point, from where the pixels lie of it, in widths."""
        jet = self.jet
        area = abs(float(np.linalg.det(np.asarray(self.A)))) * (jet.source.spacing / jet.sigma) ** 2
        gauss = area * jnp.exp(-jnp.sum(distance**2, axis=1) / 2)
        if jet.reach is not None:
            limit = (jet.reach + 1e-9 * jet.source.spacing) / jet.sigma
            gauss = jnp.where(jnp.max(jnp.abs(distance), axis=1) <= limit, gauss, 0)
        along_x, along_y = (_hermite(jet.order, distance[:, i]) for i in range(2))
        factors = jet_factors(jet.order)
        rows = [factors[k][a] * along_x[k - a] * along_y[a] * gauss for k in range(jet.order + 1) for a in range(k + 1)]
        return jnp.stack(rows).astype(dtype)

    @property
    def _scale(self) -> float | None:
        """The number that A is a multiple of the identity by; None where it is none."""
        (a, b), (c, d) = self.A
        return a if b == c == 0 and a == d and a > 0 else None

    def _narrowed(self, scale: float) -> GaussianJet:
        jet, target = self.jet, self.jet.target
        return dataclasses.replace(
            jet,
            target=PixelGrid(*target.shape, target.spacing / scale),
            sigma=jet.sigma / scale,
            reach=None if jet.reach is None else jet.reach / scale,
        )


def _hermite(order: int, x: Float[Array, " n"]) -> list[Float[Array, " n"]]:
    r"""$He_0, \dots, He_K$ at x, by $He_{k+1} = x\, He_k - k\, He_{k-1}$."""
    values = [jnp.ones_like(x), x]
    for k in range(1, order):
        values.append(x * values[k] - k * values[k - 1])
    return values[: order + 1]
