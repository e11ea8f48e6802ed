"""One simulated server in stories that can be reckoned by hand."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import simpy

from benchmarks.simulate.replica import Replica
from tests.benchmarks.profiles import Story, profile


def story(**changes: Any) -> Story:
    env = simpy.Environment()
    return Story(env, Replica(env, profile(**changes), Random(0), guess=1.0))


def test_a_request_that_meets_no_other_takes_the_sum_of_its_parts() -> None:
    told = story(decode=(0.25,), encode=(0.5,), http=0.125)
    told.come(1, 2.0)
    assert told.run() == [(1, "answered", 3.875)]


def test_an_idle_engine_starts_at_once_and_batches_gather_while_it_is_busy() -> None:
    told = story(max_batch=4)
    for number in range(7):
        told.come(number, 0.1 * number)
    ended = told.run()
    assert [when for _, _, when in ended] == [1.0] + 4 * [2.0] + 2 * [3.0]
    assert told.replica.batches == {1: 1, 4: 1, 2: 1}


def test_further_pictures_of_a_batch_cost_their_share() -> None:
    told = story(max_batch=4, more=0.5)
    for number in range(4):
        told.come(number, 0.1 * number)
    assert [when for _, _, when in told.run()] == [1.0] + 3 * [3.0]


def test_a_batch_is_of_the_bucket_of_the_oldest() -> None:
    told = story(max_batch=4)
    for number, bucket in enumerate((0, 1, 2, 1, 2)):
        told.come(number, 0.1 * number, bucket=bucket)
    assert told.run() == [
        (0, "answered", 1.0),
        (1, "answered", 2.0),
        (3, "answered", 2.0),
        (2, "answered", 3.0),
        (4, "answered", 3.0),
    ]


def test_two_runners_work_side_by_side() -> None:
    told = story(runners=2)
    for number in range(3):
        told.come(number, 0.1 * number)
    assert [when for _, _, when in told.run()] == [1.0, 1.1, 2.0]


def test_cores_are_shared_by_what_is_at_work() -> None:
    told = story(runners=4, own_device=False, cores=2, speed=1.5)
    told.come(0, 0.0)
    told.come(1, 0.5)  # both at 0.75
    told.come(2, 1.0)  # all at 0.5
    # The first has 0.5 left at 0.5, 0.125 at 1.0 and ends at 1.25; and so on. The last is alone.
    assert [when for _, _, when in told.run()] == pytest.approx([1.25, 1.916667, 2.291667])
    assert told.replica.cores.busy_seconds == pytest.approx(0.5 + 2 * 1.416667 + 0.375)


def test_whose_deadline_passes_in_the_queue_leaves_at_that_time_and_costs_nothing() -> None:
    told = story()
    told.replica.line.rate.seconds = lambda pieces: 0.0  # type: ignore[method-assign]
    told.come(0, 0.0)
    told.come(1, 0.1, timeout=0.7)
    told.come(2, 0.2)
    assert told.run() == [(1, "deadline", 0.8), (0, "answered", 1.0), (2, "answered", 2.0)]


def test_whose_deadline_passes_in_the_model_keeps_it_busy() -> None:
    told = story()
    told.come(0, 0.0, timeout=0.5)  # an empty line lets it try
    told.come(1, 0.1)
    assert told.run() == [(0, "deadline", 0.5), (1, "answered", 2.0)]


def test_a_full_line_refuses_and_says_when_to_come_back() -> None:
    told = story(queue_limit=2)
    for number in range(3):
        told.come(number, 0.1 * number)
    ended = told.run()
    assert ended[0] == (2, "queue_full", 0.2)
    assert told.retry_after[2] == 2.0  # two inside, at a second each
    assert [outcome for _, outcome, _ in ended[1:]] == ["answered", "answered"]


def test_who_could_not_be_answered_in_time_is_refused_at_once() -> None:
    told = story()
    told.come(0, 0.0)
    told.come(1, 0.1, timeout=2.6)  # two seconds are more than three quarters of that
    told.come(2, 0.2, timeout=2.7)
    assert told.run()[0] == (1, "no_time", 0.1)
    assert told.ended[-1][:2] == (2, "answered")


def test_only_as_many_become_pixels_as_keep_threads_and_model_busy() -> None:
    told = story(image_threads=1, decode=(0.1,), infer=(10.0,))
    for number in range(5):
        told.come(number, 0.0)
    told.env.run(5.0)
    # One at the model and three that wait for it: the fifth is not decoded yet.
    assert told.replica.cores.busy_seconds == pytest.approx(0.4)


def test_what_a_dead_replica_holds_is_lost() -> None:
    told = story(queue_limit=3)
    for number in range(4):
        told.come(number, 0.0)
    told.env.timeout(0.5).callbacks.append(lambda _: told.replica.die())
    ended = told.run()
    assert ended == [(3, "queue_full", 0.0)] + [(number, "lost", 0.5) for number in range(3)]
