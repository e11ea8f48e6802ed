"""Fleets: nobody is lost or counted twice, seeds repeat, balancers and clients do as they say."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulate.arrivals import clumps, first, poisson, surges, until
from benchmarks.simulate.fleet import (
    OUTCOMES,
    Fleet,
    Manners,
    at_random,
    least_outstanding,
    round_robin,
    two_choices,
)
from benchmarks.simulate.needs import Case
from tests.benchmarks.profiles import profile


@settings(max_examples=60)
@given(
    times=st.lists(st.floats(0, 5), min_size=1, max_size=40),
    timeout=st.floats(0.01, 8),
    tries=st.integers(1, 3),
    honours=st.booleans(),
    limit=st.integers(1, 8),
    batch=st.integers(1, 3),
    dies=st.floats(0, 6) | st.none(),
    seed=st.integers(0, 9),
)
def test_every_call_ends_exactly_once(
    times: list[float],
    timeout: float,
    tries: int,
    honours: bool,
    limit: int,
    batch: int,
    dies: float | None,
    seed: int,
) -> None:
    shape = profile(
        cores=2,
        speed=1.7,
        runners=2,
        max_batch=batch,
        image_threads=2,
        own_device=False,
        queue_limit=limit,
        decode=(0.05, 0.2),
        infer=(0.3, 0.6),
        encode=(0.01,),
        http=0.01,
        refusal=0.002,
        more=0.6,
    )
    manners = Manners(timeout, tries, honours)
    fleet = Fleet(shape, 3, Random(seed), two_choices, manners)
    everyone = list(fleet.replicas)
    fleet.follow(iter(sorted(times)))
    if dies is not None:
        fleet.env.timeout(dies).callbacks.append(lambda _: everyone[0].die())
    fleet.env.run()
    assert sorted(fleet.log.started) == pytest.approx(sorted(times))
    assert len(times) <= fleet.log.tries <= tries * len(times)
    assert all(replica.outstanding == 0 for replica in everyone)
    assert all(replica.line.rate.inside == 0 for replica in everyone)
    answered = sum(replica.answered for replica in everyone)
    assert list(fleet.log.outcomes).count(OUTCOMES.index("answered")) == answered
    in_time = np.frombuffer(fleet.log.seconds)[np.frombuffer(fleet.log.outcomes, np.int8) == 0]
    assert (in_time <= timeout + 2).all()  # a made answer is still sent


def test_a_seed_repeats_a_run_and_another_does_not() -> None:
    shape = profile(infer=(0.5, 1.0, 1.5), runners=2)

    def run(seed: int) -> list[float]:
        case = Case(shape, 2.0, 3, "clumps of 8", "two choices", seed, 0.01)
        return list(case.run(0.7).seconds)

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize("kind", [poisson, clumps, surges])
def test_arrivals_have_their_rate_and_order(kind: Any) -> None:
    times = list(until(kind(50.0, Random(3)), 800.0))
    assert times == sorted(times)
    assert len(times) == pytest.approx(40_000, rel=0.1)
    counts = np.bincount(np.array(times, dtype=int), minlength=800)
    bursty = counts.var() / counts.mean()
    assert bursty == pytest.approx(1.0, abs=0.2) if kind is poisson else bursty > 5


def test_balancers_choose_as_they_are_called() -> None:
    fleet = Fleet(profile(), 4, Random(0))
    for index, replica in enumerate(fleet.replicas):
        replica.outstanding = index
    random, turn = Random(0), round_robin()
    order = [fleet.replicas.index(turn(fleet.replicas, random)) for _ in range(6)]
    assert order == [0, 1, 2, 3, 0, 1]

    def shares(pick: Any) -> list[float]:
        picked = [fleet.replicas.index(pick(fleet.replicas, random)) for _ in range(4000)]
        return [picked.count(index) / 4000 for index in range(4)]

    assert shares(at_random) == pytest.approx([0.25] * 4, abs=0.03)
    assert shares(two_choices) == pytest.approx([7 / 16, 5 / 16, 3 / 16, 1 / 16], abs=0.03)
    assert shares(least_outstanding) == [1, 0, 0, 0]


def test_clients_wait_as_long_as_they_are_told_before_they_try_again() -> None:
    shape = profile(queue_limit=1)

    def refused(honours: bool) -> tuple[list[int], int]:
        manners = Manners(timeout=60.0, tries=3, honours=honours)
        fleet = Fleet(shape, 1, Random(0), manners=manners, guess=1.0)
        fleet.follow(iter([0.0, 0.5]))
        fleet.env.run()
        outcomes = list(fleet.log.outcomes)
        return outcomes, fleet.log.tries

    assert refused(honours=True) == ([0, 0], 3)
    assert refused(honours=False) == ([OUTCOMES.index("queue_full"), 0], 4)


def test_a_fleet_without_replicas_answers_nobody() -> None:
    fleet = Fleet(profile(), 0, Random(0))
    fleet.follow(first(poisson(1.0, Random(0)), 5))
    fleet.env.run()
    assert fleet.log.since(0).share("no_replica") == 1
