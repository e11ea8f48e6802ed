"""The bytes of a request: unpacked, and cut into JSON and binary data."""

from __future__ import annotations

import zlib

from service.errors import InvalidParameter, TooManyBytes, UnsupportedImage

EITHER = 32 + zlib.MAX_WBITS
"""zlib finds out by itself whether it is gzip or its own format, which HTTP calls deflate."""


def unpack(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """A body without its content encoding.

    Args:
        data: the body as it came.
        encoding: its header `Content-Encoding`, empty if there is none.
        max_bytes: what it may unpack to.

    Raises:
        UnsupportedImage: an encoding other than gzip and deflate.
        TooManyBytes: it unpacks to more than `max_bytes`.
        InvalidParameter: it is not encoded like that.
    """
    if encoding.strip().lower() in ("", "identity"):
        return data
    if encoding.strip().lower() not in ("gzip", "deflate"):
        raise UnsupportedImage(
            f"Content-Encoding {encoding[:40]!r} is not accepted: send gzip, deflate or none"
        )
    unpacker = zlib.decompressobj(EITHER)
    try:
        unpacked = unpacker.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise InvalidParameter(f"the body is not {encoding}: {error}") from error
    if len(unpacked) > max_bytes:
        raise TooManyBytes(f"the body unpacks to more than the limit of {max_bytes} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidParameter(f"the body is not whole {encoding}")
    return unpacked


def split(data: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """The JSON of a body and the binary data behind it.

    Args:
        data: the unpacked body.
        header_length: header `Inference-Header-Content-Length`; without it, all is JSON.

    Raises:
        InvalidParameter: it is not a length within the body.
    """
    if header_length is None:
        return data, memoryview(b"")
    if not (header_length.isdecimal() and len(header_length) < 18):
        raise InvalidParameter("Inference-Header-Content-Length: it is a number of bytes")
    length = int(header_length)
    if length > len(data):
        raise InvalidParameter(
            f"Inference-Header-Content-Length is {length}, the body has {len(data)} bytes"
        )
    return data[:length], memoryview(data)[length:]
