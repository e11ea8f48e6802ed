"""Where the windows of a large picture lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.bucket import Bucket

DEFAULT_OVERLAP = 0.25
MAX_OVERLAP = 0.5
MAX_SCALE = 4.0
DEARER = 1.25
"""What larger windows, which see more around each pixel, may cost over the cheapest ones."""


class Tiling(NamedTuple):
    """How a request wants its picture to be cut."""

    scale: float
    """Size at which it is cut; 1 is its own."""
    overlap: float = DEFAULT_OVERLAP
    """Share of a window, at least, that it has in common with its neighbour."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which a picture is cut."""
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))


class Slot(NamedTuple):
    """A window's place: its top left corner."""

    top: int
    left: int


@dataclass(frozen=True)
class Plan:
    """Windows of one size in rows and columns that cover a picture."""

    height: int
    width: int
    bucket: Bucket
    """Size of each window; one that is larger than the picture sticks out right or below."""
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def slots(self) -> Iterator[Slot]:
        """The windows, row by row."""
        return (Slot(top, left) for top in self.tops for left in self.lefts)

    def cut(self, image: Image.Image, slot: Slot, pad_value: int) -> NDArray[np.uint8]:
        """The window uint8 [h, w, 3] of an RGB picture, padded where it sticks out."""
        bottom, right = slot.top + self.bucket.height, slot.left + self.bucket.width
        box = (slot.left, slot.top, min(right, image.width), min(bottom, image.height))
        part = np.asarray(image.crop(box))
        if part.shape[:2] == self.bucket:
            return part
        window = np.full((*self.bucket, 3), pad_value, np.uint8)
        window[: part.shape[0], : part.shape[1]] = part
        return window


def make_plan(buckets: Sequence[Bucket], height: int, width: int, overlap: float) -> Plan:
    """Windows for a picture, of the bucket that suits it.

    That is the largest one, unless its windows cost much more than another's because they stick
    out of a narrow picture.

    Args:
        buckets: what to choose from.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        overlap: share of a window that neighbours have in common, at least; below 1.
    """
    plans = [
        Plan(
            height,
            width,
            bucket,
            _starts(height, bucket.height, overlap),
            _starts(width, bucket.width, overlap),
        )
        for bucket in buckets
    ]
    least = min(_cost(plan) for plan in plans)
    suiting = (plan for plan in plans if _cost(plan) <= DEARER * least)
    return max(suiting, key=lambda plan: plan.bucket.pixels)


def _cost(plan: Plan) -> int:
    """Pixels that the model computes."""
    return len(plan) * plan.bucket.pixels


def _starts(length: int, window: int, overlap: float) -> tuple[int, ...]:
    """Where windows begin that cover a length: as few as can be, evenly spread.

    None sticks out of a length that is not shorter than a window.
    """
    room = length - window
    if room <= 0:
        return (0,)
    steps = math.ceil(room / max(1.0, window * (1 - overlap)))
    return tuple(round(index * room / steps) for index in range(steps + 1))
