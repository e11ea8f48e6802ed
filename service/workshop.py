"""The threads that do all pixel work beside the models, and the room that large pictures need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from service.budget import Budget
from service.errors import DeadlinePassed
from service.settings import Settings
from service.visit import Visit

T = TypeVar("T")

LARGE_PIXELS = 2_000_000
"""A larger picture must wait for room before it becomes pixels, and is decoded again for its
overlay rather than kept while it waits its turn."""


class Workshop:
    """Pixel work for the requests of all models, in a bounded number of threads."""

    def __init__(self, settings: Settings) -> None:
        self.threads = settings.image_threads
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="images")
        self._room = Budget(lambda: settings.max_pixels_at_once)
        """Pixels of the large pictures that are at work."""
        self.long_room = Budget(lambda: settings.max_pixels_at_once // 2)
        """Pixels of those that stay for long, since they are cut into windows. It is a room of
        its own, so that nobody else waits for them."""

    async def work(self, visit: Visit, stage: str, function: Callable[[], T], pixels: int = 0) -> T:
        """Run pixel work off the event loop, unless its request's time is up before its turn.

        Args:
            visit: the request.
            stage: what its time is counted as.
            function: the work.
            pixels: those of its picture; there must be room for many.

        Raises:
            DeadlinePassed: it was not its turn in time.
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

    def close(self) -> None:
        """Let the threads go once they are done with what they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)
