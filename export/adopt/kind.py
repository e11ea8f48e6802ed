"""What a foreign file's output is, seen from what it gives for real pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.adopt.options import Reading
from export.errors import UserError

SUM_TOLERANCE = 1e-2
"""How far probabilities in half precision may sum up to something else than 1."""


@dataclass(frozen=True)
class Kind:
    """What the numbers of an output mean."""

    channels: int
    """Scores of each pixel; 0 where the file gives class ids."""
    probable: bool = False
    """The scores are probabilities and no logits."""

    @property
    def ids(self) -> bool:
        return self.channels == 0

    @property
    def one_channel(self) -> bool:
        return self.channels == 1

    def __str__(self) -> str:
        if self.ids:
            return "class ids"
        what = "probabilities" if self.probable else "logits"
        return f"{what} of {self.channels} {'channel' if self.one_channel else 'channels'}"


def kind_of(values: NDArray[Any], labels: int, reading: Reading) -> Kind:
    """What an output is.

    Args:
        values: what the file gave for a picture.
        labels: number of class names.
        reading: what the user says of it.

    Raises:
        UserError: it is no segmentation, or not of so many classes.
    """
    if values.dtype.kind in "iub":
        return _ids(values, labels, reading)
    if values.ndim != 4:
        raise UserError(_no_maps(values))
    channels = values.shape[1]
    if channels == 1:
        return _one_channel(values, labels, reading)
    if reading.threshold is not None:
        raise UserError(
            f"--threshold is for files of one channel; this one has {channels} scores for each "
            "pixel, of which the largest counts"
        )
    if channels != labels:
        raise UserError(_wrong_count(values.shape, labels))
    sums = values.astype(np.float32).sum(axis=1)
    return Kind(channels, bool(values.min() >= 0 and np.abs(sums - 1).max() < SUM_TOLERANCE))


def _ids(values: NDArray[Any], labels: int, reading: Reading) -> Kind:
    if reading.confidence:
        raise UserError("the file gives class ids and no scores; leave out --confidence")
    if reading.threshold is not None:
        raise UserError("the file gives class ids and no scores; leave out --threshold")
    if values.ndim != 3 and not (values.ndim == 4 and values.shape[1] == 1):
        raise UserError(
            f"the output is {values.dtype} {list(values.shape)}; class ids must be [N, H, W] or "
            "[N, 1, H, W]"
        )
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest >= labels:
        raise UserError(
            f"the file gives class ids from {lowest} to {highest}, but --labels has names for 0 "
            f"to {labels - 1}; name every class that it tells apart"
        )
    return Kind(0)


def _one_channel(values: NDArray[Any], labels: int, reading: Reading) -> Kind:
    if labels != 2:
        raise UserError(
            f"the file has one score for each pixel, so it tells two classes apart, but --labels "
            f"has {labels}; name what is below the threshold first, then what is above it"
        )
    if reading.threshold is None:
        raise UserError(
            "the file has one score for each pixel; give --threshold: 0 where it gives logits, "
            f"0.5 where it ends in a sigmoid (on a picture they go from {values.min():.3g} to "
            f"{values.max():.3g})"
        )
    return Kind(1, bool(values.min() >= 0 and values.max() <= 1))


def _no_maps(values: NDArray[Any]) -> str:
    shape = list(values.shape)
    if values.ndim == 2:
        return (
            f"the output is {values.dtype} {shape}: a class for the whole picture and none for "
            "each pixel; this is no segmentation model"
        )
    return f"the output is {values.dtype} {shape}; scores must be [N, C, h, w]"


def _wrong_count(shape: tuple[int, ...], labels: int) -> str:
    channels = shape[1]
    text = f"the file has scores of {channels} classes, but --labels has {labels}"
    if shape[3] == labels:
        return (
            f"the output is {list(shape)}: its classes come last; export the model with channels "
            "first, [N, C, h, w]"
        )
    if channels == labels + 1:
        return f"{text}: is the background missing, most often the first?"
    if channels == labels - 1:
        return f"{text}: is one of them the background or what is ignored, of which it has none?"
    return text
