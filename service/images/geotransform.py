"""From pixels of a picture to coordinates on a map."""

from __future__ import annotations

import math
from typing import NamedTuple

LARGEST = 1e15
"""Of the six numbers: with larger ones, coordinates would be none that JSON can tell."""


class Geotransform(NamedTuple):
    """Six numbers in GDAL's order; (column, row) is (0, 0) at the outer corner of the first pixel.

    x = origin_x + column * column_x + row * row_x
    y = origin_y + column * column_y + row * row_y
    """

    origin_x: float
    column_x: float
    row_x: float
    origin_y: float
    column_y: float
    row_y: float

    @property
    def decimals(self) -> int:
        """Digits behind the point that tell a hundredth of a pixel apart."""
        pixel = max(map(abs, (self.column_x, self.row_x, self.column_y, self.row_y)))
        return max(0, 2 - math.floor(math.log10(pixel)))

    @property
    def usable(self) -> bool:
        """Whether pixels have an area, and coordinates that a map can have."""
        area = self.column_x * self.row_y - self.row_x * self.column_y
        return bool(area) and all(abs(number) <= LARGEST for number in self)

    def place(self, column: float, row: float) -> tuple[float, float]:
        """Where on the map a place in the picture is."""
        x = self.origin_x + column * self.column_x + row * self.row_x
        y = self.origin_y + column * self.column_y + row * self.row_y
        return round(x, self.decimals), round(y, self.decimals)


def parse_geotransform(text: str) -> Geotransform:
    """The transform in a text of six numbers, separated by commas.

    Raises:
        ValueError: it holds something else, puts all pixels on one line, or off any map.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
        transform = Geotransform(*numbers)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{text[:80]!r} is not six numbers separated by commas") from error
    if not transform.usable:
        raise ValueError(
            f"{text[:80]!r} gives pixels no area, or places that no map has (beyond {LARGEST:g})"
        )
    return transform
