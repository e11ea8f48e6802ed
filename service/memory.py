"""Freed memory back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return what is free, on Linux with glibc.

    By itself glibc keeps the blocks that a crowd of huge pictures needed for good.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:  # other C libraries have none
            trim(0)
