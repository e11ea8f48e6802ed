"""Pictures in a ZIP, taken out one by one and never written anywhere."""

from __future__ import annotations

import io
import zipfile

from service.errors import MalformedRequest, TooManyBytes, TooManyPictures, UndecodableImage
from service.limits import Limits

BEGINS = b"PK\x03\x04", b"PK\x05\x06"
ENTRY = b"PK\x01\x02"
ENTRIES_PER_PICTURE = 4
"""Folders and what some systems add for themselves are entries too."""
ENCRYPTED = 0x1
KNOWN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Compressions whose decoder needs little memory whatever it is given."""


class Archive:
    """The pictures of a ZIP, in its order."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        """Read the directory; nothing is unpacked.

        Raises:
            MalformedRequest: it is no ZIP that can be read, or holds no file.
            TooManyPictures: more than the limit.
            TooManyBytes: they would be larger than the limit once unpacked.
        """
        self._limits = limits
        if data.count(ENTRY) > ENTRIES_PER_PICTURE * limits.pictures:
            raise too_many(limits.pictures)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except MemoryError:
            raise
        except Exception as error:  # what zipfile raises on hostile bytes is not a closed list
            raise MalformedRequest(f"the ZIP cannot be read: {error}") from error
        self._entries = [entry for entry in self._zip.infolist() if _is_picture(entry)]
        if not self._entries:
            raise MalformedRequest("the ZIP holds no file")
        if len(self._entries) > limits.pictures:
            raise too_many(limits.pictures)
        total = sum(entry.file_size for entry in self._entries)
        if total > limits.bytes:
            raise TooManyBytes(
                f"the files of the ZIP have {total} bytes; the limit is {limits.bytes}"
            )

    @property
    def names(self) -> list[str]:
        """As the ZIP has them: not to be trusted."""
        return [entry.filename for entry in self._entries]

    def size(self, index: int) -> int:
        """Bytes of a file once it is unpacked, at most."""
        return self._entries[index].file_size

    def read(self, index: int) -> bytes:
        """Unpack one file.

        Raises:
            TooManyBytes: it is larger than a picture may be.
            UndecodableImage: it cannot be unpacked.
        """
        entry = self._entries[index]
        if entry.file_size > self._limits.picture_bytes:
            raise too_large(self._limits.picture_bytes)
        if entry.flag_bits & ENCRYPTED:
            raise UndecodableImage("the file is encrypted")
        if entry.compress_type not in KNOWN:
            raise UndecodableImage("the file is packed by another method than Deflate")
        try:
            # ZipFile.read() unpacks all there is before it cuts it to the size that was told.
            with self._zip.open(entry) as file:
                return file.read(entry.file_size)
        except MemoryError:
            raise
        except Exception as error:
            raise UndecodableImage("the file is broken: it cannot be unpacked") from error


def too_many(limit: int) -> TooManyPictures:
    return TooManyPictures(f"the request brings more than {limit} pictures, which is the limit")


def too_large(limit: int) -> TooManyBytes:
    return TooManyBytes(f"the picture is larger than the limit of {limit} bytes")


def _is_picture(entry: zipfile.ZipInfo) -> bool:
    """Whether it is a file that somebody put there, and no folder or a system's own."""
    *folders, name = entry.filename.split("/")
    return bool(name) and not name.startswith(".") and "__MACOSX" not in folders
