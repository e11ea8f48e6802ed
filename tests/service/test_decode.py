"""Uploads of every kind become upright RGB, or an error that says why."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from service.errors import (
    MalformedRequest,
    RequestError,
    TooManyPixels,
    UndecodableImage,
    UnsupportedImage,
)
from service.images.decode import decode
from tests.service import pictures

LIMIT = 64_000_000


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_lossless_formats_come_through_exactly(kind: str) -> None:
    image = pictures.photo(40, 30).quantize(64).convert("RGB")
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = decode(pictures.encoded(image, kind, **options), LIMIT)
    assert (picture.width, picture.height) == (40, 30)
    assert (picture.pixels == np.asarray(image)).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_modes_are_converted(mode: str) -> None:
    image = pictures.photo(40, 30).convert(mode)
    picture = decode(pictures.encoded(image, "PNG"), LIMIT)
    assert (picture.pixels == np.asarray(image.convert("RGB"))).all()


def test_cmyk_jpeg_is_converted() -> None:
    image = pictures.photo(64, 48)
    picture = decode(pictures.encoded(image.convert("CMYK"), "JPEG", quality=95), LIMIT)
    assert np.abs(picture.pixels.astype(int) - np.asarray(image)).mean() < 4


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    data, expected = pictures.sixteen_bit_grey(64, 48)
    picture = decode(data, LIMIT)
    assert (picture.pixels == expected[..., None]).all()
    assert picture.pixels.min() == 0
    assert picture.pixels.max() == 255


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 10, 10))
    pixels = decode(pictures.encoded(image, "PNG"), LIMIT).pixels
    assert (pixels[:, :10] == (255, 0, 0)).all()
    assert (pixels[:, 10:] == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    red, _, blue = decode(pictures.animation(kind), LIMIT).pixels.mean((0, 1))
    assert red > 240
    assert blue < 15


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    image = pictures.photo(64, 40)
    picture = decode(pictures.with_orientation(image, orientation, kind), LIMIT)
    assert (picture.width, picture.height) == (64, 40)
    assert np.abs(picture.pixels.astype(int) - np.asarray(image)).mean() < 6


def test_orientation_of_grey_with_alpha_survives_the_conversion() -> None:
    image = pictures.photo(64, 40).convert("LA")
    picture = decode(pictures.with_orientation(image, 6, "PNG"), LIMIT)
    assert (picture.width, picture.height) == (64, 40)
    assert (picture.pixels == np.asarray(image.convert("RGB"))).all()


def test_large_jpegs_are_decoded_at_a_fraction() -> None:
    image = pictures.photo(4000, 3000)
    picture = decode(pictures.encoded(image, "JPEG"), LIMIT, enough=513)
    assert (picture.width, picture.height) == (4000, 3000)
    assert 513 <= picture.image.width <= 1026
    whole = decode(pictures.encoded(image, "JPEG"), LIMIT)
    assert whole.image.size == (4000, 3000)
    shrunk = np.asarray(whole.image.resize(picture.image.size, Image.Resampling.BILINEAR))
    assert np.abs(shrunk.astype(int) - picture.pixels).mean() < 2


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_fraction_keeps_a_thin_picture_alive(orientation: int) -> None:
    stored = pictures.with_orientation(pictures.photo(5000, 20), orientation)
    picture = decode(stored, LIMIT, enough=513)
    assert (picture.width, picture.height) == (5000, 20)
    assert min(picture.image.size) >= 1


def test_size_is_refused_from_the_header() -> None:
    data = pictures.bomb(9_000, 8_000)
    assert len(data) < 15_000
    with pytest.raises(
        TooManyPixels, match=r"9000 x 8000 = 72000000 pixels; the limit is 64000000"
    ):
        decode(data, LIMIT)
    with pytest.raises(TooManyPixels, match=r"more than \d+ pixels; the limit is 64000000"):
        decode(pictures.bomb(30_000, 30_000), LIMIT)
    with pytest.raises(TooManyPixels, match="the limit is 100"):
        decode(pictures.encoded(pictures.photo(11, 10), "PNG"), 100)


def test_a_jpeg_made_to_cost_time_is_refused() -> None:
    with pytest.raises(TooManyPixels, match=r"coded in \d+ scans; the limit is 100"):
        decode(pictures.scan_bomb(200), LIMIT)
    progressive = pictures.encoded(pictures.photo(64, 48), "JPEG", progressive=True)
    assert decode(progressive, LIMIT).width == 64


def test_a_film_behind_a_photo_does_no_harm() -> None:
    """Phones append a film to a JPEG, whose bytes may look like anything."""
    photo = pictures.encoded(pictures.photo(64, 48), "JPEG")
    assert decode(photo + b"\xff\xda" * 200, LIMIT).width == 64


def test_metadata_stays_behind_and_the_colour_profile_comes_along() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = pictures.photo(64, 48)
    data = pictures.encoded(image, "JPEG", comment="secret place", icc_profile=profile)
    assert decode(data, LIMIT).image.info == {"icc_profile": profile}
    grey = pictures.encoded(image.convert("L"), "JPEG", icc_profile=profile)
    assert decode(grey, LIMIT).image.info == {}
    text = PngImagePlugin.PngInfo()
    text.add_text("icc_profile", "x")
    text.add_text("comment", "x" * 70_000)
    assert decode(pictures.encoded(image, "PNG", pnginfo=text), LIMIT).image.info == {}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_large_pictures_come_out_reduced(mode: str) -> None:
    image = pictures.photo(1700, 900).convert(mode)
    picture = decode(pictures.encoded(image, "PNG", compress_level=1), LIMIT, enough=513)
    assert (picture.width, picture.height) == (1700, 900)
    whole = decode(pictures.encoded(image, "PNG", compress_level=1), LIMIT)
    small = whole.image.resize(picture.image.size, Image.Resampling.BILINEAR)
    assert picture.image.width == (1700 if mode == "P" else 567)
    assert np.abs(np.asarray(small, int) - picture.pixels).mean() < 1.5


JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG", quality=95)
PNG = pictures.encoded(pictures.photo(64, 48), "PNG")
BROKEN: list[tuple[bytes, type[RequestError], str]] = [
    (b"", MalformedRequest, "empty"),
    (b"hello, I am a text file", UnsupportedImage, "JPEG, PNG, WebP, GIF or BMP"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedImage, "accepted format"),
    (b"RIFF\x24\0\0\0WAVEfmt ", UnsupportedImage, "accepted format"),
    (b"RIFF\x24\0\0\0WEBPVP8 ", UndecodableImage, "broken"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", UnsupportedImage, "accepted format"),
    (pictures.encoded(pictures.photo(9, 9), "TIFF"), UnsupportedImage, "accepted format"),
    (JPEG[: len(JPEG) // 2], UndecodableImage, "JPEG picture is broken"),
    (PNG[: len(PNG) // 2], UndecodableImage, "PNG picture is broken"),
    (JPEG[:10], UndecodableImage, "header"),
    (PNG[:20], UndecodableImage, "header"),
    (b"GIF89a", UndecodableImage, "header"),
    (PNG[:60] + b"\0" * 40 + PNG[100:], UndecodableImage, "broken"),
]


@pytest.mark.parametrize(("data", "error", "message"), BROKEN)
def test_what_is_no_picture_is_explained(
    data: bytes, error: type[RequestError], message: str
) -> None:
    with pytest.raises(error, match=message):
        decode(data, LIMIT)


def test_odd_exif_does_not_cost_the_picture() -> None:
    """A tag whose value lies outside the file: the picture is turned all the same."""
    good = pictures.with_orientation(pictures.photo(64, 40), 6)
    start = good.index(b"\xff\xe1")
    length = struct.unpack(">H", good[start + 2 : start + 4])[0]
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x011A, 5, 9, 2**31)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    picture = decode(good[:start] + segment + good[start + 2 + length :], LIMIT)
    assert (picture.width, picture.height) == (64, 40)


def test_damaged_bytes_raise_nothing_else() -> None:
    """Every byte flipped or cut somewhere: a picture or a RequestError, never another error."""
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        good = pictures.encoded(pictures.photo(48, 32).convert("RGB"), kind)
        for _ in range(150):
            data = bytearray(good)
            for position in rng.integers(0, len(data), 3):
                data[position] = rng.integers(0, 256)
            if rng.random() < 0.3:
                data = data[: rng.integers(1, len(data))]
            try:
                decode(bytes(data), LIMIT, enough=17)
            except RequestError:
                continue
