"""What a result was measured on: numbers in seconds mean nothing without it."""

import importlib.metadata
import os
import platform


def machine(*packages: str) -> dict:
    """The platform, the number of processors, and the versions of Python and of `packages`."""
    return {
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
