"""Asking the engine's replicas: second tries, refusals, who gives up."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any, cast

import pytest
from ray.exceptions import OutOfMemoryError

from service.cluster import asking
from service.cluster.asking import Replicas
from service.cluster.messages import About, Computed, Here, Refused, Reply
from service.cluster.remote import RemoteEngine
from service.errors import (
    DeadlinePassed,
    EngineFailed,
    InvalidParameter,
    RequestError,
    Unavailable,
)
from service.tiling.pace import REMEMBERED, Pace
from tests.cluster.replies import ABOUT, ANSWER, LOST, Handle
from tests.service.models import SMALL, SOON, image, later


async def infer(handle: Handle, deadline: float) -> Reply:
    return await Replicas(handle).infer(image(), deadline, False, "this")


@pytest.mark.parametrize(
    ("trouble", "avoided"),
    [
        (LOST, ""),
        (cast(Any, OutOfMemoryError)("killed by Ray"), ""),
        (Refused("out of memory", "broken", 1, "a"), "a"),
    ],
)
def test_a_lost_replica_costs_a_second_try(trouble: Reply | Exception, avoided: str) -> None:
    answered = Computed("b", ANSWER)
    handle = Handle(trouble, answered)
    assert asyncio.run(infer(handle, later())) is answered
    assert handle.seconds[1] <= handle.seconds[0] <= SOON
    assert handle.avoided == ["", avoided]
    twice = Handle(trouble, trouble)
    refused = asyncio.run(infer(twice, later()))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.retry_after) == ("broken", 1)


def test_no_second_try_without_time() -> None:
    handle = Handle(LOST)

    async def late() -> None:
        with pytest.raises(DeadlinePassed):
            await infer(handle, time.monotonic() - 1)

    asyncio.run(late())
    assert handle.calls == []


def test_an_ordinary_refusal_is_final() -> None:
    full = Refused("16 pictures are waiting already", "queue_full", 2.5)
    handle = Handle(full)
    assert asyncio.run(infer(handle, later())) is full


def test_a_picture_that_nobody_waits_for_is_given_up() -> None:
    handle = Handle(None)

    async def leave() -> None:
        engine = RemoteEngine(ABOUT, Replicas(handle), lambda about: None)
        waiting = asyncio.wrap_future(engine.submit(image(), later()))
        while not handle.calls:
            await asyncio.sleep(0)
        waiting.cancel()
        while not handle.calls[0].cancelled:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(leave(), 20))


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("full", "queue_full", 2.5),
        Unavailable("no time", "no_time", 0.5),
        DeadlinePassed("late"),
        EngineFailed("a bad picture"),
        InvalidParameter("confidence: no"),
    ],
)
def test_refusals_are_the_same_on_both_sides(error: RequestError) -> None:
    told = Refused.of(error).error()
    assert type(told) is type(error)
    assert (str(told), told.reason) == (str(error), error.reason)
    if isinstance(error, Unavailable):
        assert isinstance(told, Unavailable)
        assert told.retry_after == error.retry_after


def test_an_engine_elsewhere_is_there_once_it_is_heard_of() -> None:
    async def hear() -> None:
        handle = Handle(Here("a", ABOUT), Computed("b", ANSWER), Here("c", ABOUT))
        here = Replicas(handle)
        engine = RemoteEngine(ABOUT, here, met.append)
        assert (engine.state, engine.capacity) == ("warming up", 6)
        await here.describe()
        assert (engine.state, engine.capacity) == ("ready", 6)
        answer = await asyncio.wrap_future(engine.submit(image(), later()))
        assert engine.capacity == 12
        assert (answer.mask == ANSWER.mask).all()
        with pytest.raises(Unavailable) as changed:
            await asyncio.wrap_future(engine.submit(image(), later()))
        assert changed.value.reason == "model_changed"
        with pytest.raises(InvalidParameter, match="cannot tell how sure it is"):
            engine.submit(image(), later(), confidence=True)

    met: list[About] = []
    asyncio.run(hear())
    assert met == [ABOUT]


def test_replicas_that_were_not_heard_of_lately_may_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hear() -> None:
        here = Replicas(Handle(*(Here(name, ABOUT) for name in "abcda")))
        engine = RemoteEngine(ABOUT, here, lambda about: None)
        pace = Pace(engine)
        for _ in "abcd":
            await here.describe()
        for _ in range(REMEMBERED * ABOUT.max_batch):
            pace.add(SMALL, replace(ANSWER, infer_seconds=1.0, batch=ABOUT.max_batch))
        monkeypatch.setattr(asking, "FORGET", -1.0)
        await here.describe()
        assert engine.capacity == ABOUT.capacity
        seconds = pace.seconds(SMALL)
        assert seconds
        assert seconds.least < 1.0 / (4 * ABOUT.capacity)

    asyncio.run(hear())


def test_so_may_replicas_that_were_never_heard_of() -> None:
    async def hear() -> None:
        here = Replicas(Handle(Here("a", ABOUT)))
        engine = RemoteEngine(ABOUT, here, lambda about: None)
        pace = Pace(engine)
        await here.describe()
        for _ in range(REMEMBERED * ABOUT.max_batch):
            pace.add(SMALL, replace(ANSWER, infer_seconds=1.0, batch=ABOUT.max_batch))
        seconds = pace.seconds(SMALL)
        assert seconds
        assert seconds.least < 1.0 / (2 * ABOUT.capacity)
        assert seconds.usual == 1.0 / ABOUT.capacity

    asyncio.run(hear())
