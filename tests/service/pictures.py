"""Pictures of every kind, good and bad, as bytes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from isal import isal_zlib
from PIL import Image


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with some structure, like a photo as far as codecs care."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def noise(width: int, height: int) -> Image.Image:
    """What no codec makes small."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A valid PNG of zeros, one bit per pixel, small for its size."""
    return png(width, height, 1, zeros(height * (1 + (width + 7) // 8)))


def zeros(count: int) -> bytes:
    """So many zero bytes, compressed to a thousandth as quickly as they can be."""
    return isal_zlib.compress(bytes(count), 1)


def grey_png(values: np.ndarray, depth: int) -> bytes:
    """A greyscale PNG that stores the values as they are with 1, 2, 4 or 8 bits."""
    height, width = values.shape
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
    rows = np.packbits(bits.reshape(height, -1), axis=-1)
    return png(width, height, depth, zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))


def chunk(kind: bytes, body: bytes) -> bytes:
    """A part of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def png(width: int, height: int, depth: int, data: bytes) -> bytes:
    """A greyscale PNG around compressed rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_orientation(image: Image.Image, orientation: int, kind: str = "JPEG") -> bytes:
    """The picture stored so that a viewer that honours EXIF shows `image`."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = image if undo is None else image.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, kind, exif=exif)


def sixteen_bit_grey(width: int, height: int) -> tuple[bytes, np.ndarray]:
    """A 16-bit greyscale PNG and what it should look like with 8 bits."""
    values = np.linspace(0, 65535, width * height).reshape(height, width).astype(np.uint16)
    return encoded(Image.fromarray(values), "PNG"), (values >> 8).astype(np.uint8)


def animation(kind: str) -> bytes:
    """Two frames: the first red, the second blue."""
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def scan_bomb(scans: int) -> bytes:
    """A small progressive JPEG whose last scan is repeated."""
    data = encoded(photo(64, 48), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * scans + data[end:]


def bmp_header(width: int, height: int, bits: int, compression: int = 0) -> bytes:
    """A BMP without its pixels."""
    colours = bytes(4 << bits) if bits <= 8 else b""
    body = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    start = 14 + len(body) + len(colours)
    return struct.pack("<2sIHHI", b"BM", start, 0, 0, start) + body + colours


def film(kind: str, frames: int) -> bytes:
    """Frames of one colour each, the first (0, 90, 7)."""
    shades = [Image.new("RGB", (40, 30), (index * 37 % 251, 90, 7)) for index in range(frames)]
    options: dict[str, Any] = {"duration": 20} if kind != "TIFF" else {}
    return encoded(shades[0], kind, save_all=True, append_images=shades[1:], **options)
