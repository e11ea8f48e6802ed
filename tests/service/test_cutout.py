"""Cut-outs pixel by pixel, and what they must not give away."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from service.images.cutout import Background, cut_out, parse_background
from service.images.encode import encode_photo
from tests.service import pictures

SIZE = (120, 90)
WANTED = np.zeros(SIZE[::-1], bool)
WANTED[30:60, 20:70] = True


def test_all_else_is_transparent_and_holds_nothing_of_the_photo() -> None:
    photo = pictures.photo(*SIZE)
    result = cut_out(photo, WANTED, "transparent")
    assert result.mode == "RGBA"
    pixels = np.asarray(result)
    assert (pixels[WANTED, :3] == np.asarray(photo)[WANTED]).all()
    assert (pixels[WANTED, 3] == 255).all()
    assert (pixels[~WANTED] == 0).all()


def test_a_colour_stands_behind() -> None:
    photo = pictures.photo(*SIZE)
    pixels = np.asarray(cut_out(photo, WANTED, (9, 200, 30)))
    assert (pixels[WANTED] == np.asarray(photo)[WANTED]).all()
    assert (pixels[~WANTED] == (9, 200, 30)).all()


@pytest.mark.parametrize("size", [SIZE, (2600, 1700), (1, 1), (3000, 2)])
def test_the_background_is_out_of_focus(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
    wanted = np.zeros(size[::-1], bool)
    wanted[: size[1] // 3] = True
    result = cut_out(photo, wanted, "blur")
    assert result.size == size
    pixels = np.asarray(result, float)
    assert (pixels[wanted] == np.asarray(photo)[wanted]).all()
    if min(size) > 50:
        assert pixels[~wanted].std() < 0.2 * np.asarray(photo, float)[~wanted].std()
        assert abs(pixels[~wanted].mean() - 127.5) < 5


@pytest.mark.parametrize("background", ["transparent", "blur", (0, 0, 255)])
def test_a_feathered_edge_is_soft_and_stays_where_it_was(background: Background) -> None:
    photo = Image.new("RGB", SIZE, (255, 255, 255))
    pixels = np.asarray(cut_out(photo, WANTED, background, feather=3))
    assert (pixels[40:50, 35:55] == 255).all(), "far inside"
    channel = pixels[45, :, 3 if background == "transparent" else 0].astype(int)
    if background != "blur":
        assert channel[0] == 0, "far outside"
        assert 0 < channel[18] < channel[20] < channel[23] < 255
        assert abs(int(channel[19]) + int(channel[20]) - 255) < 12, "half-way at the edge"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_written_cut_outs_keep_their_transparency(kind: str) -> None:
    result = cut_out(pictures.photo(*SIZE), WANTED, "transparent")
    written = Image.open(io.BytesIO(encode_photo(result, f"image/{kind.lower()}")))
    assert written.format == kind
    alpha = np.asarray(written.convert("RGBA"))[..., 3]
    assert (alpha == np.where(WANTED, 255, 0)).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("transparent", "transparent"),
        ("blur", "blur"),
        ("#20a0Ff", (32, 160, 255)),
        ("000000", (0, 0, 0)),
    ],
)
def test_backgrounds_are_read(text: str, expected: Background) -> None:
    assert parse_background(text) == expected


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345g", "#1234567", "Blur", "#123456\n"])
def test_what_is_no_background_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="none of transparent, blur and #rrggbb"):
        parse_background(text)
