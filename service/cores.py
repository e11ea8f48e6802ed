"""How many processor cores this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = QUOTA) -> int:
    """The cores of this process, by its affinity and its container's limit.

    Args:
        quota: the control group's file: microseconds allowed, or "max", in so many.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        allowed, period = quota.read_text().split()
        limit = math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):
        limit = cores or 1
    return max(1, min(cores or 1, limit))
