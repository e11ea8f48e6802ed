"""The client for asyncio. Every line has its twin in synchronous.py.

Pictures are read, and pixels made a PNG, in a thread, so that the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Self, TypeVar, Unpack

import httpx

from service.client import asks
from service.client.answers import Mask
from service.client.asks import Ask
from service.client.connection import Connection
from service.client.errors import ProblemError
from service.client.options import (
    CutoutOptions,
    GeojsonOptions,
    MaskOptions,
    OverlayOptions,
    SegmentsOptions,
)
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

    async def mask(self, picture: Picture, **options: Unpack[MaskOptions]) -> Mask:
        """The class of every pixel."""
        return await self._send(await asyncio.to_thread(asks.mask(options).one, picture))

    async def overlay(self, picture: Picture, **options: Unpack[OverlayOptions]) -> bytes:
        """The photo with the classes' colours blended over it, as the bytes of a file."""
        return await self._send(await asyncio.to_thread(asks.overlay(options).one, picture))

    async def cutout(self, picture: Picture, **options: Unpack[CutoutOptions]) -> bytes:
        """The photo with chosen classes only, as the bytes of a file."""
        return await self._send(await asyncio.to_thread(asks.cutout(options).one, picture))

    async def segments(self, picture: Picture, **options: Unpack[SegmentsOptions]) -> Segments:
        """What is where: for each class present its area, box and, if asked for, outline."""
        return await self._send(await asyncio.to_thread(asks.segments(options).one, picture))

    async def geojson(self, picture: Picture, **options: Unpack[GeojsonOptions]) -> dict[str, Any]:
        """The same as GeoJSON, for a picture whose place on a map is known."""
        return await self._send(await asyncio.to_thread(asks.geojson(options).one, picture))

    async def mask_all(
        self, pictures: Iterable[Picture], **options: Unpack[MaskOptions]
    ) -> list[Mask | ProblemError]:
        """`mask` for several pictures in one request; the problem of each that has one."""
        return await self._send(await asyncio.to_thread(asks.mask(options).several, pictures))

    async def overlay_all(
        self, pictures: Iterable[Picture], **options: Unpack[OverlayOptions]
    ) -> list[bytes | ProblemError]:
        """`overlay` for several pictures in one request; the problem of each that has one."""
        return await self._send(await asyncio.to_thread(asks.overlay(options).several, pictures))

    async def cutout_all(
        self, pictures: Iterable[Picture], **options: Unpack[CutoutOptions]
    ) -> list[bytes | ProblemError]:
        """`cutout` for several pictures in one request; the problem of each that has one."""
        return await self._send(await asyncio.to_thread(asks.cutout(options).several, pictures))

    async def segments_all(
        self, pictures: Iterable[Picture], **options: Unpack[SegmentsOptions]
    ) -> list[Segments | ProblemError]:
        """`segments` for several pictures in one request; the problem of each that has one."""
        return await self._send(await asyncio.to_thread(asks.segments(options).several, pictures))

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
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = await self._http.request(**attempts.request())
            except httpx.RequestError as error:
                outcome = error
            settled = attempts.settle(outcome)
            if isinstance(settled, httpx.Response):
                return ask.answer(settled)
            await asyncio.sleep(settled)
