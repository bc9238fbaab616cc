"""Signals moved to where their second moments are standard: the moving frame of the linear maps of the plane."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Signal
from ..geometry import PixelGrid


class SignalFrame(eqx.Module):
    r"""Every signal moved to where its second moments are standard, by a moving frame of the linear maps of the plane,

    $$ u \mapsto T_{h(u)^{-1}} u, \qquad (T_A u)(x) = u(A^{-1} x), \qquad
       h = \frac{s}{c} \Bigl(\frac{\Sigma^{1/2}}{s}\Bigr)^{\alpha} Q, \quad
       \Sigma = \frac{\int x x^T\, \|u(x)\|_1\, dx}{\int \|u(x)\|_1\, dx}, \quad s^2 = \frac{\operatorname{tr} \Sigma}{2}. $$

    As $\Sigma(T_A u) = A\, \Sigma\, A^T$, what comes out is the same for u and $T_a u$ at any scale a. With $\alpha = 1$ it is
    the same, up to a turn or a reflection, for all $T_A u$; in between, $\alpha$ is the part of a stretch that is taken back.
    With $Q = 1$, turning u turns what comes out, whatever $\alpha$, and so do reflections: a map that is invariant under those
    is made invariant under all. If it is to be `upright`, Q is the turn that puts the longest direction of u upright: then what
    comes out for a turned u is the same, or turned by a half, and a map that is invariant under half turns is made invariant
    under all turns. Where $\Sigma$ is isotropic no direction is the longest, and what comes out jumps; a map that is nearly
    invariant under other turns as well, as that of a larger finite group is, hardly notices.
    Changing the brightness changes nothing of h. It needs one object, on a ground of zeros, around the centre, about which all
    is moved. (Fels, Olver, *Moving coframes II*, Acta Appl. Math. 55, 1999, for frames; Kaba et al., *Equivariance with
    learned canonicalization functions*, ICML 2023, for networks behind them.)

    - `grid`: that of the signals. - `standard`: c, in its units: the root mean square of what comes out, along an axis; less,
      for $0 < \alpha < 1$, where it is long.
    - `stretch`: $\alpha$, from 0 for changes of scale alone to 1. - `upright`: whether to turn as well.

    `u` is `(grid.size, channels)`, and so is the result, by cubic convolution between pixels (Keys, IEEE Trans. ASSP 29, 1981).
    The integrals are those of pixels that are squares of one colour. What a change of scale leaves is an error of second order
    in the spacing h, of those squares, $h^2 / 12$ beside $\Sigma$; on grids as coarse as images are it is less than the error
    of third order that the convolution makes. Turns have the latter alone, quarter turns and flips none. A signal that is
    0 stays so.

    **Raises:** `ValueError` for a standard that is not positive, and a stretch that is not between 0 and 1.
    """

    grid: PixelGrid
    standard: float = eqx.field(static=True)
    stretch: float = eqx.field(static=True, default=0.0)
    upright: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if not self.standard > 0 or not 0 <= self.stretch <= 1:
            raise ValueError(
                "A frame of signals needs a positive standard and a stretch from 0 to 1; received "
                f"standard={self.standard}, stretch={self.stretch}."
            )

    def moments(self, u: Signal) -> Float[Array, "2 2"]:
        r"""$\Sigma$, in squares of the units of the grid; that of one pixel for a signal that is 0."""
        x = jnp.asarray(self.grid.points, u.dtype)
        mass = jnp.sum(jnp.abs(u), axis=1)
        total = jnp.sum(mass)
        spread = jnp.einsum("p,pi,pj->ij", mass, x, x) / jnp.where(total > 0, total, 1)
        return spread + self._pixel * jnp.eye(2, dtype=u.dtype)

    def element(self, u: Signal) -> Float[Array, "2 2"]:
        """h(u), symmetric and positive but for Q: the standard signal moved by it is u."""
        (a, b), (_, d) = self.moments(u)
        mean, half = (a + d) / 2, (a - d) / 2
        # Half the difference of the eigenvalues; at 0 there is no direction of the stretch, and no slope of the root.
        square = half**2 + b**2
        round_ = square <= (1e-6 * mean) ** 2
        difference = jnp.sqrt(jnp.where(round_, 1, square))
        small = jnp.maximum(mean - difference, self._pixel)
        eta = jnp.where(round_, 0, self.stretch / 4 * jnp.log((mean + difference) / small))
        along = jnp.where(round_, 0, jnp.sinh(eta) / difference)
        stretched = jnp.cosh(eta) * jnp.eye(2, dtype=u.dtype) + along * jnp.stack(
            [jnp.stack([half, b]), jnp.stack([b, -half])]
        )
        area = jnp.where(round_, 1, (mean + difference) * small / mean**2) ** (self.stretch / 4)
        h = jnp.sqrt(mean) / self.standard * area * stretched
        if not self.upright:
            return h
        # (half, b) has twice the angle of the long axis, to which Q turns the y axis.
        twice = jnp.arctan2(jnp.where(round_, 0, b), jnp.where(round_, -1, half))
        cos, sin = jnp.cos((twice - jnp.pi) / 2), jnp.sin((twice - jnp.pi) / 2)
        return h @ jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])

    def __call__(self, u: Signal) -> Signal:
        x = jnp.asarray(self.grid.points, u.dtype) @ self.element(u).T
        return _cubic(self.grid.unflatten(u), x / self.grid.spacing)

    @property
    def _pixel(self) -> float:
        """The second moment of a pixel along an axis."""
        return self.grid.spacing**2 / 12


def _cubic(image: Float[Array, "height width channels"], x: Float[Array, "n 2"]) -> Float[Array, "n channels"]:
    """The image at points (x, y) in pixels from its centre, y upwards: four by four pixels around each; zero outside."""
    height, width, _ = image.shape
    padded = jnp.pad(image, ((2, 2), (2, 2), (0, 0)))

    def around(place: Float[Array, " n"], size: int) -> tuple[list[Array], list[Array]]:
        first = jnp.floor(place)
        t = place - first
        weights = [
            ((-0.5 * t + 1) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1,
            ((-1.5 * t + 2) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        ]
        # Beyond the border the padding answers.
        index = [jnp.clip(first.astype(jnp.int32) + k + 1, 0, size + 3) for k in range(4)]
        return weights, index

    (p, i), (q, j) = around((height - 1) / 2 - x[:, 1], height), around((width - 1) / 2 + x[:, 0], width)
    rows = [
        sum((q[m][:, None] * padded[i[k], j[m]] for m in range(1, 4)), q[0][:, None] * padded[i[k], j[0]])
        for k in range(4)
    ]
    return sum((p[k][:, None] * rows[k] for k in range(1, 4)), p[0][:, None] * rows[0])
