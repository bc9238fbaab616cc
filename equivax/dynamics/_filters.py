"""Step sizes as digital filters of the error: P, PI, PID and H211 controllers in one formula."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import optimistix as optx

from .._types import RealScalar


class DigitalFilter(diffrax.AbstractAdaptiveStepSizeController):
    r"""$$ h_{n+1} = \prod_{j=1}^{3} \varepsilon_{n+1-j}^{-\beta_j / k}
        \Big(\frac{h_n}{h_{n-1}}\Big)^{-\alpha_2} \Big(\frac{h_{n-1}}{h_{n-2}}\Big)^{-\alpha_3} h_n $$

    where eps_n = |e_n / (atol + rtol |y_n|)| is the scaled error of step n, accepted where eps_n < 1, and k the order of
    the error. A filter that damps high frequencies gives smoother sequences of steps, hence errors that depend more
    smoothly on the tolerance and on parameters, at the same number of steps. Wrap it in an `InvariantController`, which
    shows it invariant blocks, to keep a flow equivariant. The named ones are functions of (rtol, atol):

    | constructor | beta | alpha | |
    |---|---|---|---|
    | `I` | (1) | | the elementary controller, as `diffrax.PIDController` has it by default |
    | `PI` | (3/5, -1/5) | | PI.4.2 |
    | `PID` | (1/18, 1/9, 1/18) | | H312PID: second order, for noisy errors |
    | `H211` | (1/b, 1/b) | (1/b) | H211b: for smooth problems, the usual b = 4 |
    | `H211PI` | (1/6, 1/6) | | for stiff or rough ones |

    - `safety` multiplies every step; its change is held within [`factormin`, `factormax`]; after a rejection the elementary
      controller chooses, from that error alone.
    - `dtmin`: a step that would be smaller ends the solve with `RESULTS.dt_min_reached`; `dtmax` bounds it from above.

    Soederlind, *Digital filters in adaptive time-stepping*, ACM TOMS 29, 2003, table 3.
    """

    rtol: Any
    atol: Any
    beta: tuple[float, ...] = (1.0,)
    alpha: tuple[float, ...] = ()
    norm: Callable[[Any], Any] = optx.rms_norm
    safety: float = 0.9
    factormin: float = 0.2
    factormax: float = 10.0
    dtmin: Any = None
    dtmax: Any = None
    error_order: Any = None

    def __check_init__(self) -> None:
        if not 1 <= len(self.beta) <= 3 or len(self.alpha) > 2:
            raise ValueError(
                "`DigitalFilter` takes one to three coefficients beta and at most two alpha; received "
                f"beta = {self.beta}, alpha = {self.alpha}. The named filters are `DigitalFilter.PI(rtol, atol)`, `.H211`, ..."
            )

    @classmethod
    def I(cls, rtol: RealScalar, atol: RealScalar, **options: Any) -> "DigitalFilter":  # noqa: E743
        """The elementary (integral) controller, beta = (1)."""
        return cls(rtol, atol, beta=(1.0,), **options)

    @classmethod
    def PI(cls, rtol: RealScalar, atol: RealScalar, **options: Any) -> "DigitalFilter":
        """PI.4.2, beta = (3/5, -1/5)."""
        return cls(rtol, atol, beta=(3 / 5, -1 / 5), **options)

    @classmethod
    def PID(cls, rtol: RealScalar, atol: RealScalar, **options: Any) -> "DigitalFilter":
        """H312PID, beta = (1/18, 1/9, 1/18)."""
        return cls(rtol, atol, beta=(1 / 18, 1 / 9, 1 / 18), **options)

    @classmethod
    def H211(cls, rtol: RealScalar, atol: RealScalar, b: float = 4.0, **options: Any) -> "DigitalFilter":
        """H211b, beta = (1/b, 1/b), alpha = (1/b); b from 2 (quick) to 8 (smooth)."""
        return cls(rtol, atol, beta=(1 / b, 1 / b), alpha=(1 / b,), **options)

    @classmethod
    def H211PI(cls, rtol: RealScalar, atol: RealScalar, **options: Any) -> "DigitalFilter":
        """beta = (1/6, 1/6)."""
        return cls(rtol, atol, beta=(1 / 6, 1 / 6), **options)

    def wrap(self, direction: Any) -> "DigitalFilter":
        """As `diffrax.AbstractStepSizeController.wrap`: step sizes know no direction."""
        del direction
        return self

    def init(
        self, terms: Any, t0: Any, t1: Any, y0: Any, dt0: Any, args: Any, func: Callable, error_order: Any
    ) -> tuple[Any, Any]:
        """The end of the first step, and a memory of the errors and sizes of two steps, 1 and 0 where there were none."""
        # The first step, where it is not given, is Diffrax's own choice.
        start = diffrax.PIDController(self.rtol, self.atol, norm=self.norm, dtmin=self.dtmin, dtmax=self.dtmax)
        order = error_order if self.error_order is None else self.error_order
        end, _ = start.init(terms, t0, t1, y0, dt0, args, func, order)
        one = jnp.ones((), jnp.result_type(*jax.tree.leaves(y0)))
        return end, ((one, one), (jnp.zeros_like(end), jnp.zeros_like(end)))

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: Any,
    ) -> tuple[Any, Any, Any, Any, Any, diffrax.RESULTS]:
        """As `diffrax.AbstractStepSizeController.adapt_step_size`."""
        del args
        if y_error is None:
            raise ValueError(
                "This solver estimates no error, so steps cannot adapt to it. Use constant steps, or wrap the solver in "
                "`diffrax.HalfSolver`."
            )
        errors, sizes = controller_state
        order = error_order if self.error_order is None else self.error_order
        y0, y1, y_error = jax.lax.stop_gradient((y0, y1_candidate, y_error))

        def scaled(a, b, e):
            size = jnp.maximum(jnp.abs(a), jnp.where(jnp.any(jnp.isnan(b)), 0, jnp.abs(b)))
            return e / (self.atol + self.rtol * size)

        error = self.norm(jax.tree.map(scaled, y0, y1, y_error))
        keep = error < 1
        # No error at all asks for a step without bound; what is not finite, for the smallest factor.
        tiny = jnp.finfo(error.dtype).tiny
        error = jnp.clip(jnp.where(jnp.isfinite(error), error, 1 / tiny), tiny, 1 / tiny)
        elementary = error ** (-1 / order)
        filtered = elementary ** self.beta[0]
        for b, e in zip(self.beta[1:], errors, strict=False):
            filtered = filtered * e ** (-b / order)
        for a, h, before in zip(self.alpha, (t1 - t0, sizes[0]), sizes, strict=False):
            ratio = jnp.where(before > 0, h / jnp.where(before > 0, before, 1), 1)
            filtered = filtered * ratio.astype(error.dtype) ** (-a)
        factor = self.safety * jnp.where(keep, filtered, elementary)
        factor = jnp.clip(factor, self.factormin, jnp.where(keep, self.factormax, self.safety)).astype(t1.dtype)
        dt = (t1 - t0) * factor
        result: Any = diffrax.RESULTS.successful
        if self.dtmax is not None:
            dt = jnp.minimum(dt, self.dtmax)
        if self.dtmin is not None:
            result = diffrax.RESULTS.where(dt < self.dtmin, diffrax.RESULTS.dt_min_reached, result)
        memory = (error, errors[0]), (t1 - t0, sizes[0])
        state = jax.tree.map(lambda new, old: jnp.where(keep, new, old), memory, (errors, sizes))
        start = jnp.where(keep, t1, t0)
        return keep, start, start + dt, False, state, result
