"""Quality near the edges of objects: mean IoU within a band of some width (section 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from export.data.labels import IGNORED
from export.errors import UserError
from export.evaluation.metrics import ConfusionMatrix

Around = Literal["edges", "ignored"]


class Trimap:
    """Confusion matrices within bands of several widths.

    A labelled pixel lies in the band of width w if it is at most w pixels, in Euclidean
    distance between centres, from what the band is around: "edges" is the nearest pixel with
    another label, ignored pixels being a label of their own; "ignored" is the nearest ignored
    pixel, which is the paper's dilation of the `void` that outlines the objects of Pascal VOC.
    """

    def __init__(self, classes: int, widths: tuple[int, ...], around: Around) -> None:
        """Start with nothing counted.

        Raises:
            UserError: the widths do not rise from 1 or more.
        """
        if not widths or widths[0] < 1 or list(widths) != sorted(set(widths)):
            raise UserError(
                f"the trimap's widths are {' '.join(map(str, widths))}; give whole numbers of "
                "pixels from 1 that rise"
            )
        self.widths = widths
        self.around = around
        self.labelled = 0
        self._rings = [ConfusionMatrix.empty(classes) for _ in widths]
        self._distances = from_edges if around == "edges" else from_ignored

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count two label maps of one shape."""
        self.labelled += int((truth != IGNORED).sum())
        # Of the widths that hold a pixel the smallest; the sums over them come afterwards.
        ring = np.searchsorted(self.widths, self._distances(truth))
        for index, matrix in enumerate(self._rings):
            inside = ring == index
            matrix.add(truth[inside], predicted[inside])

    @property
    def subject(self) -> str:
        """What the bands are around, in words."""
        return "label edges" if self.around == "edges" else "ignored pixels"

    @property
    def matrices(self) -> list[ConfusionMatrix]:
        """One for each width, over all pixels in its band."""
        sums = np.cumsum([ring.counts for ring in self._rings], axis=0)
        return [ConfusionMatrix(counts) for counts in sums]

    @property
    def curve(self) -> list[TrimapPoint]:
        """The measure for each width."""
        return [
            TrimapPoint(width, matrix.mean_iou, matrix.counts.sum() / max(1, self.labelled))
            for width, matrix in zip(self.widths, self.matrices, strict=True)
        ]


@dataclass(frozen=True)
class TrimapPoint:
    """One point of the curve."""

    width: int
    """In pixels, to each side."""
    mean_iou: float
    """Over the classes that occur in the band; NaN if none does."""
    share: float
    """Of the labelled pixels that lie in the band."""


def from_edges(labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The distance of every pixel to the nearest one with another label, float64 [H, W].

    Infinite where there is no other label.
    """
    distances = np.full(labels.shape, np.inf)
    for label, box in enumerate(ndimage.find_objects(labels.astype(np.int32) + 1)):
        if box is None:
            continue
        # What is nearest to a pixel of the label lies in its box or right beside it.
        box = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        same = labels[box] == label
        if not same.all():
            distances[box][same] = ndimage.distance_transform_edt(same)[same]
    return distances


def from_ignored(labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The distance of every pixel to the nearest ignored one, float64 [H, W].

    Infinite where none is ignored.
    """
    counted = labels != IGNORED
    if counted.all():
        return np.full(labels.shape, np.inf)
    distances: NDArray[np.float64] = ndimage.distance_transform_edt(counted)
    return distances
