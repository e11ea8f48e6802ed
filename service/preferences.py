"""What an `Accept` or `Accept-Encoding` header likes, and how much."""

from __future__ import annotations


def parse_preferences(header: str) -> dict[str, float]:
    """The quality of each word of the header, from 0 to 1; 1 where it has none.

    A word with a quality that is none is left out.
    """
    preferences: dict[str, float] = {}
    for item in header.split(","):
        word, *parameters = (part.strip() for part in item.lower().split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            liking = float(quality)
        except ValueError:
            continue
        if word and 0 <= liking <= 1:
            preferences[word] = liking
    return preferences
