"""The engine: pictures gather while it is busy, and leave it in batches of one bucket."""

from __future__ import annotations

import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from service.bucket import Bucket
from service.contract import ModelCard
from service.engine.batch import compute
from service.engine.model import Model, Placement, Runner
from service.engine.rate import Rate
from service.engine.segmenter import State, no_confidence
from service.engine.waiting import Answer, Job, Waiting
from service.errors import EngineFailed, Unavailable
from service.memory import resident_bytes

log = logging.getLogger(__name__)

LOOK_UP = 0.1
"""Seconds between two looks at a thread that is to end."""


class Engine:
    """Turns pictures into masks, in batches, with one thread per runner of the model.

    An idle engine starts at once with what there is, and gives it the whole machine where the
    model has a runner for that. `submit` may be called from any thread. A
    future that is cancelled before its turn, or whose deadline has passed by then, costs the
    model nothing.
    """

    def __init__(
        self,
        model: Model,
        buckets: Sequence[Bucket],
        limit: int,
        max_delay: float = 0.0,
        observe: Callable[[Bucket, int], None] = lambda bucket, size: None,
        run_timeout: float = math.inf,
        version: int = 1,
        held_before: int | None = None,
    ) -> None:
        """
        Args:
            model: the loaded file.
            buckets: the sizes that pictures come in.
            limit: pictures that may wait; `submit` refuses more.
            max_delay: seconds that a picture may wait for others to fill its batch.
            observe: told the bucket and the size of each batch.
            run_timeout: seconds after which a batch that has not come back is given up as stuck.
            version: which one of the files of its name it is.
            held_before: bytes that the process held before the file was loaded.
        """
        self.buckets = tuple(buckets)
        self.version = version
        self.memory_bytes = 0
        """What the process grew by until the model was warm; 0 where nobody looked."""
        self._held_before = held_before
        self._model = model
        self._limit = limit
        self._observe = observe
        self._run_timeout = run_timeout
        self._running: dict[int, float] = {}
        """Since when each thread has been computing."""
        self._waiting = Waiting(max_delay)
        # A strong reference would be a circle, in which the model's memory stays until Python
        # looks for such: for a server that loads one after the other that is far too late.
        this = weakref.ref(self)
        self._rate = Rate(lambda pictures: engine.at_once(pictures) if (engine := this()) else 1)
        self._warm = threading.Event()
        self._closed = False
        self._lock = threading.Lock()
        self._failure: Exception | None = None
        self._placement: Placement | None = None
        self._threads = [threading.Thread(target=self._prepare, name="engine", daemon=True)]

    @property
    def card(self) -> ModelCard:
        return self._model.card

    @property
    def digest(self) -> str:
        """Tells files of one name and version apart."""
        return self._model.digest

    @property
    def has_confidence(self) -> bool:
        """Whether the file can tell how sure it is."""
        return self._model.has_confidence

    @property
    def provider(self) -> str:
        return self._model.provider

    @property
    def placement(self) -> Placement | None:
        """How the model is spread over the machine; None while it is being found out."""
        return self._placement

    @property
    def state(self) -> State:
        """What the engine is doing; pictures are welcome while it is "ready"."""
        if self.trouble:
            return "broken"
        if self._closed:
            return "shutting down"
        if not self._warm.is_set():
            return "warming up"
        return "ready" if self.alive else "broken"

    @property
    def ready(self) -> bool:
        """Whether every bucket is warm and pictures are accepted."""
        return self.state == "ready"

    @property
    def failure(self) -> Exception | None:
        """Why the model does not run, or no longer does."""
        return self._failure

    @property
    def alive(self) -> bool:
        """Whether the model runs, as far as is known, and so do all its threads."""
        return self.trouble is None and all(thread.is_alive() for thread in self._threads)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the model while it should be running, if anything."""
        if self._failure:
            return str(self._failure)
        if self.longest_run > self._run_timeout:
            return f"a batch has been computing for more than {self._run_timeout:g} s"
        return None

    @property
    def longest_run(self) -> float:
        """Seconds that the batch has taken so far that has been computing the longest."""
        begun = list(self._running.values())
        return time.monotonic() - min(begun) if begun else 0.0

    @property
    def waiting(self) -> int:
        """Pictures that wait for a batch."""
        return len(self._waiting)

    @property
    def busy(self) -> float:
        """Share of the runners that compute a batch at the moment."""
        placement = self._placement
        return len(self._running) / placement.sessions if placement else 0.0

    @property
    def capacity(self) -> int:
        """Pictures that can be computed at the same time."""
        placement = self._placement
        return len(placement.runners) * placement.max_batch if placement else 1

    def at_once(self, pictures: int) -> int:
        """How many pictures like these can be computed at the same time, if there are so many.

        One that is alone may have the whole machine.
        """
        placement = self._placement
        return 1 if pictures <= 1 and placement and placement.alone else self.capacity

    @property
    def most_at_once(self) -> int:
        """The bound of `capacity`, which is exact here; of replicas elsewhere it is a guess."""
        return self.capacity

    def estimate(self, pictures: int) -> float:
        """Seconds that so many pictures take, at the rate measured so far."""
        return self._rate.seconds(pictures)

    def require_confidence(self) -> None:
        """Refuse what the file cannot do.

        Raises:
            InvalidParameter: it has no output `confidence`.
        """
        if not self.has_confidence:
            raise no_confidence(self.card)

    def start(self) -> None:
        """Warm the model in the background, then work. Pictures may be submitted at once."""
        self._threads[0].start()

    def wait_ready(self) -> None:
        """Block until the model is warm, or has failed to become so."""
        self._warm.wait()

    def submit(
        self, image: NDArray[np.uint8], deadline: float, confidence: bool = False
    ) -> Future[Answer]:
        """Queue a picture uint8 [H, W, 3] of the size of a bucket.

        Args:
            image: the pixels; must not change until the future is done.
            deadline: on the clock of `time.monotonic`.
            confidence: whether the answer should tell it.

        Raises:
            InvalidParameter: the model has no confidence to tell.
            Unavailable: the picture cannot be computed before its deadline, the queue is full,
                or the engine is closing.

        The future raises DeadlinePassed or EngineFailed.
        """
        if confidence:
            self.require_confidence()
        now = time.monotonic()
        job = Job(image, deadline, now, Future(), confidence)
        with self._lock:
            waiting = len(self._waiting)
            needed = self.estimate(waiting + 1)
            if self._closed:
                raise Unavailable(f"the service is {self.state}", "shutting_down", needed)
            if waiting >= self._limit:
                raise Unavailable(f"{waiting} pictures are waiting already", "queue_full", needed)
            if now < deadline < now + self.estimate(waiting):
                raise Unavailable(
                    f"{waiting} pictures are waiting, which takes {self.estimate(waiting):.1f} s; "
                    "this one would miss its deadline",
                    "no_time",
                    needed,
                )
            self._rate.begin()
            job.future.add_done_callback(self._count)
            self._waiting.put(job)
        return job.future

    def close(self, timeout: float = math.inf) -> None:
        """Finish what was accepted, refuse the rest, stop the threads.

        Neither warming up nor a batch that is stuck can be interrupted: they are not waited for.

        Args:
            timeout: seconds after which a batch that is still being computed is left alone.
        """
        until = time.monotonic() + timeout
        with self._lock:
            self._closed = True
        self._waiting.close()
        if not self._warm.is_set():
            self._answer_all(Unavailable("the service is shutting down", "shutting_down", 1))
            return
        for thread in self._threads:
            while thread.is_alive() and not self.trouble and time.monotonic() < until:
                thread.join(LOOK_UP)

    def _count(self, future: Future[Answer]) -> None:
        self._rate.end(done=not future.cancelled() and future.exception() is None)

    def _prepare(self) -> None:
        """Place the model, then work with the first runner; the others get a thread each."""
        try:
            placement = self._model.place(self.buckets)
        except Exception as error:
            self._fail(error)
            self._warm.set()
            return
        self._placement = placement
        if self._held_before is not None:
            self.memory_bytes = max(0, resident_bytes() - self._held_before)
        log.info(
            "%d x %d threads on %s, batches of up to %d%s",
            len(placement.runners),
            placement.threads,
            self.provider,
            placement.max_batch,
            f"; {placement.alone_threads} threads for one alone" if placement.alone else "",
        )
        others = [
            threading.Thread(target=self._work, args=(runner,), name="engine", daemon=True)
            for runner in placement.runners[1:]
        ]
        for thread in others:
            thread.start()
        self._threads += others
        self._warm.set()
        self._work(placement.runners[0])

    def _work(self, runner: Runner) -> None:
        assert self._placement is not None
        most, alone = self._placement.max_batch, self._placement.alone
        while jobs := self._waiting.take(most):
            # Two threads may both think so, and share the cores of the wide one for a run.
            wide = None if self._running or self._waiting else alone
            self._running[threading.get_ident()] = time.monotonic()
            try:
                most = compute(
                    wide or runner, jobs, self.card, most, self._observe, alone=wide is not None
                )
            except Exception as error:
                log.critical("the model no longer runs on %s", self.provider, exc_info=error)
                self._fail(error, jobs)
            finally:
                del self._running[threading.get_ident()]

    def _fail(self, error: Exception, jobs: Sequence[Job] = ()) -> None:
        """Refuse new pictures; answer those of the batch at hand and the waiting ones."""
        with self._lock:
            self._failure = error
            self._closed = True
        self._waiting.close()
        failure = EngineFailed("the model does not run")
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(failure)
        self._answer_all(failure)

    def _answer_all(self, error: Exception) -> None:
        while jobs := self._waiting.take(1):
            jobs[0].future.set_exception(error)
