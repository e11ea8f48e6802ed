"""Cut-outs: what of a photo is wanted, on another background."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from service.contract import Colour

Background = Literal["transparent", "blur"] | Colour
NAMED: dict[str, Background] = {"transparent": "transparent", "blur": "blur"}
BLUR_SHARE = 0.02
"""Radius of the blur over the photo's longer side."""
BLUR_SIDE = 512
"""The photo is blurred about this large; what is blurred has no finer detail."""


def parse_background(text: str) -> Background:
    """`transparent`, `blur` or an RGB colour for a text like "#20a0ff".

    Raises:
        ValueError: it is none of them.
    """
    if text in NAMED:
        return NAMED[text]
    found = re.fullmatch(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", text)
    if not found:
        raise ValueError(f"{text[:40]!r} is none of transparent, blur and #rrggbb")
    red, green, blue = (int(channel, 16) for channel in found.groups())
    return red, green, blue


def cut_out(
    photo: Image.Image, wanted: NDArray[np.bool_], background: Background, feather: float = 0
) -> Image.Image:
    """The photo where it is wanted, the background elsewhere; RGBA if that is transparent.

    Args:
        photo: RGB; nothing that its file said besides is left but the colour profile.
        wanted: [H, W], as large as the photo.
        background: what else there is to see.
        feather: standard deviation in pixels of the blur of the edge between them.
    """
    share = Image.fromarray(np.where(wanted, np.uint8(255), np.uint8(0)))
    if feather:
        share = share.filter(ImageFilter.GaussianBlur(feather))
    shown = _shown(photo, share, background)
    shown.info = dict(photo.info)
    return shown


def _shown(photo: Image.Image, share: Image.Image, background: Background) -> Image.Image:
    """The cut-out, by how much of each pixel is the photo's."""
    if background == "blur":
        return Image.composite(photo, blurred(photo), share)
    if background != "transparent":
        return Image.composite(photo, Image.new("RGB", photo.size, background), share)
    # Nothing of the photo may be left below what is transparent.
    seen = share.point(lambda value: 255 if value else 0)
    shown = Image.composite(photo, Image.new("RGB", photo.size), seen)
    return Image.merge("RGBA", (*shown.split(), share))


def blurred(photo: Image.Image) -> Image.Image:
    """The photo, out of focus."""
    small = photo.reduce(max(1, max(photo.size) // BLUR_SIDE))
    soft = small.filter(ImageFilter.GaussianBlur(BLUR_SHARE * max(small.size)))
    return soft.resize(photo.size, Image.Resampling.BILINEAR)
