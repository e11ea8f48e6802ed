"""Bytes to pixels: limits first, from the header alone, then decoding."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.errors import MalformedRequest, TooLarge, UndecodableImage, UnsupportedImage

# Sizes are checked here against a setting, before decoding. Pillow's own limit would warn or
# raise at other sizes.
Image.MAX_IMAGE_PIXELS = None

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8")
ROTATED = {5, 6, 7, 8}
"""EXIF orientations that swap width and height."""
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright.

    A JPEG may have been decoded at a fraction of its size; `width` and `height` are always
    those of the upload.
    """

    image: Image.Image
    """Mode RGB."""
    width: int
    height: int

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 [h, w, 3]."""
        return np.asarray(self.image)


def decode(data: bytes, max_pixels: int, enough: int | None = None) -> Picture:
    """Decode an upload: first frame, EXIF orientation applied, converted to RGB.

    Transparent parts are laid on white; 16-bit grey is scaled to 8.

    Args:
        data: the file's bytes.
        max_pixels: refuse what is larger, before decoding.
        enough: a long side that suffices; JPEG is then decoded at the smallest fraction of its
            size that is not below it, which is several times faster for large photos.

    Raises:
        MalformedRequest: there are no bytes.
        TooLarge: more pixels than `max_pixels`.
        UnsupportedImage: not JPEG, PNG, WebP or GIF.
        UndecodableImage: one of them, but broken.
    """
    if not data:
        raise MalformedRequest("the file is empty")
    image = _open(data)
    width, height = image.size
    if width * height > max_pixels:
        raise TooLarge(
            f"the picture has {width} x {height} = {width * height} pixels; "
            f"the limit is {max_pixels}"
        )
    try:
        if enough is not None:
            scale = min(1.0, enough / max(width, height))
            image.draft("RGB", (max(1, int(width * scale)), max(1, int(height * scale))))
        image.load()
        orientation = image.getexif().get(ORIENTATION, 1)
        upright = _to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # what a decoder raises on hostile bytes is not a closed list
        raise UndecodableImage(f"the {image.format} picture is broken: {error}") from error
    if orientation in ROTATED:
        width, height = height, width
    return Picture(upright, width, height)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:
        if data.startswith(SIGNATURES):
            raise UndecodableImage("the picture is broken: its header cannot be read") from error
        raise UnsupportedImage(
            "this is not a picture in an accepted format: send JPEG, PNG, WebP or GIF"
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.uint32) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
