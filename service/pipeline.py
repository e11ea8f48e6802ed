"""The line a picture walks down: admit, decode, fit, queue, infer, restore. No HTTP here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from functools import partial
from typing import TypeVar

from PIL import Image

from service.bucket import Bucket
from service.budget import Budget
from service.engine.segmenter import Segmenter
from service.errors import DeadlinePassed
from service.house import House
from service.images.decode import LargePicture, Picture, allow_pixels
from service.images.fit import Fitted, fit
from service.limits import Limits
from service.line import Line
from service.metrics import Metrics
from service.segmented import Segmented
from service.settings import Settings
from service.source import Check, Source, file_of, read, size_of
from service.tiling.cutter import Cutter
from service.tiling.pace import Pace
from service.tiling.plan import Tiling
from service.visit import Visit
from service.workshop import LARGE_PIXELS, Workshop

T = TypeVar("T")


class Pipeline:
    """Pictures in, masks out: one loaded model with its line.

    The pixel work runs in threads beside the model. Requests wait as they came, compressed; only
    as many are decoded as keep the threads and the model busy, so that memory is bounded by the
    bytes of the uploads and by those few.
    """

    def __init__(
        self,
        engine: Segmenter,
        house: House,
        workshop: Workshop,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self.engine = engine
        self.house = house
        self.line = Line(engine, settings.queue_limit)
        self.max_bytes = settings.max_bytes
        self.max_pixels = settings.max_pixels
        self.several = Limits(
            min(settings.max_pictures, settings.queue_limit),
            settings.max_bytes,
            settings.max_pictures_bytes,
        )
        """What one request with several pictures may bring."""
        self.workshop = workshop
        self._settings = settings
        allow_pixels(settings.max_pixels)
        self._metrics = metrics
        self._pace = Pace(engine)
        self._cutter = Cutter(engine, workshop, settings, self._pace)
        # Not by way of `self`, which would be a circle of references: see `Engine`.
        self._places = Budget(lambda: 2 * (workshop.threads + engine.capacity))
        """Pictures that may be pixels: two for each thread and each picture in a batch. On a
        cluster the capacity changes with the replicas."""

    @property
    def busy(self) -> int:
        """Pictures that keep the threads and the model busy."""
        return self.workshop.threads + self.engine.capacity

    def visit(self, timeout: float | None = None) -> AbstractContextManager[Visit]:
        """Let a request for this model in: see `House.visit`."""
        return self.house.visit(self.line, timeout)

    def size(self, source: Source) -> tuple[int, int]:
        """What is known of a picture's size before it is decoded: see `size_of`."""
        return size_of(source, self._settings)

    async def answer(
        self,
        source: Source,
        visit: Visit,
        make: Callable[[Segmented], T],
        confidence: bool = False,
        tiling: Tiling | None = None,
        check: Check | None = None,
    ) -> T:
        """Decode an upload, find its mask and make the answer of it.

        Args:
            source: the file's bytes, or pixels that are not changed meanwhile.
            visit: the request's place in the house.
            make: runs off the event loop.
            confidence: whether what it is given should tell how sure the model is.
            tiling: how it is cut into windows; it is scaled to one if None.
            check: runs off the event loop, before the picture is decoded.

        Raises:
            RequestError: whatever is wrong with the picture, the load or the deadline.
        """
        with self.house.queued(visit) as pieces, pieces.one():
            return await self.answer_queued(source, visit, make, confidence, tiling, check)

    async def answer_queued(
        self,
        source: Source,
        visit: Visit,
        make: Callable[[Segmented], T],
        confidence: bool = False,
        tiling: Tiling | None = None,
        check: Check | None = None,
    ) -> T:
        """`answer` for a picture that has its place in the line."""
        try:
            async with asyncio.timeout(visit.time_left), AsyncExitStack() as places:
                found = None
                if tiling or check:
                    size = await self._look(source, visit, check)
                    found = tiling and await self._segment_cut(source, size, visit, tiling, places)
                if not found:
                    found = await self._segment_whole(source, visit, confidence, places)
                made = await self.workshop.work(
                    visit, "encode", lambda: make(found), found.size[0] * found.size[1]
                )
        except TimeoutError as error:
            raise DeadlinePassed("the deadline passed before the answer was ready") from error
        height, width = found.size
        self._metrics.count_picture(self.engine.card.name, height * width)
        return made

    async def _look(self, source: Source, visit: Visit, check: Check | None) -> tuple[int, int]:
        """The size of a picture that has not been decoded."""

        def look() -> tuple[int, int]:
            size = self.size(source)  # whatever is wrong with the picture itself is told first
            if check:
                check(file_of(source), size)
            return size

        return await self.workshop.work(visit, "decode", look)

    async def _segment_cut(
        self,
        source: Source,
        size: tuple[int, int],
        visit: Visit,
        tiling: Tiling,
        places: AsyncExitStack,
    ) -> Segmented | None:
        """The mask by windows; None where one is enough.

        Args:
            source: the picture.
            size: see `size_of`.
            visit: its request.
            tiling: how it is to be cut.
            places: given back once the answer is made.
        """
        opened = await places.enter_async_context(self._cutter.opened(source, size, visit, tiling))
        if not opened or len(opened[1].plan) == 1:
            await places.aclose()
            return None
        picture, cut = opened
        plan = cut.plan
        large = picture.width * picture.height > LARGE_PIXELS
        self.house.stretched |= large
        layer = await self._cutter.segment(picture.image, cut, visit)
        fitted = Fitted(picture.pixels, (plan.height, plan.width), (picture.height, picture.width))
        photo = picture.image if picture.whole and not large else None
        again = partial(self._read, source)
        return Segmented(fitted, layer.ids, photo, again, layer.sure, file_of(source))

    async def _segment_whole(
        self, source: Source, visit: Visit, confidence: bool, places: AsyncExitStack
    ) -> Segmented:
        """The mask of a picture that is scaled to a bucket; arguments as of `_segment_cut`."""
        waiting = time.monotonic()
        await places.enter_async_context(self._places.shared(1))
        visit.stages.add("queue", time.monotonic() - waiting)
        return await self._segment(source, visit, confidence)

    async def _segment(self, source: Source, visit: Visit, confidence: bool) -> Segmented:
        card, buckets = self.engine.card, self.engine.buckets
        enough = max(bucket.long_side for bucket in buckets)

        def prepare(unasked: int) -> tuple[Fitted, Image.Image | None]:
            picture = self._read(source, enough, unasked)
            visit.picture = picture.width, picture.height
            large = picture.width * picture.height > LARGE_PIXELS
            self.house.stretched |= large
            fitted = fit(picture, buckets, card.pad_value)
            return fitted, picture.image if picture.whole and not large else None

        work = self.workshop.work
        try:
            fitted, photo = await work(visit, "decode", partial(prepare, LARGE_PIXELS))
        except LargePicture as picture:
            prepare_large = partial(prepare, self._settings.max_pixels)
            fitted, photo = await work(visit, "decode", prepare_large, picture.pixels)
        height, width, _ = fitted.tensor.shape
        visit.bucket = Bucket(height, width)
        future = self.engine.submit(fitted.tensor, visit.deadline, confidence)
        answer = await asyncio.wrap_future(future)
        self._pace.add(visit.bucket, answer)
        visit.batch = answer.batch
        visit.stages.add("queue", answer.queue_seconds, ago=answer.infer_seconds)
        visit.stages.add("infer", answer.infer_seconds)
        again = partial(self._read, source)
        return Segmented(fitted, answer.mask, photo, again, answer.confidence, file_of(source))

    def _read(
        self, source: Source, enough: int | None = None, unasked: int | None = None
    ) -> Picture:
        """The picture of a source: see `decode`."""
        return read(source, self._settings, enough, unasked)
