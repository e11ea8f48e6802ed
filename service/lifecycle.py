"""From serving to the end: where the service stands on its way out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Stage = Literal["serving", "leaving", "shut"]


class Lifecycle:
    """What new requests find; it only ever moves forward.

    While "leaving", the service is no longer ready, so that balancers turn away from it, but
    serves whoever still comes. Once "shut", only what was accepted before is finished.
    """

    def __init__(self) -> None:
        self.stage: Stage = "serving"
        self.ends_at = math.inf
        """When everything must be over, on the clock of `time.monotonic`."""
        self.active = 0
        """Requests that are being read or answered."""

    @property
    def time_left(self) -> float:
        """Seconds until everything must be over."""
        return max(0.0, self.ends_at - time.monotonic())

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is here."""
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1
