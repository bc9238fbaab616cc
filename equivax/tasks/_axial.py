"""Fields of several vectors in space that respect a group of turns about the vertical axis."""

import re
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..fields import AbstractField
from ..symmetry import (
    SO,
    AbstractGroup,
    Cyclic,
    Dihedral,
    LinearAction,
    O,
    PowerAction,
    Trivial,
    defining,
    trivial,
)
from ._errors import TaskError

# The length at which lengths are rounded off.
_ROUNDED = 0.1


def axial_group(name: str) -> AbstractGroup:
    """The group of turns of the horizontal plane called `1`, `SO2`, `O2`, `C<n>` or `D<n>`; `TaskError` for other names."""
    if found := re.fullmatch(r"([CD])([1-9]\d?)", name):
        return (Cyclic if found[1] == "C" else Dihedral)(int(found[2]))
    if name not in ("1", "SO2", "O2"):
        raise TaskError(
            f"--group {name}: unknown. There are 1 (none), SO2, O2, and C<n>, D<n> for the turns, and the turns with "
            "reflections, of a regular polygon: D6, for example."
        )
    return {"1": Trivial(2), "SO2": SO(2), "O2": O(2)}[name]


def axial_action(name: str, vectors: int) -> PowerAction:
    """The group `axial_group(name)` on so many vectors (x, y, z) at once, about the axis of z."""
    group = axial_group(name)
    return PowerAction(LinearAction(defining(group) + trivial(group)), vectors)


def axial_invariants(z: Float[Array, "k 3"], name: str, lengths: bool = False) -> Float[Array, " count"]:
    r"""Invariants of k vectors: all polynomial ones up to degree 2, and one of degree n for each vector under $C_n$, $D_n$.

    With $w_a$ the horizontal parts as complex numbers and $s_a$ the heights: $s_a$, $s_a s_b$ and $\mathrm{Re}\, w_a \bar w_b$
    for $O(2)$; besides $\mathrm{Im}\, w_a \bar w_b$ for $SO(2)$; besides $\mathrm{Re}\, w_a^n$, scaled to grow like $|w_a|$,
    for $D_n$, and $\mathrm{Im}\, w_a^n$ for $C_n$. For no group, the coordinates and their products. With `lengths`, the
    lengths of the vectors and of their differences too, rounded off at 0 so that they are smooth; not for no group, to
    which they would tell of rotations.
    """
    w, s = z[:, :2], z[:, 2]
    if name == "1":
        flat = z.reshape(-1)
        return jnp.concatenate([flat, _products(flat, flat)])
    parts = [s, _products(s, s), _upper(w @ w.T)]
    if lengths:
        apart = z[:, None] - z[None]
        squares = jnp.concatenate([jnp.sum(z**2, axis=1), _upper(jnp.sum(apart**2, axis=-1), strictly=True)])
        parts.append(jnp.sqrt(squares + _ROUNDED**2))
    if name[0] == "C" or name == "SO2":
        cross = w[:, None, 0] * w[None, :, 1] - w[:, None, 1] * w[None, :, 0]
        parts.append(_upper(cross, strictly=True))
    if name[0] in "CD":
        power = _power(w, int(name[1:]))
        parts += [power[:, 0]] if name[0] == "D" else [power[:, 0], power[:, 1]]
    return jnp.concatenate(parts)


def axial_vectors(z: Float[Array, "k 3"], name: str) -> Float[Array, "count 2"]:
    r"""Equivariant horizontal vectors, of which a field is a combination with invariant coefficients.

    $w_a$ for $O(2)$; besides $i w_a$ for $SO(2)$; besides $\bar w_a^{n-1}$, scaled to grow like $|w_a|$, for $D_n$, and
    $i \bar w_a^{n-1}$ for $C_n$. For no group, the two unit vectors.
    """
    w = z[:, :2]
    if name == "1":
        return jnp.eye(2, dtype=z.dtype)
    parts = [w]
    if name[0] in "CD":
        parts.append(_power(w, int(name[1:]) - 1) * jnp.asarray([[1.0, -1.0]], w.dtype))
    if name[0] == "C" or name == "SO2":
        parts += [jnp.stack([-v[:, 1], v[:, 0]], axis=1) for v in parts]
    return jnp.concatenate(parts)


