"""Pixels to the model's input and its mask back to the picture's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.bucket import Bucket, choose_bucket
from service.images.decode import Picture


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


def fit(picture: Picture, buckets: Sequence[Bucket], pad_value: int) -> Fitted:
    """Scale a picture, up or down, to the bucket that it fills best, and pad the rest."""
    bucket = choose_bucket(buckets, picture.height, picture.width)
    height, width = bucket.fit(picture.height, picture.width)
    image = picture.image
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    if (height, width) == bucket:
        tensor = np.asarray(image)
    else:
        tensor = np.full((*bucket, 3), pad_value, dtype=np.uint8)
        tensor[:height, :width] = np.asarray(image)
    return Fitted(tensor, (height, width), (picture.height, picture.width))
