"""How many pictures are pixels at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from PIL import Image

from service import source as module
from service.bucket import Bucket
from service.engine.engine import Engine
from service.errors import SlowUpload
from service.house import House
from service.images.decode import Picture, decode
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.settings import Settings
from service.tiling import cutter
from service.tiling.plan import Tiling
from service.workshop import LARGE_PIXELS, Workshop
from tests.service import pictures
from tests.service.models import SMALL, SOON, HeldModel, HeldSession

LARGE = pictures.encoded(Image.new("RGB", (2000, 1500)), "PNG")
LITTLE = pictures.encoded(Image.new("RGB", (200, 150)), "PNG")


class Watch:
    """How many pictures were decoded at once, and a gate that holds them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = 0
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()
        monkeypatch.setattr(module, "decode", self._decode)

    def _decode(self, *arguments: Any, **options: Any) -> Picture:
        picture = decode(*arguments, **options)
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        self.gate.wait(SOON)
        with self._lock:
            self.now -= 1
        return picture


@contextmanager
def small_pipeline(**settings: object) -> Iterator[Pipeline]:
    """A pipeline with four image threads on a warm engine."""
    model = HeldModel()
    model.session.gate.set()
    chosen, metrics = Settings.model_validate({"image_threads": 4, **settings}), Metrics()
    engine = Engine(model, (SMALL,), 16)
    engine.start()
    engine.wait_ready()
    house = House(chosen, metrics, Lifecycle(), lambda: 0)
    try:
        yield Pipeline(engine, house, Workshop(chosen), chosen, metrics)
    finally:
        engine.close()


def session(pipeline: Pipeline) -> HeldSession:
    return cast(HeldModel, cast(Any, pipeline.engine)._model).session


async def answer(pipeline: Pipeline, data: bytes, tiling: Tiling | None = None) -> tuple[int, ...]:
    with pipeline.visit() as visit:
        return await pipeline.answer(data, visit, lambda found: found.mask().shape, tiling=tiling)


@pytest.mark.parametrize(
    ("data", "room", "least", "most"),
    [
        (LARGE, 3_000_000, 1, 1),
        (LARGE, 6_500_000, 2, 2),
        (LARGE, LARGE_PIXELS, 1, 1),
        (LITTLE, 1, 2, 4),
    ],
)
def test_large_pictures_wait_for_room(
    monkeypatch: pytest.MonkeyPatch, data: bytes, room: int, least: int, most: int
) -> None:
    watch = Watch(monkeypatch)
    watch.gate.clear()

    async def ask(pipeline: Pipeline) -> list[tuple[int, ...]]:
        asked = asyncio.gather(*(answer(pipeline, data) for _ in range(8)))
        async with asyncio.timeout(SOON):
            while watch.now < least:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # time for one too many
        watch.gate.set()
        return await asked

    with small_pipeline(max_pixels_at_once=room) as pipeline:
        sizes = asyncio.run(ask(pipeline))
    assert set(sizes) == {(1500, 2000) if data is LARGE else (150, 200)}
    assert least <= watch.most <= most


def test_as_many_pictures_are_at_work_as_keep_the_replicas_of_now_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(pipeline: Pipeline) -> None:
        engine = cast(Engine, pipeline.engine)
        await answer(pipeline, LITTLE)
        monkeypatch.setattr(Engine, "capacity", 4)
        session = cast(HeldModel, engine._model).session
        session.gate.clear()
        asked = [asyncio.create_task(answer(pipeline, LITTLE)) for _ in range(16)]
        # One is being computed.
        while engine.waiting < 15:
            await asyncio.sleep(0.01)
        session.gate.set()
        await asyncio.gather(*asked)

    with small_pipeline() as pipeline:
        asyncio.run(asyncio.wait_for(scene(pipeline), SOON))


def test_who_leaves_gives_no_room_back_before_its_pixels_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch(monkeypatch)
    watch.gate.clear()

    async def scene(pipeline: Pipeline) -> None:
        leaving = asyncio.create_task(answer(pipeline, LARGE))
        while not watch.now:
            await asyncio.sleep(0.01)
        leaving.cancel()
        staying = asyncio.create_task(answer(pipeline, LARGE))
        await asyncio.sleep(0.3)
        assert watch.now == 1, "the thread of the one who left is still at work"
        watch.gate.set()
        assert await staying == (1500, 2000)

    with small_pipeline(max_pixels_at_once=3_000_000) as pipeline:
        asyncio.run(scene(pipeline))
    assert watch.most == 1


def test_an_upload_whose_time_is_just_over_is_not_taken_for_the_slowest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.house.NEW_SECONDS", 0.0)

    async def scene(pipeline: Pipeline) -> None:
        house = pipeline.house

        async def stall() -> None:
            with pipeline.visit() as visit:
                async with house.uploading(visit):
                    await asyncio.sleep(SOON)

        async def come_when_it_expires() -> None:
            with pipeline.visit() as visit:
                # In the very turn of the event loop in which the other one's time is over.
                (clock,) = house._uploads
                while not clock.expired():
                    await asyncio.sleep(0)
                async with house.uploading(visit):
                    pass

        stalled = asyncio.create_task(stall())
        await asyncio.sleep(0.01)
        await come_when_it_expires()
        with pytest.raises(SlowUpload):
            await stalled

    with small_pipeline(upload_timeout=0.1, max_uploads=1) as pipeline:
        asyncio.run(scene(pipeline))


def test_a_picture_that_is_one_window_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutter, "scaled", lambda *_: pytest.fail("it was decoded to be cut"))
    with small_pipeline() as pipeline:
        assert asyncio.run(answer(pipeline, LITTLE, Tiling(0.1))) == (150, 200)


@pytest.mark.parametrize(("orientation", "windows"), [(1, 1), (6, 4)])
def test_it_is_decoded_to_be_cut_if_it_may_lie_sideways(
    orientation: int, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = pictures.encoded(Image.new("RGB", (96, 32)), "JPEG", exif=exif)
    with small_pipeline() as pipeline:
        monkeypatch.setattr(pipeline.engine, "buckets", (Bucket(33, 97),))
        shape = asyncio.run(answer(pipeline, wide, Tiling(1.0)))
        assert shape == ((32, 96) if windows == 1 else (96, 32))
        assert len(session(pipeline).ran) == windows
