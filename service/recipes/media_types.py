"""Which kind of file an answer is."""

from __future__ import annotations

from collections.abc import Collection

from service.images.encode import OVERLAY_TYPES

VARY = {"Vary": "Accept"}


def choose_type(accept: str, offered: Collection[str] = OVERLAY_TYPES) -> str:
    """The media type that an `Accept` header likes best; the first where it leaves the choice."""
    preferences: dict[str, float] = {}
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.lower().split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            preferences[kind] = float(quality)
        except ValueError:
            continue

    def liking(media_type: str) -> float:
        wildcards = (media_type, "image/*", "*/*")
        return next((preferences[kind] for kind in wildcards if kind in preferences), 0.0)

    return max(offered, key=liking)
