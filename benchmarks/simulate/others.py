"""How much of the cores others took while something was measured; Linux only."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.server import Server
from benchmarks.tree import TICKS

IDLE = (3, 4)
"""Of the fields of /proc/stat: doing nothing, and waiting for a disk."""
COUNTED = 8
"""Fields; those after are within others."""


class Others:
    """Looks at the processor clocks from its making on."""

    def __init__(self, server: Server) -> None:
        """`server`: which is measured, by this process."""
        self._server = server
        self._began = self._now()

    def cores(self) -> float:
        """Cores that neither the server nor this process had, on average since then."""
        busy, wall = (now - before for now, before in zip(self._now(), self._began, strict=True))
        return max(0.0, busy / wall)

    def _now(self) -> tuple[float, float]:
        own = self._server.cpu_seconds + time.process_time()
        return busy_seconds() - own, time.perf_counter()


def busy_seconds() -> float:
    """Processor time that was used on the cores that this process may use."""
    usable = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in usable:
            ticks = fields[:COUNTED]
            total += sum(int(each) for index, each in enumerate(ticks) if index not in IDLE)
    return total / TICKS
