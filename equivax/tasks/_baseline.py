"""The measure: a plain convolutional network with as many weights, trained on the same images by the same loop."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._weights import count_parameters

# The probability that a hidden unit is left out in training. It helps here as it helps the equivariant model.
_DROPOUT = 0.3


class PlainCNN(eqx.Module):
    """image -> five 3x3 convolutions with norms and two poolings -> mean over the pixels -> two linear layers -> logits."""

    convolutions: list[eqx.nn.Conv2d]
    norms: list[eqx.nn.GroupNorm]
    hidden: eqx.nn.Linear
    out: eqx.nn.Linear

    def __init__(self, width: int, hidden: int, classes: int, colours: int = 1, *, key: PRNGKeyArray):
        channels = _channels(width, colours)
        keys = jax.random.split(key, 7)
        self.convolutions = [
            eqx.nn.Conv2d(i, o, 3, padding=1, dtype=jnp.float32, key=k)
            for i, o, k in zip(channels[:-1], channels[1:], keys[:5], strict=True)
        ]
        self.norms = [eqx.nn.GroupNorm(1, c, dtype=jnp.float32) for c in channels[1:]]
        self.hidden = eqx.nn.Linear(2 * width, hidden, dtype=jnp.float32, key=keys[5])
        self.out = eqx.nn.Linear(hidden, classes, dtype=jnp.float32, key=keys[6])

    def __call__(
        self, image: Float[Array, "height width *channels"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, " classes"]:
        u = image[None] if image.ndim == 2 else jnp.moveaxis(image, -1, 0)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            u = jax.nn.relu(norm(convolution(u)))
            if i in (1, 3):
                # The mean over 2x2 pixels; an odd last row or column is dropped.
                c, h, w = u.shape
                u = u[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2).mean((2, 4))
        z = jax.nn.relu(self.hidden(u.mean((1, 2))))
        if key is not None:
            keep = jax.random.bernoulli(key, 1 - _DROPOUT, z.shape)
            z = jnp.where(keep, z / (1 - _DROPOUT), jnp.zeros_like(z))
        return self.out(z)


def _channels(width: int, colours: int) -> tuple[int, ...]:
    return (colours, width, width, 2 * width, 2 * width, 2 * width)


def build_baseline(parameters: int, classes: int = 10, colours: int = 1, *, key: PRNGKeyArray) -> PlainCNN:
    """The plain network whose number of weights is nearest to `parameters`, and the widest of those within 2 %."""

    def count(width: int, hidden: int) -> int:
        channels = _channels(width, colours)
        convolutions = sum(9 * i * o + 3 * o for i, o in itertools.pairwise(channels))
        return convolutions + (channels[-1] + 1) * hidden + (hidden + 1) * classes

    # The count is linear in `hidden`: two values give the line, and the best `hidden` for each width follows.
    best: tuple[float, int, int] | None = None
    for width in range(2, 129):
        base = count(width, 0)
        slope = count(width, 1) - base
        # Neither a bottleneck that would cripple the network nor a read-out that adds weights to no purpose.
        hidden = min(max(classes, round((parameters - base) / slope)), 16 * width)
        error = abs(base + hidden * slope - parameters) / parameters
        if best is not None and error > max(0.02, best[0]):
            if base > parameters:
                break
            continue
        best = (error, width, hidden)
    assert best is not None
    model = PlainCNN(best[1], best[2], classes, colours, key=key)
    assert count_parameters(model) == count(best[1], best[2])
    return model
