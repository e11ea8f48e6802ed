"""Headers that tell browsers to be careful, as plain ASGI so that disconnects stay visible."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVERYWHERE = {"X-Content-Type-Options": "nosniff"}
ON_PAGES = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
"""What an HTML page gets unless it says otherwise itself."""


class SecurityHeaders:
    """Middleware that adds them to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                page = headers.get("content-type", "").startswith("text/html")
                for name, value in {**EVERYWHERE, **(ON_PAGES if page else {})}.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, add)
