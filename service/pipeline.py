"""The line a picture walks down: admit, decode, fit, queue, infer, restore. No HTTP here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from typing import TypeVar

from PIL import Image

from service.bucket import Bucket
from service.budget import Budget
from service.engine.engine import Engine
from service.errors import DeadlinePassed
from service.house import House
from service.images.decode import LargePicture, allow_pixels, decode
from service.images.fit import Fitted, fit
from service.metrics import Metrics
from service.segmented import Segmented
from service.settings import Settings
from service.visit import Visit

T = TypeVar("T")

LARGE_PIXELS = 2_000_000
"""A larger picture must wait for room before it becomes pixels, and is decoded again for its
overlay rather than kept while it waits its turn."""


class Pipeline:
    """Pictures in, masks out.

    The pixel work runs in a bounded pool of threads beside the model. Requests wait as they
    came, compressed; only as many are decoded as keep the threads and the model busy, so that
    memory is bounded by the bytes of the uploads and by those few.
    """

    def __init__(self, engine: Engine, house: House, settings: Settings, metrics: Metrics) -> None:
        self.engine = engine
        self.house = house
        self.max_bytes = settings.max_bytes
        self._settings = settings
        allow_pixels(settings.max_pixels)
        self._metrics = metrics
        threads = settings.image_threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="images")

    @cached_property
    def _room(self) -> Budget:
        """Pixels of the large pictures that are at work."""
        return Budget(self._settings.max_pixels_at_once)

    @cached_property
    def _places(self) -> asyncio.Semaphore:
        """Pictures that may be pixels: two for each thread and each picture in a batch."""
        return asyncio.Semaphore(2 * (self._settings.image_threads + self.engine.capacity))

    async def answer(self, data: bytes, visit: Visit, make: Callable[[Segmented], T]) -> T:
        """Decode an upload, find its mask and make the answer of it.

        Args:
            data: the file's bytes.
            visit: the request's place in the house.
            make: runs off the event loop.

        Raises:
            RequestError: whatever is wrong with the picture, the load or the deadline.
        """
        with self.house.queued(visit):
            waiting = time.monotonic()
            try:
                async with asyncio.timeout(visit.time_left), self._places:
                    visit.stages.add("queue", time.monotonic() - waiting)
                    found = await self._segment(data, visit)
                    made = await self._work(
                        visit, "encode", lambda: make(found), found.size[0] * found.size[1]
                    )
            except TimeoutError as error:
                raise DeadlinePassed("the deadline passed before the answer was ready") from error
        height, width = found.size
        self._metrics.pictures.inc()
        self._metrics.pixels.inc(height * width)
        return made

    async def close(self, timeout: float) -> None:
        """Let the threads go, after at most so many seconds for a batch that nobody awaits."""
        await asyncio.to_thread(self.engine.close, timeout)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _segment(self, data: bytes, visit: Visit) -> Segmented:
        max_pixels, card, buckets = (
            self._settings.max_pixels,
            self.engine.card,
            self.engine.buckets,
        )
        formats = self._settings.formats
        enough = max(bucket.long_side for bucket in buckets)

        def prepare(unasked: int) -> tuple[Fitted, Image.Image | None]:
            picture = decode(data, max_pixels, enough, formats, unasked)
            visit.picture = picture.width, picture.height
            large = picture.width * picture.height > LARGE_PIXELS
            self.house.stretched |= large
            fitted = fit(picture, buckets, card.pad_value)
            return fitted, picture.image if picture.whole and not large else None

        try:
            fitted, photo = await self._work(visit, "decode", partial(prepare, LARGE_PIXELS))
        except LargePicture as picture:
            prepare_large = partial(prepare, max_pixels)
            fitted, photo = await self._work(visit, "decode", prepare_large, picture.pixels)
        height, width, _ = fitted.tensor.shape
        visit.bucket = Bucket(height, width)
        future = self.engine.submit(fitted.tensor, visit.deadline)
        answer = await asyncio.wrap_future(future)
        visit.batch = answer.batch
        visit.stages.add("queue", answer.queue_seconds, ago=answer.infer_seconds)
        visit.stages.add("infer", answer.infer_seconds)
        whole = partial(decode, data, max_pixels, formats=formats)
        return Segmented(fitted, answer.mask, photo, whole)

    async def _work(
        self, visit: Visit, stage: str, function: Callable[[], T], pixels: int = 0
    ) -> T:
        """Run pixel work off the event loop, unless its request's time is up before its turn.

        Args:
            visit: the request.
            stage: what its time is counted as.
            function: the work.
            pixels: those of its picture; there must be room for many.
        """
        submitted = time.monotonic()
        loop = asyncio.get_running_loop()
        room = await self._room.take(pixels) if pixels > LARGE_PIXELS else 0

        def timed() -> T:
            visit.stages.add("queue", time.monotonic() - submitted)
            if not visit.time_left:
                raise DeadlinePassed("the deadline passed while the picture was waiting")
            with visit.stages.time(stage):
                return function()

        def ended(work: Future[T]) -> None:
            # Not before the thread is done with it, even if its request has been given up.
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._room.give, room)

        work = self._pool.submit(timed)
        if room:
            work.add_done_callback(ended)
        return await asyncio.wrap_future(work)
