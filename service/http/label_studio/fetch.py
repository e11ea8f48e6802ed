"""The pictures of tasks: in the task itself, or fetched from one host and from no other.

A task's data come from whoever may import tasks, so that an address in them must not lead
anywhere: only the origin of the settings is asked, whatever the task says, and a redirection to
another one is not followed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from service.errors import DeadlinePassed, InvalidParameter, StartError, TooManyBytes
from service.settings import Settings

if TYPE_CHECKING:
    import httpx

HOPS = 3
"""Redirections within the origin that are followed."""


def check_settings(settings: Settings) -> None:
    """Refuse a token that would never be sent.

    Raises:
        StartError: there is no host to send it to.
    """
    if settings.label_studio_key and not settings.label_studio_url:
        raise StartError(
            "setting label_studio_key has no meaning without label_studio_url; name the host"
        )


class Pictures:
    """Reads the pictures of one request's tasks; an asynchronous context."""

    def __init__(self, settings: Settings) -> None:
        self._origin = settings.label_studio_url
        self._key = settings.label_studio_key
        self._max_bytes = settings.max_bytes
        self._timeout = settings.upload_timeout

    async def __aenter__(self) -> Pictures:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def read(self, address: object, hold: Callable[[int], None]) -> bytes:
        """The bytes of a picture.

        Args:
            address: a `data:` URI, or a URL or path of Label Studio.
            hold: told the size of each part before it is kept; may refuse by raising.

        Raises:
            InvalidParameter: it is none, is elsewhere, or cannot be had.
            TooManyBytes: it is larger than `max_bytes`.
            DeadlinePassed: it did not come in time.
        """
        if not isinstance(address, str) or not address:
            raise InvalidParameter("the task's picture is not the address of one")
        if address.startswith("data:"):
            picture = _inline(address)
            hold(len(picture))
            return picture
        if self._origin is None:
            raise InvalidParameter(
                "pictures are not fetched, as the setting label_studio_url is not set: set it to "
                "the address of Label Studio, as http://label-studio:8080"
            )
        try:
            async with asyncio.timeout(self._timeout):
                return await self._fetch(address, hold)
        except TimeoutError as error:
            raise DeadlinePassed(
                f"{self._origin} did not send a picture within {self._timeout:g} s"
            ) from error

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        import httpx  # not at the start, which it would make slower

        headers = {"Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Token {self._key.get_secret_value()}"
        # No proxy and no password file of the environment; the time is limited as a whole.
        return httpx.AsyncClient(headers=headers, trust_env=False, timeout=None)  # noqa: S113

    async def _fetch(self, address: str, hold: Callable[[int], None]) -> bytes:
        import httpx

        try:
            url = self._check(httpx.URL(self._origin or "").join(address))
            for _ in range(1 + HOPS):
                async with self._client.stream("GET", url) as answer:
                    if not answer.has_redirect_location:
                        return await self._body(answer, hold)
                    url = self._check(url.join(answer.headers["location"]))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last of host names
            what = str(error) or type(error).__name__
            raise InvalidParameter(f"{self._origin} did not send the picture: {what}") from error
        raise InvalidParameter(f"{self._origin} redirects more than {HOPS} times")

    def _check(self, url: httpx.URL) -> httpx.URL:
        """The URL, if it is of the one origin."""
        import httpx

        own = httpx.URL(self._origin or "")
        # `port` is None for the usual one.
        if (url.scheme, url.host, url.port) != (own.scheme, own.host, own.port) or url.userinfo:
            raise InvalidParameter(
                f"only pictures of {self._origin} are fetched; this one is of "
                f"{url.scheme[:20]}://{url.host[:80]}"
            )
        return url

    async def _body(self, answer: httpx.Response, hold: Callable[[int], None]) -> bytes:
        if answer.status_code != 200:
            hint = "; is label_studio_key set?" if answer.status_code in (401, 403) else ""
            raise InvalidParameter(
                f"{self._origin} answered {answer.status_code} for the picture{hint}"
            )
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise InvalidParameter(f"{self._origin} sent the picture compressed, unasked")
        data = bytearray()
        async for part in answer.aiter_raw():
            if len(data) + len(part) > self._max_bytes:
                raise TooManyBytes(
                    f"the picture is larger than the limit of {self._max_bytes} bytes"
                )
            hold(len(part))
            data += part
        return bytes(data)


def _inline(uri: str) -> bytes:
    """The picture in a `data:` URI."""
    head, comma, text = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise InvalidParameter("a picture in a data: URI is written as data:image/png;base64,...")
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidParameter(f"the data: URI is not Base64: {error}") from error
