"""Who is let in and what shares a batch, as the service decides it, on the simulation's clock.

The constants are the service's own. tests/benchmarks hold each class against the one it imitates,
which cannot be used itself: it waits in threads and looks at the real clock.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from service.engine.rate import FIRST_GUESS, REMEMBERED
from service.line import HEADROOM


class Rate:
    """`service.engine.rate.Rate`: seconds per finished piece of work while there is work."""

    def __init__(self, parallel: int, guess: float = FIRST_GUESS) -> None:
        """
        Args:
            parallel: pieces that can be worked on at the same time.
            guess: seconds per piece before any was measured.
        """
        self.inside = 0
        self._parallel = parallel
        self._intervals: deque[float] = deque([guess])
        self._sum = guess
        self._since = 0.0
        self._guessed = True

    def begin(self, now: float) -> None:
        if not self.inside:
            self._since = now
        self.inside += 1

    def end(self, now: float, *, done: bool) -> None:
        at_work = min(1.0, self.inside / self._parallel)
        self.inside -= 1
        if not done:
            return
        if self._guessed:
            self._intervals.clear()
            self._sum = 0.0
            self._guessed = False
        elif len(self._intervals) == REMEMBERED:
            self._sum -= self._intervals.popleft()
        interval = at_work * (now - self._since)
        self._intervals.append(interval)
        self._sum += interval
        self._since = now

    def seconds(self, pieces: int) -> float:
        """Seconds that so many pieces of work take."""
        return pieces * self._sum / len(self._intervals)


Refusal = tuple[str, float]
"""Why, and the seconds after which the client may come back."""


class Line:
    """`service.line.Line` for requests with one picture."""

    def __init__(self, rate: Rate, limit: int) -> None:
        self.rate = rate
        self._limit = limit

    @property
    def expected_wait(self) -> float:
        """Seconds until all that are inside are answered."""
        return self.rate.seconds(self.rate.inside)

    def check(self, time_left: float) -> Refusal | None:
        """Why a request is refused that has so many seconds; None if it is not."""
        inside = self.rate.inside
        if inside >= self._limit:
            return "queue_full", self.expected_wait
        if inside and self.rate.seconds(inside + 1) > HEADROOM * time_left:
            return "no_time", self.expected_wait
        return None


class Picture(Protocol):
    """What waits for the model."""

    bucket: int
    deadline: float


class Waiting:
    """`service.engine.waiting.Waiting` without a delay: oldest first, in batches of one bucket."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []

    def __len__(self) -> int:
        return len(self._pictures)

    def put(self, picture: Picture) -> None:
        self._pictures.append(picture)

    def remove(self, picture: Picture) -> None:
        """Let go of one whose request has ended."""
        self._pictures.remove(picture)

    def take(self, most: int, idle: int) -> list[Picture]:
        """The next batch; empty if nobody waits.

        Args:
            most: pictures in it at most.
            idle: other runners that have nothing to do, who get a share.
        """
        if not self._pictures:
            return []
        bucket = self._pictures[0].bucket
        alike = [picture for picture in self._pictures if picture.bucket == bucket]
        batch = alike[: min(most, -(-len(alike) // (1 + idle)))]
        self._pictures = [picture for picture in self._pictures if picture not in batch]
        return batch
