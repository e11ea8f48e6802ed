"""The engine: batches, order, limits, deadlines, faults."""

from __future__ import annotations

import dataclasses
import gc
import random
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest
from PIL import Image

from service.bucket import Bucket
from service.engine.cpu import CpuModel, Shares
from service.engine.engine import Engine
from service.engine.session import Session
from service.engine.waiting import Answer
from service.errors import DeadlinePassed, EngineFailed, Unavailable
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from tests.service.models import (
    POISON,
    SMALL,
    SOON,
    WIDE,
    HeldModel,
    HeldSession,
    held_engine,
    image,
    later,
)


def test_pictures_are_answered_in_order() -> None:
    with held_engine() as (engine, session):
        futures = [engine.submit(image(index), later()) for index in range(5)]
        session.gate.set()
        answers = [future.result(SOON) for future in futures]
        assert session.ran == [[0], [1], [2], [3], [4]]
        assert all(answer.mask.shape == (33, 33) for answer in answers)
        assert all(answer.infer_seconds > 0 for answer in answers)
        assert answers[4].queue_seconds > answers[0].queue_seconds


def test_a_picture_that_is_alone_gets_the_whole_machine_and_the_next_does_not() -> None:
    model = HeldModel()
    wide = HeldSession()
    wide.held = True
    placed = model.place((SMALL,))
    both = dataclasses.replace(placed, runners=(model.session,) * 2, alone=wide, alone_threads=2)
    model.place = lambda buckets: both  # type: ignore[method-assign]
    engine = Engine(model, (SMALL,), 16)
    engine.start()
    engine.wait_ready()
    try:
        first = engine.submit(image(1), later())
        assert wide.started.wait(SOON)
        second = engine.submit(image(2), later())
        assert model.session.started.wait(SOON)
        third = engine.submit(image(3), later())
        wide.gate.set()
        assert first.result(SOON).alone
        while engine.busy < 1 or engine.waiting:
            time.sleep(0.001)
        model.session.gate.set()
        assert not second.result(SOON).alone
        assert not third.result(SOON).alone, "the second was still computed"
        assert wide.ran == [[1]]
        assert sorted(model.session.ran) == [[2], [3]]
        assert [engine.at_once(pictures) for pictures in (1, 2, 3)] == [1, 2, 2]
    finally:
        engine.close()


def test_a_closed_engine_is_gone_at_once_with_all_its_memory() -> None:
    gc.disable()
    try:
        model = HeldModel(1)
        model.session.gate.set()
        engine = Engine(model, (SMALL,), 4)
        engine.start()
        engine.wait_ready()
        engine.submit(image(), later()).result(SOON)
        engine.close()
        closed = weakref.ref(engine)
        del engine
        assert closed() is None, "it would stay until Python looks for circles of references"
    finally:
        gc.enable()


def test_an_idle_engine_starts_at_once_and_a_busy_one_gathers_a_batch() -> None:
    with held_engine(max_batch=4) as (engine, session):
        futures = [engine.submit(image(0), later())]
        assert session.started.wait(SOON)
        futures += [engine.submit(image(index), later()) for index in range(1, 7)]
        session.gate.set()
        sizes = [future.result(SOON).batch for future in futures]
        assert session.ran == [[0], [1, 2, 3, 4], [5, 6]]
        assert sizes == [1, 4, 4, 4, 4, 2, 2]


def test_a_batch_holds_one_bucket_and_the_oldest_picture_goes_first() -> None:
    with held_engine(max_batch=8) as (engine, session):
        futures = [engine.submit(image(0), later())]
        assert session.started.wait(SOON)
        for index, bucket in enumerate((WIDE, SMALL, WIDE, SMALL, SMALL), start=1):
            futures.append(engine.submit(image(index, bucket), later()))
        session.gate.set()
        shapes = [future.result(SOON).mask.shape for future in futures]
        assert session.ran == [[0], [1, 3], [2, 4, 5]]
        assert shapes == [SMALL, WIDE, SMALL, WIDE, SMALL, SMALL]


