"""Names of files that others have chosen, made safe to write anywhere."""

from __future__ import annotations

import re
import unicodedata

NAMELESS = "picture"
LONGEST = 100
_strange = re.compile(r"[^\w.-]+")


def safe_name(given: str) -> str:
    """The base name of a path in letters, digits, `.`, `_` and `-`, never empty or hidden."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    return _strange.sub("_", base)[-LONGEST:].strip("._-") or NAMELESS


class Names:
    """Gives each answer a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, picture: str, suffix: str) -> str:
        """The picture's name with another suffix, and a number where that is taken."""
        stem, dot, _ = picture.rpartition(".")
        stem = stem if dot else picture
        name, number = stem + suffix, 1
        # Some file systems tell no capitals.
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(name.casefold())
        return name
