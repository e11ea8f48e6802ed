"""The line a picture walks down: admit, decode, fit, queue, infer, restore. No HTTP here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import TypeVar

from PIL import Image

from service.bucket import Bucket
from service.engine.engine import Engine
from service.errors import DeadlinePassed
from service.house import House
from service.images.decode import allow_pixels, decode
from service.images.fit import Fitted, fit
from service.metrics import Metrics
from service.segmented import Segmented
from service.settings import Settings
from service.visit import Visit

T = TypeVar("T")

KEPT_PIXELS = 2_000_000
"""A larger photo is decoded again for its overlay rather than kept while it waits its turn."""
LAST_BATCH_SECONDS = 5.0
"""What a batch that nobody waits for any more is given when the house closes."""


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
        self.upload_timeout = settings.upload_timeout
        self._settings = settings
        allow_pixels(settings.max_pixels)
        self._metrics = metrics
        threads = settings.image_threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="images")

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
                    made = await self._work(visit, "encode", lambda: make(found))
            except TimeoutError as error:
                raise DeadlinePassed("the deadline passed before the answer was ready") from error
        height, width = found.size
        self._metrics.pictures.inc()
        self._metrics.pixels.inc(height * width)
        return made

    async def close(self) -> None:
        """Finish what the engine accepted and let the threads go."""
        await asyncio.to_thread(self.engine.close, LAST_BATCH_SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)

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
            visit.picture = picture.width, picture.height
            self.house.stretched |= picture.width * picture.height > KEPT_PIXELS
            fitted = fit(picture, buckets, card.pad_value)
            keep = picture.whole and picture.width * picture.height <= KEPT_PIXELS
            return fitted, picture.image if keep else None

        fitted, photo = await self._work(visit, "decode", prepare)
        height, width, _ = fitted.tensor.shape
        visit.bucket = Bucket(height, width)
        future = self.engine.submit(fitted.tensor, visit.deadline)
        answer = await asyncio.wrap_future(future)
        visit.batch = answer.batch
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
