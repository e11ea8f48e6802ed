"""What it costs when a third of the replicas fails at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import simpy

from benchmarks.simulate.arrivals import poisson, until
from benchmarks.simulate.fleet import Fleet, Manners
from benchmarks.simulate.profile import Profile

ZONES = 3
FAILS, NOTICED, REPLACED, END = 30.0, 40.0, 150.0, 210.0
"""Seconds: a zone fails, the balancer's probes notice it, new replicas are warm elsewhere."""
CLIENTS: Mapping[str, Manners] = {
    "no retry": Manners(timeout=10.0),
    "3 tries at once": Manners(timeout=10.0, tries=3, honours=False),
    "3 tries, Retry-After": Manners(timeout=10.0, tries=3),
}


@dataclass(frozen=True)
class Failure:
    """A fleet at some utilisation that loses a zone."""

    profile: Profile
    capacity: float
    replicas: int
    utilisation: float
    clients: str
    seed: int


@dataclass(frozen=True)
class Cost:
    """What the clients see of it."""

    at_once: float
    """Share of the calls that fail until the balancer has noticed."""
    after: float
    """The same from then on until the replicas are replaced."""
    p99: float
    """Seconds, of the answers in that time."""
    tries: float
    """Tries that a call needs, over the whole run."""


def fail(failure: Failure) -> Cost:
    """Simulate it."""
    fleet = Fleet(
        failure.profile,
        failure.replicas,
        Random(failure.seed),
        manners=CLIENTS[failure.clients],
        guess=1 / failure.capacity,
    )
    rate = failure.utilisation * failure.capacity * failure.replicas
    fleet.follow(until(poisson(rate, Random(failure.seed + 1)), END))
    lost = fleet.replicas[: failure.replicas // ZONES]

    def die(_: simpy.Event) -> None:
        for replica in lost:
            replica.die()

    def notice(_: simpy.Event) -> None:
        fleet.replicas = [replica for replica in fleet.replicas if not replica.dead]

    def replace(_: simpy.Event) -> None:
        fleet.replicas += [fleet.new_replica() for _ in lost]

    for when, what in ((FAILS, die), (NOTICED, notice), (REPLACED, replace)):
        fleet.env.timeout(when).callbacks.append(what)
    fleet.env.run(END + 60)
    after = fleet.log.since(NOTICED, REPLACED)
    return Cost(
        fleet.log.since(FAILS, NOTICED).failed,
        after.failed,
        after.percentile(99),
        fleet.log.tries / fleet.came,
    )
