"""The files that a mask can be written as."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.contract import Colour
from service.images.png import grey_png, palette_png

FormatName = Literal["palette", "grey", "binary", "npy"]
Ids = NDArray[np.uint8]


class MaskFormat(NamedTuple):
    """A kind of file."""

    write: Callable[[Ids, Sequence[Colour], int], bytes]
    """Given class ids [H, W], the palette and the ignored id."""
    media_type: str
    file_name: str | None = None
    """What to save it as, where it is nothing to look at."""


def _palette(ids: Ids, palette: Sequence[Colour], ignored: int) -> bytes:
    return palette_png(ids, palette)


def _grey(ids: Ids, palette: Sequence[Colour], ignored: int) -> bytes:
    return grey_png(ids)


def _binary(ids: Ids, palette: Sequence[Colour], ignored: int) -> bytes:
    return grey_png(np.where(ids == ignored, np.uint8(0), np.uint8(255)))


def _npy(ids: Ids, palette: Sequence[Colour], ignored: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, ids)
    return buffer.getvalue()


MASK_FORMATS: dict[FormatName, MaskFormat] = {
    "palette": MaskFormat(_palette, "image/png"),
    "grey": MaskFormat(_grey, "image/png"),
    "binary": MaskFormat(_binary, "image/png"),
    "npy": MaskFormat(_npy, "application/octet-stream", "mask.npy"),
}
