"""An autoscaler as Kubernetes has it, with the delays between a load and the replica for it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import simpy

from benchmarks.simulate.fleet import Fleet
from benchmarks.simulate.replica import Replica

WINDOW = 60.0
"""Seconds over which Prometheus computes a rate."""


@dataclass(frozen=True)
class Sample:
    """What one scrape found."""

    time: float
    ready: int
    inside: int
    expected_wait: float
    """The mean of the replicas."""
    came: int
    busy: float
    """Core seconds spent so far."""


Signal = Callable[[Sequence[Sample]], float]
"""The metric, summed over the replicas, from the samples of one `WINDOW`, oldest first."""


def _queue(samples: Sequence[Sample]) -> float:
    return samples[-1].inside


def _occupied(samples: Sequence[Sample]) -> float:
    return sum(sample.inside for sample in samples) / len(samples)


def _expected_wait(samples: Sequence[Sample]) -> float:
    return samples[-1].expected_wait * samples[-1].ready


def _requests(samples: Sequence[Sample]) -> float:
    return (samples[-1].came - samples[0].came) / _seconds(samples)


def _busy(samples: Sequence[Sample]) -> float:
    return (samples[-1].busy - samples[0].busy) / _seconds(samples)


def _seconds(samples: Sequence[Sample]) -> float:
    return max(1e-9, samples[-1].time - samples[0].time)


SIGNALS: Mapping[str, Signal] = {
    "queue": _queue,
    "occupied": _occupied,
    "expected wait": _expected_wait,
    "request rate": _requests,
    "busy cores": _busy,
}


@dataclass(frozen=True)
class Rules:
    """Kubernetes' HorizontalPodAutoscaler, fed by Prometheus through KEDA."""

    targets: Mapping[str, float]
    """What each signal should be for a replica; of several, the one that asks for most counts."""
    start_seconds: float = 60.0
    """From the decision to a warm replica: scheduling, image, loading."""
    scrape: float = 15.0
    poll: float = 30.0
    tolerance: float = 0.1
    """Share by which the metric may differ before anything is done."""
    stabilisation: float = 300.0
    """Seconds for which fewer must have been enough."""
    least: int = 1
    most: int = 100


class Scaler:
    """Changes the number of replicas of a fleet as its rules say."""

    def __init__(self, fleet: Fleet, rules: Rules) -> None:
        self.wanted = len(fleet.replicas)
        self.history: list[tuple[float, int, int]] = []
        """Time, replicas paid for, and those that answer, at each scrape."""
        self._fleet, self._rules = fleet, rules
        self._all = list(fleet.replicas)
        self._samples: deque[Sample] = deque(maxlen=1 + round(WINDOW / rules.scrape))
        self._proposed: deque[tuple[float, int]] = deque()
        self._every(rules.scrape, self._scrape)
        self._every(rules.poll, self._decide)

    def paid(self, seconds: float) -> float:
        """Mean number of replicas that were paid for in so many seconds."""
        counts = [paid for time, paid, _ in self.history if time <= seconds]
        return sum(counts) / len(counts)

    def _every(self, seconds: float, do: Callable[[], None]) -> None:
        def again(_: simpy.Event) -> None:
            do()
            self._every(seconds, do)

        timer = self._fleet.env.timeout(seconds)
        timer.callbacks.append(again)

    def _scrape(self) -> None:
        ready = self._fleet.replicas
        waits = sum(replica.line.expected_wait for replica in ready)
        sample = Sample(
            self._fleet.env.now,
            len(ready),
            sum(replica.line.rate.inside for replica in ready),
            waits / max(1, len(ready)),
            self._fleet.log.tries,
            sum(replica.cores.busy_seconds for replica in self._all),
        )
        self._samples.append(sample)
        self.history.append((sample.time, self.wanted, sample.ready))

    def _decide(self) -> None:
        if not self._samples:
            return
        rules, now = self._rules, self._fleet.env.now
        samples = list(self._samples)
        metrics = {name: SIGNALS[name](samples) for name in rules.targets}
        ratio = max(metrics[name] / each / self.wanted for name, each in rules.targets.items())
        needed = self.wanted
        if abs(ratio - 1) > rules.tolerance:
            needed = math.ceil(self.wanted * ratio)
        # At most twice as many, or four more, in 15 seconds: the defaults of Kubernetes.
        needed = min(needed, max(2 * self.wanted, self.wanted + 4))
        needed = min(rules.most, max(rules.least, needed))
        self._proposed.append((now, needed))
        while self._proposed[0][0] < now - rules.stabilisation:
            self._proposed.popleft()
        self._change(max(needed, min(self.wanted, max(each for _, each in self._proposed))))

    def _change(self, wanted: int) -> None:
        fleet = self._fleet
        for _ in range(wanted - self.wanted):
            timer = fleet.env.timeout(self._rules.start_seconds, fleet.new_replica())
            timer.callbacks.append(self._ready)
        self.wanted = wanted
        self._shrink()

    def _ready(self, timer: simpy.Event) -> None:
        replica = cast("Replica", timer.value)
        self._all.append(replica)
        self._fleet.replicas.append(replica)
        self._shrink()

    def _shrink(self) -> None:
        """The newest get no more requests, and end when they have answered theirs."""
        del self._fleet.replicas[self.wanted :]
