"""Clients of every kind, good and bad, for as long as a test looks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

import httpx

from service.settings import SAMPLE_PICTURE
from tests.docker.prometheus import wait_until
from tests.service.pictures import bomb

CROWD = 10
"""More clients at once than the server's queue takes."""
CALLS = ("/v1/mask", "/v1/overlay", "/v1/segments")
MISTAKES: tuple[tuple[str, str, bytes, dict[str, str]], ...] = (
    ("POST", "/v1/mask", b"", {}),
    ("POST", "/v1/mask", b"GIF", {}),
    ("POST", "/v1/mask", SAMPLE_PICTURE.read_bytes()[:20000], {}),
    ("POST", "/v1/mask", bomb(13000, 13000), {}),
    ("POST", "/v1/overlay?alpha=7", SAMPLE_PICTURE.read_bytes(), {}),
    ("POST", "/v1/mask?model=other", SAMPLE_PICTURE.read_bytes(), {}),
    ("POST", "/v1/mask", SAMPLE_PICTURE.read_bytes(), {"X-Request-Timeout": "0.001"}),
    ("GET", "/nowhere", b"", {}),
    ("GET", "/v1/mask", b"", {}),
)


@dataclass
class Load:
    """Threads that send until they are told to stop."""

    url: str
    connections: int
    stopped: threading.Event = field(default_factory=threading.Event)
    rounds: int = 0
    """How often every mistake has been made."""

    def wait_for_rounds(self, count: int) -> None:
        wait_until(lambda: self.rounds >= count, "the server takes no requests")

    def send_pictures(self) -> None:
        picture, calls = SAMPLE_PICTURE.read_bytes(), cycle(CALLS)
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.stopped.is_set():
                self.send(client, "POST", next(calls), picture)

    def make_mistakes(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.stopped.wait(0.2):
                for method, path, body, headers in MISTAKES:
                    self.send(client, method, path, body, headers)
                self.open_too_many()
                self.rounds += 1

    def send(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        try:
            client.request(method, path, content=body, headers=headers)
        except httpx.TransportError:
            # One of those that open_too_many() left no room.
            self.stopped.wait(0.1)

    def open_too_many(self) -> None:
        """More connections than the server takes, which say nothing, for a moment."""
        parts = urlsplit(self.url)
        with ExitStack() as opened:
            for _ in range(self.connections):
                opened.enter_context(
                    socket.create_connection((str(parts.hostname), int(parts.port or 80)), 10)
                )
            self.stopped.wait(0.2)


def come_too_late(url: str) -> None:
    """Send a picture that is let in, and is not there when its deadline passes."""
    picture = SAMPLE_PICTURE.read_bytes()

    def slowly() -> Iterator[bytes]:
        yield picture[:1000]
        time.sleep(1)
        yield picture[1000:]

    headers = {"X-Request-Timeout": "0.5", "Content-Length": str(len(picture))}
    answer = httpx.post(f"{url}/v1/mask", content=slowly(), headers=headers, timeout=30)
    assert answer.json()["reason"] == "deadline"


@contextmanager
def under_load(url: str, connections: int) -> Iterator[Load]:
    """Send pictures and mistakes to a server until the block ends."""
    # While the house is empty, since a full one would not have let it in.
    come_too_late(url)
    load = Load(url, connections)
    work: list[Callable[[], None]] = [*[load.send_pictures] * CROWD, load.make_mistakes]
    threads = [threading.Thread(target=target) for target in work]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopped.set()
        for thread in threads:
            thread.join()