class AxialNetwork(eqx.Module):
    r"""A network of the invariants, standardised on data: $\mathrm{MLP}(\tilde I(z)) + A \tilde I(z) \in \mathbb{R}^{out}$."""

    mlp: eqx.nn.MLP
    linear: eqx.nn.Linear
    mean: Float[Array, " count"]
    deviation: Float[Array, " count"]
    group: str = eqx.field(static=True)
    lengths: bool = eqx.field(static=True)

    def __init__(
        self,
        group: str,
        out: int,
        examples: np.ndarray,
        *,
        lengths: bool = False,
        width: int,
        depth: int,
        key: PRNGKeyArray,
    ):
        self.group, self.lengths = group, lengths
        values = np.asarray(jax.vmap(self.invariants)(jnp.asarray(examples, jnp.float32)))
        mlp_key, linear_key = jax.random.split(key)
        count = values.shape[1]
        mlp = eqx.nn.MLP(count, out, width, depth, jax.nn.silu, dtype=jnp.float32, key=mlp_key)
        linear = eqx.nn.Linear(count, out, dtype=jnp.float32, key=linear_key)
        # Small at first: products of standardised invariants and vectors would carry a flow away within a chunk.
        self.mlp = eqx.tree_at(lambda f: f.layers[-1].weight, mlp, 0.1 * mlp.layers[-1].weight)
        self.linear = eqx.tree_at(lambda f: f.weight, linear, 0.1 * linear.weight)
        # Not trained, but weights all the same: they come from the data, and travel with the checkpoint.
        self.mean, self.deviation = (jnp.asarray(a, jnp.float32) for a in (values.mean(0), values.std(0) + 1e-3))

    def invariants(self, z: Float[Array, "k 3"]) -> Float[Array, " count"]:
        """What the network sees of z, before it is standardised."""
        return axial_invariants(z, self.group, self.lengths)

    def __call__(self, z: Float[Array, "k 3"]) -> Float[Array, " out"]:
        mean, deviation = (jax.lax.stop_gradient(a).astype(z.dtype) for a in (self.mean, self.deviation))
        features = (self.invariants(z) - mean) / deviation
        mlp, linear = (jax.tree.map(_cast(z.dtype), f) for f in (self.mlp, self.linear))
        return mlp(features) + linear(features)


class AxialField(AbstractField):
    r"""A neural ODE of k vectors: horizontally $\sum_b c_{ab}(z)\, v_b(z)$ with equivariant $v_b$, vertically invariants."""

    network: AxialNetwork
    action: PowerAction

    def __init__(self, group: str, examples: np.ndarray, *, key: PRNGKeyArray, **options: Any):
        self.action = axial_action(group, examples.shape[1])
        count = eqx.filter_eval_shape(lambda z: axial_vectors(z, group), jnp.asarray(examples[0], jnp.float32)).shape[0]
        size = examples.shape[1] * (count + 1)
        self.network = AxialNetwork(group, size, examples, key=key, **options)

    def __call__(self, t: Any, x: Float[Array, "k 3"], args: Any = None) -> Float[Array, "k 3"]:
        coefficients = self.network(x).reshape(len(x), -1)
        horizontal = coefficients[:, 1:] @ axial_vectors(x, self.network.group)
        return jnp.concatenate([horizontal, coefficients[:, :1]], axis=1)


class AxialHamiltonian(AbstractField):
    r"""Hamilton's equations $x' = \partial H/\partial p$, $p' = -\partial H/\partial x$ of an invariant H(x, p); z = (x, p)."""

    network: AxialNetwork
    action: PowerAction

    def __init__(self, group: str, examples: np.ndarray, *, key: PRNGKeyArray, **options: Any):
        self.action = axial_action(group, examples.shape[1])
        self.network = AxialNetwork(group, 1, examples, key=key, **options)

    def energy(self, z: Float[Array, "k 3"]) -> Float[Array, ""]:
        """The learned Hamiltonian, up to a constant."""
        return self.network(z)[0]

    def __call__(self, t: Any, x: Float[Array, "k 3"], args: Any = None) -> Float[Array, "k 3"]:
        gradient = jax.grad(self.energy)(x)
        half = len(x) // 2
        return jnp.concatenate([gradient[half:], -gradient[:half]])


def _cast(dtype: Any) -> Any:
    return lambda w: w.astype(dtype) if eqx.is_inexact_array(w) else w


def _upper(a: Float[Array, "k k"], strictly: bool = False) -> Float[Array, " pairs"]:
    return a[np.triu_indices(a.shape[0], 1 if strictly else 0)]


def _products(a: Float[Array, " k"], b: Float[Array, " k"]) -> Float[Array, " pairs"]:
    return _upper(jnp.outer(a, b))


def _power(w: Float[Array, "k 2"], n: int) -> Float[Array, "k 2"]:
    """w^n of complex numbers, over (1 + |w|^2)^((n-1)/2), so that it grows no faster than w."""
    x, y = w[:, 0], w[:, 1]
    a, b = x, y
    for _ in range(n - 1):
        a, b = a * x - b * y, a * y + b * x
    scale = (1 + x * x + y * y) ** (-(n - 1) / 2)
    return (
        jnp.stack([a * scale, b * scale], axis=1) if n > 0 else jnp.stack([jnp.ones_like(x), jnp.zeros_like(x)], axis=1)
    )
