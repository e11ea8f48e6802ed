"""The line before one model: who waits in it, how long that takes, and who is turned away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.engine.engine import Engine, State
from service.engine.rate import Rate
from service.errors import DeadlinePassed, Shortage, Unavailable

CLOSED: dict[State, Shortage] = {
    "warming up": "warming_up",
    "shutting down": "shutting_down",
    "broken": "broken",
}
"""Why an engine that is not ready takes no pictures."""
HEADROOM = 0.75
"""Share of its time that a request may be expected to take: machines are not steady."""


class Line:
    """Admits requests to one model, as long as they can be answered in time."""

    def __init__(self, engine: Engine, limit: int) -> None:
        """
        Args:
            engine: what will compute the masks.
            limit: requests that may wait or be answered.
        """
        self.limit = limit
        self.visitors = 0
        """Requests that mean this model and have not left the house."""
        self._engine = engine
        self._rate = Rate(lambda: engine.capacity)

    @property
    def inside(self) -> int:
        """Requests that wait or are being answered."""
        return self._rate.inside

    @property
    def expected_wait(self) -> float:
        """Seconds until all of them are answered, at the rate measured so far."""
        return self._rate.seconds(self.inside)

    @contextmanager
    def queued(self, time_left: float) -> Iterator[None]:
        """A place in the line, once the whole upload is there.

        Args:
            time_left: seconds until the request's deadline.

        Raises:
            Unavailable: see `check`.
        """
        self.check(time_left)
        self._rate.begin()
        done = False
        try:
            yield
            done = True
        except DeadlinePassed:
            # It took that long at least.
            done = True
            raise
        finally:
            self._rate.end(done=done)

    def check(self, time_left: float) -> None:
        """Refuse at once what could not be answered in time.

        Args:
            time_left: seconds until the request's deadline.

        Raises:
            Unavailable: it could not, or there are too many already.
        """
        state = self._engine.state
        if state != "ready":
            raise Unavailable(f"the service is {state}", CLOSED[state], retry_after=1)
        inside = self.inside
        if inside >= self.limit:
            raise Unavailable(
                f"{inside} requests are being answered, which is the limit",
                "queue_full",
                self.expected_wait,
            )
        # An empty line lets everybody in, or one slow answer would close it for ever.
        if inside and self._rate.seconds(inside + 1) > HEADROOM * time_left:
            raise Unavailable(
                f"{inside} requests are being answered, which takes about "
                f"{self.expected_wait:.1f} s; this one has {time_left:.1f} s",
                "no_time",
                self.expected_wait,
            )
