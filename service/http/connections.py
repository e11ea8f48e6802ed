"""What the connections of a server share: how many there may be, and what lies unread in all."""

from __future__ import annotations

from typing import Any

from service.errors import Reason
from service.http.connection import Connection
from service.http.record import UNMATCHED
from service.metrics import Metrics
from service.settings import Settings

UNREAD_SHARE = 0.5
"""Of the bytes that the house holds: more, and clients that do not read would shut out others."""


class Connections:
    """What the connections of a server share: their limits and their number."""

    def __init__(self, settings: Settings, metrics: Metrics, most: int) -> None:
        """
        Args:
            settings: the limits.
            metrics: told of every connection that is cut.
            most: open at the same time.
        """
        self.head_timeout = settings.head_timeout
        self.max_head_bytes = settings.max_head_bytes
        self.upload_timeout = settings.upload_timeout
        self.send_timeout = settings.send_timeout
        self.most = most
        self.open: set[Connection] = set()
        self.idle: dict[Connection, None] = {}
        """Those without a request, the longest idle first."""
        self.unread: dict[Connection, None] = {}
        """Those whose clients have not yet read all of an answer, the longest unread first."""
        self._most_unread = int(UNREAD_SHARE * settings.queue_bytes)
        self._metrics = metrics

    def make(self, **uvicorns: Any) -> Connection:
        """A connection; uvicorn calls this for each one that it accepts."""
        return Connection(self, **uvicorns)

    @property
    def unread_bytes(self) -> int:
        """Bytes of answers that wait in memory for their clients."""
        return sum(connection.unread_bytes for connection in list(self.unread))

    def make_room(self) -> bool:
        """Close the connection that has been without a request the longest, if there is one."""
        self.dropped("too_many")
        if not self.idle:
            return False
        longest = next(iter(self.idle))
        del self.idle[longest]
        if longest.unread_bytes:
            longest.transport.abort()
        else:
            longest.transport.close()
        return True

    def await_reader(self, connection: Connection) -> None:
        """Keep an answer for its client, if need be at the cost of those that lie the longest."""
        self.unread.pop(connection, None)
        self.unread[connection] = None
        excess = self.unread_bytes - self._most_unread
        for longest in list(self.unread)[:-1]:
            if excess <= 0:
                return
            excess -= longest.unread_bytes
            longest.give_reader_up()

    def forget(self, connection: Connection) -> None:
        self.open.discard(connection)
        self.unread.pop(connection, None)
        self.idle.pop(connection, None)

    def turned_away(self, status: int, reason: Reason) -> None:
        """Count a request that the application does not see."""
        self._metrics.requests.labels(UNMATCHED, status, reason).inc()

    def dropped(self, reason: str) -> None:
        self._metrics.connections_dropped.labels(reason).inc()
