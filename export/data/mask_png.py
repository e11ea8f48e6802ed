"""Label maps as files that people can look at."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.data.label_set import generic_palette


def mask_png(ids: NDArray[np.uint8]) -> bytes:
    """A palette PNG of class ids uint8 [H, W], each with a colour of its own."""
    image = Image.fromarray(ids)
    image.putpalette([channel for colour in generic_palette(256) for channel in colour])
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
