"""The service on a model that only sleeps, so that what is left is the service's own work.

python -m benchmarks.imitation [settings of deeplab-serve]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic_settings import CliApp

from benchmarks.sleeper import sleep_over
from service.bucket import Bucket
from service.engine.model import Both, Placement
from service.engine.session import Session
from service.metrics import Metrics
from service.repository.supply import Supply, build_engine
from service.settings import Settings
from service.start import listen, serve

MAX_BATCH = 16


class Imitation:
    """Takes 4 ms a batch and half a millisecond a picture, without the interpreter's lock."""

    provider = "imitation"
    digest = "none"
    has_confidence = True

    def __init__(self, settings: Settings) -> None:
        self.card = Session(settings.model, "cpu").card

    def place(self, buckets: Sequence[Bucket]) -> Placement:
        """One sleeper."""
        return Placement((self,), MAX_BATCH)

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bands of classes, uint8 [N, H, W], for pictures uint8 [N, H, W, 3]."""
        return sleep_over(images, len(self.card.labels))

    def run_both(self, images: NDArray[np.uint8]) -> Both:
        """The same, each pixel quite sure."""
        masks = self.run(images)
        return masks, np.full_like(masks, 255)


def main() -> None:
    settings = CliApp.run(Settings)
    model, metrics = Imitation(settings), Metrics()
    supply = Supply(model.provider, build_engine(settings, model, metrics))
    serve(settings, listen(settings.host, settings.port), supply, metrics)


if __name__ == "__main__":
    main()
