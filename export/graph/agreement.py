"""How far a converted model gives the classes that PyTorch gives, on real pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.data.datasets import read_image
from export.evaluation.predict import Predictor, padded_size
from export.weights.checkpoint import CheckpointInfo

LONG_SIDE = 513
SHAPES = ((1, 1), (3, 4), (4, 3), (9, 16), (16, 9))
"""Height to width of the pictures of the agreement check; none gives the traced size."""


def checked_sizes(info: CheckpointInfo) -> tuple[tuple[int, int], ...]:
    """(height, width) of the agreement check: 513 at the long side.

    Less for a network that was imported and never trained here, if it was made for less.
    """
    stride = max(16, info.model.output_stride)
    made_for = padded_size(max(info.crop), stride)
    long_side = min(LONG_SIDE, made_for) if info.step == 0 else LONG_SIDE
    return tuple(
        (
            padded_size((long_side - 1) * height // max(height, width) + 1, stride),
            padded_size((long_side - 1) * width // max(height, width) + 1, stride),
        )
        for height, width in SHAPES
    )


def least_agreement(
    reference: Predictor,
    candidate: Predictor,
    pictures: Sequence[Path],
    sizes: Iterable[tuple[int, int]],
) -> float:
    """The lowest share of equal pixels over several sizes and batch sizes of real pictures."""
    shares = []
    for count, size in enumerate(sizes, start=1):
        images = pictures_at(pictures, size, count)
        shares.append(float((reference(images) == candidate(images)).mean()))
    return min(shares)


def spread(pictures: Sequence[Path], count: int) -> Iterable[Path]:
    """Pictures from all over a list."""
    step = max(1, len(pictures) // count)
    return (pictures[(index * step) % len(pictures)] for index in range(count))


def pictures_at(pictures: Sequence[Path], size: tuple[int, int], count: int) -> NDArray[np.uint8]:
    """Pictures from all over a list, stretched to one height and width, uint8 [count, H, W, 3]."""
    return np.stack([_resized(path, size) for path in spread(pictures, count)])


def _resized(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    image = Image.fromarray(read_image(path))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
