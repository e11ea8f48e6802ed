"""Pictures without labels, to check and to measure on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from export.data.datasets import list_pictures
from export.errors import UserError

Item = TypeVar("Item")


def some_pictures(folder: Path, most: int = 16) -> list[Path]:
    """Up to so many pictures spread over a folder.

    Raises:
        UserError: there are none.
    """
    paths = list_pictures(folder)
    if not paths:
        raise UserError(f"{folder} holds no pictures")
    return spread(paths, most)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of them at even distances, the first and the last among them."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]
