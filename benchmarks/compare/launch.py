"""A server of any kind: started, asked for its first mask, stopped with all that it started."""

from __future__ import annotations

import http.client
import io
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import tree
from benchmarks.compare.orders import Orders
from benchmarks.compare.rivals import ROOT, Rival
from benchmarks.load import Ask, Connection, Reply

START_SECONDS = 120.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.02
ANSWER_SECONDS = 20.0


class NotStarted(Exception):
    """A server does not answer; the text says what it wrote last."""


@dataclass(frozen=True)
class Started:
    """A server that has answered."""

    rival: Rival
    url: str
    pid: int
    start_seconds: float
    """From launching it to its first mask."""
    mask: NDArray[np.uint8]
    """That mask, uint8 [H, W]."""

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all of its processes so far."""
        return tree.cpu_seconds(self.pid)

    @property
    def megabytes(self) -> float:
        """Resident memory of all of its processes."""
        return tree.megabytes(self.pid)

    def mask_of(self, jpeg: bytes, deadline: float | None = None) -> Ask:
        """A request for a picture's mask, which may say how long that is of use."""
        body, headers = self.rival.wrap(jpeg)
        if deadline:
            headers += self.rival.headers.format(deadline)

        async def ask(connection: Connection) -> Reply:
            return await connection.post(self.rival.path, body, headers)

        return ask


@contextmanager
def started(rival: Rival, orders: Orders, jpeg: bytes) -> Iterator[Started]:
    """Start a server, wait for its first mask, stop it at the end.

    Raises:
        NotStarted: it has ended, or gives no mask within two minutes.
    """
    with (
        tempfile.TemporaryFile("w+") as log,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
    ):
        launched = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - our own command
            rival.command(orders),
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": folder,
                "PATH": f"{rival.python.parent}{os.pathsep}{os.environ['PATH']}",
                **rival.environment,
                **orders.environment,
            },
        )
        try:
            answer = _first_answer(rival, orders.port, jpeg, process, launched)
            if answer is None:
                log.seek(0)
                raise NotStarted(f"{rival.title} gives no mask; it wrote: {log.read()[-2000:]}")
            seconds = time.perf_counter() - launched
            mask = np.asarray(Image.open(io.BytesIO(answer)))
            url = f"http://127.0.0.1:{orders.port}"
            yield Started(rival, url, process.pid, seconds, mask)
        finally:
            stop(process)


def free_port() -> int:
    """One that nobody listens on just now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


def _first_answer(
    rival: Rival, port: int, jpeg: bytes, process: subprocess.Popen[bytes], launched: float
) -> bytes | None:
    while process.poll() is None and time.perf_counter() - launched < START_SECONDS:
        with suppress(OSError, http.client.HTTPException):
            if answer := _ask(rival, port, jpeg):
                return answer
        time.sleep(POLL_SECONDS)
    return None


def _ask(rival: Rival, port: int, jpeg: bytes) -> bytes | None:
    body, headers = rival.wrap(jpeg)
    pairs = (line.split(": ") for line in headers.splitlines())
    with closing(http.client.HTTPConnection("127.0.0.1", port, ANSWER_SECONDS)) as connection:
        connection.request("POST", rival.path, body, dict(pairs))
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != http.client.OK:
        return None
    return rival.unwrap(content, {name.lower(): value for name, value in answer.getheaders()})


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, and end what is left of its processes after some seconds."""
    family = tree.members(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for member in family:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.wait()
