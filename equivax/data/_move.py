"""(g u)(x) = u(g^-1 x): images turned about their centre and scaled."""

import numpy as np
from jaxtyping import Float, Float32, Num

# So many images are moved at once that the working arrays stay in the cache of the processor: 512 take four times as long.
_CHUNK = 32
# The width of the blur, in pixels, that a sampled image is taken to have already (Lowe, IJCV 60, 2004, section 3.3).
_PIXEL = 0.5


def rotate(
    images: Num[np.ndarray, "n height width"], angles: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n height width"]:
    """The images u turned by the angles a: v(x) = u(R(-a) x), bilinear between pixels, zero outside.

    **Arguments:** `images`: (n, height, width), row 0 on top; `angles`: (n,) in radians, counter-clockwise for
    somebody who looks at the image (y points up).

    **Returns:** float32 images of the same shape. Of square images, quarter turns equal `np.rot90` exactly.
    """
    return move(images, angles, np.ones(len(images)))


def move(
    images: Num[np.ndarray, "n height width"], angles: Float[np.ndarray, " n"], zooms: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n height width"]:
    r"""The images u turned by the angles a and scaled by the factors s > 0: $v(x) = (G_\sigma * u)(R(-a)\, x / s)$.

    Bilinear between pixels, zero outside. Where an image gets smaller, its finest detail would be aliased: it is blurred
    first by the Gaussian that keeps the blur of a pixel, $\sigma^2 = (s^{-2} - 1) / 4$ pixels squared; no blur for $s \ge 1$.

    **Arguments:** `images`, `angles`: as in `rotate`; `zooms`: (n,), below 1 for a smaller picture in the same frame.
    """
    count, height, width = images.shape
    # Column to the right, row upwards, from the centre of the image; halves are exact in float32.
    x = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    y = np.float32((height - 1) / 2) - np.arange(height, dtype=np.float32)
    zooms = np.asarray(zooms, np.float64)
    widths = _PIXEL * np.sqrt(np.maximum(0, zooms**-2 - 1))
    cosine, sine = (
        (_snap(function(np.asarray(angles, np.float64))) / zooms).astype(np.float32) for function in (np.cos, np.sin)
    )
    out = np.empty((count, height, width), np.float32)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        c, s = cosine[part, None, None], sine[part, None, None]
        column = c * x[None, None, :] + s * y[None, :, None] + np.float32((width - 1) / 2)
        row = np.float32((height - 1) / 2) + s * x[None, None, :] - c * y[None, :, None]
        out[part] = _bilinear(_blurred(images[part].astype(np.float32), widths[part]), row, column)
    return out


def enlarge(images: Float32[np.ndarray, "n height width"], size: int) -> Float32[np.ndarray, "n {size} {size}"]:
    """Square images on `size` x `size` pixels over the same square: bilinear, and constant beyond the outermost centres."""
    before = images.shape[1]
    if size == before:
        return images
    at = np.clip((np.arange(size) + 0.5) * before / size - 0.5, 0, before - 1)
    # Hat functions about the old centres, at the new ones.
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(before))).astype(np.float32)
    out = np.empty((len(images), size, size), np.float32)
    for start in range(0, len(images), 1_000):
        part = slice(start, start + 1_000)
        out[part] = weights @ images[part] @ weights.T
    return out


def _blurred(images: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Each image under a Gaussian of its own width, in pixels; zero outside. Width 0 leaves the image alone."""
    if not widths.any():
        return images
    sigma = np.maximum(widths, 1e-3)[:, None, None]

    def along(n: int) -> np.ndarray:
        apart = np.arange(n)[:, None] - np.arange(n)
        far = np.arange(-4 * n, 4 * n + 1)
        total = np.exp(-(far[None, None] ** 2) / (2 * sigma**2)).sum(axis=2, keepdims=True)
        return (np.exp(-(apart**2) / (2 * sigma**2)) / total).astype(np.float32)

    return along(images.shape[1]) @ images @ along(images.shape[2])


def _snap(values: np.ndarray) -> np.ndarray:
    # cos(pi/2) is 6e-17 in floating point; a quarter turn is meant, and quarter turns are to be exact.
    nearest = np.round(values)
    return np.where(np.abs(values - nearest) < 1e-9, nearest, values)


def _bilinear(images: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    count, height, width = images.shape
    # A frame of zeros, two pixels wide after the last row and column, so that all four neighbours always exist.
    padded = np.zeros((count, height + 3, width + 3), np.float32)
    padded[:, 1:-2, 1:-2] = images
    row = np.clip(row + np.float32(1), 0, height + 1)
    column = np.clip(column + np.float32(1), 0, width + 1)
    i, j = np.floor(row), np.floor(column)
    p, q = row - i, column - j
    stride = width + 3
    corner = i.astype(np.intp) * stride + j.astype(np.intp)
    corner += (np.arange(count) * ((height + 3) * stride))[:, None, None]
    flat = padded.reshape(-1)

    # The indices are inside by construction; "clip" spares NumPy a second, buffered pass.
    def lerp(offset: int) -> np.ndarray:
        left = flat.take(corner + offset, mode="clip")
        right = flat.take(corner + (offset + 1), mode="clip")
        right -= left
        right *= q
        right += left
        return right

    top, bottom = lerp(0), lerp(stride)
    bottom -= top
    bottom *= p
    bottom += top
    return bottom
