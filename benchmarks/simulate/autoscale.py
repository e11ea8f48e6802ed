"""Which signal brings new replicas in time, when traffic triples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

import numpy as np

from benchmarks.simulate.arrivals import changing, until
from benchmarks.simulate.fleet import Fleet, Manners
from benchmarks.simulate.needs import SLOWER
from benchmarks.simulate.profile import Profile
from benchmarks.simulate.scaler import Rules, Scaler

BASE = 5
"""Replicas before."""
PLANNED = 0.7
"""Utilisation that they are planned for."""
GROWTH = 3.0
BEGIN, SECONDS = 180.0, 900.0
LONG_WAIT = 5.0
"""Seconds at which the wait alone brings more replicas in docker/kubernetes."""
STEP = 15.0
"""Seconds of one point of a plot."""
MANNERS = Manners(timeout=10.0, tries=3)
Shape = Callable[[float], float]
"""Traffic at a time, in shares of that at first."""


def flash(now: float) -> float:
    """A flash crowd: threefold within ten seconds, for five minutes."""
    up = min(1.0, max(0.0, (now - BEGIN) / 10))
    down = min(1.0, max(0.0, (now - BEGIN - 300) / 10))
    return 1 + (GROWTH - 1) * (up - down)


def morning(now: float) -> float:
    """The steepest part of a day: threefold within ten minutes, and there it stays."""
    return 1 + (GROWTH - 1) * min(1.0, max(0.0, (now - BEGIN) / 600))


SHAPES: Mapping[str, Shape] = {"flash crowd": flash, "morning": morning}


def targets(profile: Profile, capacity: float) -> dict[str, dict[str, float]]:
    """What is scaled on, and what its signals should be for a replica.

    The rates are those at the planned utilisation; the queue is twice what is worked on; the
    wait is what the slowest hundredth may have. The last one is that of docker/kubernetes.
    """
    occupied = {"occupied": PLANNED * profile.capacity}
    return {
        "queue": {"queue": 2 * profile.capacity},
        "occupied": occupied,
        "expected wait": {"expected wait": SLOWER * profile.alone},
        "request rate": {"request rate": PLANNED * capacity},
        "busy cores": {"busy cores": PLANNED * profile.cores},
        "occupied or wait": {**occupied, "expected wait": LONG_WAIT},
    }


@dataclass(frozen=True)
class Trial:
    """One signal under one traffic; no signal is a fleet that stays as it is."""

    profile: Profile
    capacity: float
    shape: str
    signal: str
    start_seconds: float
    seed: int
    base: int = BASE


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    failed: float
    """Share of all calls without an answer."""
    worst: float
    """The same in the worst minute."""
    p99: float
    recovered: float
    """Seconds after the change began from which on fewer than 1 % fail."""
    paid: float
    """Replicas that were paid for on average, over those that would do at the planned share."""
    times: list[float]
    replicas: list[int]
    """Those that answer."""
    failing: list[float]
    """Share of the calls of each step."""


def attempt(trial: Trial) -> Outcome:
    """Simulate it."""
    fleet = Fleet(
        trial.profile, trial.base, Random(trial.seed), manners=MANNERS, guess=1 / trial.capacity
    )
    wanted = targets(trial.profile, trial.capacity).get(trial.signal)
    rules = Rules(
        wanted or {"queue": 1.0},
        trial.start_seconds,
        least=trial.base,
        most=5 * trial.base if wanted else trial.base,
    )
    scaler = Scaler(fleet, rules)
    shape = SHAPES[trial.shape]
    first = PLANNED * trial.capacity * trial.base
    arrivals = changing(lambda now: first * shape(now), GROWTH * first, Random(trial.seed + 1))
    fleet.follow(until(arrivals, SECONDS))
    fleet.env.run(SECONDS + MANNERS.timeout + 1)
    times = list(np.arange(0, SECONDS, STEP))
    failing = [fleet.log.since(begin, begin + STEP).failed for begin in times]
    minutes = [
        fleet.log.since(begin, begin + 60).failed for begin in np.arange(0, SECONDS - 59, STEP)
    ]
    late = [time for time, share in zip(times, failing, strict=True) if share > 0.01]
    ready = {time: ready for time, _, ready in scaler.history}
    enough = trial.base * float(np.mean([shape(time) for time in times]))
    everything = fleet.log.since(BEGIN)
    return Outcome(
        everything.failed,
        max(minutes),
        everything.percentile(99),
        max(0.0, late[-1] + STEP - BEGIN) if late else 0.0,
        scaler.paid(SECONDS) / enough,
        times,
        [ready.get(time, trial.base) for time in times],
        failing,
    )
