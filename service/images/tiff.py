"""What is accepted of TIFF, a container that can hold almost anything."""

from __future__ import annotations

import ctypes
import struct

from PIL import ExifTags, ImageFile, _imaging
from PIL.TiffImagePlugin import TiffImageFile

from service.errors import TooManyPixels, UnsupportedImage


def _silence() -> None:
    """Keep libtiff from writing what it thinks of a file to the standard error stream."""
    library = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        # Where Pillow has it built in, it cannot be reached.
        if function := getattr(library, name, None):
            function.argtypes, function.restype = (ctypes.c_void_p,), ctypes.c_void_p
            function(None)


_silence()

TILE_WIDTH, TILE_LENGTH = 322, 323
CODINGS = {
    "raw",
    "packbits",
    "tiff_lzw",
    "tiff_adobe_deflate",
    "tiff_deflate",
    "tiff_ccitt",
    "group3",
    "group4",
    "jpeg",
}
"""Pillow's names of the compressions that photos and scans use; each decoder more is one more
that hostile bytes could get at."""
MAX_VALUES = 2**18
"""In one tag: Pillow makes an object of each before the size of the picture is known."""
TEXTS = {1, 2, 7}
"""Types whose values stay together: bytes, text and what has no type."""
PLACES = {273, 279, 324, 325}
"""Tags that say where strips and tiles are, of whatever type."""
BITS = {1, 2, 4, 8, 16}


def check_directory(data: bytes) -> None:
    """Refuse a TIFF whose first page has a directory that is costly to read.

    What is too broken to tell passes.

    Raises:
        TooManyPixels: one of its tags has very many values.
    """
    order = "<" if data.startswith(b"II") else ">"
    big = b"+" in data[2:4]
    offset, count, entry = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    try:
        (start,) = struct.unpack_from(order + offset, data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + count, data, start)
        start += struct.calcsize(order + count)
        end = start + min(entries, len(data)) * struct.calcsize(order + entry)
        found = struct.iter_unpack(order + entry, data[start:end])
        most = max(n for tag, kind, n in found if kind not in TEXTS or tag in PLACES)
    except (struct.error, ValueError):
        return
    if most > MAX_VALUES:
        raise TooManyPixels(f"the TIFF has {most} values in one tag; the limit is {MAX_VALUES}")


def check_tiff(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Refuse, by the header of its first page alone, a TIFF that should not be decoded.

    Raises:
        UnsupportedImage: its compression or bit depth is not accepted.
        TooManyPixels: its tiles, which are decoded whole, are larger than a picture may be.
    """
    if not isinstance(image, TiffImageFile):
        return
    coding = image.info.get("compression")
    if coding not in CODINGS:
        raise UnsupportedImage(
            f"TIFF with the compression {coding} is not accepted: save it with LZW, Deflate, "
            "PackBits, JPEG or none"
        )
    bits = image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))
    if not set(bits) <= BITS:
        raise UnsupportedImage(
            f"TIFF with {max(bits)} bits a channel is not accepted: save it with 8 or 16"
        )
    width, length = image.tag_v2.get(TILE_WIDTH, 0), image.tag_v2.get(TILE_LENGTH, 0)
    if width * length > max_pixels:
        raise TooManyPixels(
            f"the TIFF has tiles of {width} x {length} = {width * length} pixels; "
            f"the limit is {max_pixels}"
        )
