"""Hamiltonian vector fields of invariant energies."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Point, RealScalar, Tangent
from ..geometry import CotangentBundle
from ..symmetry import AbstractAction, GroupError
from ._field import AbstractField
from ._forms import Inverse, as_tuples, flat_size, found_form, given_form, is_kept, raise_index
from ._isometric import holds


class SymplecticGradientField(AbstractField):
    r"""The Hamiltonian vector field of an invariant energy, $\omega(f(t, x), v) = dH(t, x)(v)$, $H(t, g \cdot x) = H(t, x)$.

    $$ q' = \partial H / \partial p, \qquad p' = -\partial H / \partial q $$

    H does not change along the flow unless it depends on t, nor does what Noether's theorem makes of the symmetry.
    Equivariant where the action keeps $\omega$: one of these, the first that is kept.

    - On `CotangentBundle(M)`: the canonical form, for an action that is lifted to momenta, $(x, p) \mapsto (g x, g^{-\top} p)$.
    - On $\mathbb{R}^{2n}$, with coordinates in the order of arrays, row by row: $\omega = dq \wedge dp$, where q is their
      first half and p their second, $\omega(a, b) = a^\top J b$ with the J of `Sp(n)`. So a `PowerAction` on two points
      moves q = x[0] and p = x[1], and `LinearAction(2 * V)` the halves of a vector.
    - The same of each point of a `PowerAction` or a `PermutingAction`: particles $x_i = (q_i, p_i)$.
    - A form found among the invariants of $\mathrm{Alt}^2$.

    - `potential`: the energy, `H(t, x) -> scalar`; a `ScalarPotential`, an `InvariantPotential`, or the user's.
    - `form`: the matrix of another $\omega(a, b) = a^\top \Omega\, b$, skew and invertible, of one point or of all.

    **Raises:** `GroupError` when the action keeps no symplectic form, or not the `form` that was given.

    Arnold, *Mathematical Methods of Classical Mechanics*, sections 37 and 40.
    """

    potential: Callable[[RealScalar, Point], Float[Array, ""]]
    action: AbstractAction
    # The transposed inverse of the form; None on a cotangent bundle.
    raised: Inverse | None = eqx.field(static=True)

    def __init__(
        self,
        potential: Callable[[RealScalar, Point], Float[Array, ""]],
        action: AbstractAction,
        form: Float[Array | np.ndarray, "n n"] | None = None,
    ):
        self.potential, self.action = potential, action
        if form is not None:
            self.raised = given_form(np.asarray(form).T, action, -1)
        elif isinstance(action.space, CotangentBundle) and _is_canonical(action, action.space):
            self.raised = None
        elif (found := _found(action)) is not None:
            self.raised = found
        else:
            raise GroupError(
                f"{action.group} keeps no symplectic form on {action.space}, so Hamiltonian fields of its invariants are not "
                "equivariant. Let it act on positions and momenta at once: LinearAction(2 * V) for orthogonal V, or "
                "LinearAction(V + ~V) for any other."
            )

    def __call__(self, t: RealScalar, x: Point, args: Any = None) -> Tangent:
        if self.raised is not None:
            return raise_index(self.raised, jax.grad(lambda y: self.potential(t, y))(x))
        bundle: Any = self.action.space
        return bundle.hamiltonian_vector(lambda z: self.potential(t, z), x)


def _is_canonical(action: AbstractAction, space: CotangentBundle) -> bool:
    def off(g, z, a, b):
        before = space.symplectic(z, a, b)
        after = space.symplectic(action(g, z), action.push(g, z, a), action.push(g, z, b))
        return jnp.abs(after - before), 1 + jnp.abs(before)

    return holds(action, off, tangent=True)


def _found(action: AbstractAction) -> Inverse | None:
    size, shape = flat_size(action), action.space.shape
    if size is None:
        return None
    for n in (size, size // shape[0]):
        if n % 2 == 0 and is_kept(canonical := canonical_form(n), action):
            # J is its own transposed inverse: q' = dH/dp.
            return as_tuples(canonical)
    return found_form(action, -1)


def canonical_form(n: int) -> Float[np.ndarray, "n n"]:
    r"""The matrix J of $dq \wedge dp$ on vectors (q, p) of n coordinates."""
    return np.kron(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(n // 2))
