"""Requests as bytes on a socket, for what no well-behaved client would send."""

from __future__ import annotations

import http.client
import select
import socket
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE = 30.0
"""Seconds without a byte, after which the server is taken to hang."""
QUIET = 0.1
"""Seconds that a request gets to be answered before its sender says that nothing more comes."""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def connect(url: str) -> socket.socket:
    """A connection to a server."""
    address = urlsplit(url)
    host = (address.hostname or "", address.port or 0)
    return socket.create_connection(host, timeout=PATIENCE)


def read_answer(connection: socket.socket, method: str = "POST") -> Answer:
    """The next answer on a connection.

    Raises:
        http.client.HTTPException: what came is not HTTP, or nothing came.
        OSError: the connection broke or nothing came for `PATIENCE`.
    """
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    return Answer(answer.status, answer.headers, answer.read())


def ask(url: str, data: bytes, method: str = "POST") -> Answer:
    """The answer to some bytes on a connection of their own."""
    with connect(url) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was all sent
            connection.sendall(data)
        return read_answer(connection, method)


def everything(url: str, data: bytes) -> bytes:
    """All bytes that come back for some bytes, until the server closes the connection.

    Raises:
        TimeoutError: it keeps it open although the client has no more to send.
    """
    received = b""
    with connect(url) as connection, suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)
        while select.select([connection], [], [], QUIET)[0]:
            received += (more := connection.recv(2**16))
            if not more:
                return received
        connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(2**16):
            received += more
    return received
