"""The client for asyncio. Every line has its twin in synchronous.py.

Pictures are read, and pixels made a PNG, in a thread, so that the event loop goes on.
"""

from __future__ import annotations

import asyncio
from typing import Self, TypeVar, Unpack

import httpx

from service.client import asks
from service.client.answers import Mask
from service.client.asks import Ask, Options, OverlayOptions, SegmentsOptions
from service.client.connection import Connection
from service.client.pictures import Picture
from service.http.schemas import Model, Segments

T = TypeVar("T")


class AsyncClient(Connection[httpx.AsyncClient]):
    """Calls a service; for one event loop.

    A picture is a path, bytes, an open binary file, a Pillow image or a uint8 array. Options have
    the names and meanings of the API's parameters. Every call may raise `ProblemError` if it was
    refused and `NoAnswer` if nobody answered.
    """

    _kind = httpx.AsyncClient

    async def mask(self, picture: Picture, **options: Unpack[Options]) -> Mask:
        """The class of every pixel."""
        return await self._send(await asyncio.to_thread(asks.mask, picture, options))

    async def overlay(self, picture: Picture, **options: Unpack[OverlayOptions]) -> bytes:
        """The photo with the classes' colours blended over it, as the bytes of a file."""
        return await self._send(await asyncio.to_thread(asks.overlay, picture, options))

    async def segments(self, picture: Picture, **options: Unpack[SegmentsOptions]) -> Segments:
        """What is where: for each class present its area, box and, if asked for, outline."""
        return await self._send(await asyncio.to_thread(asks.segments, picture, options))

    async def models(self) -> list[Model]:
        """All loaded models."""
        return await self._send(asks.models())

    async def model(self, name: str, version: int | None = None) -> Model:
        """One loaded model, the newest of its name: labels, palette, quality, licence and more."""
        return await self._send(asks.model(name, version))

    async def ready(self) -> bool:
        """Whether pictures are welcome now; False while it warms up or shuts down."""
        return await self._send(asks.ready())

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _send(self, ask: Ask[T]) -> T:
        attempts = self._begin(ask)
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(**attempts.request())
            except httpx.TransportError as error:
                outcome = error
            settled = attempts.settle(outcome)
            if isinstance(settled, httpx.Response):
                return ask.read(settled)
            await asyncio.sleep(settled)
