"""What a process and all that it started use together, read from /proc."""

from __future__ import annotations

import os
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
"""Of the processor clock in /proc, per second."""
PROC = Path("/proc")


def members(pid: int, proc: Path = PROC) -> list[int]:
    """A process and all that descend from it, itself first."""
    parents = {}
    for folder in proc.glob("[0-9]*"):
        if fields := _stat(folder):
            parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def cpu_seconds(pid: int, proc: Path = PROC) -> float:
    """Processor time of a process and its descendants, those that have ended included."""
    stats = (_stat(proc / str(member)) for member in members(pid, proc))
    # utime, stime, and the same of the children that ended and were waited for.
    return sum(sum(map(int, fields[11:15])) for fields in stats if fields) / TICKS


def megabytes(pid: int, proc: Path = PROC) -> float:
    """Resident memory of a process and its descendants; what several share counts once."""
    total = 0
    for member in members(pid, proc):
        try:
            rollup = (proc / str(member) / "smaps_rollup").read_text()
        except OSError:  # it has just ended
            continue
        if found := re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE):
            total += int(found[1])
    return total / 1024


def _stat(folder: Path) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may hold anything."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
