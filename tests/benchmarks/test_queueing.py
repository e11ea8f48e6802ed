"""The simulation waits as long as queueing theory says, where theory has an answer."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.arrivals import first, poisson
from benchmarks.simulate.fleet import Fleet, Manners
from tests.benchmarks.profiles import FOREVER, PLENTY, profile

EXPONENTIAL = tuple(-math.log(1 - (index + 0.5) / 4000) for index in range(4000))
"""Quantiles of a service time whose mean is one."""
REQUESTS = 12_000


def sojourns(rate: float, **changes: Any) -> NDArray[np.float64]:
    """Seconds that requests spend, in the order of their arrival and once it is steady."""
    fleet = Fleet(profile(**changes), 1, Random(1), manners=Manners(FOREVER))
    fleet.follow(first(poisson(rate, Random(2)), REQUESTS))
    fleet.env.run()
    seconds = np.frombuffer(fleet.log.seconds)
    return seconds[np.argsort(fleet.log.started)][REQUESTS // 20 :]


def agrees(seconds: NDArray[np.float64], theory: float) -> bool:
    """Whether the mean is as it should be, by the spread of the means of long parts."""
    parts = [part.mean() for part in np.array_split(seconds, 20)]
    error = np.std(parts, ddof=1) / math.sqrt(len(parts))
    assert error < 0.1 * theory, "too noisy to tell anything"
    return bool(abs(np.mean(parts) - theory) < 3 * error)


def erlang_c(servers: int, load: float) -> float:
    """The share of requests that must wait."""
    last = load**servers / math.factorial(servers) / (1 - load / servers)
    return last / (sum(load**count / math.factorial(count) for count in range(servers)) + last)


def test_one_runner_and_constant_service() -> None:
    assert agrees(sojourns(0.7), 1 + 0.7 / (2 * (1 - 0.7)))  # M/D/1


def test_several_runners_and_exponential_service() -> None:
    servers, load = 3, 2.4
    seconds = sojourns(load, runners=servers, infer=EXPONENTIAL)
    mean = sum(EXPONENTIAL) / len(EXPONENTIAL)
    assert agrees(seconds, mean + erlang_c(servers, load) / (servers - load))  # M/M/3


def test_one_core_that_all_share() -> None:
    seconds = sojourns(0.6, cores=1, speed=1.0, runners=PLENTY, own_device=False, infer=EXPONENTIAL)
    assert agrees(seconds, 1 / (1 - 0.6))  # M/G/1 with processor sharing
    # Not by chance: it is another mean than that of a queue with constant service.
    assert not agrees(seconds, 1 + 0.6 / (2 * (1 - 0.6)))
