"""The size of a WebP, read before libwebp is given the file."""

from __future__ import annotations


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height that a WebP says it has; (0, 0) where it says nothing.

    libwebp's decoder asks the system for eight bytes a pixel as soon as it is made, which is two
    gigabytes of addresses for a file of a few bytes, and Pillow makes it to read the header.
    """
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + _number(data[24:27]), 1 + _number(data[27:30])
    if kind == b"VP8L":
        bits = _number(data[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return _number(data[26:28]) & 0x3FFF, _number(data[28:30]) & 0x3FFF
    return 0, 0


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
