"""Pixels to the model's input and its mask back to the picture's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.images.decode import Picture

GRID = 16
"""Inputs are GRID * k + 1 long, or a larger output stride, so that feature maps keep the
picture's corners."""


@dataclass(frozen=True)
class Fitted:
    """A picture as the model takes it, with what is needed to go back."""

    tensor: NDArray[np.uint8]
    """uint8 [H, W, 3], the scaled picture at the top left, padding right and below."""
    scaled: tuple[int, int]
    """Height and width of the part that is picture."""
    picture: tuple[int, int]
    """Height and width of the upload."""

    def crop(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the padding from a mask [H, W]."""
        return mask[: self.scaled[0], : self.scaled[1]]

    def restore(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A mask [H, W] of the model at the upload's size, by nearest neighbour."""
        cropped = self.crop(mask)
        if self.scaled == self.picture:
            return np.ascontiguousarray(cropped)
        height, width = self.picture
        resized = Image.fromarray(cropped).resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(resized)


def fit(picture: Picture, long_side: int, pad_value: int, output_stride: int = GRID) -> Fitted:
    """Scale a picture down to a long side if it is larger, and pad both sides to 16k+1.

    A model of output stride 32 gets 32k+1.
    """
    grid = max(GRID, output_stride)
    scale = min(1.0, long_side / max(picture.width, picture.height))
    width = max(1, round(picture.width * scale))
    height = max(1, round(picture.height * scale))
    image = picture.image
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    tensor = np.full((padded(height, grid), padded(width, grid), 3), pad_value, dtype=np.uint8)
    tensor[:height, :width] = np.asarray(image)
    return Fitted(tensor, (height, width), (picture.height, picture.width))


def padded(side: int, grid: int) -> int:
    """The smallest grid * k + 1 with k >= 1 that is at least `side`."""
    return max(1, -(-(side - 1) // grid)) * grid + 1
