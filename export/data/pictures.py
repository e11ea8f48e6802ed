"""Pictures without labels, to check and to measure on."""

from __future__ import annotations

from pathlib import Path

from export.data.datasets import list_pictures
from export.errors import UserError


def some_pictures(folder: Path, most: int = 16) -> list[Path]:
    """Up to so many pictures spread over a folder.

    Raises:
        UserError: there are none.
    """
    paths = list_pictures(folder)
    if not paths:
        raise UserError(f"{folder} holds no pictures")
    return paths[:: -(-len(paths) // most)]
