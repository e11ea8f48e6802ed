"""Replicas behind a load balancer, and the clients in front of it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np
import simpy
from numpy.typing import NDArray

from benchmarks.simulate.arrivals import Arrivals
from benchmarks.simulate.profile import Profile
from benchmarks.simulate.replica import Replica, Visit
from service.client.attempts import FIRST_PAUSE, LONGEST_PAUSE, SPREAD
from service.engine.rate import FIRST_GUESS

OUTCOMES = ("answered", "queue_full", "no_time", "deadline", "lost", "no_replica")
Pick = Callable[[list[Replica], Random], Replica]


def at_random(replicas: list[Replica], random: Random) -> Replica:
    return replicas[int(random.random() * len(replicas))]


def two_choices(replicas: list[Replica], random: Random) -> Replica:
    """The one of two, taken at random, with fewer outstanding requests."""
    one, other = at_random(replicas, random), at_random(replicas, random)
    return one if one.outstanding <= other.outstanding else other


def least_outstanding(replicas: list[Replica], random: Random) -> Replica:
    """The one with the fewest; of several, any."""
    fewest = min(replica.outstanding for replica in replicas)
    return at_random([each for each in replicas if each.outstanding == fewest], random)


def round_robin() -> Pick:
    """One after the other."""
    turn = -1

    def pick(replicas: list[Replica], random: Random) -> Replica:
        nonlocal turn
        turn = (turn + 1) % len(replicas)
        return replicas[turn]

    return pick


@dataclass
class Log:
    """How every call ended, in the order in which they did."""

    started: array[float] = field(default_factory=lambda: array("d"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    outcomes: array[int] = field(default_factory=lambda: array("b"))
    tries: int = 0

    def add(self, started: float, now: float, outcome: str) -> None:
        self.started.append(started)
        self.seconds.append(now - started)
        self.outcomes.append(OUTCOMES.index(outcome))

    def since(self, begin: float, end: float = math.inf) -> Seen:
        """Those that came in a time."""
        started = np.frombuffer(self.started)
        chosen = (started >= begin) & (started < end)
        outcomes = np.frombuffer(self.outcomes, dtype=np.int8)[chosen]
        return Seen(np.frombuffer(self.seconds)[chosen], outcomes)


@dataclass
class Seen:
    """What clients saw."""

    seconds: NDArray[np.float64]
    outcomes: NDArray[np.int8]

    @property
    def answered(self) -> NDArray[np.float64]:
        """Seconds of those that were answered."""
        return self.seconds[self.outcomes == 0]

    @property
    def failed(self) -> float:
        """Share of the calls without an answer."""
        return 1 - len(self.answered) / len(self.seconds) if len(self.seconds) else 0.0

    def share(self, outcome: str) -> float:
        return float(np.mean(self.outcomes == OUTCOMES.index(outcome)))

    def percentile(self, share: float) -> float:
        """Seconds within which that share (0 to 100) of the answers came; inf without any."""
        return float(np.percentile(self.answered, share)) if len(self.answered) else math.inf


@dataclass(frozen=True)
class Manners:
    """How a client behaves."""

    timeout: float = 10.0
    """Seconds that it gives a call, all tries together; the server is told those left."""
    tries: int = 1
    honours: bool = True
    """Whether it waits as long as `Retry-After` says before it tries again."""


class Call:
    """One call of a client, with its tries."""

    __slots__ = ("pause", "started", "tries", "until")

    def __init__(self, started: float, until: float, tries: int) -> None:
        self.started = started
        self.until = until
        self.tries = tries
        self.pause = FIRST_PAUSE


class Fleet:
    """All replicas, the balancer and the clients of one simulation."""

    def __init__(
        self,
        profile: Profile,
        count: int,
        random: Random,
        pick: Pick = two_choices,
        manners: Manners = Manners(),
        guess: float = FIRST_GUESS,
    ) -> None:
        """
        Args:
            profile: what each replica is.
            count: how many there are at first.
            random: all chance of this simulation but that of the arrivals.
            pick: chooses the replica for a try.
            manners: the clients'.
            guess: see `Replica`.
        """
        self.env = simpy.Environment()
        self.log = Log()
        self.came = 0
        self._profile, self._random, self._guess = profile, random, guess
        self._pick, self._manners = pick, manners
        self.replicas = [self.new_replica() for _ in range(count)]
        """Those that the balancer sends requests to."""

    def new_replica(self) -> Replica:
        """One more, which gets no requests before it is in `replicas`."""
        return Replica(self.env, self._profile, self._random, self._guess)

    def follow(self, arrivals: Arrivals) -> None:
        """Let calls come at these times."""

        def come(_: simpy.Event) -> None:
            self.call()
            plan()

        def plan() -> None:
            if (due := next(arrivals, None)) is not None:
                timer = self.env.timeout(max(0.0, due - self.env.now))
                timer.callbacks.append(come)

        plan()

    def keep_busy(self, clients: int) -> None:
        """So many clients that call again as soon as they are answered: a closed loop."""

        def again(visit: Visit) -> None:
            self.log.add(started.pop(visit), self.env.now, visit.outcome)
            call()

        def call() -> None:
            visit = Visit(self.env.now + self._manners.timeout, again)
            started[visit] = self.env.now
            self._pick(self.replicas, self._random).arrive(visit)

        started: dict[Visit, float] = {}
        for _ in range(clients):
            call()

    def call(self) -> None:
        now = self.env.now
        self.came += 1
        self._try(Call(now, now + self._manners.timeout, self._manners.tries))

    def _try(self, call: Call) -> None:
        call.tries -= 1
        self.log.tries += 1
        visit = Visit(call.until, lambda visit: self._settle(call, visit))
        if not self.replicas:
            visit.outcome = "no_replica"
            self._settle(call, visit)
            return
        replica = self._pick(self.replicas, self._random)
        if replica.dead:  # the balancer has not noticed
            visit.outcome = "lost"
            self._settle(call, visit)
        else:
            replica.arrive(visit)

    def _settle(self, call: Call, visit: Visit) -> None:
        """`service.client.attempts.Attempts.settle`."""
        now = self.env.now
        if visit.outcome not in ("answered", "deadline") and call.tries:
            least = max(1, math.ceil(visit.retry_after)) if visit.retry_after else 0.0
            pause = max(least, call.pause) * self._random.uniform(1, SPREAD)
            if not self._manners.honours:
                pause = 0.0
            if now + pause < call.until:
                call.pause = min(LONGEST_PAUSE, 2 * call.pause)
                timer = self.env.timeout(pause)
                timer.callbacks.append(lambda _: self._try(call))
                return
        self.log.add(call.started, now, visit.outcome)
