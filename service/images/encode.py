"""Masks and overlays to bytes."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract import Colour

OVERLAY_TYPES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""Media types an overlay can have; the first is the default."""

# Fast settings: class ids compress well at any level, and a photo as PNG is slow at every other.
_SAVE_OPTIONS: dict[str, dict[str, int]] = {
    "JPEG": {"quality": 90},
    "PNG": {"compress_level": 1},
    "WEBP": {"quality": 85, "method": 0},
}


def colour_mask(mask: NDArray[np.uint8], palette: Sequence[Colour]) -> Image.Image:
    """A mask [H, W] as a palette picture: pixel = class id."""
    image = Image.fromarray(np.ascontiguousarray(mask))
    image.putpalette([channel for colour in palette for channel in colour])
    return image


def encode_mask(mask: NDArray[np.uint8], palette: Sequence[Colour]) -> bytes:
    """A mask [H, W] as an 8-bit palette PNG."""
    buffer = io.BytesIO()
    colour_mask(mask, palette).save(buffer, "PNG", compress_level=1, bits=8)
    return buffer.getvalue()


def blend(
    photo: Image.Image,
    mask: NDArray[np.uint8],
    palette: Sequence[Colour],
    alpha: float,
    classes: Collection[int] | None = None,
) -> Image.Image:
    """The photo with `alpha` parts of each pixel's class colour, on the chosen classes only.

    Args:
        photo: RGB, as large as the mask.
        mask: class ids [H, W].
        palette: RGB of each class.
        alpha: 0 is the photo, 1 the plain colours.
        classes: ids to draw; None draws all.
    """
    blended = Image.blend(photo, colour_mask(mask, palette).convert("RGB"), alpha)
    if classes is None:
        return blended
    chosen = np.zeros(256, dtype=np.uint8)
    chosen[list(classes)] = 255
    return Image.composite(blended, photo, Image.fromarray(chosen[mask]))


def encode_photo(image: Image.Image, media_type: str) -> bytes:
    """An RGB picture in one of `OVERLAY_TYPES`."""
    kind = OVERLAY_TYPES[media_type]
    buffer = io.BytesIO()
    image.save(buffer, kind, **_SAVE_OPTIONS[kind])
    return buffer.getvalue()
