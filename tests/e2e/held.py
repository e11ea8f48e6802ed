"""A real server whose model computes nothing until it is told to, however fast the machine is."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.conftest import FAST, PATIENCE, Server, serving, wait_until
from tests.e2e.test_operation import total
from tests.service import pictures

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
MOST = 16
"""Pictures that may be sent at the same time."""
PROGRAM = """
import sys, time
from pathlib import Path
from service.cli import main
from service.engine.session import Session

run, gate = Session.run, Path({gate!r})

def wait(self, images):
    while images.any() and gate.exists():  # what warms the model is black
        time.sleep(0.01)
    return run(self, images)

Session.run = wait
sys.argv[0] = "deeplab-serve"
main()
"""


class Held:
    """A running server, and the gate before its model."""

    def __init__(self, server: Server, gate: Path, pool: ThreadPoolExecutor) -> None:
        self.server = server
        self._gate = gate
        self._pool = pool

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let the model compute nothing, until `release` or the end of the block."""
        self._gate.touch()
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let the model compute."""
        self._gate.unlink(missing_ok=True)

    def post(self, **headers: str) -> Future[httpx.Response]:
        """Send a picture from a thread of its own."""
        return self._pool.submit(self.server.post, "/v1/mask", content=JPEG, headers=headers)

    def wait_for_depth(self, depth: int) -> None:
        """Until so many requests stand in the line."""
        with httpx.Client(base_url=self.server.url, timeout=PATIENCE) as client:
            wait_until(lambda: total(client, "deeplab_queue_depth") == depth)

    @contextmanager
    def crowd(self, guests: int) -> Iterator[list[Future[httpx.Response]]]:
        """Hold the model with so many requests in its line, the first of them at the model."""
        with self.hold():
            answers = [self.post() for _ in range(guests)]
            self.wait_for_depth(guests)
            yield answers


@contextmanager
def holding(*flags: str) -> Iterator[Held]:
    """Start a server of one session that computes one picture at a time."""
    with tempfile.TemporaryDirectory() as folder:
        gate = Path(folder) / "held"
        command = (sys.executable, "-c", PROGRAM.format(gate=str(gate)))
        with serving(*FAST, *flags, command=command) as server, ThreadPoolExecutor(MOST) as pool:
            yield Held(server, gate, pool)
