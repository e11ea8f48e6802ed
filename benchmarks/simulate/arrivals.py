"""When requests come: each function gives the times of one kind of traffic, in order, for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

Arrivals = Iterator[float]


def poisson(rate: float, random: Random) -> Arrivals:
    """By chance, so many a second: the same times as `benchmarks.load.open_loop` has."""
    now = 0.0
    while True:
        now += random.expovariate(rate)
        yield now


def clumps(rate: float, random: Random, size: float = 8.0) -> Arrivals:
    """Clients that come by chance and send several pictures at once, of geometric number."""
    for now in poisson(rate / size, random):
        yield now
        while random.random() > 1 / size:
            yield now


def surges(
    rate: float,
    random: Random,
    factor: float = 3.0,
    calm_seconds: float = 16.0,
    surge_seconds: float = 4.0,
) -> Arrivals:
    """All clients together are now calm, now in a surge (a Markov-modulated Poisson process).

    Args:
        rate: the mean, of both times together.
        random: when they change and when requests come.
        factor: how much more comes in a surge.
        calm_seconds: mean length of a calm time.
        surge_seconds: mean length of a surge.
    """
    share = surge_seconds / (calm_seconds + surge_seconds)
    calm = rate / (1 + share * (factor - 1))
    now, surging, until = 0.0, False, random.expovariate(1 / calm_seconds)
    while True:
        following = now + random.expovariate(calm * factor if surging else calm)
        if following < until:
            now = following
            yield now
        else:
            now, surging = until, not surging
            until += random.expovariate(1 / (surge_seconds if surging else calm_seconds))


def changing(rate_at: Callable[[float], float], most: float, random: Random) -> Arrivals:
    """A Poisson process whose rate is a function of the time and at most `most`."""
    for now in poisson(most, random):
        if random.random() * most < rate_at(now):
            yield now


def until(arrivals: Arrivals, seconds: float) -> Arrivals:
    """Those before a time."""
    for now in arrivals:
        if now >= seconds:
            return
        yield now


def first(arrivals: Arrivals, count: int) -> Arrivals:
    return islice(arrivals, count)
