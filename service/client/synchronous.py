"""The client for ordinary code. Every line has its twin in asynchronous.py."""

from __future__ import annotations

import time
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


class Client(Connection[httpx.Client]):
    """Calls a service; for any number of threads.

    A picture is a path, bytes, an open binary file, a Pillow image or a uint8 array. Options have
    the names and meanings of the API's parameters. Every call may raise `ProblemError` if it was
    refused and `NoAnswer` if nobody answered.
    """

    _kind = httpx.Client

    def mask(self, picture: Picture, **options: Unpack[MaskOptions]) -> Mask:
        """The class of every pixel."""
        return self._send(asks.mask(options).one(picture))

    def overlay(self, picture: Picture, **options: Unpack[OverlayOptions]) -> bytes:
        """The photo with the classes' colours blended over it, as the bytes of a file."""
        return self._send(asks.overlay(options).one(picture))

    def cutout(self, picture: Picture, **options: Unpack[CutoutOptions]) -> bytes:
        """The photo with chosen classes only, as the bytes of a file."""
        return self._send(asks.cutout(options).one(picture))

    def segments(self, picture: Picture, **options: Unpack[SegmentsOptions]) -> Segments:
        """What is where: for each class present its area, box and, if asked for, outline."""
        return self._send(asks.segments(options).one(picture))

    def geojson(self, picture: Picture, **options: Unpack[GeojsonOptions]) -> dict[str, Any]:
        """The same as GeoJSON, for a picture whose place on a map is known."""
        return self._send(asks.geojson(options).one(picture))

    def mask_all(
        self, pictures: Iterable[Picture], **options: Unpack[MaskOptions]
    ) -> list[Mask | ProblemError]:
        """`mask` for several pictures in one request; the problem of each that has one."""
        return self._send(asks.mask(options).several(pictures))

    def overlay_all(
        self, pictures: Iterable[Picture], **options: Unpack[OverlayOptions]
    ) -> list[bytes | ProblemError]:
        """`overlay` for several pictures in one request; the problem of each that has one."""
        return self._send(asks.overlay(options).several(pictures))

    def cutout_all(
        self, pictures: Iterable[Picture], **options: Unpack[CutoutOptions]
    ) -> list[bytes | ProblemError]:
        """`cutout` for several pictures in one request; the problem of each that has one."""
        return self._send(asks.cutout(options).several(pictures))

    def segments_all(
        self, pictures: Iterable[Picture], **options: Unpack[SegmentsOptions]
    ) -> list[Segments | ProblemError]:
        """`segments` for several pictures in one request; the problem of each that has one."""
        return self._send(asks.segments(options).several(pictures))

    def models(self) -> list[Model]:
        """All loaded models."""
        return self._send(asks.models())

    def model(self, name: str, version: int | None = None) -> Model:
        """One loaded model, the newest of its name: labels, palette, quality, licence and more."""
        return self._send(asks.model(name, version))

    def ready(self) -> bool:
        """Whether pictures are welcome now; False while it warms up or shuts down."""
        return self._send(asks.ready())

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _send(self, ask: Ask[T]) -> T:
        attempts = self._begin(ask)
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self._http.request(**attempts.request())
            except httpx.RequestError as error:
                outcome = error
            settled = attempts.settle(outcome)
            if isinstance(settled, httpx.Response):
                return ask.answer(settled)
            time.sleep(settled)
