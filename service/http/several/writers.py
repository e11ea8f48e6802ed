"""Answers to several pictures in one body, written as they come."""

from __future__ import annotations

import io
import secrets
import time
import zipfile
from typing import NamedTuple, Protocol
from urllib.parse import quote


class Entry(NamedTuple):
    """The answer to one picture."""

    name: str
    """Safe as a file's name, and the only one of this name."""
    media_type: str
    status: int
    data: bytes


class Writer(Protocol):
    """Turns entries into the bytes of one body."""

    media_type: str

    def add(self, entry: Entry) -> bytes:
        """The bytes that follow."""

    def end(self) -> bytes:
        """The last bytes."""


class ZipWriter:
    """Writes a ZIP.

    Entries are not packed again: pictures are packed already, and a reader need not wait for the
    end to read them.
    """

    media_type = "application/zip"

    def __init__(self) -> None:
        self._window = _Window()
        self._zip = zipfile.ZipFile(self._window, "w")

    def add(self, entry: Entry) -> bytes:
        info = zipfile.ZipInfo(entry.name, time.localtime()[:6])
        info.external_attr = 0o644 << 16
        if entry.media_type.endswith("json"):
            info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, entry.data)
        return self._window.take()

    def end(self) -> bytes:
        self._zip.close()
        return self._window.take()


class MultipartWriter:
    """Writes a multipart/mixed body: a part for each entry, with its status."""

    def __init__(self) -> None:
        self._boundary = secrets.token_hex(16)
        self.media_type = f"multipart/mixed; boundary={self._boundary}"

    def add(self, entry: Entry) -> bytes:
        head = (
            f"--{self._boundary}\r\n"
            f"Content-Type: {entry.media_type}\r\n"
            f"Content-Disposition: attachment; filename*=UTF-8''{quote(entry.name)}\r\n"
            f"Content-Length: {len(entry.data)}\r\n"
            f"Status: {entry.status}\r\n\r\n"
        )
        return b"".join((head.encode("ascii"), entry.data, b"\r\n"))

    def end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode("ascii")


class _Window(io.RawIOBase):
    """A file of which only the end is kept: what has been taken cannot be changed any more."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = 0
        self._kept = io.BytesIO()

    def take(self) -> bytes:
        """What has been written since the last time."""
        data = self._kept.getvalue()
        self._gone += len(data)
        self._kept = io.BytesIO()
        return data

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._gone + self._kept.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_SET:
            offset -= self._gone
        return self._gone + self._kept.seek(offset, whence)

    def write(self, data: object, /) -> int:
        return self._kept.write(data)  # type: ignore[arg-type]
