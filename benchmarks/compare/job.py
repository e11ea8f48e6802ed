"""The work of a request, which is the same on every server: the service's own functions."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.compare.orders import Orders, given
from benchmarks.sleeper import sleep_over
from service.contract import INPUT, MASK, read_card
from service.images.decode import decode
from service.images.fit import Fitted, fit
from service.images.png import palette_png

MAX_PIXELS = 64_000_000


class Job:
    """From a JPEG to a palette PNG of its size, in steps that a server may put where it likes."""

    def __init__(self, orders: Orders | None = None) -> None:
        """Load the model that the orders name."""
        self._orders = orders or given()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._orders.setting.threads
        options.log_severity_level = 3  # what is worse than a warning
        # As in the service: waiting threads would burn the cores that decode pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            self._orders.model, options, providers=["CPUExecutionProvider"]
        )
        self._card = read_card(
            self._session.get_modelmeta().custom_metadata_map, self._orders.model
        )
        self._buckets = self._card.default_buckets
        self._enough = max(bucket.long_side for bucket in self._buckets)

    def read(self, body: bytes) -> Fitted:
        """Decode an upload and fit it to the model's input."""
        return fit(decode(body, MAX_PIXELS, self._enough), self._buckets, self._card.pad_value)

    def infer(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3]."""
        if self._orders.imitation:
            return sleep_over(images, len(self._card.labels))
        (masks,) = self._session.run([MASK], {INPUT: images})
        return np.asarray(masks, np.uint8)

    def write(self, fitted: Fitted, mask: NDArray[np.uint8]) -> bytes:
        """The PNG of a picture's mask [H, W]."""
        return palette_png(fitted.restore(mask), self._card.palette)

    def answer(self, body: bytes) -> bytes:
        """All of it, for one picture."""
        fitted = self.read(body)
        return self.write(fitted, self.infer(fitted.tensor[None])[0])
