"""Keep the record of each request: counted and logged once it has ended.

Plain ASGI, so that disconnects stay visible inside.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

from fastapi.responses import Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.problems import problem, reason_of
from service.http.record import CLIENT_CLOSED, PROBES, REQUEST_ID, UNMATCHED, Record, begin
from service.lifecycle import Lifecycle
from service.metrics import Metrics

log = logging.getLogger("deeplab.request")


class Journal:
    """Middleware that keeps the record of each request."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle, access_log: bool
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = begin(scope)

        async def count() -> Message:
            message = await receive()
            record.received += len(message.get("body", b""))
            return message

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                if record.status < 400:
                    record.reason = ""
                elif record.reason == "hung_up" and record.status != CLIENT_CLOSED:
                    # An answer of the framework's own that is no problem, as to a broken Range.
                    record.reason = reason_of(record.status)
                headers = MutableHeaders(raw=message["headers"])
                headers[REQUEST_ID] = record.id
                if self._lifecycle.stage != "serving":
                    headers["Connection"] = "close"
            record.sent += len(message.get("body", b""))
            await send(message)

        with self._lifecycle.request():
            try:
                await self.app(scope, count, watch)
            except Exception as error:
                await self._fail(scope, record, error)(scope, receive, watch)
            finally:
                self._close(scope, record)

    def _fail(self, scope: Scope, record: Record, error: Exception) -> Response:
        """The answer to an error that nobody expected."""
        log.error("request %s to %s failed", record.id, route_of(scope), exc_info=error)
        if record.status != CLIENT_CLOSED:
            # Half of another answer is out already: the connection can only be broken off.
            record.reason = "internal_error"
            raise error
        detail = "the service failed on this request; its log says how"
        return problem(500, "internal_error", detail)

    def _close(self, scope: Scope, record: Record) -> None:
        route = route_of(scope)
        seconds = perf_counter() - record.started
        metrics = self._metrics
        metrics.requests.labels(route, record.status, record.reason).inc()
        metrics.request_seconds.labels(route, record.status).observe(seconds)
        metrics.upload_bytes.inc(record.received)
        metrics.answer_bytes.inc(record.sent)
        if self._access_log:
            quiet = route in PROBES and record.status in (200, 503)
            level = logging.DEBUG if quiet else logging.INFO
            log.log(level, "request", extra=fields(scope, route, record, seconds))


def route_of(scope: Scope) -> str:
    """The application's own name for a path, so that a client cannot make new labels."""
    return getattr(scope.get("route"), "path", UNMATCHED)


def fields(scope: Scope, route: str, record: Record, seconds: float) -> dict[str, Any]:
    """What a line of the log says of a request; no content, and no path of the client's making."""
    client = scope.get("client")
    line: dict[str, Any] = {
        "id": record.id,
        "trace": record.trace,
        "client": client and client[0],
        "method": scope["method"],
        "route": route,
        "status": record.status,
        "reason": record.reason or None,
        "model": record.model,
        "ms": milliseconds(seconds),
        "bytes_in": record.received,
        "bytes_out": record.sent,
    }
    if visit := record.visit:
        line |= {
            "picture": visit.picture and f"{visit.picture[0]}x{visit.picture[1]}",
            "bucket": visit.bucket and str(visit.bucket),
            "batch": visit.batch,
            "pictures": visit.pictures,
            "windows": visit.windows,
            **{f"{stage}_ms": milliseconds(took) for stage, took in visit.stages.seconds.items()},
        }
    return {name: value for name, value in line.items() if value is not None}


def milliseconds(seconds: float) -> float:
    return round(seconds * 1e3, 1)
