"""The processor cores of one machine, which all that is at work there shares evenly."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

import simpy

Done = Callable[[], None]


class Cores:
    """Processor sharing: n pieces of work each go on at joint(n) / n of the speed of one alone.

    Time is kept on a clock that runs as fast as each piece does, on which their ends do not move
    when others come and go. So a piece costs one event, and a second one only if it ended later
    than was thought.
    """

    def __init__(self, env: simpy.Environment, cores: int, speed: float) -> None:
        """
        Args:
            env: the simulation.
            cores: how many there are.
            speed: how fast they are together, when one is 1.
        """
        self._env = env
        self._cores = cores
        gain = (speed - 1) / (cores - 1) if cores > 1 else 0.0
        self._joint = [1.0] + [1 + gain * count for count in range(cores)]
        self._ends: list[tuple[float, int, Done]] = []
        self._ids = count()
        self._clock = self._looked = 0.0
        self._due = float("inf")
        self._busy = 0.0

    @property
    def busy_seconds(self) -> float:
        """Seconds of core time spent so far."""
        self._advance()
        return self._busy

    def work(self, seconds: float, done: Done) -> None:
        """Begin a piece of work.

        Args:
            seconds: what it takes alone.
            done: called at its end.
        """
        self._advance()
        heappush(self._ends, (self._clock + seconds, next(self._ids), done))
        self._arm()

    def _each(self) -> float:
        """The speed of each piece."""
        count = len(self._ends)
        return self._joint[count if count < self._cores else self._cores] / count

    def _advance(self) -> None:
        now = self._env.now
        if count := len(self._ends):
            passed = now - self._looked
            at_work = count if count < self._cores else self._cores
            self._clock += passed * self._joint[at_work] / count
            self._busy += passed * at_work
        self._looked = now

    def _arm(self) -> None:
        """See to it that something happens when the next piece ends."""
        if not self._ends:
            return
        left = (self._ends[0][0] - self._clock) / self._each()
        due = self._looked + left if left > 0 else self._looked
        if due < self._due:
            self._due = due
            timer = self._env.timeout(due - self._looked, due)
            timer.callbacks.append(self._look)

    def _look(self, timer: simpy.Event) -> None:
        if timer.value != self._due:
            return  # another is armed for an earlier time
        self._due = float("inf")
        self._advance()
        ended = []
        while self._ends and self._ends[0][0] <= self._clock + 1e-9:
            ended.append(heappop(self._ends)[2])
        self._arm()
        for done in ended:
            done()
