"""The few sizes that pictures are fitted to, so that they can share a batch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

GRID = 16
"""Inputs are GRID * k + 1 long, or a larger output stride, so that feature maps keep the
picture's corners."""


class Bucket(NamedTuple):
    """A size that the model is run at."""

    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @property
    def long_side(self) -> int:
        return max(self)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a picture scaled to just fit inside."""
        scale = min(self.height / height, self.width / width)
        return (
            min(self.height, max(1, round(height * scale))),
            min(self.width, max(1, round(width * scale))),
        )


def parse_bucket(text: str) -> Bucket:
    """The bucket for a text like "513x385", width first.

    Raises:
        ValueError: it is not such a text.
    """
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text.strip())
    if not found:
        raise ValueError(f"{text!r} is not WIDTHxHEIGHT")
    return Bucket(height=int(found[2]), width=int(found[1]))


def check_bucket(bucket: Bucket, output_stride: int) -> None:
    """Refuse a size that feature maps would shift in.

    Raises:
        ValueError: a side is not a multiple of the grid plus one.
    """
    grid = max(GRID, output_stride)
    if any(side <= grid or side % grid != 1 for side in bucket):
        raise ValueError(f"the sides of {bucket} are not both a multiple of {grid} plus 1")


def choose_bucket(buckets: Sequence[Bucket], height: int, width: int) -> Bucket:
    """The bucket that a picture fills best once it is scaled to fit: the least padding.

    Of several that it fills as well, to one percent, the largest.
    """

    def worth(bucket: Bucket) -> tuple[float, int]:
        scaled_height, scaled_width = bucket.fit(height, width)
        filled_share = scaled_height * scaled_width / bucket.pixels
        return round(math.log(filled_share), 2), bucket.pixels

    return max(buckets, key=worth)