def test_max_delay_waits_for_a_full_batch_and_no_longer_when_closing() -> None:
    with held_engine(max_batch=2, max_delay=SOON) as (engine, session):
        session.gate.set()
        first = engine.submit(image(0), later())
        assert not session.started.wait(0.2)
        second = engine.submit(image(1), later())
        assert (first.result(SOON).batch, second.result(SOON).batch) == (2, 2)
        alone = engine.submit(image(2), later())
        engine.close()
        assert alone.result(0).batch == 1


def test_each_answer_belongs_to_its_own_picture() -> None:
    """500 requests from many threads over three buckets and two sessions, in batches."""
    buckets = (Bucket(65, 97), Bucket(97, 65), Bucket(81, 81))
    with Image.open(SAMPLE_PICTURE) as sample:
        photo = np.asarray(sample.convert("RGB"))
    places = random.Random(0)
    pixels = []
    for index in range(60):
        height, width = buckets[index % 3]
        top = places.randrange(photo.shape[0] - 4 * height)
        left = places.randrange(photo.shape[1] - 4 * width)
        pixels.append(photo[top : top + 4 * height : 4, left : left + 4 * width : 4])
    plain = Session(BUILT_IN_MODEL, "cpu")
    expected = [plain.run(one[None])[0] for one in pixels]
    assert len({mask.tobytes() for mask in expected}) > 50, "pictures that can be told apart"
    engine = Engine(CpuModel(BUILT_IN_MODEL, "cpu", Shares(2, 1, 4)), buckets, 1_000)
    engine.start()
    engine.wait_ready()
    found: list[tuple[int, Future[Answer]]] = []

    def client(seed: int) -> None:
        order = random.Random(seed)
        for _ in range(50):
            index = order.randrange(len(pixels))
            found.append((index, engine.submit(pixels[index], later(10 * SOON))))
            time.sleep(order.random() / 200)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = [(index, future.result(SOON)) for index, future in found]
    engine.close()
    assert len(answers) == 500
    assert all((answer.mask == expected[index]).all() for index, answer in answers)
    assert max(answer.batch for _, answer in answers) > 1


def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    with held_engine(limit=3) as (engine, session):
        running = engine.submit(image(), later())
        assert session.started.wait(SOON)
        waiting = [engine.submit(image(), later()) for _ in range(3)]
        with pytest.raises(Unavailable, match="3 pictures are waiting") as caught:
            engine.submit(image(), later())
        assert caught.value.retry_after == pytest.approx(engine.estimate(4))
        session.gate.set()
        for future in (running, *waiting):
            future.result(SOON)
        engine.submit(image(), later()).result(SOON)


def test_a_picture_that_would_miss_its_deadline_is_refused_at_once() -> None:
    with held_engine() as (engine, session):
        session.gate.set()
        engine.submit(image(), later()).result(SOON)
        session.gate.clear()
        session.started.clear()
        engine.submit(image(), later())
        assert session.started.wait(SOON)
        for _ in range(10):
            engine.submit(image(), later())
        with pytest.raises(Unavailable, match="would miss its deadline") as caught:
            engine.submit(image(), later(engine.estimate(10) / 2))
        assert caught.value.retry_after == pytest.approx(engine.estimate(11))
        engine.submit(image(), later(engine.estimate(10) * 2 + 1))


def test_a_passed_deadline_costs_the_model_nothing() -> None:
    with held_engine(max_batch=4) as (engine, session):
        engine.submit(image(1), later())
        assert session.started.wait(SOON)
        late = engine.submit(image(2), later(-1))
        fine = engine.submit(image(3), later())
        session.gate.set()
        with pytest.raises(DeadlinePassed):
            late.result(SOON)
        fine.result(SOON)
        assert session.ran == [[1], [3]]


