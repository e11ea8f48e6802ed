"""The line a picture walks down: decode, fit, queue, infer, restore. No HTTP here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.engine.engine import Engine
from service.errors import DeadlinePassed, Unavailable
from service.images.decode import Picture, decode
from service.images.fit import Fitted, fit
from service.metrics import Metrics, Stages
from service.settings import Settings

T = TypeVar("T")

KEPT_PIXELS = 2_000_000
"""A larger photo is decoded again for its overlay rather than kept while it waits its turn."""


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

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, 0 once it has passed."""
        return max(0.0, self.deadline - time.monotonic())


class Pipeline:
    """Pictures in, masks out, with the pixel work in a bounded pool of threads."""

    def __init__(self, engine: Engine, settings: Settings, metrics: Metrics) -> None:
        self.engine = engine
        self.max_bytes = settings.max_bytes
        self._settings = settings
        self._metrics = metrics
        self._visits = 0
        threads = settings.image_threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="images")

    @property
    def long_side(self) -> int:
        """The longest side that the model sees."""
        return self._settings.long_side or self.engine.card.long_side

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        """Admit a request before any of it is read.

        Raises:
            Unavailable: as many requests as allowed are in the house.
        """
        if self._visits >= self._settings.queue_limit:
            raise Unavailable(
                f"{self._visits} requests are being answered, which is the limit",
                retry_after=self.engine.estimate(self._visits),
            )
        self._visits += 1
        visit = Visit(self._settings.request_timeout)
        try:
            yield visit
        finally:
            self._visits -= 1
            self._metrics.observe(visit.stages)

    async def segment(self, data: bytes, visit: Visit) -> Segmented:
        """Decode an upload and find its mask.

        Args:
            data: the file's bytes.
            visit: the request's place in the house.

        Raises:
            RequestError: whatever is wrong with the picture, the load or the deadline.
        """
        max_pixels, card = self._settings.max_pixels, self.engine.card

        def prepare() -> tuple[Fitted, Image.Image | None]:
            picture = decode(data, max_pixels, enough=self.long_side)
            fitted = fit(picture, self.long_side, card.pad_value, card.output_stride)
            keep = picture.whole and picture.width * picture.height <= KEPT_PIXELS
            return fitted, picture.image if keep else None

        fitted, photo = await self.work(visit, "decode", prepare)
        future = self.engine.submit(fitted.tensor, visit.deadline)
        answer = await in_time(visit, asyncio.wrap_future(future))
        visit.stages.add("queue", answer.queue_seconds)
        visit.stages.add("infer", answer.infer_seconds)
        return Segmented(fitted, answer.mask, photo, lambda: decode(data, max_pixels))

    async def work(self, visit: Visit, stage: str, function: Callable[[], T]) -> T:
        """Run pixel work off the event loop, unless its request's time is up before its turn.

        Raises:
            DeadlinePassed: it is, or it is before the work is done.
        """
        submitted = time.monotonic()

        def timed() -> T:
            visit.stages.add("queue", time.monotonic() - submitted)
            if not visit.time_left:
                raise DeadlinePassed("the deadline passed while the picture was waiting")
            with visit.stages.time(stage):
                return function()

        return await in_time(visit, asyncio.get_running_loop().run_in_executor(self._pool, timed))

    async def close(self) -> None:
        """Finish what the engine accepted and let the threads go."""
        await asyncio.to_thread(self.engine.close)
        self._pool.shutdown(wait=False, cancel_futures=True)


async def in_time(visit: Visit, future: asyncio.Future[T]) -> T:
    """The future's result, or DeadlinePassed and the future cancelled."""
    try:
        return await asyncio.wait_for(future, visit.time_left)
    except TimeoutError as error:
        raise DeadlinePassed("the deadline passed before the answer was ready") from error
