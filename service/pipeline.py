"""The line a picture walks down: admit, decode, fit, queue, infer, restore. No HTTP here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.engine.engine import Engine
from service.engine.rate import Rate
from service.errors import DeadlinePassed, Unavailable
from service.images.decode import Picture, allow_pixels, decode
from service.images.fit import Fitted, fit
from service.memory import give_back
from service.metrics import Metrics, Stages
from service.settings import Settings

T = TypeVar("T")

KEPT_PIXELS = 2_000_000
"""A larger photo is decoded again for its overlay rather than kept while it waits its turn."""
HEADROOM = 0.75
"""Share of its time that a request may be expected to take: machines are not steady."""


class Segmented:
    """A picture with its mask."""

    def __init__(
        self,
        fitted: Fitted,
        model_mask: NDArray[np.uint8],
        photo: Image.Image | None,
        decode_photo: Callable[[], Picture],
    ) -> None:
        self._fitted = fitted
        self._model_mask = model_mask
        self._photo = photo
        self._decode_photo = decode_photo

    @property
    def model_mask(self) -> NDArray[np.uint8]:
        """Class ids uint8 [h, w] at the size the model saw, without padding."""
        return self._fitted.crop(self._model_mask)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the upload."""
        return self._fitted.picture

    def mask(self) -> NDArray[np.uint8]:
        """Class ids uint8 [H, W] at the size of the upload."""
        return self._fitted.restore(self._model_mask)

    def photo(self) -> Image.Image:
        """The upload itself, upright, RGB, at its full size."""
        return self._photo or self._decode_photo().image


class Visit:
    """One request's way through the house: its deadline and the time it spends where."""

    def __init__(self, timeout: float) -> None:
        self.stages = Stages()
        self.deadline = time.monotonic() + timeout
        self.held_bytes = 0

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, 0 once it has passed."""
        return max(0.0, self.deadline - time.monotonic())


class Pipeline:
    """Pictures in, masks out.

    The pixel work runs in a bounded pool of threads beside the model. Requests wait as they
    came, compressed; only as many are decoded as keep the threads and the model busy, so that
    memory is bounded by the bytes of the uploads and by those few.
    """

    def __init__(self, engine: Engine, settings: Settings, metrics: Metrics) -> None:
        self.engine = engine
        self.max_bytes = settings.max_bytes
        self._settings = settings
        allow_pixels(settings.max_pixels)
        self._metrics = metrics
        self._rate = Rate(lambda: engine.capacity)
        self._held_bytes = 0
        self._stretched = False
        threads = settings.image_threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="images")

    @property
    def inside(self) -> int:
        """Requests that wait or are being answered."""
        return self._rate.inside

    @property
    def expected_wait(self) -> float:
        """Seconds until all of them are answered, at the rate measured so far."""
        return self._rate.seconds(self.inside)

    @cached_property
    def _places(self) -> asyncio.Semaphore:
        """Pictures that may be pixels: two for each thread and each picture in a batch."""
        return asyncio.Semaphore(2 * (self._settings.image_threads + self.engine.capacity))

    @contextmanager
    def visit(self, timeout: float | None = None) -> Iterator[Visit]:
        """Let a request in, before any of it is read.

        Args:
            timeout: seconds that the request gives itself, at most those of the settings.

        Raises:
            Unavailable: it could not be answered in that time, or too many are in the house.
        """
        longest = self._settings.request_timeout
        visit = Visit(min(longest, timeout or longest))
        self._check(visit)
        try:
            yield visit
        finally:
            self._held_bytes -= visit.held_bytes
            self._metrics.observe(visit.stages)

    def hold(self, visit: Visit, size: int) -> None:
        """Count bytes of an upload as they arrive.

        Raises:
            Unavailable: the uploads in the house take too much memory already.
        """
        if self._held_bytes + size > self._settings.queue_bytes:
            raise Unavailable(
                f"the uploads that are being answered hold {self._held_bytes} bytes, and the "
                f"limit is {self._settings.queue_bytes}",
                retry_after=self.expected_wait,
            )
        self._held_bytes += size
        visit.held_bytes += size

    async def answer(self, data: bytes, visit: Visit, make: Callable[[Segmented], T]) -> T:
        """Decode an upload, find its mask and make the answer of it.

        Args:
            data: the file's bytes.
            visit: the request's place in the house.
            make: runs off the event loop.

        Raises:
            RequestError: whatever is wrong with the picture, the load or the deadline.
        """
        with self._queued(visit):
            waiting = time.monotonic()
            try:
                async with asyncio.timeout(visit.time_left), self._places:
                    visit.stages.add("queue", time.monotonic() - waiting)
                    found = await self._segment(data, visit)
                    return await self._work(visit, "encode", lambda: make(found))
            except TimeoutError as error:
                raise DeadlinePassed("the deadline passed before the answer was ready") from error

    async def close(self) -> None:
        """Finish what the engine accepted and let the threads go."""
        await asyncio.to_thread(self.engine.close)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, visit: Visit) -> None:
        """Refuse at once what could not be answered in time."""
        if self.engine.state != "ready":
            raise Unavailable(f"the service is {self.engine.state}", retry_after=1)
        inside = self.inside
        if inside >= self._settings.queue_limit:
            raise Unavailable(
                f"{inside} requests are being answered, which is the limit", self.expected_wait
            )
        # An empty house lets everybody in, or one slow answer would close it for ever.
        if inside and self._rate.seconds(inside + 1) > HEADROOM * visit.time_left:
            raise Unavailable(
                f"{inside} requests are being answered, which takes about "
                f"{self.expected_wait:.1f} s; this one has {visit.time_left:.1f} s",
                self.expected_wait,
            )

    @contextmanager
    def _queued(self, visit: Visit) -> Iterator[None]:
        """A place in the queue, once the whole upload is there."""
        self._check(visit)
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
            if self._stretched and not self.inside:
                self._stretched = False
                asyncio.get_running_loop().run_in_executor(None, give_back)

    async def _segment(self, data: bytes, visit: Visit) -> Segmented:
        max_pixels, card, buckets = (
            self._settings.max_pixels,
            self.engine.card,
            self.engine.buckets,
        )
        formats = self._settings.formats
        enough = max(bucket.long_side for bucket in buckets)

        def prepare() -> tuple[Fitted, Image.Image | None]:
            picture = decode(data, max_pixels, enough, formats)
            self._stretched |= picture.width * picture.height > KEPT_PIXELS
            fitted = fit(picture, buckets, card.pad_value)
            keep = picture.whole and picture.width * picture.height <= KEPT_PIXELS
            return fitted, picture.image if keep else None

        fitted, photo = await self._work(visit, "decode", prepare)
        future = self.engine.submit(fitted.tensor, visit.deadline)
        answer = await asyncio.wrap_future(future)
        visit.stages.add("queue", answer.queue_seconds, ago=answer.infer_seconds)
        visit.stages.add("infer", answer.infer_seconds)
        whole = partial(decode, data, max_pixels, formats=formats)
        return Segmented(fitted, answer.mask, photo, whole)

    async def _work(self, visit: Visit, stage: str, function: Callable[[], T]) -> T:
        """Run pixel work off the event loop, unless its request's time is up before its turn."""
        submitted = time.monotonic()

        def timed() -> T:
            visit.stages.add("queue", time.monotonic() - submitted)
            if not visit.time_left:
                raise DeadlinePassed("the deadline passed while the picture was waiting")
            with visit.stages.time(stage):
                return function()

        return await asyncio.get_running_loop().run_in_executor(self._pool, timed)
