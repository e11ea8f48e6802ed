"""The line before one model: who waits in it, how long that takes, and who is turned away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.engine.rate import Pieces, Rate
from service.engine.segmenter import Segmenter, State
from service.errors import Shortage, Unavailable

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

    def __init__(self, engine: Segmenter, limit: int) -> None:
        """
        Args:
            engine: what will compute the masks.
            limit: requests that may wait or be answered.
        """
        self.limit = limit
        self.visitors = 0
        """Requests that mean this model and have not left the house."""
        self._engine = engine
        self._rate = Rate(engine.at_once)
        self._cut: set[Pieces] = set()
        """Windows of large pictures, less one for each, which is the picture's own."""

    @property
    def inside(self) -> int:
        """Pictures that wait or are being answered. May be asked from any thread."""
        return self._rate.inside - sum(pieces.left for pieces in tuple(self._cut))

    @property
    def expected_wait(self) -> float:
        """Seconds until all of them are answered, at the rate measured so far."""
        return self._rate.seconds(self._rate.inside)

    def room(self, seconds: float) -> int:
        """Pictures that an empty line takes, if each has so many seconds; one at least."""
        each = max(1e-6, self._rate.seconds(1))
        return max(1, min(self.limit, int(HEADROOM * seconds / each)))

    @contextmanager
    def queued(self, time_left: float, pictures: int = 1) -> Iterator[Pieces]:
        """Places in the line, once the whole upload is there.

        Args:
            time_left: seconds until the request's deadline.
            pictures: how many the request brings.

        Raises:
            Unavailable: see `check`.
        """
        self.check(time_left, pictures)
        pieces = Pieces(self._rate, pictures)
        try:
            yield pieces
        finally:
            pieces.give_up()

    @contextmanager
    def cut(self, time_left: float, windows: int) -> Iterator[Pieces]:
        """Count a picture that is in the line as so many more, since it is cut into windows.

        Args:
            time_left: seconds until its request's deadline.
            windows: all but one.

        Raises:
            Unavailable: see `check_cut`.
        """
        self.check_cut(time_left, windows)
        pieces = Pieces(self._rate, windows)
        self._cut.add(pieces)
        try:
            yield pieces
        finally:
            pieces.give_up()
            self._cut.remove(pieces)

    def check(self, time_left: float, pictures: int = 1) -> None:
        """Refuse at once what could not be answered in time.

        Args:
            time_left: seconds until the request's deadline.
            pictures: how many it brings.

        Raises:
            Unavailable: it could not, or there are too many already.
        """
        state = self._engine.state
        if state != "ready":
            raise Unavailable(f"the service is {state}", CLOSED[state], retry_after=1)
        inside = self.inside
        if inside + pictures > self.limit:
            also = f"; this request brings {pictures} more" if pictures > 1 else ""
            raise Unavailable(
                f"{inside} requests are being answered and the limit is {self.limit}{also}",
                "queue_full",
                self.expected_wait,
            )
        # An empty line lets everybody in, or one slow answer would close it for ever.
        if inside:
            self._check_time(time_left, pictures, "pictures")

    def check_cut(self, time_left: float, windows: int) -> None:
        """Refuse at once a picture in the line that others keep from being answered in time.

        Args:
            time_left: seconds until its request's deadline.
            windows: all but one.

        Raises:
            Unavailable: they do.
        """
        if self.inside > 1:
            self._check_time(time_left, windows, "windows besides the first")

    def _check_time(self, time_left: float, pieces: int, kind: str) -> None:
        if self._rate.seconds(self._rate.inside + pieces) > HEADROOM * time_left:
            own = f" for {pieces} {kind}" if pieces > 1 else ""
            raise Unavailable(
                f"{self.inside} requests are being answered, which takes about "
                f"{self.expected_wait:.1f} s; this one has {time_left:.1f} s{own}",
                "no_time",
                self.expected_wait,
            )
