"""A request whose model was replaced under its hands begins again, with the new one."""

from __future__ import annotations

import logging
import time
from collections import deque

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.record import Record, record_of

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Two changes of model during one request would be very quick ones."""
TIMEOUT = "X-Request-Timeout"


class Again:
    """Middleware inside of the journal, which counts the request once.

    What was read of the body is kept until the answer begins: the pieces that the application
    itself keeps, in the same memory as long as it has not joined them.
    """

    def __init__(self, app: ASGIApp, longest: float) -> None:
        """`longest`: seconds that a request may take."""
        self.app = app
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = time.monotonic() + self._time_of(scope)
        record, body = record_of(HTTPConnection(scope)), Body(receive)
        before = record.reason
        for attempts_left in reversed(range(ATTEMPTS)):
            record.reason = before
            answer = Held(record, send, body, may_hold=attempts_left > 0)
            await self.app(scope, body.replayed(), answer.send)
            if not answer.held:
                return
            log.info("request %s begins again, its model was replaced", record.id)
            left = max(0.001, deadline - time.monotonic())
            MutableHeaders(scope=scope)[TIMEOUT] = f"{left:.3f}"

    def _time_of(self, scope: Scope) -> float:
        given = HTTPConnection(scope).headers.get(TIMEOUT, "")
        try:
            return min(self._longest, float(given))
        except ValueError:
            return self._longest


class Body:
    """A request's body that can be read more than once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] | None = []

    def replayed(self) -> Receive:
        """Receives from the beginning."""
        before = deque(self._kept or ())

        async def receive() -> Message:
            if before:
                return before.popleft()
            message = await self._receive()
            if self._kept is not None:
                self._kept.append(message)
            return message

        return receive

    def forget(self) -> None:
        """It need not be read again."""
        self._kept = None


class Held:
    """Lets an answer through, unless it says that the model was replaced."""

    def __init__(self, record: Record, send: Send, body: Body, may_hold: bool) -> None:
        self.held = False
        self._record = record
        self._send = send
        self._body = body
        self._may_hold = may_hold

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.held = self._may_hold and self._record.reason == "model_changed"
            if not self.held:
                self._body.forget()
        if not self.held:
            await self._send(message)
