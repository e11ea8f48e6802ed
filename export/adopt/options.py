"""What only the user can know of a foreign file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.errors import UserError

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Pixels:
    """How the pixels of a picture become the file's input: (pixel / scale - mean) / std."""

    mean: Channels
    """Mean of each channel, in the order in which the file takes them; 0 0 0 for none."""
    std: Channels
    """Standard deviation of each channel in that order; 1 1 1 for none."""
    scale: Literal[1, 255]
    """What pixels (0..255) are divided by first: 255 where mean and std are in 0..1, else 1."""
    bgr: bool = False
    """The file takes blue first, then green and red."""

    def __post_init__(self) -> None:
        if not np.isfinite((*self.mean, *self.std)).all():
            raise UserError(f"--mean is {self.mean} and --std {self.std}; all must be finite")
        if not all(deviation > 0 for deviation in self.std):
            raise UserError(f"--std is {self.std}; every deviation must be above 0")
        if self.scale == 255 and max(map(abs, (*self.mean, *self.std))) > 2:
            raise UserError(
                f"--mean {self.mean} and --std {self.std} are in 0..255, but --scale 255 brings "
                "pixels to 0..1; give --scale 1"
            )
        if self.scale == 1 and 0 < max(self.mean) <= 1 and max(self.std) <= 1:
            raise UserError(
                f"--mean {self.mean} and --std {self.std} are in 0..1, but --scale 1 leaves "
                "pixels in 0..255; give --scale 255"
            )

    @property
    def factor(self) -> NDArray[np.float32]:
        """What a pixel is multiplied by, float32 [3, 1, 1]."""
        return _by_channel(1 / (self.scale * np.asarray(self.std)))

    @property
    def offset(self) -> NDArray[np.float32]:
        """What is added to it then, float32 [3, 1, 1]."""
        return _by_channel(-np.asarray(self.mean) / np.asarray(self.std))

    @property
    def pad_value(self) -> int:
        """The grey that is nearest to the mean."""
        return int(np.clip(round(self.scale * float(np.mean(self.mean))), 0, 255))


@dataclass(frozen=True)
class Reading:
    """How the file's output becomes a mask."""

    output: str | None = None
    """The output to read, where the file has several."""
    align_corners: bool = False
    """Scores are resized with aligned corners; the default is half pixels, as nearly all do."""
    threshold: float | None = None
    """For a file of one channel: a pixel whose score is above it is of the second class. 0 where
    the file gives logits, 0.5 where it ends in a sigmoid."""
    confidence: bool = False
    """Add the output `confidence`."""
    size: tuple[int, int] | None = None
    """Height and width that the model is made for; default: the file's where they are fixed,
    else 512 512."""
    multiple: int | None = None
    """What height and width must be multiples of; default: 32, or 1 with --align-corners."""

    def __post_init__(self) -> None:
        if self.multiple is not None and self.multiple < 1:
            raise UserError(f"--multiple is {self.multiple}; it must be at least 1")
        if self.size is not None and min(self.size) < 32:
            raise UserError(f"--size is {self.size}; both sides must be at least 32")
        if self.threshold is not None and not np.isfinite(self.threshold):
            raise UserError(f"--threshold is {self.threshold}; it must be finite")

    @property
    def grid(self) -> int:
        """The multiple that holds."""
        return self.multiple or (1 if self.align_corners else 32)


def _by_channel(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32).reshape(3, 1, 1)
