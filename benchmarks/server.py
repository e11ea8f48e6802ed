"""A server process to measure: started, watched, stopped."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import tree
from service.client import Client
from service.http.schemas import Placed

SERVE = (str(Path(sys.executable).with_name("deeplab-serve")),)
IMITATION = (sys.executable, "-m", "benchmarks.imitation")


@dataclass(frozen=True)
class Server:
    """A running server; its figures come from /proc, so that it must run on Linux."""

    url: str
    pid: int
    launched: float
    """On the clock of `time.perf_counter`."""

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        return tree.cpu_seconds(self.pid)

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found
        return int(found[1]) / 1024

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path) as answer:  # noqa: S310 - on loopback
            return str(answer.read().decode())

    @property
    def placement(self) -> Placed:
        """How the model is spread over the machine."""
        with Client(self.url) as client:
            (model,) = client.models()
        assert model.placement
        return model.placement

    def stage_seconds(self) -> dict[str, float]:
        """Time spent in each stage since the start, over all requests."""
        sums = re.findall(r'deeplab_stage_seconds_sum\{stage="(\w+)"\} (\S+)', self.get("/metrics"))
        return {stage: float(seconds) for stage, seconds in sums}


@contextmanager
def running(*flags: str, command: tuple[str, ...] = SERVE) -> Iterator[Server]:
    """Start a server on a free port, wait until it is ready, stop it at the end."""
    launched = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--port", "0", "--log-level", "warning", *flags],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if found := re.search(r"ready at (http://\S+)", line):
                    yield Server(found[1], process.pid, launched)
                    break
            else:
                raise RuntimeError("the server did not start")
        finally:
            process.terminate()
