"""Mean intersection over union, counted over whole data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.labels import IGNORED


@dataclass
class ConfusionMatrix:
    """Pixels by true class (rows) and predicted class (columns), int64 [classes, classes]."""

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> ConfusionMatrix:
        return cls(np.zeros((classes, classes), dtype=np.int64))

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count two label maps of one shape; pixels that the truth ignores do not count."""
        classes = len(self.counts)
        valid = truth != IGNORED
        pairs = truth[valid].astype(np.int64) * classes + predicted[valid]
        self.counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union per class; NaN where a class is in neither."""
        hits = np.diag(self.counts).astype(np.float64)
        union = self.counts.sum(0) + self.counts.sum(1) - hits
        return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur; NaN if nothing was counted."""
        return float(np.nanmean(self.iou)) if self.counts.any() else float("nan")

    @property
    def shares(self) -> NDArray[np.float64]:
        """Counts over the sum of their row; NaN where the truth never has the class."""
        rows = self.counts.sum(1, keepdims=True)
        empty = np.full(self.counts.shape, np.nan)
        return np.divide(self.counts, rows, out=empty, where=rows > 0)

    @property
    def pixel_accuracy(self) -> float:
        return float(np.trace(self.counts) / max(1, self.counts.sum()))
