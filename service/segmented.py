"""What the answers are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.images.decode import Picture
from service.images.fit import Fitted


class Segmented:
    """A picture with its mask."""

    def __init__(
        self,
        fitted: Fitted,
        model_mask: NDArray[np.uint8],
        photo: Image.Image | None,
        decode_photo: Callable[[], Picture],
        model_confidence: NDArray[np.uint8] | None = None,
        file: bytes = b"",
    ) -> None:
        """
        Args:
            fitted: the picture as the model saw it.
            model_mask: class ids uint8 [h, w] of that.
            photo: the upload at its full size, if it is at hand.
            decode_photo: makes it, if it is not.
            model_confidence: 255 times the probability of each of these classes, if asked for.
            file: the upload, if it came as one.
        """
        self._fitted = fitted
        self._model_mask = model_mask
        self._photo = photo
        self._decode_photo = decode_photo
        self._model_confidence = model_confidence
        self.file = file
        """The upload, if it came as one."""

    @property
    def model_mask(self) -> NDArray[np.uint8]:
        """Class ids uint8 [h, w] at the size the model saw, without padding."""
        return self._fitted.crop(self._model_mask)

    @property
    def confidence(self) -> NDArray[np.uint8]:
        """255 times the probability of each class of `model_mask`, which was asked for."""
        assert self._model_confidence is not None
        return self._fitted.crop(self._model_confidence)

    def with_mask(self, mask: NDArray[np.uint8]) -> Segmented:
        """The same picture with another mask [h, w] at the size that the model saw."""
        return Segmented(
            self._fitted,
            mask,
            self._photo,
            self._decode_photo,
            self._model_confidence,
            self.file,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upload."""
        return self._fitted.picture

    def mask(self) -> NDArray[np.uint8]:
        """Class ids uint8 [H, W] at the size of the upload."""
        return self._fitted.restore(self._model_mask)

    def sureness(self) -> NDArray[np.uint8]:
        """255 times the probability of each class of `mask`, which was asked for."""
        assert self._model_confidence is not None
        return self._fitted.restore(self._model_confidence)

    def photo(self) -> Image.Image:
        """The upload itself, upright, RGB, at its full size."""
        return self._photo or self._decode_photo().image
