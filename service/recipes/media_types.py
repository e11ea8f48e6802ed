"""Which kind of file an answer is."""

from __future__ import annotations

from collections.abc import Collection

from service.errors import NotAcceptable
from service.images.encode import OVERLAY_TYPES
from service.preferences import parse_preferences

VARY = {"Vary": "Accept"}
ANYTHING = "*/*"


def choose_type(accept: str, offered: Collection[str] = OVERLAY_TYPES) -> str:
    """The media type that an `Accept` header likes best; the first where it leaves the choice.

    Raises:
        NotAcceptable: it likes none of them.
    """
    preferences = parse_preferences(accept) or {ANYTHING: 1.0}

    def liking(media_type: str) -> float:
        wildcards = (media_type, f"{media_type.partition('/')[0]}/*", ANYTHING)
        return next((preferences[kind] for kind in wildcards if kind in preferences), 0.0)

    best = max(offered, key=liking)
    if liking(best) > 0:
        return best
    raise NotAcceptable(
        f"Accept: {accept[:80]!r} names nothing of what there is; there is {', '.join(offered)}"
    )


def about_pictures(accept: str) -> str:
    """What of an `Accept` header is about the pictures in an archive; anything if nothing is."""
    kinds = (kind.strip() for kind in accept.split(","))
    return ",".join(kind for kind in kinds if kind.lower().startswith("image/")) or ANYTHING
