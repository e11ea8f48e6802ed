"""Whatever somebody calls a picture, as the bytes of a file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]
"""A path, the bytes of a file, an open binary file, a Pillow image, or pixels as an array uint8
[H, W], [H, W, 3] or [H, W, 4]: grey, RGB or RGBA."""
AS_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def encoded(picture: Picture) -> bytes:
    """The bytes to send: a file's as they are, pixels as a PNG, which loses nothing.

    A Pillow image is taken as its pixels are: what its EXIF says of turning it has no effect.

    Raises:
        OSError: the file cannot be read.
        TypeError: an array of another type or shape, or nothing that could be a picture.
    """
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, np.ndarray):
        return _png(_image(picture))
    if isinstance(picture, Image.Image):
        return _png(picture)
    other: object = picture
    if isinstance(other, io.TextIOBase):
        raise TypeError("open a picture's file in binary mode: open(path, 'rb')")
    if hasattr(picture, "read") and isinstance(data := picture.read(), bytes):
        return data
    raise TypeError(
        f"a picture is a path, bytes, a binary file, a Pillow image or a uint8 array, not "
        f"{type(picture).__name__}"
    )


def _image(pixels: NDArray[Any]) -> Image.Image:
    known = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not known or not pixels.size:
        raise TypeError(
            "a picture as an array is uint8 [H, W], [H, W, 3] or [H, W, 4], not "
            f"{pixels.dtype} {list(pixels.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    storable = image if image.mode in AS_PNG else image.convert("RGB")
    storable.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
