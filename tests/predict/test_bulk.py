"""Many pictures through one engine: in order, in full batches, not all at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.engine.engine import Engine
from service.errors import EngineFailed, StartError, TooManyPixels, UndecodableImage
from service.predict.bulk import Bulk
from service.segmented import Segmented
from service.settings import Settings
from service.source import Source
from tests.service import pictures
from tests.service.models import POISON, SMALL, HeldModel, image

BATCH = 4
THREADS = 3


@pytest.fixture
def model() -> HeldModel:
    """Takes batches of four, and does not wait for its gate."""
    made = HeldModel(BATCH)
    made.session.gate.set()
    return made


@pytest.fixture
def bulk(model: HeldModel) -> Iterator[Bulk]:
    engine = Engine(model, (SMALL,), 1000)
    engine.start()
    settings = Settings.model_validate({"image_threads": THREADS, "max_pixels": 3_000_000})
    with Bulk(engine, settings) as made:
        yield made


def same(item: Source) -> Source:
    return item


def size(item: Source, found: Segmented) -> tuple[int, int]:
    return found.size


def test_outcomes_are_in_order_whatever_came_and_failures_are_alone(bulk: Bulk) -> None:
    items: list[Source] = [
        pictures.encoded(pictures.noise(2000, 1400), "PNG"),
        pictures.encoded(pictures.photo(40, 30), "JPEG"),
        b"\xff\xd8\xff no more",
        image(POISON),
        np.asarray(pictures.photo(20, 10)),
        pictures.bomb(3000, 1001),
        np.zeros((2000, 1501, 3), np.uint8),
        pictures.encoded(pictures.photo(30, 40), "PNG"),
    ]
    outcomes = list(bulk.run(items, same, size))
    assert [outcome.item is item for outcome, item in zip(outcomes, items, strict=True)] == [
        True
    ] * len(items)
    assert [outcome.made for outcome in outcomes if not outcome.error] == [
        (1400, 2000),
        (30, 40),
        (10, 20),
        (40, 30),
    ]
    kinds = [type(outcome.error) for outcome in outcomes if outcome.error]
    assert kinds == [UndecodableImage, EngineFailed, TooManyPixels, TooManyPixels]
    with pytest.raises(UndecodableImage):
        assert outcomes[2].made


def test_batches_fill(bulk: Bulk, model: HeldModel) -> None:
    assert all(not o.error for o in bulk.run([image(index) for index in range(60)], same, size))
    ran = model.session.ran
    assert sorted(first for batch in ran for first in batch) == list(range(60))
    assert sum(len(batch) == BATCH for batch in ran) >= 10


def test_pictures_are_taken_as_there_is_room(bulk: Bulk) -> None:
    taken: list[int] = []

    def items() -> Iterator[Source]:
        for index in range(200):
            taken.append(index)
            yield image()

    assert bulk.workers == THREADS + 2 * BATCH
    for count, outcome in enumerate(bulk.run(items(), same, size), 1):
        assert outcome.error is None
        assert len(taken) <= count + 2 * bulk.workers
    assert len(taken) == 200


def test_what_loading_and_making_raise_is_the_outcome(bulk: Bulk) -> None:
    def fail(item: str, found: Segmented) -> None:
        raise OSError(28, "No space left on device")

    (missing,) = bulk.run(["nowhere.jpg"], lambda name: Path(name).read_bytes(), fail)
    assert isinstance(missing.error, FileNotFoundError)
    (full,) = bulk.run(["x"], lambda name: image(), fail)
    assert isinstance(full.error, OSError)
    assert full.error.errno == 28


def test_photos_are_whole_however_they_were_decoded(bulk: Bulk) -> None:
    original = pictures.noise(2000, 1400)

    def photo(item: Source, found: Segmented) -> Image.Image:
        return found.photo()

    items: list[Source] = [pictures.encoded(original, "PNG"), np.asarray(original)]
    for outcome in bulk.run(items, same, photo):
        assert (np.asarray(outcome.made) == np.asarray(original)).all()


def test_a_model_that_breaks_ends_the_run(bulk: Bulk, model: HeldModel) -> None:
    run = bulk.run([image() for _ in range(100)], same, size)
    assert next(run).error is None
    model.session.broken = True
    with pytest.raises(StartError, match="does not run: no kernel image"):
        list(run)
