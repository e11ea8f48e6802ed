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

from service.engine.engine import Engine
from service.errors import DeadlinePassed, Unavailable
from service.images.decode import Picture, decode
from service.images.fit import Fitted, fit
from service.metrics import Metrics, Stages
from service.settings import Settings

T = TypeVar("T")


class Segmented:
    """A picture with its mask."""

    def __init__(self, picture: Picture, fitted: Fitted, model_mask: NDArray[np.uint8]) -> None:
        self.picture = picture
        self._fitted = fitted
        self._model_mask = model_mask

    @property
    def model_mask(self) -> NDArray[np.uint8]:
        """Class ids uint8 [h, w] at the size the model saw, without padding."""
        return self._fitted.crop(self._model_mask)

    def mask(self) -> NDArray[np.uint8]:
        """Class ids uint8 [H, W] at the size of the upload."""
        return self._fitted.restore(self._model_mask)


class Visit:
    """One request's way through the house: its deadline and the time it spends where."""

    def __init__(self, metrics: Metrics, timeout: float) -> None:
        self.stages = Stages(metrics)
        self.deadline = time.monotonic() + timeout

    @property
    def time_left(self) -> float:
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
                retry_after=self.engine.wait_estimate,
            )
        self._visits += 1
        try:
            yield Visit(self._metrics, self._settings.request_timeout)
        finally:
            self._visits -= 1

    async def segment(self, data: bytes, visit: Visit, *, whole: bool) -> Segmented:
        """Decode an upload and find its mask.

        Args:
            data: the file's bytes.
            visit: the request's place in the house.
            whole: decode at full size, because the photo itself goes into the answer.

        Raises:
            RequestError: whatever is wrong with the picture, the load or the deadline.
        """
        enough = None if whole else self.long_side

        def prepare() -> tuple[Picture, Fitted]:
            with visit.stages.time("decode"):
                picture = decode(data, self._settings.max_pixels, enough)
                return picture, fit(picture, self.long_side, self.engine.card.pad_value)

        picture, fitted = await self.work(prepare)
        future = self.engine.submit(fitted.tensor, visit.deadline)
        try:
            answer = await asyncio.wait_for(asyncio.wrap_future(future), visit.time_left)
        except TimeoutError as error:
            raise DeadlinePassed("the deadline passed before the model was done") from error
        visit.stages.record("queue", answer.queue_seconds)
        visit.stages.record("infer", answer.infer_seconds)
        return Segmented(picture, fitted, answer.mask)

    async def encode(self, visit: Visit, make: Callable[[], T]) -> T:
        """Make the answer in the pool, timed."""

        def timed() -> T:
            with visit.stages.time("encode"):
                return make()

        return await self.work(timed)

    async def work(self, function: Callable[[], T]) -> T:
        """Run pixel work off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    async def close(self) -> None:
        """Finish what was accepted and stop the threads."""
        await asyncio.to_thread(self.engine.close)
        self._pool.shutdown()
