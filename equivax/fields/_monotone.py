"""Nonlinearities that are gradients of convex functions, and no steeper than one."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..symmetry import AbstractRep, GroupError
from ._nonlinear import AbstractNonlinearity, join_blocks, split_blocks

# Where the slope of a function of one variable is looked at, and what rounding may add to it.
PLACES = np.concatenate([-np.geomspace(100.0, 1e-3, 200), [0.0], np.geomspace(1e-3, 100.0, 200)])
SLACK = 1e-5


class Monotone(AbstractNonlinearity):
    r"""$s = \nabla \psi$ with $\psi$ convex and invariant, $0 \le \nabla^2 \psi \le 1$.

    On blocks that the group permutes a function of each coordinate, nondecreasing with slopes up to 1; on others
    $s(v) = v / \sqrt{1 + |v|^2}$, the gradient of $\sqrt{1 + |v|^2}$. So $s$ is monotone and even cocoercive,

    $$ \langle s(v) - s(w), v - w \rangle \ge |s(v) - s(w)|^2, $$

    and an equivariant map that never takes two vectors further apart.

    - `function`: of each coordinate: `jnp.tanh`, `jax.nn.relu`, `jax.nn.softplus` will do; `jax.nn.silu` will not.

    **Raises:** `GroupError` for representations that are not orthogonal; `ValueError` for a function whose slope, looked at
    in 401 places, leaves [0, 1].
    """

    rep: AbstractRep = eqx.field(static=True)
    function: Callable[[Array], Array] = eqx.field(static=True, default=jnp.tanh)

    def __check_init__(self):
        if not self.rep.is_orthogonal:
            raise GroupError(f"Monotone needs an orthogonal representation: |v| is not invariant under {self.rep}.")
        with jax.ensure_compile_time_eval():
            slopes = jax.vmap(jax.grad(self.function))(jnp.asarray(PLACES, jnp.float32))
            low, high = float(slopes.min()), float(slopes.max())
        if not (low >= -SLACK and high <= 1 + SLACK):
            raise ValueError(
                f"A monotone nonlinearity has slopes between 0 and 1; those of {self.function} go from {low:.3g} to "
                f"{high:.3g}. Use jnp.tanh, jax.nn.relu or jax.nn.softplus."
            )

    @property
    def rep_in(self) -> AbstractRep:
        """The same representation."""
        return self.rep

    def __call__(self, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        parts = []
        for v, (_, block) in zip(split_blocks(x, self.rep), self.rep.blocks, strict=True):
            if block.is_permutation:
                parts.append(self.function(v))
            else:
                parts.append(v / jnp.sqrt(1 + jnp.sum(v**2, axis=-1, keepdims=True)))
        return join_blocks(parts)
