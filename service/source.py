"""What pictures come as."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.images.decode import LargePicture, Picture, decode, from_array
from service.settings import Settings

Source = bytes | NDArray[np.uint8]
"""A picture as a file's bytes, or as pixels uint8 [H, W, 3], RGB."""
Check = Callable[[bytes, tuple[int, int]], object]
"""Raises what is wrong with a file for some answer; is given it and its size: see `size_of`."""


def read(
    source: Source, settings: Settings, enough: int | None = None, unasked: int | None = None
) -> Picture:
    """The picture of a source, within the limits of the settings: see `decode`."""
    if isinstance(source, bytes):
        return decode(source, settings.max_pixels, enough, settings.formats, unasked)
    return from_array(source, settings.max_pixels)


def size_of(source: Source, settings: Settings) -> tuple[int, int]:
    """Height and width of a picture before it is decoded; of one that lies sideways, the reverse.

    Raises:
        RequestError: what the header of a file tells is wrong with it.
    """
    if not isinstance(source, bytes):
        height, width, _ = source.shape
        return height, width
    try:
        picture = read(source, settings, unasked=0)
    except LargePicture as large:
        return large.size
    return picture.height, picture.width


def file_of(source: Source) -> bytes:
    """The file, if the picture came as one."""
    return source if isinstance(source, bytes) else b""
