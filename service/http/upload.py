"""The picture of a request: multipart field `file` or the raw body."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Message, Receive

from service.errors import InvalidParameter, MalformedRequest, TooManyBytes
from service.house import House

FIELD = "file"
TOO_MANY = "it holds more than"
"""So it is told that a form has too many files."""

OPENAPI_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
"""What /docs shows, since the body is read by hand; `openapi` adds the raw bodies."""

# What is wrong with a form is told to its sender, who could fill the log with it otherwise.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


async def read_upload(request: Request, max_bytes: int, hold: Callable[[int], None]) -> bytes:
    """The bytes of the uploaded picture; never more than `max_bytes` of the body are read.

    Args:
        request: its body has not been touched.
        max_bytes: the largest body.
        hold: told the size of each part before it is kept; may refuse by raising.

    Raises:
        TooManyBytes: the body is larger than that.
        MalformedRequest: a form without the field, or no body.
        InvalidParameter: a form with other fields.
        starlette.requests.ClientDisconnect: the client hung up.
    """
    if is_form(request):
        ((_, data),) = await read_files(limited(request, max_bytes, hold), 1)
        return data
    body = await read_body(request, max_bytes, hold)
    if not body:
        raise MalformedRequest(
            f"no picture: send it as multipart field {FIELD!r} or as the raw body"
        )
    return body


async def read_body(request: Request, max_bytes: int, hold: Callable[[int], None]) -> bytes:
    """The bytes of a body as they are, bounded as those of `read_upload`."""
    return await limited(request, max_bytes, hold).body()


async def read_aside(request: Request, max_bytes: int) -> bytes:
    """The bytes of a body that comes without a picture and stands in no line.

    Raises:
        TooManyBytes: it is larger than that.
        SlowUpload: it took too long.
        Unavailable: there is no memory for it.
    """
    house: House = request.app.state.house
    async with house.aside() as hold:
        return await read_body(request, max_bytes, hold)


def is_form(request: Request) -> bool:
    """Whether the body is one of multipart/form-data."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def read_files(request: Request, most: int) -> list[tuple[str, bytes]]:
    """Name and bytes of each file in the field of a form; there is one at least.

    Raises:
        MalformedRequest: the form cannot be read, holds more files than `most` or none there.
        InvalidParameter: it holds something else.
    """
    parser = MultiPartParser(request.headers, request.stream(), max_files=most, max_fields=8)
    # The upload is counted and bounded in memory already; a disk could be full or read-only.
    parser.spool_max_size = 0  # no limit
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        message = error.message if isinstance(error, MultiPartException) else str(error)
        if message.startswith("Too many files"):
            several = "; /v1/batch/mask and so on take several" if most == 1 else ""
            message = f"{TOO_MANY} {most} file{'s'[: most > 1]}{several}"
        raise MalformedRequest(f"the form cannot be read: {message}") from error
    try:
        uploads = form.getlist(FIELD)
        files = [upload for upload in uploads if isinstance(upload, UploadFile)]
        if files and len(files) == len(uploads):
            _refuse_others(form, request.url.path)
            return [(file.filename or "", await file.read()) for file in files]
        found = ", ".join(repr(name) for name in form) or "none"
        what = "is not a file" if uploads else f"is missing (fields: {found})"
        raise MalformedRequest(f"the form's field {FIELD!r} {what}")
    finally:
        await form.close()


def _refuse_others(form: FormData, path: str) -> None:
    """Refuse what would not be heeded, rather than answer as if it had not been sent."""
    if others := sorted({name for name in form if name != FIELD}):
        names = ", ".join(repr(name[:40]) for name in others)
        raise InvalidParameter(
            f"only the form's field {FIELD!r} is read, and this one also has {names}: parameters "
            f"stand in the URL, as in {path}?{others[0][:40]}=..."
        )


def limited(request: Request, max_bytes: int, hold: Callable[[int], None]) -> Request:
    """The request with a body that cannot be read beyond so many bytes.

    Args:
        request: its body has not been touched.
        max_bytes: the largest body.
        hold: told the size of each piece before it is kept; may refuse by raising.

    Raises:
        TooManyBytes: it says itself that it is larger.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > max_bytes):
        raise _too_large(max_bytes)
    return Request(request.scope, _limit(request.receive, max_bytes, hold))


def _limit(receive: Receive, max_bytes: int, hold: Callable[[int], None]) -> Receive:
    """`receive` that raises once the body is larger than allowed."""
    total = 0

    async def limited() -> Message:
        nonlocal total
        message = await receive()
        size = len(message.get("body", b""))
        total += size
        if total > max_bytes:
            raise _too_large(max_bytes)
        hold(size)
        return message

    return limited


def _too_large(max_bytes: int) -> TooManyBytes:
    return TooManyBytes(f"the upload is larger than the limit of {max_bytes} bytes")
