"""How the answer to a picture is made, for one picture or several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.segmented import Segmented
from service.tiling.plan import Tiling


@dataclass(frozen=True)
class Recipe:
    """What a call wants of each picture."""

    make: Callable[[Segmented], bytes]
    """Runs off the event loop."""
    media_type: str
    tiling: Tiling | None = None
    """How the picture is cut into windows, if it is."""
