"""Replicas whose work takes exactly so long, with a core for each piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import simpy

from benchmarks.simulate.profile import Profile
from benchmarks.simulate.replica import Replica, Visit

PLENTY = 10**6
FOREVER = 1e9


def profile(**changes: Any) -> Profile:
    """One runner that takes a second for each batch, and nothing else takes time."""
    values: dict[str, Any] = {
        "name": "test",
        "cores": 100,
        "speed": 100.0,
        "runners": 1,
        "max_batch": 1,
        "image_threads": 8,
        "http": 0.0,
        "refusal": 0.0,
        "decode": (0.0,),
        "infer": (1.0,),
        "encode": (0.0,),
        "more": 0.0,
        "own_device": True,
        "queue_limit": PLENTY,
    }
    return Profile(**(values | changes))


@dataclass
class Story:
    """What became of the requests at one replica, in the order in which they ended."""

    env: simpy.Environment
    replica: Replica
    ended: list[tuple[int, str, float]] = field(default_factory=list)
    """Which, how and when."""
    retry_after: dict[int, float] = field(default_factory=dict)

    def come(self, number: int, when: float, timeout: float = FOREVER, bucket: int = 0) -> None:
        """Let a request come at a time."""

        def done(visit: Visit) -> None:
            self.ended.append((number, visit.outcome, self.env.now))
            self.retry_after[number] = visit.retry_after

        visit = Visit(when + timeout, done, bucket)
        timer = self.env.timeout(when)
        timer.callbacks.append(lambda _: self.replica.arrive(visit))

    def run(self) -> list[tuple[int, str, float]]:
        self.env.run()
        return [(number, outcome, round(when, 6)) for number, outcome, when in self.ended]
