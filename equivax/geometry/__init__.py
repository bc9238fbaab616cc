"""Where things live: manifolds by five methods, products and powers of them, and pixel grids that sample a plane."""

from ._base import AbstractManifold as AbstractManifold
from ._euclidean import Euclidean as Euclidean
from ._pixels import PixelGrid as PixelGrid
from ._product import Power as Power
from ._product import Product as Product
from ._sphere import Sphere as Sphere
from ._torus import Torus as Torus