def test_a_cancelled_picture_costs_nothing_and_frees_its_place() -> None:
    with held_engine(max_batch=4, limit=1) as (engine, session):
        engine.submit(image(1), later())
        assert session.started.wait(SOON)
        gone = engine.submit(image(2), later())
        assert gone.cancel()
        stays = engine.submit(image(3), later())
        session.gate.set()
        stays.result(SOON)
        with pytest.raises(CancelledError):
            gone.result(SOON)
        assert session.ran == [[1], [3]]


def test_a_poisonous_picture_fails_alone() -> None:
    with held_engine(max_batch=8) as (engine, session):
        engine.submit(image(0), later())
        assert session.started.wait(SOON)
        good = [engine.submit(image(index), later()) for index in (1, 2, 3)]
        bad = engine.submit(image(POISON), later())
        more = [engine.submit(image(index), later()) for index in (4, 5)]
        session.gate.set()
        with pytest.raises(EngineFailed, match="on this picture"):
            bad.result(SOON)
        assert [future.result(SOON).batch for future in good + more] == [1] * 5
        assert engine.ready, "the session still runs, so it was the picture"


def test_a_batch_that_does_not_fit_into_memory_is_halved_from_then_on() -> None:
    with held_engine(max_batch=8) as (engine, session):
        session.memory = 3
        first = engine.submit(image(0), later())
        assert session.started.wait(SOON)
        rest = [engine.submit(image(index), later()) for index in range(1, 17)]
        session.gate.set()
        sizes = [future.result(SOON).batch for future in (first, *rest)]
        # Eight do not fit, nor do four; the next batch is of two at once.
        assert sizes == [1] + [2] * 16
        assert engine.ready


def test_a_broken_session_stops_the_engine_and_leaves_nobody_waiting() -> None:
    with held_engine(max_batch=2) as (engine, session):
        futures = [engine.submit(image(0), later())]
        assert session.started.wait(SOON)
        futures += [engine.submit(image(index), later()) for index in range(1, 6)]
        session.broken = True
        session.gate.set()
        for future in futures:
            with pytest.raises(EngineFailed):
                future.result(SOON)
        assert not engine.alive
        assert not engine.ready
        assert "no kernel image" in str(engine.failure)
        with pytest.raises(Unavailable, match="is broken"):
            engine.submit(image(), later())


def test_closing_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    with held_engine() as (engine, session):
        futures = [engine.submit(image(index), later()) for index in range(4)]
        closer = threading.Thread(target=engine.close)
        closer.start()
        while engine.state != "shutting down":
            time.sleep(0.01)
        with pytest.raises(Unavailable, match="shutting down"):
            engine.submit(image(), later())
        assert not engine.ready
        session.gate.set()
        closer.join(SOON)
        assert all(future.result(0).mask.shape == (33, 33) for future in futures)
        assert not engine.alive


def test_ready_means_that_every_bucket_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = set()
    run = Session.run

    def watched(session: Session, images: np.ndarray) -> np.ndarray:
        shapes.add(images.shape[1:3])
        return run(session, images)

    monkeypatch.setattr(Session, "run", watched)
    engine = Engine(CpuModel(BUILT_IN_MODEL), (SMALL, WIDE), 1)
    before = engine.ready
    engine.start()
    engine.wait_ready()
    assert (before, engine.ready) == (False, True)
    assert shapes == {SMALL, WIDE}
    engine.close()


@pytest.mark.parametrize("fault", ["size", "ids"])
def test_a_mask_that_cannot_be_means_a_broken_session(fault: str) -> None:
    with held_engine() as (engine, session):
        session.fault = fault
        session.gate.set()
        with pytest.raises(EngineFailed):
            engine.submit(image(), later()).result(SOON)
        engine.close()
        assert "the model gave masks of" in str(engine.failure)


def test_a_model_that_cannot_be_warmed_is_no_longer_alive() -> None:
    model = HeldModel()
    model.session.broken = True
    engine = Engine(model, (SMALL,), 4)
    engine.start()
    engine.wait_ready()
    assert "no kernel image" in str(engine.failure)
    assert not engine.ready
    with pytest.raises(Unavailable):
        engine.submit(image(), later())
    engine.close()
    assert not engine.alive
