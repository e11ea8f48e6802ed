"""Requests as bytes on a socket, for what no well-behaved client would send."""

from __future__ import annotations

import http.client
import select
import socket
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE = 30.0
"""Seconds without a byte, after which the server is taken to hang."""
QUIET = 0.3
"""Seconds that a request gets to be answered before its sender says that nothing more comes."""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Wire:
    """A connection to a server."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        host = (address.hostname or "", address.port or 0)
        self.socket = socket.create_connection(host, timeout=PATIENCE)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send some bytes, or as many as the server takes before it has had enough."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def answer(self, method: str = "POST") -> Answer:
        """The next answer.

        Raises:
            ValueError: the connection was closed instead.
            OSError: the connection broke or nothing came for `PATIENCE`.
        """
        _, status, *_ = self._reader.readline().split(b" ", 2)
        headers = http.client.parse_headers(self._reader)
        length = 0 if method == "HEAD" else int(headers["content-length"])
        return Answer(int(status), headers, self._reader.read(length))


def ask(url: str, data: bytes, method: str = "POST") -> Answer:
    """The answer to some bytes on a connection of their own."""
    with Wire(url) as wire:
        wire.send(data)
        return wire.answer(method)


def everything(url: str, data: bytes) -> bytes:
    """All bytes that come back for some bytes, until the server closes the connection.

    Raises:
        TimeoutError: it keeps it open although the client has no more to send.
    """
    received = b""
    with Wire(url) as wire, suppress(BrokenPipeError, ConnectionResetError):
        wire.send(data)
        while select.select([wire.socket], [], [], QUIET)[0]:
            received += (more := wire.socket.recv(2**16))
            if not more:
                return received
        wire.socket.shutdown(socket.SHUT_WR)
        while more := wire.socket.recv(2**16):
            received += more
    return received
