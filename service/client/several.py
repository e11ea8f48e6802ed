"""Several pictures in one request, and their answers, as ZIP files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import TypeVar

from service.client.errors import ProblemError

T = TypeVar("T")

ARCHIVE = "application/zip"
MANIFEST = "manifest.json"


def pack(files: Sequence[bytes]) -> bytes:
    """Pictures in one file, in their order and as they are: they are compressed already."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, data in enumerate(files):
            archive.writestr(f"{index:06}", data)
    return buffer.getvalue()


def unpack(data: bytes, read: Callable[[bytes], T]) -> list[T | ProblemError]:
    """The answer, or the problem, of each picture in their order.

    Args:
        data: the answer to all of them.
        read: reads that to one.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        listed = json.loads(archive.read(MANIFEST))["pictures"]
        return [
            ProblemError(entry["status"], entry["reason"], entry["detail"])
            if entry["reason"]
            else read(archive.read(entry["answer"]))
            for entry in listed
        ]
