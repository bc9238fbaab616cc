"""Memory that stays: large buffers are kept between training steps instead of returned to the system."""

import ctypes
import sys

# The numbers of glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_memory() -> bool:
    """Tell the C library to keep freed memory; whether it listened (glibc does, others are left as they are).

    XLA on a CPU allocates its buffers anew for each call, a hundred megabytes for one training step here. By default
    glibc maps such blocks and unmaps them again, so that every step pays for the faults of all their pages: more than
    a third of the time of a step (`benchmarks/allocator.py`). The price is that memory once used stays with the process.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))
    return all(mallopt(name, value) == 1 for name, value in settings)
