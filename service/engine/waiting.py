"""The pictures that wait for the model, given out in batches of one bucket."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.bucket import Bucket
from service.errors import DeadlinePassed


@dataclass(frozen=True)
class Answer:
    """What the engine gives back for a picture."""

    mask: NDArray[np.uint8]
    """Class ids uint8 [H, W], as large as the input."""
    confidence: NDArray[np.uint8] | None
    """255 times the probability of each, uint8 [H, W], if it was asked for."""
    queue_seconds: float
    infer_seconds: float
    batch: int
    """Pictures that were computed together with this one, itself included."""
    alone: bool = False
    """Whether they had the machine for themselves, and so all cores: others would take longer."""


@dataclass(frozen=True, eq=False)
class Job:
    """A picture on its way through the engine."""

    image: NDArray[np.uint8]
    """uint8 [H, W, 3]."""
    deadline: float
    """On the clock of `time.monotonic`."""
    submitted: float
    future: Future[Answer]
    confidence: bool = False
    """Whether it is asked for."""

    @property
    def bucket(self) -> Bucket:
        height, width, _ = self.image.shape
        return Bucket(height, width)


class Waiting:
    """Oldest first; a batch is the oldest picture and those of its bucket that fit with it.

    There is no artificial delay unless one is asked for: whoever is idle takes what there is,
    and while everybody is busy the next batch gathers by itself.
    """

    def __init__(self, max_delay: float = 0.0) -> None:
        """`max_delay`: seconds that the oldest picture may wait for others to fill its batch."""
        self._max_delay = max_delay
        self._jobs: list[Job] = []
        self._changed = threading.Condition()
        self._idle = 0
        self._closed = False

    def __len__(self) -> int:
        """Pictures that wait; those whose sender has gone do not count."""
        with self._changed:
            return sum(not job.future.cancelled() for job in self._jobs)

    def put(self, job: Job) -> None:
        with self._changed:
            self._drop_gone()
            self._jobs.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Let `take` end once all that waits is given out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, most: int) -> list[Job]:
        """The next batch, at most so many pictures; waits for one. Empty once closed and empty.

        The futures of a batch are running and can no longer be cancelled.
        """
        with self._changed:
            while True:
                self._drop_gone()
                batch = self._gather(most)
                delay = self._delay(batch, most)
                if batch and delay <= 0:
                    self._jobs = [job for job in self._jobs if job not in batch]
                    # Whom their senders left in the meantime need not be computed.
                    if running := [job for job in batch if _starts(job)]:
                        return running
                elif self._closed:
                    return []
                else:
                    self._idle += 1
                    self._changed.wait(delay if batch else None)
                    self._idle -= 1

    def _gather(self, most: int) -> list[Job]:
        if not self._jobs:
            return []
        bucket = self._jobs[0].bucket
        alike = [job for job in self._jobs if job.bucket == bucket]
        # Whoever else is idle gets a share.
        share = -(-len(alike) // (1 + self._idle))
        return alike[: min(most, share)]

    def _delay(self, batch: list[Job], most: int) -> float:
        """Seconds that the batch should still wait to be filled."""
        if not batch or len(batch) == most or self._closed:
            return 0.0
        # A delay must not eat up the time that the picture has.
        oldest = batch[0]
        delay = min(self._max_delay, (oldest.deadline - oldest.submitted) / 2)
        return oldest.submitted + delay - time.monotonic()

    def _drop_gone(self) -> None:
        """Let go of those whose deadline has passed or whose sender has left."""
        now = time.monotonic()
        gone = [job for job in self._jobs if job.future.cancelled() or now > job.deadline]
        self._jobs = [job for job in self._jobs if job not in gone]
        for job in gone:
            if _starts(job):
                job.future.set_exception(
                    DeadlinePassed("the deadline passed while the picture was waiting")
                )


def _starts(job: Job) -> bool:
    return job.future.set_running_or_notify_cancel()
