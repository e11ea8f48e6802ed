"""Training samples: random scale, crop, flip (section 4 and the released flags)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from export.data.labels import IGNORED

FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class AugmentConfig:
    """How a labelled picture becomes a training sample."""

    crop: tuple[int, int] = (513, 513)
    """Height and width of a sample; 16k+1 keeps feature maps aligned."""
    scales: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    """Factors that the picture is resized by, one drawn per sample."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    colour_jitter: float = 0.0
    """Largest relative change of brightness, contrast and saturation; the paper has none."""


def normalise(image: NDArray[np.uint8]) -> FloatImage:
    """[..., 3] uint8 in 0..255 to float32 in -1..1, as the released networks take it."""
    return image.astype(np.float32) / np.float32(127.5) - np.float32(1)


def augment(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    config: AugmentConfig,
    rng: np.random.Generator,
) -> tuple[FloatImage, NDArray[np.uint8]]:
    """Draw one sample: float32 [crop, 3] in -1..1 and uint8 [crop].

    What lies outside the picture is 0 (127.5 before normalising) and ignored.
    """
    scaled = Image.fromarray(image), Image.fromarray(mask)
    factor = float(rng.choice(config.scales))
    if factor != 1:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        scaled = (
            scaled[0].resize(size, Image.Resampling.BILINEAR),
            scaled[1].resize(size, Image.Resampling.NEAREST),
        )
    box = _crop_box(scaled[0].size, config.crop, rng)
    picture, labels = scaled[0].crop(box), scaled[1].crop(box)
    if config.colour_jitter:
        picture = _jitter(picture, config.colour_jitter, rng)
    sample, target = normalise(np.asarray(picture)), np.asarray(labels)
    if rng.random() < config.flip:
        sample, target = sample[:, ::-1], target[:, ::-1]
    return _pad(sample, target, config.crop)


def _crop_box(
    size: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    width, height = size
    crop_height, crop_width = min(crop[0], height), min(crop[1], width)
    left = int(rng.integers(width - crop_width + 1))
    top = int(rng.integers(height - crop_height + 1))
    return left, top, left + crop_width, top + crop_height


def _jitter(picture: Image.Image, amount: float, rng: np.random.Generator) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(1 + float(rng.uniform(-amount, amount)))
    return picture


def _pad(
    sample: FloatImage, target: NDArray[np.uint8], crop: tuple[int, int]
) -> tuple[FloatImage, NDArray[np.uint8]]:
    height, width = target.shape
    padded = np.zeros((*crop, 3), dtype=np.float32)
    padded[:height, :width] = sample
    labels = np.full(crop, IGNORED, dtype=np.uint8)
    labels[:height, :width] = target
    return padded, labels
