"""The bytes of a picture, for readers that must not take them one by one."""

from __future__ import annotations

import io

from service.errors import TooManyPixels

FREE_READS = 4096
BYTES_PER_READ = 64
"""Of a large file on average; the smallest pieces that encoders write are a few kilobytes."""


class Reader(io.BytesIO):
    """A file in memory that refuses to be read in very many pieces.

    Pillow walks through markers, chunks and blocks in Python. Some megabytes of empty ones would
    keep it busy for seconds before the size of the picture is known.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._pieces = FREE_READS + len(data) // BYTES_PER_READ
        self._left = self._pieces

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file does.

        Raises:
            TooManyPixels: it has been read in too many pieces.
        """
        self._left -= 1
        if self._left < 0:
            raise TooManyPixels(
                f"the picture's file is in more than {self._pieces} pieces, most of them of no "
                "use; save it anew"
            )
        return super().read(size)
