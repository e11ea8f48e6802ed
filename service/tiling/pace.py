"""How fast windows are computed, as far as that has been seen lately."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from service.bucket import Bucket
from service.engine.segmenter import Segmenter
from service.engine.waiting import Answer

ENOUGH = 8
"""Runs before anything is said. So few may all have been taken in a slow moment, hence the
margin of `Seconds.least`: on two cores that had much else to do, the fastest of 8 runs took longer
than the mean of the next 30 s in 72 of 785 places and more than twice as long in one; of 16 runs it
took more than 1.5 times as long in one of 777, and of 64 never longer than 0.94 of it."""
REMEMBERED = 64
"""Runs."""
FORGOTTEN_AFTER = 300.0
"""Seconds: a machine that was slow may have recovered, and only another try shows that."""


class Seconds(NamedTuple):
    """What a window takes of an engine that computes nothing else."""

    least: float
    """What the fastest took, less a margin: half of it, a ninth once much is known."""
    usual: float
    """The mean."""


class Run(NamedTuple):
    """A full batch that was computed."""

    when: float
    seconds: float
    most_at_once: int
    """Of the engine at that time: replicas on other machines come, go and are not all heard of."""


class Pace:
    """Remembers what runs of each bucket took. For one event loop."""

    def __init__(self, engine: Segmenter) -> None:
        self._engine = engine
        self._seen: dict[Bucket, deque[Run]] = {}
        """Each as often as it had pictures."""

    def add(self, bucket: Bucket, answer: Answer) -> None:
        """Remember the run that a picture or window of a bucket was computed in.

        Only a full batch tells what many windows take; one that is not would let them seem dearer,
        and one that had the machine for itself cheaper.
        """
        placement = self._engine.placement
        if placement and answer.batch == placement.max_batch and not answer.alone:
            longest = REMEMBERED * placement.max_batch
            seen = self._seen.setdefault(bucket, deque(maxlen=longest))
            seen.append(Run(time.monotonic(), answer.infer_seconds, self._engine.most_at_once))

    def seconds(self, bucket: Bucket) -> Seconds | None:
        """What a window takes; None while too little is known."""
        placement, since = self._engine.placement, time.monotonic() - FORGOTTEN_AFTER
        seen = [run for run in self._seen.get(bucket, ()) if run.when > since]
        runs = len(seen) / placement.max_batch if placement else 0
        if runs < ENOUGH:
            return None
        seconds, margin = [run.seconds for run in seen], 1 + ENOUGH / runs
        most = max(self._engine.most_at_once, *(run.most_at_once for run in seen))
        usual = sum(seconds) / len(seconds) / self._engine.capacity
        return Seconds(min(seconds) / margin / most, usual)
