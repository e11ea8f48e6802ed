"""What is accepted of TIFF, a container that can hold almost anything."""

from __future__ import annotations

import ctypes

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
BITS = {1, 2, 4, 8, 16}


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
