"""A model that only sleeps, so that what is left of a request is the server's own work."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

RUN_SECONDS, PICTURE_SECONDS = 0.004, 0.0005


def sleep_over(images: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Bands of classes, uint8 [N, H, W], for pictures uint8 [N, H, W, 3].

    Takes 4 ms a batch and half a millisecond a picture, without the interpreter's lock.
    """
    count, height, width, _ = images.shape
    time.sleep(RUN_SECONDS + count * PICTURE_SECONDS)
    bands = np.arange(width, dtype=np.uint16) * classes // width
    return np.broadcast_to(bands.astype(np.uint8), (count, height, width))
