"""Overlays: a photo with its mask blended over it, to bytes."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract import Colour
from service.errors import InvalidParameter


class Format(NamedTuple):
    name: str
    longest_side: int
    options: dict[str, int]


# A photo as PNG is slow at every other level.
OVERLAY_TYPES = {
    "image/jpeg": Format("JPEG", 65_500, {"quality": 90}),
    "image/png": Format("PNG", 2**31 - 1, {"compress_level": 1}),
    "image/webp": Format("WEBP", 16_383, {"quality": 85, "method": 0}),
}
"""Media types an overlay can have; the first is the default."""


def colour_mask(mask: NDArray[np.uint8], palette: Sequence[Colour]) -> Image.Image:
    """A mask [H, W] as a palette picture: pixel = class id."""
    image = Image.fromarray(np.ascontiguousarray(mask))
    image.putpalette([channel for colour in palette for channel in colour])
    return image


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


def check_sides(size: tuple[int, int], media_type: str) -> None:
    """Refuse the height and width, in any order, of a picture that a format cannot hold.

    Raises:
        InvalidParameter: it is longer than the format allows.
    """
    kind, longest_side, _ = OVERLAY_TYPES[media_type]
    if max(size) > longest_side:
        raise InvalidParameter(
            f"a {kind} picture has at most {longest_side} pixels a side, this one has "
            f"{max(size)}: ask for it with 'Accept: image/png'"
        )


def encode_photo(image: Image.Image, media_type: str) -> bytes:
    """An RGB or RGBA picture in one of `OVERLAY_TYPES`, with its colour profile.

    Raises:
        InvalidParameter: see `check_sides`.
    """
    check_sides(image.size, media_type)
    kind, _, options = OVERLAY_TYPES[media_type]
    buffer = io.BytesIO()
    # Left to itself, Pillow writes it into PNG only.
    image.save(buffer, kind, icc_profile=image.info.get("icc_profile"), **options)
    return buffer.getvalue()
