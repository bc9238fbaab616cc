"""The measure of segmentation: a U-Net with as many weights, trained on the same crops, turned at random, by the same loop."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._weights import count_parameters

# Pixels across have to be a multiple of this: two poolings.
UNIT = 4


class UNet(eqx.Module):
    """image -> two 3x3 convolutions on each of three scales down, and back up with skips -> logits at every pixel.

    After each convolution the channels of a pixel are normalised (a norm over pixels would see where a tile ends), then ReLU.
    (Ronneberger, Fischer, Brox, *U-Net*, MICCAI 2015.)
    """

    convolutions: list[Array]
    gains: list[Array]
    offsets: list[Array]
    out: Array
    bias: Array

    def __init__(self, width: int, bottom: int, channels: int, classes: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 11)
        sizes = _sizes(width, bottom, channels)
        self.convolutions = [
            jax.random.normal(k, (3, 3, i, o), jnp.float32) * (2 / (9 * i)) ** 0.5
            for k, (i, o) in zip(keys[:10], sizes, strict=True)
        ]
        self.gains = [jnp.ones(o, jnp.float32) for _, o in sizes]
        self.offsets = [jnp.zeros(o, jnp.float32) for _, o in sizes]
        self.out = jax.random.normal(keys[10], (width, classes), jnp.float32) / width**0.5
        self.bias = jnp.zeros(classes, jnp.float32)

    def __call__(
        self, image: Float[Array, "height width channels"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "height width classes"]:
        u, kept, layer = image, [], itertools.count()
        for _ in range(2):
            u = self._twice(u, layer)
            kept.append(u)
            h, w, c = u.shape
            # The maximum over 2x2 pixels; an odd last row or column is dropped.
            u = u[: h // 2 * 2, : w // 2 * 2].reshape(h // 2, 2, w // 2, 2, c).max((1, 3))
        u = self._twice(u, layer)
        for skip in reversed(kept):
            u = jax.image.resize(u, (*skip.shape[:2], u.shape[-1]), "linear")
            u = self._twice(jnp.concatenate([u, skip], axis=-1), layer)
        return u @ self.out + jnp.broadcast_to(self.bias, (*u.shape[:2], len(self.bias)))

    def _twice(self, u: Array, layer: "itertools.count[int]") -> Array:
        for _ in range(2):
            i = next(layer)
            # Borders are mirrored, as they are for the equivariant model.
            padded = jnp.pad(u, ((1, 1), (1, 1), (0, 0)), mode="symmetric")[None]
            u = jax.lax.conv_general_dilated(
                padded, self.convolutions[i], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )[0]
            centred = u - u.mean(axis=-1, keepdims=True)
            u = centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)
            u = jax.nn.relu(u * self.gains[i][None, None] + self.offsets[i][None, None])
        return u


def _sizes(width: int, bottom: int, channels: int) -> list[tuple[int, int]]:
    w, w2, b = width, 2 * width, bottom
    return [(channels, w), (w, w), (w, w2), (w2, w2), (w2, b), (b, b), (b + w2, w2), (w2, w2), (w2 + w, w), (w, w)]


def build_unet(parameters: int, channels: int, classes: int, *, key: PRNGKeyArray) -> UNet:
    """The U-Net that has `parameters` weights or, within 3 %, more: never fewer. Its coarsest scale makes up the difference."""

    def count(width: int, bottom: int) -> int:
        return sum(9 * i * o + 2 * o for i, o in _sizes(width, bottom, channels)) + (width + 1) * classes

    # Of all that fit, the one whose coarsest scale is nearest to four times as wide as the finest.
    shapes = [(w, b) for w in range(1, 129) for b in range(w, 8 * w + 1) if count(w, b) >= parameters]
    near = [shape for shape in shapes if count(*shape) <= 1.03 * parameters]
    width, bottom = min(near, key=lambda s: abs(s[1] / s[0] - 4)) if near else min(shapes, key=lambda s: count(*s))
    model = UNet(width, bottom, channels, classes, key=key)
    assert count_parameters(model) == count(width, bottom)
    return model
