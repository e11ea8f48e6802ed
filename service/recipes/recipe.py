"""How the answer to a picture is made, whether a request brings one or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service.segmented import Segmented
from service.source import Check
from service.tiling.plan import Tiling

SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "application/json": ".json",
    "application/geo+json": ".geojson",
    "application/octet-stream": ".npy",
}
"""What the files of answers end in, by media type."""


@dataclass(frozen=True)
class Recipe:
    """What a call wants of each picture."""

    make: Callable[[Segmented], bytes]
    """Runs off the event loop."""
    media_type: str
    confidence: bool = False
    """Whether `make` needs to know how sure the model is."""
    tiling: Tiling | None = None
    """How the picture is cut into windows, if it is."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What else an answer of its own is sent with."""
    check: Check | None = None
    """Runs before anything is decoded, off the event loop."""

    @property
    def suffix(self) -> str:
        """What the answer's file ends in."""
        return SUFFIXES[self.media_type]
