"""Stand-in for the equivariant classifier: a small perceptron with the same interface."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


@dataclass(frozen=True)
class ModelConfig:
    """The model."""

    group: str = "C4"
    """The group that acts on the images."""
    hidden: int = 32
    """Width of the hidden layer."""


class _StandIn(eqx.Module):
    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __call__(self, image: Float[Array, "height width"]) -> Float[Array, " classes"]:
        turned = jnp.stack([jnp.rot90(image, k) for k in range(4)])
        hidden = jax.vmap(lambda u: jax.nn.gelu(self.first(u.reshape(-1))))(turned)
        return self.second(jnp.mean(hidden, axis=0))

    def evolution(self, image: Float[Array, "height width"], n: int) -> tuple[Float[Array, " n"], list[Array]]:
        """Frames of a blur, in place of an evolution."""
        frames = [image]
        for _ in range(n - 1):
            u = frames[-1]
            mean = sum(jnp.roll(u, shift, axis) for axis in (0, 1) for shift in (1, -1))
            frames.append((u + mean) / 5)
        return jnp.linspace(0, 1, n, dtype=image.dtype), frames

    @property
    def count(self) -> dict[str, int]:
        """Steps and evaluations of the field in one pass."""
        return {"steps": 1, "function_evaluations": 1}


def build_classifier(config: ModelConfig, *, key: PRNGKeyArray) -> _StandIn:
    """The model of `config` with random weights drawn from `key`, in float32."""
    one, two = jax.random.split(key)
    return _StandIn(
        eqx.nn.Linear(784, config.hidden, dtype=jnp.float32, key=one),
        eqx.nn.Linear(config.hidden, 10, dtype=jnp.float32, key=two),
    )
