"""The pictures of a request that brings several: parts of a form, or a ZIP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from fastapi import Request

from service.errors import MalformedRequest
from service.http.several.archive import BEGINS, Archive, too_large, too_many
from service.http.upload import FIELD, TOO_MANY, is_form, limited, read_files
from service.limits import Limits

OPENAPI_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class Pictures(Protocol):
    """Several pictures, as files."""

    @property
    def names(self) -> list[str]:
        """As their sender has them: not to be trusted."""

    def size(self, index: int) -> int:
        """Bytes that reading one takes more than is held already, at most."""

    def read(self, index: int) -> bytes:
        """The bytes of one.

        Raises:
            RequestError: this one cannot be had.
        """


class Files:
    """Those of a form."""

    def __init__(self, files: list[tuple[str, bytes]], limits: Limits) -> None:
        self._files = files
        self._limits = limits

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self._files]

    def size(self, index: int) -> int:
        return 0

    def read(self, index: int) -> bytes:
        data = self._files[index][1]
        if len(data) > self._limits.picture_bytes:
            raise too_large(self._limits.picture_bytes)
        return data


async def read_pictures(request: Request, limits: Limits, hold: Callable[[int], None]) -> Pictures:
    """The pictures of a request.

    Args:
        request: its body has not been touched.
        limits: of their number and size.
        hold: told the size of each piece before it is kept; may refuse by raising.

    Raises:
        TooManyBytes: the body is larger than the limit, or would be once unpacked.
        TooManyPictures: there are more than the limit.
        MalformedRequest: there is none, or the form or the ZIP cannot be read.
        starlette.requests.ClientDisconnect: the client hung up.
    """
    bounded = limited(request, limits.bytes, hold)
    if is_form(request):
        files = await _read_files(bounded, limits.pictures)
        data = files[0][1] if len(files) == 1 else b""
    else:
        files, data = [], await bounded.body()
    if data.startswith(BEGINS):
        return Archive(data, limits)
    if not files:
        raise MalformedRequest(
            f"no pictures: send them as multipart fields {FIELD!r}, or a ZIP as the raw body"
        )
    return Files(files, limits)


async def _read_files(request: Request, most: int) -> list[tuple[str, bytes]]:
    try:
        return await read_files(request, most)
    except MalformedRequest as error:
        # The parser has no exception of its own for this.
        if TOO_MANY in str(error):
            raise too_many(most) from error
        raise
