"""Clients that do everything wrong, all at once, on sockets of their own."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Kind = Callable[["Chaos"], Awaitable[None]]


class Chaos:
    """A crowd of bad clients against one server."""

    def __init__(self, url: str, picture: bytes) -> None:
        """
        Args:
            url: the server.
            picture: what those send who send a picture.
        """
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 0
        self.picture = picture
        self.done: Counter[str] = Counter()
        """How often each kind has been through with its mischief."""

    @asynccontextmanager
    async def connected(self, buffer: int | None = None) -> AsyncIterator[Streams]:
        """A connection that is cut at the end, without a farewell.

        Args:
            buffer: bytes that the system keeps for a client that does not read.
        """
        connection = socket.socket()
        connection.setblocking(False)
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self._host, self._port))
        except BaseException:
            connection.close()
            raise
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    def upload(self, path: str = "/v1/mask") -> bytes:
        """The head for the picture."""
        size = len(self.picture)
        return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()

    @asynccontextmanager
    async def raging(self, crowd: dict[Kind, int]) -> AsyncIterator[None]:
        """So many clients of each kind, each beginning again whenever it is through."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._again_and_again(kind))
                for kind, count in crowd.items()
                for _ in range(count)
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _again_and_again(self, kind: Kind) -> None:
        while True:
            # To be cut off by the server is what bad clients must expect.
            with suppress(OSError):
                await kind(self)
            self.done[kind.__name__] += 1
            await asyncio.sleep(0.05)


async def drip(chaos: Chaos) -> None:
    """A byte at a time, from the first of the head on."""
    async with chaos.connected() as (_, writer):
        for byte in chaos.upload() + chaos.picture:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.2)


async def stop_in_the_head(chaos: Chaos) -> None:
    async with chaos.connected() as (reader, writer):
        writer.write(chaos.upload()[:30])
        await reader.read()


async def stop_in_the_body(chaos: Chaos) -> None:
    async with chaos.connected() as (reader, writer):
        writer.write(chaos.upload() + chaos.picture[:100])
        await reader.read()


async def read_nothing(chaos: Chaos) -> None:
    """Ask for large answers and read none of them."""
    async with chaos.connected(buffer=4096) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(chaos.upload("/v1/segments?geometry=rle") + chaos.picture)
        writer.write(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        await asyncio.sleep(6)


async def vanish_in_the_body(chaos: Chaos) -> None:
    async with chaos.connected() as (_, writer):
        writer.write(chaos.upload() + chaos.picture[: random.randrange(len(chaos.picture))])
        await writer.drain()


async def vanish_in_the_queue(chaos: Chaos) -> None:
    async with chaos.connected() as (_, writer):
        writer.write(chaos.upload() + chaos.picture)
        await writer.drain()
        await asyncio.sleep(random.random() / 10)


async def sit(chaos: Chaos) -> None:
    """Say nothing."""
    async with chaos.connected() as (reader, _):
        await reader.read()


async def come_and_go(chaos: Chaos) -> None:
    for _ in range(20):
        async with chaos.connected():
            pass


async def talk_rubbish(chaos: Chaos) -> None:
    async with chaos.connected() as (reader, writer):
        writer.write(random.randbytes(2000))
        await reader.read()


async def overdo(chaos: Chaos) -> None:
    """A head without an end."""
    async with chaos.connected() as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        for _ in range(1000):
            writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
            await writer.drain()


BUSY: dict[Kind, int] = {
    drip: 10,
    stop_in_the_head: 20,
    stop_in_the_body: 20,
    read_nothing: 4,
    vanish_in_the_body: 4,
    vanish_in_the_queue: 2,
    come_and_go: 2,
    talk_rubbish: 2,
    overdo: 2,
}
"""Bad clients of every kind; `sit` comes by the hundred."""
