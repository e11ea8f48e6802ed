"""One mask from those of windows that overlap, without seams.

Where two windows agree there is nothing to decide. Were every other pixel given to the window
whose middle is nearer, objects on which the two differ would be cut along a straight line half
way: a seam. So each connected region of such pixels goes as a whole to one of them: the one with
more votes, which count less towards the edge of a window, where it sees less around a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.images.regions import regions
from service.tiling.plan import Plan

Plane = NDArray[np.uint8]


class Layer(NamedTuple):
    """What is known of a part of a picture."""

    ids: Plane
    """Class ids uint8 [h, w]."""
    sure: Plane | None = None
    """255 x the probability of each, where the model tells it."""

    @property
    def turned(self) -> Layer:
        """With rows and columns swapped."""
        return Layer(self.ids.T, None if self.sure is None else self.sure.T)


class Blend:
    """Puts a picture together from its windows, row by row, so that few need to be kept."""

    def __init__(self, plan: Plan, *, sure: bool = False) -> None:
        """
        Args:
            plan: where the windows lie.
            sure: whether they come with probabilities.
        """
        self._plan = plan
        self._sure = sure
        self._rows = 0
        self._whole = _Stack(plan.height, plan.width, sure)

    def add_row(self, windows: Sequence[Layer]) -> None:
        """Blend in the next row of windows, each of the plan's size, left to right."""
        plan = self._plan
        band = _Stack(plan.width, plan.bucket.height, self._sure)
        for window, left in zip(windows, plan.lefts, strict=True):
            band.add(window.turned, left)
        self._whole.add(band.layer.turned, plan.tops[self._rows])
        self._rows += 1

    @property
    def layer(self) -> Layer:
        """The whole picture [H, W], once every row is in."""
        return self._whole.layer


class _Stack:
    """Layers laid below each other, each over the end of the one before."""

    def __init__(self, height: int, width: int, sure: bool) -> None:
        self._ids = np.empty((height, width), np.uint8)
        self._certain = np.empty((height, width), np.uint8) if sure else None
        self._end = 0

    @property
    def layer(self) -> Layer:
        return Layer(self._ids, self._certain)

    def add(self, new: Layer, start: int) -> None:
        """Lay one down from a row on; what sticks out is cut off."""
        height, width = self._ids.shape
        shared = self._end - start
        end = min(height, start + len(new.ids))
        if shared > 0:
            strip = slice(start, self._end)
            theirs = None if new.sure is None else new.sure[:shared, :width]
            keep = _kept(self._part(strip), Layer(new.ids[:shared, :width], theirs))
            np.copyto(self._ids[strip], new.ids[:shared, :width], where=~keep)
            if self._certain is not None and theirs is not None:
                np.copyto(self._certain[strip], theirs, where=~keep)
        self._ids[self._end : end] = new.ids[shared : end - start, :width]
        if self._certain is not None and new.sure is not None:
            self._certain[self._end : end] = new.sure[shared : end - start, :width]
        self._end = end

    def _part(self, rows: slice) -> Layer:
        return Layer(self._ids[rows], None if self._certain is None else self._certain[rows])


def _kept(old: Layer, new: Layer) -> NDArray[np.bool_]:
    """Where the old of two layers that cover the same strip [h, w] stays.

    The old one's edge is at the end of the strip, the new one's at its beginning.
    """
    disputed = old.ids != new.ids
    if not disputed.any():
        return ~disputed
    # No disputed pixel is 0, since its two ids differ.
    claims = np.where(disputed, old.ids.astype(np.uint16) * np.uint16(256) + new.ids, np.uint16(0))
    region = regions(claims)
    from_edge = ((np.arange(len(claims)) + 0.5) / len(claims))[:, None]
    votes = _votes(old, 1 - from_edge) - _votes(new, from_edge)
    for_old = np.bincount(region.ravel(), votes.ravel())
    keep: NDArray[np.bool_] = for_old[region] >= 0
    return keep


def _votes(layer: Layer, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    sure = 255 if layer.sure is None else layer.sure
    return np.broadcast_to(weights * sure, layer.ids.shape)
