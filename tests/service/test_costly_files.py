"""Files that are small or plain and made to cost time or memory before they are decoded."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.errors import TooManyPixels, UndecodableImage
from service.images.decode import allow_pixels, decode
from service.images.formats import FORMATS, FormatName
from service.images.webp import webp_size
from tests.service import pictures

LIMIT = 64_000_000
EVERY: tuple[FormatName, ...] = tuple(FORMATS)
PHOTO = pictures.photo(64, 40)
SIZE = 2**20
GIF_PHOTO = pictures.encoded(PHOTO, "GIF")
PIECES = {
    "JPEG": (2, b"\xff\xfe\0\2"),
    "JPEG fill": (2, b"\xff"),
    "PNG": (33, pictures.chunk(b"tEXt", b"")),
    "PNG data": (33, pictures.chunk(b"IDAT", b"")),
    "PNG end": (-12, pictures.chunk(b"tEXt", b"")),
    "GIF": (GIF_PHOTO.index(b"\x2c\0\0\0\0"), b"\x21\xfe\0"),
}


@pytest.mark.parametrize("name", PIECES)
def test_a_file_in_very_many_pieces_is_refused(name: str) -> None:
    """Each piece is a turn of a loop in Python, millions of them in an upload."""
    start, piece = PIECES[name]
    good = pictures.encoded(PHOTO, name.split()[0])

    def with_pieces(count: int) -> bytes:
        return good[:start] + piece * count + good[start:]

    assert decode(with_pieces(500), LIMIT).width == 64
    with pytest.raises(TooManyPixels, match=r"in more than \d+ pieces"):
        decode(with_pieces(SIZE // len(piece)), LIMIT)


def test_large_honest_files_are_not_in_too_many_pieces() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        data = pictures.encoded(Image.fromarray(noise), kind)
        assert decode(data, LIMIT, formats=EVERY).width == 900


def strips(count: int, kind: int, big: bool = False) -> bytes:
    """A TIFF of one page whose strips are said to be at so many places."""
    entries = [(256, 4, 1, 64), (257, 4, 1, 48), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, kind, count, 400), (278, 4, 1, 1), (279, 4, 1, 64)]
    if big:
        head = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, len(entries))
        body = b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + bytes(8)
    else:
        head = b"II*\0" + struct.pack("<IH", 8, len(entries))
        body = b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return (head + body).ljust(400, b"\0") + bytes(8 * count)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", [1, 3, 4, 7])
def test_a_directory_of_very_many_values_is_refused(kind: int, big: bool) -> None:
    with pytest.raises(TooManyPixels, match="300000 values in one tag; the limit is 262144"):
        decode(strips(300_000, kind, big), LIMIT, formats=EVERY)
    with suppress(UndecodableImage):
        decode(strips(10, kind, big), LIMIT, formats=EVERY)


WEBPS = {
    "lossy": pictures.encoded(PHOTO, "WEBP"),
    "lossless": pictures.encoded(PHOTO, "WEBP", lossless=True),
    "alpha": pictures.encoded(PHOTO.convert("RGBA"), "WEBP", exif=Image.Exif()),
    "film": pictures.film("WEBP", 3),
}


@pytest.mark.parametrize("name", WEBPS)
def test_the_size_of_a_webp_is_known_before_libwebp_sees_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = WEBPS[name]
    assert webp_size(data) == Image.open(io.BytesIO(data)).size
    assert webp_size(data[:20] if data[12:16] != b"VP8L" else data[:12]) in ((0, 0), (1, 1))

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Image, "open", never)
    with pytest.raises(TooManyPixels, match="the limit is 1000"):
        decode(data, 1000)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_a_picture_that_is_all_one_colour_is_refused_by_its_size(kind: str) -> None:
    coding = {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}
    data = pictures.encoded(Image.new("1", (13_000, 13_000)), kind, **coding)
    assert len(data) < 500_000
    with pytest.raises(TooManyPixels, match="the limit is"):
        decode(data, LIMIT, formats=EVERY)


def test_pillow_s_own_limit_is_never_below_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    data = pictures.encoded(PHOTO, "PNG")
    for height in (40, 80):  # where Pillow warns, and where it raises
        picture = pictures.encoded(pictures.photo(64, height), "PNG")
        with pytest.raises(TooManyPixels, match="more than 2000 pixels; the limit is 9000"):
            decode(picture, 9000)
    allow_pixels(9000)
    assert decode(data, 9000).width == 64
    allow_pixels(100)
    assert Image.MAX_IMAGE_PIXELS == 9000
