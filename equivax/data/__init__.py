"""Where examples come from: readers, sources in a fixed order, and sets that are generated from them."""

from ._atomic import atomic_path as atomic_path
from ._atomic import write_text as write_text
from ._catalogue import DATA_SETS as DATA_SETS
from ._double_spring import DoubleSpring as DoubleSpring
from ._double_spring import angular_momentum as angular_momentum
from ._double_spring import double_spring as double_spring
from ._double_spring import simulate_springs as simulate_springs
from ._double_spring import spring_energy as spring_energy
from ._double_spring import spring_force as spring_force
from ._errors import DataError as DataError
from ._idx import read_idx as read_idx
from ._images import UserImages as UserImages
from ._images import read_images as read_images
from ._images import read_labels as read_labels
from ._nbody import ChargedParticles as ChargedParticles
from ._nbody import charged_particles as charged_particles
from ._rotate import rotate as rotate
from ._rotated_mnist import RotatedDigits as RotatedDigits
from ._rotated_mnist import Sizes as Sizes
from ._rotated_mnist import rotated_mnist as rotated_mnist
from ._sources import ImageSet as ImageSet
from ._sources import cache_folder as cache_folder
from ._sources import embedded_mnist as embedded_mnist
from ._sources import find_images as find_images
from ._states import read_states as read_states
