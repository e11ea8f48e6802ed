"""The simulated policy decides as the service's own classes do, which are given the same clock."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulate.policy import Line, Rate, Waiting
from service.engine import rate as real_rate
from service.engine import waiting as real_waiting
from service.engine.engine import Engine
from service.errors import Unavailable
from service.line import Line as RealLine

Place = AbstractContextManager[real_rate.Pieces]
TICK = 1 / 1024
"""Sums of it are exact, so that both must come to the very same figures."""


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@contextmanager
def clock() -> Iterator[Clock]:
    """A clock that both read."""
    shown = Clock()
    with (
        mock.patch.object(real_rate, "time", shown),
        mock.patch.object(real_waiting, "time", shown),
    ):
        yield shown


def engine(capacity: int) -> Engine:
    given = {"state": "ready", "capacity": capacity, "at_once": lambda pictures: capacity}
    return cast("Engine", SimpleNamespace(**given))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.integers(1, 40_000)),
        st.tuples(st.just("answered"), st.integers(0, 5)),
        st.tuples(st.just("given up"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(0, 4000)),
    ),
    min_size=1,
    max_size=250,
)


@settings(max_examples=60)
@given(capacity=st.sampled_from((1, 2, 8)), limit=st.integers(1, 12), story=steps)
def test_the_line_admits_and_refuses_as_the_services_own(
    capacity: int, limit: int, story: list[tuple[str, int]]
) -> None:
    with clock() as shown:
        real = RealLine(engine(capacity), limit)
        line = Line(Rate(capacity), limit)
        inside: list[tuple[Place, real_rate.Pieces]] = []
        for what, number in story:
            if what == "wait":
                shown.now += number * TICK
            elif what == "come":
                time_left = number * TICK
                place: Place = real.queued(time_left)
                told = line.check(time_left)
                if told:
                    with pytest.raises(Unavailable) as refused:
                        place.__enter__()
                    assert told == (refused.value.reason, refused.value.retry_after)
                else:
                    inside.append((place, place.__enter__()))
                    line.rate.begin(shown.now)
            elif inside:
                place, pieces = inside.pop(number % len(inside))
                done = what == "answered"
                pieces.end(done=done)
                place.__exit__(None, None, None)
                line.rate.end(shown.now, done=done)
            assert line.rate.inside == real.inside
            assert line.expected_wait == real.expected_wait


@dataclass(eq=False)
class Picture:
    bucket: int
    deadline: float
    number: int


turns = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 2), st.integers(0, 20)),
        st.tuples(st.just("take"), st.integers(1, 5), st.integers(0, 3)),
        st.tuples(st.just("leave"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 5), st.just(0)),
    ),
    max_size=60,
)


@given(story=turns)
def test_batches_form_as_in_the_services_own_queue(story: list[tuple[str, int, int]]) -> None:
    with clock() as shown:
        real, waiting = real_waiting.Waiting(), Waiting()
        jobs: dict[int, real_waiting.Job] = {}
        pictures: list[Picture] = []
        for number, (what, one, two) in enumerate(story):
            if what == "put":
                picture = Picture(one, shown.now + two + 0.5, number)
                image = np.zeros((1, 1 + one, 3), np.uint8)
                jobs[number] = real_waiting.Job(image, picture.deadline, shown.now, Future())
                real.put(jobs[number])
                waiting.put(picture)
                pictures.append(picture)
            elif what == "take" and pictures:
                real._idle = two
                taken = cast("list[Picture]", waiting.take(one, two))
                assert [jobs[each.number] for each in taken] == real.take(one)
                pictures = [each for each in pictures if each not in taken]
            elif what == "leave" and pictures:
                gone = pictures.pop(one % len(pictures))
                jobs[gone.number].future.cancel()
                waiting.remove(gone)
            elif what == "wait":
                shown.now += one
                for late in [each for each in pictures if each.deadline < shown.now]:
                    pictures.remove(late)
                    waiting.remove(late)
            assert len(waiting) == len(pictures)
