"""How fast work is done, learned while it is being done."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import DeadlinePassed

FIRST_GUESS = 0.5
"""Seconds per piece before any was measured."""
REMEMBERED = 64
"""Finished pieces of work that the estimate rests on."""


class Rate:
    """Measures seconds per finished piece of work, over the time in which there was work.

    While work overlaps, the time between one end and the next is what a piece costs, however
    many hands are at it. May be used from any thread.
    """

    def __init__(self, parallel: Callable[[int], int]) -> None:
        """`parallel`: tells how many pieces can be worked on at the same time if so many are there.

        While there are fewer, they show how long a piece takes and not how often one could be
        finished.
        """
        self._parallel = parallel
        self._intervals: deque[float] = deque([FIRST_GUESS], maxlen=REMEMBERED)
        self._lock = threading.Lock()
        self._since = 0.0
        self._inside = 0
        self._guessed = True

    @property
    def inside(self) -> int:
        """Pieces of work that have begun and not ended."""
        return self._inside

    def begin(self) -> None:
        with self._lock:
            if not self._inside:
                self._since = time.monotonic()
            self._inside += 1

    def end(self, *, done: bool) -> None:
        """A piece has left; it teaches the rate if the time spent on it was all it needed."""
        with self._lock:
            at_work = min(1.0, self._inside / self._parallel(self._inside))
            self._inside -= 1
            if not done:
                return
            now = time.monotonic()
            if self._guessed:
                self._intervals.clear()
                self._guessed = False
            self._intervals.append(at_work * (now - self._since))
            self._since = now

    def seconds(self, pieces: int) -> float:
        """Seconds that so many pieces of work take."""
        with self._lock:
            return pieces * sum(self._intervals) / len(self._intervals)


class Pieces:
    """The pieces of work that one request is counted as."""

    def __init__(self, rate: Rate, count: int) -> None:
        """Begin so many."""
        self._rate = rate
        self.left = count
        """How many have not ended."""
        for _ in range(count):
            rate.begin()

    @contextmanager
    def one(self) -> Iterator[None]:
        """The time in which one of them is finished, or is found to take longer than it may."""
        done = False
        try:
            yield
            done = True
        except DeadlinePassed:
            # It took that long at least.
            done = True
            raise
        finally:
            self.end(done=done)

    def end(self, *, done: bool) -> None:
        """One has ended, unless all have been given up; see `Rate.end`."""
        if self.left:
            self.left -= 1
            self._rate.end(done=done)

    def give_up(self) -> None:
        """End those that are left; they teach nothing."""
        while self.left:
            self.end(done=False)
