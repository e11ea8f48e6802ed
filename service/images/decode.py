"""Bytes to pixels: limits first, from the header alone, then decoding."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile

from service.errors import (
    MalformedRequest,
    RequestError,
    TooManyPixels,
    UndecodableImage,
    UnsupportedImage,
)
from service.images.formats import DEFAULT, FORMATS, FormatName, claimed, titles
from service.images.reader import Reader
from service.images.tiff import check_directory, check_tiff
from service.images.webp import webp_size

# Pillow warns of a size at which decoding would cost much memory; that is an error here, beside
# the exact limit below. With what else it warns of and logs, pictures could fill the log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.simplefilter("error", Image.DecompressionBombWarning)
logging.getLogger("PIL").setLevel(logging.CRITICAL)

MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I;16B"}
"""Pillow's names of the kinds of pixels that have a meaning as a photo."""
REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK")
SCAN = b"\xff\xda"
RUN_LENGTHS = {BmpImageFile.COMPRESSIONS["RLE4"], BmpImageFile.COMPRESSIONS["RLE8"]}
MAX_SCANS = 100
"""A progressive JPEG has about ten; each costs a pass over all of its pixels."""
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by EXIF orientation."""
SIDEWAYS = {5, 6, 7, 8}
"""Orientations that swap width and height."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright.

    It may have come out at a fraction of its size; `width` and `height` are those of the
    upload.
    """

    image: Image.Image
    """Mode RGB."""
    width: int
    height: int

    @property
    def whole(self) -> bool:
        """Whether it was decoded at its full size."""
        return self.image.size == (self.width, self.height)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 [h, w, 3]."""
        return np.asarray(self.image)


class LargePicture(Exception):
    """A picture that there must be room for first.

    Attributes:
        size: its height and width, or its width and height.
        pixels: their product.
    """

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.size = height, width
        self.pixels = width * height


def allow_pixels(max_pixels: int) -> None:
    """Keep Pillow's own limit, which holds for the whole process, from being the lower one."""
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)


def decode(
    data: bytes,
    max_pixels: int,
    enough: int | None = None,
    formats: Sequence[FormatName] = DEFAULT,
    unasked: int | None = None,
) -> Picture:
    """Decode an upload: first frame, EXIF orientation applied, converted to RGB.

    Transparent parts are laid on white; 16-bit grey is scaled to 8.

    Args:
        data: the file's bytes.
        max_pixels: refuse what is larger, before decoding.
        enough: a long side that suffices; a larger picture then comes out at a fraction of its
            size that is not below it, which is several times faster for large JPEG photos.
        formats: what is accepted; no decoder of another format sees the bytes.
        unasked: pixels of a picture for which there is memory in any case.

    Raises:
        LargePicture: more pixels than `unasked`, none of which is decoded yet.
        MalformedRequest: there are no bytes.
        TooManyPixels: more pixels than `max_pixels`, or a JPEG made to cost time.
        UnsupportedImage: not one of the formats, or a kind of it that is not accepted.
        UndecodableImage: one of them, but broken.
    """
    if not data:
        raise MalformedRequest("the file is empty")
    source = _open(data, max_pixels, formats)
    width, height = source.size
    _check(source, data, max_pixels)
    if unasked is not None and width * height > unasked:
        raise LargePicture(width, height)
    if enough is not None:
        scale = min(1.0, enough / max(width, height))
        source.draft("RGB", (max(1, int(width * scale)), max(1, int(height * scale))))
    _load(source)
    orientation = _orientation(source)
    image = _reduce(source, enough) if enough is not None else source
    if orientation in TURNS:
        image = image.transpose(TURNS[orientation])
    if orientation in SIDEWAYS:
        width, height = height, width
    upright = _to_rgb(image)
    # Comments, positions and the like stay with the sender; the colour profile is needed.
    profile = source.info.get("icc_profile")
    keep = source.mode in ("RGB", "RGBA") and isinstance(profile, bytes)
    upright.info = {"icc_profile": profile} if keep else {}
    return Picture(upright, width, height)


def from_array(pixels: NDArray[np.uint8], max_pixels: int) -> Picture:
    """A picture of pixels uint8 [H, W, 3], RGB, which are shared and not copied.

    Raises:
        TooManyPixels: more than `max_pixels`.
    """
    height, width, _ = pixels.shape
    _check_size(width, height, max_pixels)
    return Picture(Image.fromarray(pixels), width, height)


def _open(data: bytes, max_pixels: int, formats: Sequence[FormatName]) -> ImageFile.ImageFile:
    """Read the header; no pixel is decoded."""
    name = claimed(data)
    if name is None or name not in formats:
        what = f"{FORMATS[name].title} is not" if name else "this is not a picture in"
        raise UnsupportedImage(f"{what} an accepted format: send {titles(formats)}")
    if name == "webp":
        _check_size(*webp_size(data), max_pixels)
    if name == "tiff":
        check_directory(data)
    try:
        return Image.open(Reader(data), formats=(FORMATS[name].pillow,))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise TooManyPixels(
            f"the picture has more than {Image.MAX_IMAGE_PIXELS} pixels; the limit is {max_pixels}"
        ) from error
    except (MemoryError, RequestError):
        raise
    except Exception as error:  # what decoders raise on hostile bytes is not a closed list
        raise UndecodableImage("the picture is broken: its header cannot be read") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise TooManyPixels(
            f"the picture has {width} x {height} = {width * height} pixels; "
            f"the limit is {max_pixels}"
        )


def _check(source: ImageFile.ImageFile, data: bytes, max_pixels: int) -> None:
    """Refuse, by the header alone, what should not be decoded."""
    _check_size(*source.size, max_pixels)
    if "progressive" in source.info and (scans := data.count(SCAN)) > MAX_SCANS:
        raise TooManyPixels(f"the JPEG is coded in {scans} scans; the limit is {MAX_SCANS}")
    if source.format == "BMP" and source.info.get("compression") in RUN_LENGTHS:
        # Pillow decodes them in Python, where a large one would hold up everybody.
        raise UnsupportedImage("BMP with run lengths is not accepted: save it uncompressed")
    check_tiff(source, max_pixels)
    if source.mode not in MODES:
        raise UnsupportedImage(
            f"a {source.format} of mode {source.mode} is not accepted: save it as RGB or grey "
            "with 8 or 16 bits a channel"
        )


def _load(image: ImageFile.ImageFile) -> None:
    try:
        image.load()
    except (MemoryError, RequestError):
        raise
    except Exception as error:
        raise UndecodableImage(f"the {image.format} picture is broken: {error}") from error


def _reduce(image: Image.Image, enough: int) -> Image.Image:
    """Average whole blocks of a large picture, before costlier work, to a side still enough."""
    factor = max(image.size) // enough
    return image.reduce(factor) if factor > 1 and image.mode in REDUCIBLE else image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where there is none that can be read."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.uint32) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        flat = Image.new("RGB", layer.size, "white")
        flat.paste(layer, mask=layer.getchannel("A"))
        return flat
    return image if image.mode == "RGB" else image.convert("RGB")
