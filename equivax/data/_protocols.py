"""How each data set of small images is made: from which images, in which parts, turned and zoomed how."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How many images of each part of a protocol are used: always the first ones of the part.

    A smaller training set is therefore a subset of the full one, and no image ever changes sides. Without `validation`
    images, those of the protocol may be trained on too.
    """

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Protocol:
    r"""A data set $v(x) = u(R(-a)\, x / s)$ of images u from `source`, with angles $a$ and factors $s$ drawn evenly.

    **Arguments:** `name`, `title`: for the command line, and for people; `source`: which of `DATA_SETS` is the origin of the
    images; `sizes`: of the parts; the validation images come out of what others call the training set, never out of the test
    set; `turned`: angles from [0, 2 pi), otherwise 0; `zoom`: the interval of the factors, None for 1; `size`: of the finished
    images, in pixels across; `dealt`: whether a permutation deals all images of the origin into the parts; otherwise its own
    division into training and test images is kept.
    """

    name: str
    title: str
    source: str
    sizes: Sizes
    turned: bool = False
    zoom: tuple[float, float] | None = None
    size: int = 28
    dealt: bool = True

    @property
    def moved(self) -> bool:
        """Whether images are turned or zoomed at all."""
        return self.turned or self.zoom is not None

    @property
    def in_words(self) -> str:
        """What is done to an image."""
        turned = ["turned by an angle from U[0, 2π)"] if self.turned else []
        zoomed = [f"scaled by a factor from U[{self.zoom[0]:g}, {self.zoom[1]:g}]"] if self.zoom else []
        larger = [f"upsampled to {self.size} x {self.size} pixels"] if self.size != 28 else []
        return ", ".join(turned + zoomed + larger) or "as it is"


# The interval of factors, and the parts, of the published protocols: 10,000 images to train on when they are scaled, 5,000
# when they are turned as well, of which one in ten is kept for validation here. Rotated MNIST has 12,000, of which 2,000.
_ZOOM = (0.3, 1.0)
_SCALED, _BOTH = Sizes(9_000, 1_000, 50_000), Sizes(4_500, 500, 50_000)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("rotated-mnist", "Rotated MNIST", "mnist", Sizes(10_000, 2_000, 50_000), turned=True),
        Protocol("mnist", "MNIST", "mnist", Sizes(55_000, 5_000, 10_000), dealt=False),
        Protocol("fashion-mnist", "Fashion-MNIST", "fashion-mnist", Sizes(55_000, 5_000, 10_000), dealt=False),
        Protocol("scale-mnist", "Scale-MNIST", "mnist", _SCALED, zoom=_ZOOM),
        Protocol("scale-fashion", "Scale-Fashion", "fashion-mnist", _SCALED, zoom=_ZOOM),
        Protocol("rs-mnist", "RS-MNIST", "mnist", _BOTH, turned=True, zoom=_ZOOM, size=56),
        Protocol("rs-fashion", "RS-Fashion", "fashion-mnist", _BOTH, turned=True, zoom=_ZOOM, size=56),
    )
}
