"""One request's way through the house."""

from __future__ import annotations

import time

from service.bucket import Bucket
from service.line import Line
from service.metrics import Stages


class Visit:
    """What is known of it: its deadline, its picture, and the time it spends where."""

    def __init__(self, line: Line, timeout: float) -> None:
        self.line = line
        """That of the model it means."""
        self.timeout = timeout
        """Seconds that the request may take from its beginning to its end."""
        self.stages = Stages()
        self._begun = time.monotonic()
        self.deadline = self._begun + timeout
        self.held_bytes = 0
        self.picture: tuple[int, int] | None = None
        """Width and height of the upload, once it is decoded."""
        self.bucket: Bucket | None = None
        self.batch: int | None = None
        """Pictures that were computed together with this one, itself included."""
        self.pictures: int | None = None
        """How many the request brought, if it may bring several."""
        self.windows: int | None = None
        """How many the picture was cut into, if it was."""

    @property
    def age(self) -> float:
        """Seconds that it has been here."""
        return time.monotonic() - self._begun

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, 0 once it has passed."""
        return max(0.0, self.deadline - time.monotonic())
