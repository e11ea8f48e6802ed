"""The queue before the model: order, limits, deadlines, faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

import numpy as np
import pytest

from service.engine.engine import Engine
from service.engine.session import Session
from service.errors import DeadlinePassed, EngineFailed, Unavailable
from service.settings import BUILT_IN_MODEL

SOON = 60.0


class HeldSession(Session):
    """The real session, held back until told, and failing on pictures whose first byte is 13."""

    def __init__(self) -> None:
        super().__init__(BUILT_IN_MODEL, "cpu", 1)
        self.gate = threading.Event()
        self.started = threading.Event()
        self.ran: list[int] = []

    def run(self, images: np.ndarray) -> np.ndarray:
        first = int(images.flat[0])
        if images.shape[1] < 100:
            self.started.set()
            self.gate.wait(SOON)
            self.ran.append(first)
            if first == 13:
                raise RuntimeError("out of memory")
        return super().run(images)


def image(first: int = 0) -> np.ndarray:
    pixels = np.zeros((33, 33, 3), np.uint8)
    pixels.flat[0] = first
    return pixels


@contextmanager
def held_engine(limit: int = 8) -> Iterator[tuple[Engine, HeldSession]]:
    session = HeldSession()
    engine = Engine(session, limit)
    engine.start()
    try:
        yield engine, session
    finally:
        session.gate.set()
        engine.close()


def later(seconds: float = SOON) -> float:
    return time.monotonic() + seconds


def test_pictures_are_answered_in_order() -> None:
    with held_engine() as (engine, session):
        futures = [engine.submit(image(index), later()) for index in range(5)]
        session.gate.set()
        answers = [future.result(SOON) for future in futures]
        assert session.ran == [0, 1, 2, 3, 4]
        assert all(answer.mask.shape == (33, 33) for answer in answers)
        assert all(answer.infer_seconds > 0 for answer in answers)
        assert answers[4].queue_seconds > answers[0].queue_seconds


def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    with held_engine(limit=3) as (engine, session):
        running = engine.submit(image(), later())
        assert session.started.wait(SOON)
        waiting = [engine.submit(image(), later()) for _ in range(3)]
        with pytest.raises(Unavailable, match="3 pictures are waiting") as caught:
            engine.submit(image(), later())
        assert caught.value.retry_after == pytest.approx(engine.estimate(4))
        assert engine.depth == 3
        session.gate.set()
        for future in (running, *waiting):
            future.result(SOON)
        engine.submit(image(), later()).result(SOON)


def test_a_passed_deadline_costs_the_model_nothing() -> None:
    with held_engine() as (engine, session):
        engine.submit(image(1), later())
        assert session.started.wait(SOON)
        late = engine.submit(image(2), later(-1))
        fine = engine.submit(image(3), later())
        session.gate.set()
        with pytest.raises(DeadlinePassed):
            late.result(SOON)
        fine.result(SOON)
        assert session.ran == [1, 3]


def test_a_cancelled_picture_costs_the_model_nothing() -> None:
    with held_engine() as (engine, session):
        engine.submit(image(1), later())
        assert session.started.wait(SOON)
        gone = engine.submit(image(2), later())
        assert gone.cancel()
        session.gate.set()
        engine.submit(image(3), later()).result(SOON)
        with pytest.raises(CancelledError):
            gone.result(SOON)
        assert session.ran == [1, 3]


def test_a_failing_picture_fails_alone() -> None:
    with held_engine() as (engine, session):
        session.gate.set()
        bad = engine.submit(image(13), later())
        good = engine.submit(image(1), later())
        with pytest.raises(EngineFailed):
            bad.result(SOON)
        assert good.result(SOON).mask.shape == (33, 33)
        assert engine.alive


def test_closing_finishes_what_was_accepted_and_refuses_the_rest() -> None:
    with held_engine() as (engine, session):
        futures = [engine.submit(image(index), later()) for index in range(4)]
        closer = threading.Thread(target=engine.close)
        closer.start()
        while not engine.closed:
            time.sleep(0.01)
        with pytest.raises(Unavailable, match="shutting down"):
            engine.submit(image(), later())
        assert not engine.ready
        session.gate.set()
        closer.join(SOON)
        assert all(future.result(0).mask.shape == (33, 33) for future in futures)
        assert not engine.alive


def test_closing_a_full_queue_loses_nothing() -> None:
    with held_engine(limit=2) as (engine, session):
        first = engine.submit(image(), later())
        assert session.started.wait(SOON)
        rest = [engine.submit(image(), later()) for _ in range(2)]
        closer = threading.Thread(target=engine.close)
        closer.start()
        session.gate.set()
        closer.join(SOON)
        assert not closer.is_alive()
        assert all(future.done() for future in (first, *rest))


def test_ready_means_warm() -> None:
    engine = Engine(HeldSession(), 1)
    before = engine.ready
    engine.start()
    engine.wait_ready()
    assert (before, engine.ready) == (False, True)
    engine.close()


@pytest.mark.parametrize("fault", ["size", "ids"])
def test_a_mask_that_cannot_be_is_refused(fault: str) -> None:
    class OddSession(HeldSession):
        def run(self, images: np.ndarray) -> np.ndarray:
            mask = super().run(images)
            return mask[:, 1:] if fault == "size" else mask + 11

    session = OddSession()
    session.gate.set()
    engine = Engine(session, 4)
    engine.start()
    with pytest.raises(EngineFailed):
        engine.submit(image(), later()).result(SOON)
    assert engine.ready
    engine.close()


class ColdSession(HeldSession):
    """Fails on the picture that warms it, once told."""

    def run(self, images: np.ndarray) -> np.ndarray:
        self.gate.wait(SOON)
        raise RuntimeError("no kernel image is available")


def test_a_model_that_does_not_run_leaves_nobody_waiting() -> None:
    session = ColdSession()
    engine = Engine(session, 4)
    engine.start()
    early = engine.submit(image(), later())
    session.gate.set()
    engine.wait_ready()
    with pytest.raises(EngineFailed):
        early.result(SOON)
    assert "no kernel image" in str(engine.failure)
    assert not engine.ready
    with pytest.raises(Unavailable):
        engine.submit(image(), later())
    engine.close()
    assert not engine.alive
