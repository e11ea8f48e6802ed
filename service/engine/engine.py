"""A bounded queue before one session, worked off by one thread."""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.contract import ModelCard
from service.engine.session import Session
from service.errors import DeadlinePassed, EngineFailed, Unavailable

log = logging.getLogger(__name__)

FIRST_GUESS = 0.5
"""Seconds per picture before any was measured."""
SMOOTHING = 0.1
"""Share of the newest picture in the running mean of seconds per picture."""


@dataclass(frozen=True)
class Answer:
    """What the engine gives back for a picture."""

    mask: NDArray[np.uint8]
    """Class ids uint8 [H, W], as large as the input."""
    queue_seconds: float
    infer_seconds: float


@dataclass(frozen=True)
class Job:
    """A picture on its way through the queue."""

    image: NDArray[np.uint8]
    """uint8 [H, W, 3]."""
    deadline: float
    """On the clock of `time.monotonic`."""
    submitted: float
    future: Future[Answer]


class Engine:
    """Turns pictures into masks, one after another.

    `submit` may be called from any thread. A future that is cancelled before its turn, or whose
    deadline has passed by then, costs the model nothing.
    """

    def __init__(self, session: Session, limit: int) -> None:
        """
        Args:
            session: the loaded model.
            limit: pictures that may wait; `submit` refuses more.
        """
        self._session = session
        self._jobs: queue.Queue[Job | None] = queue.Queue(limit)
        self._warm = threading.Event()
        self._closed = False
        self._closing = threading.Lock()
        self._failure: Exception | None = None
        self._seconds_per_picture = FIRST_GUESS
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)

    @property
    def card(self) -> ModelCard:
        return self._session.card

    @property
    def provider(self) -> str:
        return self._session.provider

    @property
    def ready(self) -> bool:
        """Whether the model is warm and pictures are accepted."""
        return self._warm.is_set() and not self._closed and self.alive

    @property
    def failure(self) -> Exception | None:
        """Why the model could not be warmed, if so."""
        return self._failure

    @property
    def closed(self) -> bool:
        """Whether the engine was told to stop; it finishes what it accepted."""
        return self._closed

    @property
    def alive(self) -> bool:
        """Whether the thread that runs the model does."""
        return self._worker.is_alive()

    @property
    def depth(self) -> int:
        """Pictures that wait."""
        return self._jobs.qsize()

    def estimate(self, pictures: int) -> float:
        """Seconds that so many pictures take, at the rate measured so far."""
        return pictures * self._seconds_per_picture

    def start(self) -> None:
        """Warm the model in the background, then work. Pictures may be submitted at once."""
        self._worker.start()

    def wait_ready(self) -> None:
        """Block until the model is warm, or has failed to become so."""
        self._warm.wait()

    def submit(self, image: NDArray[np.uint8], deadline: float) -> Future[Answer]:
        """Queue a picture uint8 [H, W, 3] with sides 16k+1.

        Args:
            image: the pixels; must not change until the future is done.
            deadline: on the clock of `time.monotonic`.

        Raises:
            Unavailable: the queue is full, or the engine is closing.

        The future raises DeadlinePassed or EngineFailed.
        """
        future: Future[Answer] = Future()
        with self._closing:
            if self._closed:
                raise Unavailable("the service is shutting down", self.estimate(self.depth + 1))
            try:
                self._jobs.put_nowait(Job(image, deadline, time.monotonic(), future))
            except queue.Full as error:
                raise Unavailable(
                    f"{self.depth} pictures are waiting already", self.estimate(self.depth + 1)
                ) from error
        return future

    def close(self) -> None:
        """Finish what was accepted, refuse the rest, stop the thread."""
        with self._closing:
            first, self._closed = not self._closed, True
        if first and self.alive:
            self._jobs.put(None)
        if self.alive:
            self._worker.join()

    def _work(self) -> None:
        try:
            self._warm_up()
        except Exception as error:
            self._fail(error)
        self._warm.set()
        while not self._failure and (job := self._jobs.get()) is not None:
            self._serve(job)

    def _warm_up(self) -> None:
        side = self.card.long_side
        self._session.run(np.full((1, side, side, 3), self.card.pad_value, dtype=np.uint8))

    def _fail(self, error: Exception) -> None:
        """Refuse new pictures and answer the waiting ones."""
        self._failure = error
        with self._closing:
            self._closed = True
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None and job.future.set_running_or_notify_cancel():
                job.future.set_exception(EngineFailed("the model does not run"))

    def _serve(self, job: Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        started = time.monotonic()
        if started > job.deadline:
            job.future.set_exception(
                DeadlinePassed("the deadline passed while the picture was waiting")
            )
            return
        try:
            mask = self._session.run(job.image[None])[0]
            if mask.shape != job.image.shape[:2] or mask.max() >= len(self.card.labels):
                raise ValueError(f"the model gave a mask of {mask.shape} up to {mask.max()}")
        except Exception as error:
            log.exception("the model failed on a picture of %s", job.image.shape)
            failure = EngineFailed("the model failed on this picture")
            failure.__cause__ = error
            job.future.set_exception(failure)
            return
        seconds = time.monotonic() - started
        self._seconds_per_picture += SMOOTHING * (seconds - self._seconds_per_picture)
        job.future.set_result(Answer(mask, started - job.submitted, seconds))
