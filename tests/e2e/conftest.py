"""A real server in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import SAMPLE_PICTURE

SERVE = str(Path(sys.executable).with_name("deeplab-serve"))
START_TIMEOUT = 120.0
PATIENCE = 60.0
"""Seconds for an answer: a machine may have much else to do."""
FAST = ("--buckets", "129x129", "--sessions", "1", "--threads", "1", "--max-batch", "1")
"""Flags of a server that starts and answers in no time."""


@dataclass
class Server:
    """A running `deeplab-serve`."""

    process: subprocess.Popen[str]
    url: str
    output: list[str] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The answer on a connection of its own."""
        return httpx.get(self.url + path, timeout=PATIENCE, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """The answer on a connection of its own."""
        return httpx.post(self.url + path, timeout=PATIENCE, **options)


def wait_until(true: Callable[[], object]) -> None:
    """Until something has come to be."""
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.02)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that the system gives to nobody else, although a server may listen on it."""
    with socket.socket() as kept:
        # As the server's own socket: two such may have a port while only one of them listens.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@contextmanager
def serving(
    *flags: str,
    command: tuple[str, ...] = (SERVE,),
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start a server on a free port, wait until it says that it is ready, stop it at the end."""
    process = subprocess.Popen(
        [*command, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        # A group of its own, so that what a command starts ends with it.
        start_new_session=True,
        env={**os.environ, "DEEPLAB_PORT": "0", **(environment or {})},
    )
    server = Server(process, "")
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            server.output.append(line)
            if found := re.search(r'ready at (http://\S+)|"ready".*"url": "([^"]+)"', line):
                server.url = found[1] or found[2]
            last = line.startswith(("try it:", "{")) or "put NAME.onnx into" in line
            if last and server.url:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(START_TIMEOUT), "the server did not become ready"
        assert server.url, f"the server stopped: {''.join(server.output)}"
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as connected:
        yield connected


@pytest.fixture(scope="session")
def sample() -> bytes:
    """The sample picture of the package."""
    return SAMPLE_PICTURE.read_bytes()
