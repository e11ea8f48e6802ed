"""What can be asked: one function a call, from its arguments to a request. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from zipfile import BadZipFile

import httpx

from service.client import answers
from service.client.answers import Mask
from service.client.errors import ProblemError, problem_of
from service.client.options import (
    CutoutOptions,
    GeojsonOptions,
    MaskOptions,
    OverlayOptions,
    SegmentsOptions,
    check,
)
from service.client.pictures import Picture, encoded
from service.client.several import ARCHIVE, pack, unpack
from service.http.schemas import Model, Segments

T = TypeVar("T")


@dataclass(frozen=True)
class Ask(Generic[T]):
    """A request, and how its answer is read."""

    path: str
    read: Callable[[httpx.Response], T]
    body: bytes | None = None
    """One picture or several, which are posted; without them it is a GET."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    """Seconds for the whole call, where it gives itself any."""
    answers: tuple[int, ...] = (httpx.codes.OK,)
    """Statuses that are an answer rather than a problem."""

    def answer(self, response: httpx.Response) -> T:
        """What an answer says.

        Raises:
            ProblemError: it is none of the service's, but of whoever else is at that address.
        """
        try:
            return self.read(response)
        except (ValueError, LookupError, BadZipFile) as error:
            raise problem_of(response) from error


@dataclass(frozen=True)
class Call(Generic[T]):
    """A call with a picture, or with several."""

    name: str
    read: Callable[[bytes], T]
    options: Mapping[str, object]

    def one(self, picture: Picture) -> Ask[T]:
        return self._ask(f"/v1/{self.name}", encoded(picture), lambda r: self.read(r.content))

    def several(self, pictures: Iterable[Picture]) -> Ask[list[T | ProblemError]]:
        """
        Raises:
            TypeError: this is one picture.
            ValueError: there is none.
        """
        if isinstance(pictures, str | bytes):
            raise TypeError("this takes a list of pictures, not a path or the bytes of one")
        pictures = list(pictures)
        if not pictures:
            raise ValueError("the list of pictures is empty")
        body = pack([encoded(picture) for picture in pictures])
        ask = self._ask(f"/v1/batch/{self.name}", body, lambda r: unpack(r.content, self.read))
        accept = ", ".join((ARCHIVE, *ask.headers.values()))
        return replace(ask, headers={"Accept": accept, "Content-Type": ARCHIVE})

    def _ask(self, path: str, body: bytes, read: Callable[[httpx.Response], Any]) -> Ask[Any]:
        """Options that are no parameters of the query are taken out here."""
        left = dict(self.options)
        timeout, accept = left.pop("timeout", None), left.pop("media_type", None)
        assert timeout is None or isinstance(timeout, int | float)
        query = {name: _text(value) for name, value in left.items() if value is not None}
        return Ask(path, read, body, query, {"Accept": str(accept)} if accept else {}, timeout)


def mask(options: MaskOptions) -> Call[Mask]:
    check(options, MaskOptions)
    return Call("mask", Mask, options)


def overlay(options: OverlayOptions) -> Call[bytes]:
    check(options, OverlayOptions)
    return Call("overlay", bytes, options)


def cutout(options: CutoutOptions) -> Call[bytes]:
    check(options, CutoutOptions)
    return Call("cutout", bytes, options)


def segments(options: SegmentsOptions) -> Call[Segments]:
    check(options, SegmentsOptions)
    return Call("segments", answers.read_segments, options)


def geojson(options: GeojsonOptions) -> Call[dict[str, Any]]:
    check(options, GeojsonOptions)
    return Call("segments", answers.read_json, {**options, "geometry": "geojson"})


def models() -> Ask[list[Model]]:
    return Ask("/v1/models", answers.read_models)


def model(name: str, version: int | None) -> Ask[Model]:
    query = {} if version is None else {"version": str(version)}
    return Ask(f"/v1/models/{quote(name, safe='')}", answers.read_model, query=query)


def ready() -> Ask[bool]:
    not_yet = httpx.codes.SERVICE_UNAVAILABLE
    return Ask("/readyz", answers.read_ready, answers=(httpx.codes.OK, not_yet))


def _text(value: object) -> str:
    """A value as the query has it: lists separated by commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(str(item) for item in value)
    return str(value)
