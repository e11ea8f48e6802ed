"""How many large pictures are in memory at once, large as they are or as they are cut."""

from __future__ import annotations

import threading
import time

import pytest
from PIL import Image

from service.engine.engine import Engine
from service.errors import UndecodableImage
from service.images.decode import Picture
from service.predict import bulk as module
from service.predict.bulk import Bulk
from service.settings import Settings
from service.tiling.plan import Tiling
from service.workshop import LARGE_PIXELS
from tests.service import pictures
from tests.service.models import SMALL, HeldModel

PICTURE = pictures.encoded(Image.new("RGB", (800, 600)), "PNG")


@pytest.mark.parametrize(("scale", "large"), [(2.5, True), (2.0, False)])
def test_pictures_that_are_large_once_scaled_wait_for_room(
    monkeypatch: pytest.MonkeyPatch, scale: float, large: bool
) -> None:
    assert (600 * scale * 800 * scale > LARGE_PIXELS) is large
    now, most, lock = 0, 0, threading.Lock()
    together = threading.Event()

    def watched(picture: Picture, tiling: Tiling) -> Picture:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now > 1:
                together.set()
        together.wait(0.05 if large else None)
        time.sleep(0.01)
        with lock:
            now -= 1
        raise UndecodableImage("that is enough")

    monkeypatch.setattr(module, "scaled", watched)
    model = HeldModel()
    model.session.gate.set()
    engine = Engine(model, (SMALL,), 1000)
    engine.start()
    settings = Settings.model_validate(
        {"image_threads": 3, "max_pixels": 4_000_000, "max_pixels_at_once": 4_000_000}
    )
    with Bulk(engine, settings) as bulk:
        items = bulk.run(
            [PICTURE] * 6, lambda item: item, lambda item, found: None, tiling=Tiling(scale)
        )
        assert all(isinstance(outcome.error, UndecodableImage) for outcome in items)
    assert (most == 1) is large
