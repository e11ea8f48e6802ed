"""Masks as PNG, with a faster deflate than Pillow's.

Class ids come in long runs that change little from row to row, so that what is left of a mask
after PNG's `Up` filter is nearly all zeros: ISA-L compresses that at several gigabytes a second,
about ten times as fast as Pillow writes the same picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from service.contract import Colour

SIGNATURE = b"\x89PNG\r\n\x1a\n"
EIGHT_BITS, GREY, PALETTE = 8, 0, 3
UP = 2
LEVEL = 1


def palette_png(ids: NDArray[np.uint8], palette: Sequence[Colour]) -> bytes:
    """An 8-bit palette PNG.

    Args:
        ids: a mask [H, W].
        palette: RGB of each id, at least as many as occur.
    """
    colours = bytes(channel for colour in palette for channel in colour)
    return _png(ids, PALETTE, _chunk(b"PLTE", colours))


def grey_png(values: NDArray[np.uint8]) -> bytes:
    """An 8-bit greyscale PNG of values [H, W]."""
    return _png(values, GREY)


def _png(values: NDArray[np.uint8], colour_type: int, *chunks: bytes) -> bytes:
    height, width = values.shape
    rows = np.empty((height, width + 1), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = values[0]
    np.subtract(values[1:], values[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, EIGHT_BITS, colour_type, 0, 0, 0)
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            *chunks,
            _chunk(b"IDAT", isal_zlib.compress(rows, LEVEL)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))
