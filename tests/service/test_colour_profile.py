"""The colour profile of a photo, without which its colours are others, in what is made of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.images.cutout import Background, cut_out
from service.images.decode import decode
from service.images.encode import OVERLAY_TYPES, blend, encode_photo
from tests.service import pictures

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIZE = (24, 32)


def photo(profile: bytes | None) -> Image.Image:
    """A decoded photo."""
    return decode(
        pictures.encoded(pictures.photo(32, 24), "JPEG", icc_profile=profile), 10_000
    ).image


def profile_of(data: bytes) -> bytes | None:
    found: bytes | None = Image.open(io.BytesIO(data)).info.get("icc_profile")
    return found


@pytest.mark.parametrize("media_type", OVERLAY_TYPES)
@pytest.mark.parametrize("profile", [PROFILE, None], ids=["with", "without"])
def test_an_overlay_has_the_photo_s(media_type: str, profile: bytes | None) -> None:
    ids = np.zeros(SIZE, np.uint8)
    drawn = blend(photo(profile), ids, [(255, 0, 0)], 0.5, {0})
    assert profile_of(encode_photo(drawn, media_type)) == profile


def test_a_picture_that_is_transparent_in_places_keeps_it() -> None:
    file = pictures.encoded(pictures.photo(32, 24).convert("RGBA"), "PNG", icc_profile=PROFILE)
    assert decode(file, 10_000).image.info == {"icc_profile": PROFILE}


@pytest.mark.parametrize(
    ("background", "media_type"),
    [
        ("transparent", "image/png"),
        ("transparent", "image/webp"),
        ("blur", "image/jpeg"),
        ((0, 0, 255), "image/jpeg"),
    ],
)
def test_a_cut_out_has_the_photo_s(background: Background, media_type: str) -> None:
    shown = cut_out(photo(PROFILE), np.ones(SIZE, bool), background)
    assert profile_of(encode_photo(shown, media_type)) == PROFILE
