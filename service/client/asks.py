"""What can be asked: one function a call, from its arguments to a request. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from service.client import answers
from service.client.answers import Mask
from service.client.pictures import Picture, encoded
from service.http.schemas import Model, Segments

T = TypeVar("T")
Classes = str | Sequence[str | int]
"""Names or ids of classes."""


class Options(TypedDict, total=False):
    """What every call with a picture takes."""

    model: str
    """Name of a loaded model."""
    version: int
    """Which one of the files of that name."""
    timeout: float
    """Seconds for the whole call, instead of the client's own."""


class OverlayOptions(Options, total=False):
    alpha: float
    """0 is the photo, 1 the mask."""
    classes: Classes
    """What to draw; all if absent."""
    media_type: Literal["image/jpeg", "image/png", "image/webp"]
    """JPEG if absent."""


class SegmentsOptions(Options, total=False):
    geometry: Literal["none", "rle", "polygons"]


@dataclass(frozen=True)
class Ask(Generic[T]):
    """A request, and how its answer is read."""

    path: str
    read: Callable[[httpx.Response], T]
    body: bytes | None = None
    """A picture, which is posted; without one it is a GET."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    """Seconds for the whole call, where it gives itself any."""
    answers: tuple[int, ...] = (httpx.codes.OK,)
    """Statuses that are an answer rather than a problem."""


def mask(picture: Picture, options: Options) -> Ask[Mask]:
    return _post("mask", picture, options, answers.read_mask)


def overlay(picture: Picture, options: OverlayOptions) -> Ask[bytes]:
    return _post("overlay", picture, options, answers.read_bytes)


def segments(picture: Picture, options: SegmentsOptions) -> Ask[Segments]:
    return _post("segments", picture, options, answers.read_segments)


def models() -> Ask[list[Model]]:
    return Ask("/v1/models", answers.read_models)


def model(name: str, version: int | None) -> Ask[Model]:
    query = {} if version is None else {"version": str(version)}
    return Ask(f"/v1/models/{quote(name, safe='')}", answers.read_model, query=query)


def ready() -> Ask[bool]:
    not_yet = httpx.codes.SERVICE_UNAVAILABLE
    return Ask("/readyz", answers.read_ready, answers=(httpx.codes.OK, not_yet))


def _post(
    call: str,
    picture: Picture,
    options: Mapping[str, object],
    read: Callable[[httpx.Response], T],
) -> Ask[T]:
    """A call with a picture; options that are no parameters of the query are taken out here."""
    left = dict(options)
    timeout, accept = left.pop("timeout", None), left.pop("media_type", None)
    assert timeout is None or isinstance(timeout, int | float)
    return Ask(
        f"/v1/{call}",
        read,
        encoded(picture),
        {name: _text(value) for name, value in left.items() if value is not None},
        {"Accept": str(accept)} if accept else {},
        timeout,
    )


def _text(value: object) -> str:
    """A value as the query has it: lists separated by commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(item) for item in value)
    return str(value)
