"""Where Ray's proxy ends and the application begins: what the two see differently."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.record import REQUEST_ID

GONE: Message = {"type": "http.disconnect"}
LEAVING = 5.0
"""Seconds for the application to take note that a client has gone."""


class Edge:
    """The outermost middleware.

    Ray cancels a request whose client has gone; the application is told of it instead, as a
    server would, so that it counts as hung up and not as one that was given up. And Ray puts the
    id of a request into its answer itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        gone = asyncio.Event()

        async def hear() -> Message:
            heard = asyncio.ensure_future(receive())
            left = asyncio.ensure_future(gone.wait())
            try:
                await asyncio.wait((heard, left), return_when=asyncio.FIRST_COMPLETED)
                return GONE if gone.is_set() else heard.result()
            finally:
                heard.cancel()
                left.cancel()

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(raw=message["headers"])[REQUEST_ID]
            await send(message)

        running = asyncio.ensure_future(self.app(scope, hear, tell))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            gone.set()
            try:
                await asyncio.wait((running,), timeout=LEAVING)
            finally:
                running.cancel()
            raise
