"""The options of each call: the parameters of the API, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Literal, TypedDict

Classes = str | Iterable[str | int]
"""Names or ids of classes."""
MediaType = Literal["image/jpeg", "image/png", "image/webp"]


class Options(TypedDict, total=False):
    """What every call with a picture takes."""

    model: str
    """Name of a loaded model."""
    version: int
    """Which one of the files of that name."""
    tile: float
    """Cut the picture into windows at so many times its size."""
    overlap: float
    """Share of a window that it has in common with its neighbour."""
    classes: Classes
    """Which to keep; all if absent."""
    min_area: int
    """Pixels of the smallest region that stays."""
    confidence: float
    """Probability of its class that a pixel needs."""
    timeout: float
    """Seconds for the whole call, instead of the client's own."""


class MaskOptions(Options, total=False):
    format: Literal["palette", "grey", "binary", "npy"]
    size: Literal["picture", "model"]


class OverlayOptions(Options, total=False):
    alpha: float
    """0 is the photo, 1 the mask."""
    media_type: MediaType
    """JPEG if absent."""


class CutoutOptions(Options, total=False):
    background: str
    """`transparent`, `blur` or a colour like `#20a0ff`."""
    feather: float
    """How soft the edge is, in pixels."""
    media_type: MediaType
    """PNG if something is transparent, else JPEG, if absent."""


class SegmentsOptions(Options, total=False):
    geometry: Literal["none", "rle", "coco", "polygons"]
    tolerance: float
    """Pixels by which polygons may be simplified."""


class GeojsonOptions(Options, total=False):
    tolerance: float
    geotransform: str | Iterable[float]
    """Six numbers in GDAL's order, where the picture's file does not tell them."""


def check(options: Mapping[str, object], kind: type[Options]) -> None:
    """Refuse what is none of a call's options, before anything is sent.

    Raises:
        TypeError: names it, and the option that was probably meant.
    """
    known = sorted({*kind.__annotations__, *Options.__annotations__})
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"there is no option {name!r}; {hint}")
