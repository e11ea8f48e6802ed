"""Formats by allow-list, TIFF and BMP on the terms of the others, and never a second frame."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, WebPImagePlugin

from service.errors import RequestError, TooManyPixels, UndecodableImage, UnsupportedImage
from service.images.decode import decode
from service.images.formats import DEFAULT, FORMATS, FormatName, claimed, titles
from tests.service import pictures

LIMIT = 64_000_000
EVERY: tuple[FormatName, ...] = tuple(FORMATS)
PHOTO = pictures.photo(64, 40)
NAMES = pytest.mark.parametrize("name", EVERY)


def tiff(image: Image.Image = PHOTO, **options: Any) -> bytes:
    return pictures.encoded(image, "TIFF", **options)


def set_tag(data: bytes, tag: int, value: int, instead: int | None = None) -> bytes:
    """A little-endian TIFF with a tag of its first page set, instead of another if it is new."""
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    tags = [struct.unpack_from("<H", entry)[0] for entry in entries]
    entries[tags.index(instead or tag)] = struct.pack("<HHII", tag, 4, 1, value)
    body = b"".join(sorted(entries, key=lambda entry: struct.unpack_from("<H", entry)[0]))
    return data[: start + 2] + body + data[start + 2 + 12 * count :]


@NAMES
def test_what_is_not_on_the_list_is_named_and_what_is_accepted_too(name: FormatName) -> None:
    data = pictures.encoded(PHOTO, FORMATS[name].pillow)
    assert claimed(data) == name
    others = tuple(other for other in EVERY if other != name)
    with pytest.raises(UnsupportedImage) as caught:
        decode(data, LIMIT, formats=others)
    assert str(caught.value) == (
        f"{FORMATS[name].title} is not an accepted format: send {titles(others)}"
    )
    assert decode(data, LIMIT, formats=(name,)).width == 64


def test_no_decoder_of_another_format_sees_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    opened = Image.open

    def spy(file: io.BytesIO, formats: tuple[str, ...]) -> ImageFile.ImageFile:
        tried.append(formats)
        return opened(file, formats=formats)

    monkeypatch.setattr(Image, "open", spy)
    for name in EVERY:
        decode(pictures.encoded(PHOTO, FORMATS[name].pillow), LIMIT, formats=EVERY)
    with pytest.raises(UnsupportedImage):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0", LIMIT, formats=EVERY)
    assert tried == [(FORMATS[name].pillow,) for name in EVERY]


def test_tiff_only_on_request() -> None:
    with pytest.raises(UnsupportedImage, match="TIFF is not an accepted format"):
        decode(tiff(), LIMIT)
    assert "tiff" not in DEFAULT
    assert titles(DEFAULT) == "JPEG, PNG, WebP, GIF or BMP"
    assert titles(("png",)) == "PNG"


@pytest.mark.parametrize(
    "coding", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"]
)
def test_tiff_comes_through_exactly(coding: str) -> None:
    picture = decode(tiff(compression=coding), LIMIT, formats=EVERY)
    assert (picture.pixels == np.asarray(PHOTO)).all()


@pytest.mark.parametrize("coding", ["group3", "group4"])
def test_fax_codings_too(coding: str) -> None:
    image = PHOTO.convert("1")
    picture = decode(tiff(image, compression=coding), LIMIT, formats=EVERY)
    assert (picture.pixels == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_modes_are_converted(kind: str, mode: str) -> None:
    image = PHOTO.convert(mode)
    picture = decode(pictures.encoded(image, kind), LIMIT, formats=EVERY)
    assert (picture.pixels == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["LA", "PA", "CMYK"])
def test_modes_of_tiff_are_converted(mode: str) -> None:
    image = PHOTO.convert("RGB").convert(mode)
    picture = decode(tiff(image), LIMIT, formats=EVERY)
    assert (picture.pixels == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_of_tiff_are_scaled(order: str) -> None:
    values = np.linspace(0, 65535, 64 * 40).reshape(40, 64).astype(order)
    picture = decode(tiff(Image.fromarray(values)), LIMIT, formats=EVERY)
    assert (picture.pixels == (values >> 8).astype(np.uint8)[..., None]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_tiff_is_applied(orientation: int) -> None:
    data = pictures.with_orientation(PHOTO, orientation, "TIFF")
    picture = decode(data, LIMIT, formats=EVERY)
    assert (picture.width, picture.height) == (64, 40)
    assert (picture.pixels == np.asarray(PHOTO)).all()
    small = decode(data, LIMIT, 17, EVERY)
    assert (small.width, small.height) == (64, 40)
    assert small.image.size == (22, 14)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (tiff(compression="lzma"), UnsupportedImage, "compression lzma is not accepted"),
        (tiff(compression="zstd"), UnsupportedImage, "compression zstd is not accepted"),
        (tiff(PHOTO.convert("L").convert("I")), UnsupportedImage, "32 bits a channel"),
        (tiff(PHOTO.convert("L").convert("F")), UnsupportedImage, "32 bits a channel"),
        (tiff(Image.new("LAB", (9, 9))), UnsupportedImage, "TIFF of mode LAB"),
        (set_tag(tiff(), 256, 30_000), UndecodableImage, "TIFF picture is broken"),
        (set_tag(set_tag(tiff(), 256, 9_000), 257, 8_000), TooManyPixels, "9000 x 8000 = 72000000"),
        (set_tag(set_tag(tiff(), 256, 2**31), 257, 2**31), TooManyPixels, "the limit is 64000000"),
        (set_tag(tiff(), 256, 0), UndecodableImage, "broken"),
        (tiff()[:-3], UndecodableImage, "broken"),
        (tiff(compression="tiff_lzw")[:200], UndecodableImage, "broken"),
        (tiff()[:7], UndecodableImage, "header"),
        (b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 99, UndecodableImage, "broken"),
        (pictures.encoded(PHOTO, "BMP")[:100], UndecodableImage, "BMP picture is broken"),
        (pictures.encoded(PHOTO, "BMP")[:20], UndecodableImage, "header"),
        (pictures.bmp_header(30_000, 30_000, 1), TooManyPixels, "the limit is 64000000"),
        (pictures.bmp_header(9_000, -8_000, 1), TooManyPixels, "9000 x 8000"),
        (pictures.bmp_header(8_000, 8_000, 1), UndecodableImage, "broken"),
        (pictures.bmp_header(100, 100, 8, compression=1), UnsupportedImage, "run lengths"),
        (pictures.bmp_header(100, 100, 4, compression=2), UnsupportedImage, "run lengths"),
        (pictures.bmp_header(100, 100, 24, compression=4), UndecodableImage, "header"),
    ],
)
def test_what_should_not_be_decoded_is_not(
    data: bytes, error: type[RequestError], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=message):
        decode(data, LIMIT, formats=EVERY)
    assert capfd.readouterr() == ("", ""), "neither Python nor a C library says a word"


def test_tiles_count_as_pixels() -> None:
    """A picture of one pixel in a tile of 30,000 x 30,000, which would be decoded whole."""
    wide = set_tag(tiff(compression="tiff_lzw"), 322, 30_000, instead=278)
    tiled = set_tag(wide, 323, 30_000, instead=284)
    with pytest.raises(TooManyPixels, match="tiles of 30000 x 30000"):
        decode(tiled, LIMIT, formats=EVERY)


@pytest.mark.parametrize(
    ("kind", "frames", "decoders"),
    [
        ("GIF", 2000, ["gif"]),
        # Which hands over whole frames.
        ("WEBP", 60, ["webp", "raw"]),
        ("PNG", 60, ["zip"]),
        ("TIFF", 200, ["raw"]),
    ],
)
def test_only_the_first_frame_is_decoded(
    kind: str, frames: int, decoders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures.film(kind, frames)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == frames
    decoded: list[str] = []
    make = Image._getdecoder
    following = WebPImagePlugin.WebPImageFile._get_next

    def counted(mode: str, name: str, *rest: Any) -> Any:
        decoded.append(name)
        return make(mode, name, *rest)

    def counted_webp(image: WebPImagePlugin.WebPImageFile) -> Any:
        decoded.append("webp")
        return following(image)

    monkeypatch.setattr(Image, "_getdecoder", counted)
    monkeypatch.setattr(WebPImagePlugin.WebPImageFile, "_get_next", counted_webp)
    picture = decode(data, LIMIT, formats=EVERY)
    assert decoded == decoders
    assert np.abs(picture.pixels.astype(int) - (0, 90, 7)).max() <= 4


def read_all(data: bytes) -> None:
    image = Image.open(io.BytesIO(data))
    for index in range(3):
        image.seek(index)
        image.load()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF"])
def test_frames_behind_the_first_may_be_rubbish(kind: str) -> None:
    data = pictures.film(kind, 3)
    end = data.rindex(b"fcTL") if kind == "PNG" else len(pictures.film(kind, 1))
    broken = data[: end + 40] + b"\xff" * (len(data) - end - 40)
    with pytest.raises((OSError, EOFError, SyntaxError, ValueError)):
        read_all(broken)
    assert decode(broken, LIMIT, formats=EVERY).width == 40


def test_damaged_bytes_raise_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    goods = [
        tiff(),
        tiff(compression="tiff_lzw"),
        tiff(compression="jpeg"),
        pictures.film("TIFF", 3),
    ]
    goods += [tiff(PHOTO.convert("1"), compression="group4"), pictures.encoded(PHOTO, "BMP")]
    outcomes = set()
    for good in goods:
        for _ in range(150):
            data = bytearray(good)
            for position in rng.integers(0, len(data), 3):
                data[position] = rng.integers(0, 256)
            for position in rng.integers(0, 60, 2):
                data[-position] = rng.integers(0, 256)
            try:
                decode(bytes(data), LIMIT, 17, EVERY)
                outcomes.add("decoded")
            except RequestError as error:
                outcomes.add(type(error).__name__)
    assert {"decoded", "UndecodableImage"} <= outcomes
    assert capfd.readouterr() == ("", "")
