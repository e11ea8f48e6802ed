"""A client that costs little: HTTP/1.1 over plain asyncio streams, closed or open loop.

It shares the machine with the server that it measures, so that its own processor time would be
taken for the server's. That is why it is not `service.client`, which says before the measuring
whether the answers are right.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np


@dataclass(frozen=True)
class Reply:
    """How one request went."""

    status: int
    started: float
    """On the clock of `time.perf_counter`."""
    seconds: float
    head: str = ""
    """Of the answer, in lower case."""


@dataclass
class Load:
    """What one run of the client saw."""

    seconds: float = 0.0
    replies: list[Reply] = field(default_factory=list)

    def answered(self, status: int = 200) -> list[Reply]:
        return [reply for reply in self.replies if reply.status == status]

    @property
    def rate(self) -> float:
        """Answers with a mask per second."""
        return len(self.answered()) / self.seconds

    def percentile(self, share: float, status: int = 200) -> float:
        """Seconds within which that share (0 to 100) of the answers came."""
        return float(np.percentile([reply.seconds for reply in self.answered(status)], share))


class Connection:
    """One connection that is kept open."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: str = "") -> Reply:
        """Send a picture and read the whole answer; the status is 0 if there is none."""
        started = time.perf_counter()
        reused = self._streams is not None
        try:
            status, answer = await self._exchange(path, body, headers)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            if reused:  # servers close connections that were idle for long
                return await self.post(path, body, headers)
            status, answer = 0, b""
        return Reply(status, started, time.perf_counter() - started, answer.decode("latin-1"))

    async def _exchange(self, path: str, body: bytes, headers: str) -> tuple[int, bytes]:
        """The status and the head of the answer, in lower case."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        await _skip_body(reader, answer)
        if b"connection: close" in answer:
            self.close()
        return int(answer.split(maxsplit=2)[1]), answer

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    """Read what follows the head of an answer, of a known length or in chunks."""
    if b"\r\ncontent-length:" in head:
        length = int(head.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    elif b"transfer-encoding: chunked" in head:
        size = -1
        while size:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            await reader.readexactly(size + 2)


Ask = Callable[[Connection], Awaitable[Reply]]


async def closed_loop(url: str, ask: Ask, concurrency: int, seconds: float) -> Load:
    """So many clients, each with one request on its way at all times."""
    load = Load()
    began = time.perf_counter()

    async def client() -> None:
        connection = Connection(url)
        while time.perf_counter() - began < seconds:
            load.replies.append(await ask(connection))
        connection.close()

    await asyncio.gather(*(client() for _ in range(concurrency)))
    load.seconds = time.perf_counter() - began
    return load


async def open_loop(
    url: str, ask: Ask, rate: float, seconds: float, seed: int = 0, grace: float | None = None
) -> Load:
    """Requests that arrive by chance (Poisson), whatever becomes of the earlier ones.

    Args:
        url: the server.
        ask: one request.
        rate: of them, per second.
        seconds: for which they arrive.
        seed: of their times.
        grace: seconds after the last arrival at which what is not answered is given up; None
            waits for all.
    """
    load = Load()
    idle: list[Connection] = []
    arrivals = random.Random(seed)  # noqa: S311 - nothing secret
    began = time.perf_counter()
    tasks = []

    async def visit() -> None:
        connection = idle.pop() if idle else Connection(url)
        started = time.perf_counter()
        try:
            load.replies.append(await ask(connection))
        except asyncio.CancelledError:
            load.replies.append(Reply(0, started, time.perf_counter() - started))
            connection.close()
        else:
            idle.append(connection)

    due = began
    while (due := due + arrivals.expovariate(rate)) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(visit()))
    if tasks:
        _, unanswered = await asyncio.wait(tasks, timeout=grace)
        for task in unanswered:
            task.cancel()
        await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - began
    for connection in idle:
        connection.close()
    return load
