"""Pictures made by somebody who means harm: real files, changed where it hurts."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from tests.service import pictures

SIZES = (0, 1, 2, 255, 1000, 13_000, 32_767, 32_768, 65_500, 65_535)
HOSTILE = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
Change = Callable[[bytes], bytes]


@cache
def seeds() -> dict[str, bytes]:
    """One small good file of every kind that the decoders tell apart."""
    photo = pictures.photo(48, 32)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 200, zip=True)
    text.add_itxt("title", "y" * 200, zip=True)
    alpha = photo.convert("RGBA")
    alpha.putalpha(photo.convert("L"))
    made = {
        "jpeg": pictures.encoded(photo, "JPEG"),
        "jpeg progressive": pictures.encoded(photo, "JPEG", progressive=True),
        "jpeg cmyk": pictures.encoded(photo.convert("CMYK"), "JPEG"),
        "jpeg grey": pictures.encoded(photo.convert("L"), "JPEG", restart_marker_blocks=1),
        "jpeg exif": pictures.with_orientation(photo, 6),
        "jpeg profile": pictures.encoded(photo, "JPEG", icc_profile=profile, comment="c"),
        "png text": pictures.encoded(photo, "PNG", pnginfo=text, icc_profile=profile),
        "png exif": pictures.with_orientation(photo, 5, "PNG"),
        "png 16 bits": pictures.sixteen_bit_grey(48, 32)[0],
        "png animated": pictures.encoded(photo, "PNG", save_all=True, append_images=[alpha]),
        "png palette": pictures.encoded(photo.quantize(7), "PNG", transparency=3),
        "webp": pictures.encoded(photo, "WEBP", icc_profile=profile),
        "webp lossless": pictures.encoded(alpha, "WEBP", lossless=True),
        "webp exif": pictures.with_orientation(photo, 3, "WEBP"),
        "webp animated": pictures.animation("WEBP"),
        "gif": pictures.encoded(photo.quantize(16), "GIF", transparency=2),
        "gif animated": pictures.animation("GIF"),
        "bmp palette": pictures.encoded(photo.quantize(16), "BMP"),
        "bmp": pictures.encoded(photo, "BMP"),
        "mpo": pictures.encoded(photo, "MPO", save_all=True, append_images=[photo]),
    }
    made |= {f"png {mode}": pictures.encoded(photo.convert(mode), "PNG") for mode in ("1", "LA")}
    made |= {
        f"tiff {kind}": pictures.encoded(photo, "TIFF", compression=kind)
        for kind in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    }
    return made


def checksummed(data: bytes) -> bytes:
    """A PNG whose checksums fit again, so that a change gets past them to the decoder."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, position = io.BytesIO(), 8
    out.write(data[:8])
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + length]
        if len(body) < length + 4 or position + 12 + length > len(data):
            break
        out.write(data[position : position + 4] + body + struct.pack(">I", zlib.crc32(body)))
        position += 12 + length
    return out.getvalue() + data[position:]


def resized(data: bytes, width: int, height: int) -> bytes:
    """The same file with another size in its header."""
    changed = bytearray(data)
    if data.startswith(b"\x89PNG"):
        struct.pack_into(">II", changed, 16, width, height)
    elif data.startswith(b"\xff\xd8"):
        for found in re.finditer(rb"\xff[\xc0-\xc2]\0[\x0b-\x14]\x08", data):
            struct.pack_into(">HH", changed, found.start() + 5, height & 0xFFFF, width & 0xFFFF)
    elif data.startswith(b"GIF8"):
        struct.pack_into("<HH", changed, 6, width & 0xFFFF, height & 0xFFFF)
        if (frame := data.find(b",", 13)) > 0 and frame + 9 < len(data):
            struct.pack_into("<HH", changed, frame + 5, width & 0xFFFF, height & 0xFFFF)
    elif data.startswith(b"BM") and len(data) > 26:
        struct.pack_into("<II", changed, 18, width, height)
    elif (at := data.find(b"VP8X")) > 0 and at + 18 <= len(data):
        sizes = struct.pack("<I", width & 0xFFFFFF)[:3] + struct.pack("<I", height & 0xFFFFFF)[:3]
        changed[at + 12 : at + 18] = sizes
    elif data.startswith(b"II*\0"):
        for tag, side in ((256, width), (257, height)):
            if (at := data.find(struct.pack("<H", tag))) > 0 and at + 12 <= len(data):
                struct.pack_into("<I", changed, at + 8, side)
    return bytes(changed)


@st.composite
def exif(draw: st.DrawFn) -> bytes:
    """EXIF with lies about types, counts and places."""
    order = draw(st.sampled_from("<>"))
    number = st.one_of(st.sampled_from(HOSTILE), st.integers(0, 2**32 - 1))
    entries = draw(st.lists(st.tuples(st.sampled_from((0x0112, 0x8769, 0x8825, 0x010F, 0x927C)),
                                      st.integers(0, 14), number, number), max_size=6))  # fmt: skip
    body = struct.pack(order + "H", draw(st.sampled_from((len(entries), 0, 0xFFFF))))
    body += b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    head = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + head + struct.pack(order + "I", draw(number)) + body


@st.composite
def with_metadata(draw: st.DrawFn) -> bytes:
    """A good picture with hostile EXIF or a hostile colour profile."""
    kind = draw(st.sampled_from(("JPEG", "PNG", "WEBP")))
    image = Image.new("RGB", (24, 16), "green")
    blob = draw(st.one_of(exif(), st.binary(max_size=300)))
    if draw(st.booleans()):
        return pictures.encoded(image, kind, icc_profile=blob)
    return pictures.encoded(image, kind, exif=blob)


@st.composite
def changes(draw: st.DrawFn, size: int) -> Change:
    """One change to a file of so many bytes."""
    at = draw(st.integers(0, max(0, size - 1)))
    length = draw(st.integers(1, 64))
    other = draw(st.sampled_from(sorted(seeds())))
    number = draw(st.sampled_from(HOSTILE))
    format_ = draw(st.sampled_from(("B", ">H", "<H", ">I", "<I")))
    field = struct.pack(format_, number % 256 ** struct.calcsize(format_))
    noise = draw(st.binary(min_size=1, max_size=8))
    return draw(
        st.sampled_from(
            (
                lambda data: data[:at] + field + data[at + len(field) :],
                lambda data: data[:at] + noise + data[at + len(noise) :],
                lambda data: data[:at],
                lambda data: data[:at] + data[at + length :],
                lambda data: data[:at] + data[at : at + length] * 50 + data[at:],
                lambda data: data[:at] + seeds()[other][at:],
                lambda data: data + seeds()[other],
                lambda data: data[:at] + bytes(length * 100) + data[at:],
            )
        )
    )


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good file with up to four changes, or another size in its header, or both."""
    data = seeds()[draw(st.sampled_from(sorted(seeds())))]
    if draw(st.booleans()):
        width, height = draw(st.sampled_from(SIZES)), draw(st.sampled_from(SIZES))
        data = resized(data, width, height)
    for change in draw(st.lists(changes(len(data)), max_size=4)):
        data = change(data)
    return checksummed(data) if draw(st.booleans()) else data


def uploads() -> st.SearchStrategy[bytes]:
    """Anything that somebody may send as a picture."""
    names = st.sampled_from(sorted(seeds()))
    start = names.map(lambda name: seeds()[name][:12])
    headed = st.builds(bytes.__add__, start, st.binary(max_size=200))
    return st.one_of(damaged(), damaged(), damaged(), with_metadata(), headed)
