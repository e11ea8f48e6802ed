"""One client's connection: how slow it may be, how large a head, how long an answer may lie unread.

uvicorn leaves these to a reverse proxy; here a client can neither hold a connection for nothing
nor memory that it does not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from service.errors import Reason
from service.http.headers import EVERYWHERE
from service.http.problems import problem
from service.http.record import REQUEST_ID, new_id

if TYPE_CHECKING:
    from service.http.connections import Connections

NONE: Mapping[str, str] = MappingProxyType({})
RETRY: Mapping[str, str] = MappingProxyType({"Retry-After": "1"})


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(self, shared: Connections, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._shared = shared
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """What is awaited of the client."""
        self._head = 0
        """Number of the request whose head is being read; 0 while none is."""
        self._heads = 0
        self._head_bytes = 0
        self._head_too_large = False
        self._deaf = False
        self._running: RequestResponseCycle | None = None

    @property
    def unread_bytes(self) -> int:
        """Bytes of answers that the system has not taken yet."""
        return self.transport.get_write_buffer_size()

    def give_reader_up(self) -> None:
        """Throw away what the client has not read, and its connection with it."""
        self._shared.unread.pop(self, None)
        if self.unread_bytes:
            self._shared.dropped("answer_not_read")
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        shared = self._shared
        shared.open.add(self)
        if len(shared.open) > shared.most and not shared.make_room():
            self._turn_away(503, "queue_full", "there are too many connections", RETRY)
            return
        shared.idle[self] = None
        self._expect("head", shared.head_timeout, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._shared.forget(self)
        super().connection_lost(exc)
        if self._running and not self._running.response_complete:
            # uvicorn tells only the last of several requests on a connection.
            self._hang_up(self._running)

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            return
        fresh = self in self._shared.idle and not (self.cycle and self.cycle.more_body)
        head = self._heads + 1 if fresh and not self._head else self._head
        super().data_received(data)
        if self._head and head == self._head and not self._deaf:
            # All of this was part of a head that has not ended.
            self._head_bytes += len(data)
            if self._head_bytes > self._shared.max_head_bytes:
                self._head_too_large = True
                self.send_400_response("")
        if self in self._shared.idle and not {"head", "body"} & self._timers.keys():
            # uvicorn no longer limits how long it may be idle once something came, even if that
            # was no request: empty lines, or the end of a refused upload.
            self._expect("head", self._shared.head_timeout, self._head_is_late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._heads += 1
        self._head, self._head_bytes = self._heads, 0
        if "head" not in self._timers:
            self._expect("head", self._shared.head_timeout, self._head_is_late)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._shared.max_head_bytes:
            self._head_too_large = True
            raise ValueError("the head is too large")  # the parser gives up
        if any(
            name == b"transfer-encoding" and value.lower() != b"chunked"
            for name, value in self.headers
        ):
            raise ValueError("where such a body ends is a matter of opinion")
        self._head = 0
        self._no_longer_expect("head")
        self._shared.idle.pop(self, None)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        self._no_longer_expect("body")
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.unread_bytes and not self.flow.write_paused:
            self._await_reader()
        if self.transport.is_closing() or self.pipeline or not self.cycle.response_complete:
            return
        self._shared.idle[self] = None
        if self.cycle.more_body:
            # The rest of a refused upload is thrown away, but not for ever.
            self._expect("body", self._shared.upload_timeout, self._body_is_late)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def send_400_response(self, msg: str) -> None:
        """Turn away what is not HTTP or has too large a head; the parser is done with it."""
        most = self._shared.max_head_bytes
        if self._head_too_large:
            self._shared.dropped("head_too_large")
            self._turn_away(431, "malformed_request", f"the limit for headers is {most} bytes")
        else:
            self._shared.dropped("malformed")
            self._turn_away(400, "malformed_request", "this is not a request in HTTP/1.1")

    @staticmethod
    def _hang_up(cycle: RequestResponseCycle) -> None:
        """Let the application know that the client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()

    def _await_reader(self) -> None:
        self._shared.await_reader(self)
        self._expect("reader", self._shared.send_timeout, self.give_reader_up)

    def _expect(self, what: str, seconds: float, late: Callable[[], None]) -> None:
        self._no_longer_expect(what)
        self._timers[what] = self.loop.call_later(seconds, late)

    def _no_longer_expect(self, what: str) -> None:
        if timer := self._timers.pop(what, None):
            timer.cancel()

    def _head_is_late(self) -> None:
        if self.transport.is_closing():
            return
        self._shared.dropped("head_timeout")
        if self._head:
            limit = f"the head did not arrive within {self._shared.head_timeout:g} s"
            self._turn_away(408, "malformed_request", limit)
        else:
            self.transport.close()

    def _body_is_late(self) -> None:
        self._shared.dropped("body_not_wanted")
        self.transport.abort()

    def _turn_away(
        self, status: int, reason: Reason, detail: str, headers: Mapping[str, str] = NONE
    ) -> None:
        """Answer without the application and close; after the answer at hand, if there is one."""
        self._deaf = True
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            if self.cycle is not self._running or not self.cycle.more_body:
                return
            # The rest of its upload cannot be read: nobody shall wait for it.
            self._hang_up(self.cycle)
            if self.cycle.response_started:
                self.transport.close()
                return
        self._shared.turned_away(status, reason)
        also = {"Connection": "close", REQUEST_ID: new_id(), **EVERYWHERE, **headers}
        answer = problem(status, reason, detail, also)
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self.transport.write(STATUS_LINE[status] + head + b"\r\n" + answer.body)
        self.transport.close()
