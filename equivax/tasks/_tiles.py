"""Images of any size through a model of one size: tiles that overlap, with mirrored borders and no seams."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float
from rich.console import Console

from ..data import MaskedImages
from ._errors import TaskError
from ._progress import Bar
from ._weights import split

# A model of images of some shape: (height, width) -> the module, whose weights do not matter here.
Build = Callable[[tuple[int, int]], Any]


@dataclass(frozen=True)
class TilesConfig:
    """How images are cut into pieces, and what a piece counts."""

    tile: int = 64
    """Pixels across a crop in training; a multiple of the coarsest spacing."""
    crops: int = 400
    """Crops in an epoch, at least: few images are cut more often."""
    large_tile: int = 256
    """Pixels across a tile when whole images are predicted."""
    margin: int = 64
    """Pixels at the borders of such a tile where its neighbour is believed instead."""
    dice: float = 0.5
    """The weight of the soft Dice loss, beside cross-entropy."""
    balance: float = 0.5
    """How much rare classes count: the frequency of a class to minus this power weighs its pixels; 0 counts all alike."""


class TiledLogits:
    """The logits of images of any size, for all models that differ from those of `build` in their weights only.

    Along each axis tiles start at equal strides, and as many mirrored pixels are added on either side as are missing: the
    places of the tiles have the symmetry of the image, so quarter turns stay exact. Two neighbours overlap by twice the
    `margin`, and in the middle quarter of the overlap one fades into the other. Memory is that of a batch of tiles and of the
    result.
    """

    def __init__(self, build: Build, *, tile: int, margin: int, unit: int, batch: int = 4):
        if tile % unit or margin % unit or not 0 < 2 * margin < tile:
            raise TaskError(
                f"--large-tile {tile} and --margin {margin}: expected multiples of the coarsest spacing, {unit}, and a "
                "margin of less than half a tile."
            )
        self._tile, self._margin, self._unit, self._batch = tile, margin, unit, batch
        self._build = functools.lru_cache(maxsize=8)(build)
        self._calls: dict[tuple[int, int], Any] = {}

    def __call__(
        self, model: Any, image: Float[np.ndarray, "height width channels"]
    ) -> Float[np.ndarray, "height width classes"]:
        weights = jax.tree.leaves(split(model)[0])  # the same for every shape
        rows, columns = (_Axis(n, self._tile, self._margin, self._unit) for n in image.shape[:2])
        padded = np.pad(image, (rows.padding, columns.padding, (0, 0)), mode="symmetric")
        call = self._call((rows.tile, columns.tile))
        places = [(i, j) for i in rows.starts for j in columns.starts]
        batch = min(self._batch, len(places))
        total: np.ndarray | None = None
        for at in range(0, len(places), batch):
            some = places[at : at + batch]
            tiles = np.stack([padded[i : i + rows.tile, j : j + columns.tile] for i, j in some])
            missing = ((0, batch - len(some)), (0, 0), (0, 0), (0, 0))
            found = np.asarray(call(weights, np.pad(tiles, missing)))
            if total is None:
                total = np.zeros((*padded.shape[:2], found.shape[-1]), np.float32)
            for (i, j), logits in zip(some, found, strict=False):
                fade = rows.fade(i)[:, None, None] * columns.fade(j)[None, :, None]
                total[i : i + rows.tile, j : j + columns.tile] += fade * logits
        assert total is not None
        return total[rows.padding[0] : rows.padding[0] + rows.n, columns.padding[0] : columns.padding[0] + columns.n]

    def each(
        self, model: Any, images: tuple[np.ndarray, ...], *, console: Console | None = None, title: str = "evaluation"
    ) -> Iterator[np.ndarray]:
        """The logits of one image after another."""
        with Bar(console, title, len(images)) as bar:
            for i, image in enumerate(images):
                yield self(model, image)
                bar.to(i + 1)

    def _call(self, shape: tuple[int, int]) -> Any:
        if shape not in self._calls:
            places, constants = split(self._build(shape))
            tree = jax.tree.structure(places)

            def call(weights: list[Any], tiles: Any) -> Any:
                return jax.vmap(eqx.combine(jax.tree.unflatten(tree, weights), constants))(tiles)

            self._calls[shape] = jax.jit(call)
        return self._calls[shape]


class _Axis:
    """Where tiles lie along `n` pixels: `starts` in the padded image, `padding` before and after."""

    def __init__(self, n: int, tile: int, margin: int, unit: int):
        if n < tile:
            # Small images need small tiles, but few kinds of them: each is compiled anew.
            step = unit * math.ceil(tile / 4 / unit)
            tile = min(tile, step * math.ceil(n / step))
        # Tiles are as even or odd as the image: only then can equally many pixels be added on both sides.
        self.n, self.tile, self._margin = n, tile + n % 2, margin
        stride = self.tile - n % 2 - 2 * margin
        count = 1 if n <= self.tile else 1 + math.ceil((n - self.tile) / stride)
        length = self.tile + (count - 1) * stride
        self.padding = ((length - n) // 2, (length - n) // 2)
        self.starts = [k * stride for k in range(count)]
        self._overlap = self.tile - stride

    def fade(self, start: int) -> Float[np.ndarray, " tile"]:
        """What the pixels of the tile at `start` count: the sum over all tiles is 1 everywhere."""
        # In the overlap of width o the tile rises from 0 to 1 between 3/8 o and 5/8 o, while its neighbour falls.
        distance = np.arange(self.tile, dtype=np.float64) + 0.5
        s = np.clip((distance / self._overlap - 0.375) * 4, 0, 1)
        rising = np.sin(np.pi / 2 * s) ** 2
        left = rising if start > 0 else np.ones(self.tile)
        right = rising[::-1] if start < self.starts[-1] else np.ones(self.tile)
        return (left * right).astype(np.float32)


# In the masks of pieces: a pixel beyond the border of the image, of which no class is known.
BEYOND = 255


def cut(pairs: MaskedImages, tile: int, crops: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces of twice a tile that contain every crop of a tile: images (n, 2 tile, 2 tile, channels), masks, and the first and
    the last row and column where such a crop may start (n, 2, 2).

    Pieces start at strides of at most a tile and are repeated until there are at least `crops`: the loss takes one crop at
    random from each, at another place in every epoch. Where pieces reach beyond their image, it is mirrored, and the mask is
    `BEYOND`; crops do so only if the image is smaller than a tile.
    """
    images, masks, rooms = [], [], []
    for image, mask in zip(pairs.images, pairs.masks, strict=True):
        rows, columns = (_windows(n, tile) for n in mask.shape)
        pad = [
            (max(0, -min(starts)), max(0, max(starts) + 2 * tile - n))
            for starts, n in zip((rows, columns), mask.shape, strict=True)
        ]
        wide, wide_mask = np.pad(image, (*pad, (0, 0)), mode="symmetric"), np.pad(mask, pad, constant_values=BEYOND)
        for place in itertools.product(rows, columns):
            here = tuple(slice(k + p[0], k + p[0] + 2 * tile) for k, p in zip(place, pad, strict=True))
            images.append(wide[here])
            masks.append(wide_mask[here])
            rooms.append([_room(k, n - tile, tile) for k, n in zip(place, mask.shape, strict=True)])
    copies = max(1, math.ceil(crops / len(images)))
    return np.stack(images * copies), np.stack(masks * copies), np.array(rooms * copies, np.int32)


def count_pieces(shapes: list[tuple[int, ...]], tile: int) -> int:
    """How many pieces `cut` makes of images of these shapes, before it repeats them."""
    return sum(math.prod(len(_windows(n, tile)) for n in shape) for shape in shapes)


def _windows(n: int, tile: int) -> list[int]:
    """Where windows of two tiles start, so that each crop of a tile inside `n` pixels lies in one of them."""
    free = n - tile  # crops start at 0 to `free`, and a window holds those of its first tile
    if free <= tile:
        return [(free - tile) // 2]
    count = math.ceil(free / tile)
    return [round(k * (free - tile) / (count - 1)) for k in range(count)]


def _room(start: int, free: int, tile: int) -> tuple[int, int]:
    """The first and the last place in a window from `start` where a crop of the image begins."""
    first, last = (0, free) if free >= 0 else (free // 2, free // 2)
    return max(first - start, 0), min(last - start, tile)


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            sizes = dict(line.split(":") for line in lines)
        return int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
