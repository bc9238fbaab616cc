"""A disc-shaped domain inside a square grid."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ..geometry import PixelGrid


class Disc(eqx.Module):
    r"""A smooth cut-off $\chi(|x|)$: 1 for $|x| \le r_0$, 0 for $|x| \ge r_1$, infinitely often differentiable between.

    $$ \chi(r) = \frac{\psi(1 - s)}{\psi(s) + \psi(1 - s)}, \qquad s = \frac{r - r_0}{r_1 - r_0},\quad \psi(s) = e^{-1/s} $$

    A square is not invariant under rotations, so signals that reach its border cannot be equivariant under any but
    quarter turns. Times $\chi$ they live on a disc, which is; the price is the symmetry under translations.

    - `inner`, `outer`: $r_0 < r_1$, in the units of the grids' spacing; $r_1$ at most half the side of the square.
    """

    inner: float = eqx.field(static=True)
    outer: float = eqx.field(static=True)

    def __check_init__(self):
        if not 0 <= self.inner < self.outer:
            raise ValueError(f"A disc needs 0 <= inner < outer, received inner={self.inner}, outer={self.outer}.")

    def __call__(self, grid: PixelGrid) -> Float[np.ndarray, "points 1"]:
        """The values at the points of a grid, in float64."""
        s = (np.linalg.norm(grid.points, axis=1) - self.inner) / (self.outer - self.inner)
        falling, rising = _flat(1 - s), _flat(s)
        return (falling / (falling + rising))[:, None]


def _flat(s: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """exp(-1/s) for s > 0 and 0 elsewhere: every derivative vanishes at 0."""
    positive = s > 0
    return np.where(positive, np.exp(-1 / np.where(positive, s, 1.0)), 0.0)
