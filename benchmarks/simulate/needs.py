"""How much traffic a number of replicas carries without breaking what was promised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.simulate.arrivals import Arrivals, clumps, poisson, surges, until
from benchmarks.simulate.fleet import (
    Fleet,
    Pick,
    Seen,
    at_random,
    least_outstanding,
    round_robin,
    two_choices,
)
from benchmarks.simulate.profile import Profile

TRAFFIC: Mapping[str, Callable[[float, Random], Arrivals]] = {
    "Poisson": poisson,
    "clumps of 8": clumps,
    "surges": surges,
}
BALANCERS: Mapping[str, Callable[[], Pick]] = {
    "random": lambda: at_random,
    "round robin": round_robin,
    "two choices": lambda: two_choices,
    "least outstanding": lambda: least_outstanding,
}
SLOWER = 5
"""Times as slow as a request alone the p99 may be."""
FAILED = 0.001
"""Share of the requests that may get no answer."""
STEPS = 50
"""In which utilisation is told."""
MOST = 48
"""Steps; beyond, queues take longer to settle than a run lasts."""
WARMING = 0.25
"""Share of a run that is not looked at."""


@dataclass(frozen=True)
class Case:
    """Replicas under one kind of traffic."""

    profile: Profile
    capacity: float
    """Answers per second of one replica."""
    replicas: int
    traffic: str
    balancer: str
    seed: int
    size: float
    """By how much the length of a run is changed."""

    @property
    def seconds(self) -> float:
        """Long enough for queues to settle and for a p99, without millions of requests."""
        if self.traffic == "surges":
            return max(200.0, 1200 / self.replicas) * self.size
        return max(80 * self.profile.alone, 16_000 / (self.capacity * self.replicas)) * self.size

    def run(self, utilisation: float) -> Seen:
        """What clients see whose requests are that share of the capacity."""
        rate = utilisation * self.capacity * self.replicas
        fleet = Fleet(
            self.profile,
            self.replicas,
            Random(self.seed),
            BALANCERS[self.balancer](),
            guess=1 / self.capacity,
        )
        arrivals = TRAFFIC[self.traffic](rate, Random(self.seed + 1))
        fleet.follow(until(arrivals, self.seconds))
        fleet.env.run(self.seconds + 60)
        return fleet.log.since(WARMING * self.seconds)

    def keeps(self, utilisation: float) -> bool:
        """Whether the promise holds."""
        seen = self.run(utilisation)
        return seen.failed <= FAILED and seen.percentile(99) <= SLOWER * self.profile.alone


def carried(cases: Sequence[Case]) -> list[float]:
    """The highest utilisation at which the promise holds in each case, 0 if at none.

    Args:
        cases: such that the answer for one is a good first guess for the next.
    """
    found = []
    guess = MOST // 2
    for case in cases:
        guess = _highest(case, guess)
        found.append(guess / STEPS)
    return found


def _highest(case: Case, guess: int) -> int:
    """The last step at which a case keeps its promise, by going out from a guess."""
    low, high, stride = 0, MOST + 1, 2
    step = min(MOST, max(1, guess))
    while high - low > 1:
        if case.keeps(step / STEPS):
            low = step
        else:
            high = step
        bounded = low > 0 and high <= MOST
        outward = min(MOST, low + stride) if low else max(1, high - stride)
        step = (low + high) // 2 if bounded or outward in (low, high) else outward
        stride *= 2
    return low


def needed(carries: Mapping[int, float], capacity: float, rate: float) -> int | None:
    """Replicas for a traffic, between the numbers that were tried; None if that is too few.

    Args:
        carries: utilisation by number of replicas.
        capacity: answers per second of one.
        rate: requests per second.
    """
    before, could = 0, 0.0
    for count, utilisation in sorted(carries.items()):
        can = count * utilisation * capacity
        if can >= rate:
            part = (rate - could) / (can - could)
            return max(1, -int(-(before + part * (count - before)) // 1))
        before, could = count, can
    return None
