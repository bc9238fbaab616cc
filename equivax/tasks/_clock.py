"""How long this process has been running, counted from its start and not from the first line of ours."""

import os
import time
from pathlib import Path

_IMPORTED = time.monotonic()


def seconds_since_start() -> float:
    """Seconds since the operating system started this process; where it does not tell, since this module was imported."""
    try:
        # Field 22 of /proc/self/stat is the start in clock ticks after boot; the name in field 2 may hold spaces.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        up = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, up - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED
