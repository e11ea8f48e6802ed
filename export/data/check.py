"""Decode a whole data set once: find what cannot be used, count what can."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.datasets import DataSet, Sample, read_pair, shorten
from export.data.labels import IGNORED
from export.data.threads import in_threads
from export.errors import UserError


@dataclass(frozen=True)
class Survey:
    """What is in the labelled pictures of a split."""

    dataset: DataSet
    usable: tuple[Sample, ...]
    sizes: Counter[tuple[int, int]]
    """Number of usable pictures by (width, height)."""
    pixels: NDArray[np.int64]
    """Pixels of each class, int64 [classes]."""
    pictures: NDArray[np.int64]
    """Pictures that hold each class, int64 [classes]."""
    ignored: int
    """Pixels of no class."""
    problems: tuple[UserError, ...]
    """Files that cannot be used and why."""

    def share(self, pixels: int) -> float:
        """A number of pixels relative to all of them, ignored ones included."""
        return pixels / max(int(self.pixels.sum()) + self.ignored, 1)


def survey(dataset: DataSet) -> Survey:
    """Decode every picture and mask once, in threads, and count what they hold."""
    sizes: Counter[tuple[int, int]] = Counter()
    pixels, pictures = np.zeros(256, np.int64), np.zeros(256, np.int64)
    usable: list[Sample] = []
    problems: list[UserError] = []

    def count(sample: Sample) -> tuple[tuple[int, int], NDArray[np.int64]]:
        _, mask = read_pair(sample, dataset.labels)
        return (mask.shape[1], mask.shape[0]), np.bincount(mask.ravel(), minlength=256)

    for sample, result in in_threads(count, dataset.samples, "checking data"):
        if isinstance(result, UserError):
            problems.append(result)
            continue
        usable.append(sample)
        sizes[result[0]] += 1
        pixels += result[1]
        pictures += result[1] > 0
    classes = len(dataset.labels.names)
    return Survey(
        dataset,
        tuple(usable),
        sizes,
        pixels[:classes],
        pictures[:classes],
        int(pixels[IGNORED]),
        tuple(problems),
    )


def check_data(dataset: DataSet) -> NDArray[np.int64]:
    """Make sure that every picture and mask can be used; count the pixels of each class.

    Returns:
        int64 [classes]: pixels per class, ignored ones left out.

    Raises:
        UserError: names the files that cannot be used and why, up to ten of them.
    """
    found = survey(dataset)
    if found.problems:
        raise UserError(
            f"{len(found.problems)} of {len(dataset.samples)} labelled pictures cannot be used:\n"
            + shorten(found.problems)
        )
    if not found.pixels.any():
        raise UserError("every pixel of every mask is ignored; there is nothing to learn")
    return found.pixels
