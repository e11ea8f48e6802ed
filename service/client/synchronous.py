"""The client for ordinary code. Every line has its twin in asynchronous.py."""

from __future__ import annotations

import time
from typing import Self, TypeVar, Unpack

import httpx

from service.client import asks
from service.client.answers import Mask
from service.client.asks import Ask, Options, OverlayOptions, SegmentsOptions
from service.client.connection import Connection
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

    def mask(self, picture: Picture, **options: Unpack[Options]) -> Mask:
        """The class of every pixel."""
        return self._send(asks.mask(picture, options))

    def overlay(self, picture: Picture, **options: Unpack[OverlayOptions]) -> bytes:
        """The photo with the classes' colours blended over it, as the bytes of a file."""
        return self._send(asks.overlay(picture, options))

    def segments(self, picture: Picture, **options: Unpack[SegmentsOptions]) -> Segments:
        """What is where: for each class present its area, box and, if asked for, outline."""
        return self._send(asks.segments(picture, options))

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
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(**attempts.request())
            except httpx.TransportError as error:
                outcome = error
            settled = attempts.settle(outcome)
            if isinstance(settled, httpx.Response):
                return ask.read(settled)
            time.sleep(settled)
