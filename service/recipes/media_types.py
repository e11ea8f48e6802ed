"""Which kind of file an answer is."""

from __future__ import annotations

from collections.abc import Collection

from service.images.encode import OVERLAY_TYPES
from service.preferences import parse_preferences

VARY = {"Vary": "Accept"}


def choose_type(accept: str, offered: Collection[str] = OVERLAY_TYPES) -> str:
    """The media type that an `Accept` header likes best; the first where it leaves the choice."""
    preferences = parse_preferences(accept)

    def liking(media_type: str) -> float:
        wildcards = (media_type, "image/*", "*/*")
        return next((preferences[kind] for kind in wildcards if kind in preferences), 0.0)

    return max(offered, key=liking)
