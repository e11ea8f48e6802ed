"""What a process holds, from Linux's own account of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MB = 2**20


def _status(pid: int | str, field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    if found is None:
        pytest.skip(f"/proc/{pid}/status does not give {field}")
    return int(found[1]) * 1024


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that a process has now."""
    return _status(pid, "VmRSS")


def peak(pid: int | str = "self") -> int:
    """The most bytes that it has had since its start or since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int | str = "self") -> None:
    """Let `peak` begin again from what the process has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def open_files(pid: int | str = "self") -> int:
    """File descriptors that a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
