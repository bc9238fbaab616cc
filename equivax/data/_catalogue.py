"""What is known of each data set: its files, their checksums, and who keeps copies."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """A data set of small grey images in four IDX files.

    **Arguments:** `name`: as the command line says it, and as folders are called; `md5`: for each file the MD5 of its
    *decompressed* bytes (the compressed ones differ between mirrors); `mirrors`: addresses that end in a slash; `called`:
    what the classes are called, where it is not by their numbers.
    """

    name: str
    title: str
    classes: int
    md5: dict[str, str]
    mirrors: tuple[str, ...]
    called: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each class."""
        return self.called or tuple(map(str, range(self.classes)))


FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# These sums were compared with the files and with what other projects list; a sum copied from a note had one digit wrong.
DATA_SETS = {
    "mnist": DataSet(
        "mnist",
        "MNIST",
        10,
        dict(
            zip(
                FILES,
                (
                    "6bbc9ace898e44ae57da46a324031adb",
                    "a25bea736e30d166cdddb491f175f624",
                    "2646ac647ad5339dbf082846283269ea",
                    "27ae3e4e09519cfbb04c329615203637",
                ),
                strict=True,
            )
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://systemds.apache.org/assets/datasets/mnist/",
            "https://azureopendatastorage.blob.core.windows.net/mnist/",
        ),
    ),
    "fashion-mnist": DataSet(
        "fashion-mnist",
        "Fashion-MNIST",
        10,
        dict(
            zip(
                FILES,
                (
                    "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                    "9018921c3c673c538a1fc5bad174d6f9",
                    "8181f5470baa50b63fa0f6fddb340f0a",
                    "15d484375f8d13e6eb1aabb0c3f46965",
                ),
                strict=True,
            )
        ),
        (
            "https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
}
