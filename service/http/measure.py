"""Count and time requests, as plain ASGI so that disconnects stay visible inside."""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.problems import CLIENT_CLOSED
from service.metrics import Metrics


class MeasureRequests:
    """Middleware that records each request by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        status = CLIENT_CLOSED

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            # The answer to an unexpected error is made outside of here.
            status = 500
            raise
        finally:
            # Only paths of the application's own become labels: a client cannot make new ones.
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.requests.labels(route, status).inc()
            self.metrics.request_seconds.labels(route, status).observe(perf_counter() - started)
