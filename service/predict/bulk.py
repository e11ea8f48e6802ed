"""Many pictures through one engine, as fast as it and the processor go."""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, Self, TypeVar

from service.engine.engine import Engine
from service.engine.load import buckets_of, load_model
from service.errors import StartError
from service.images.decode import LargePicture, Picture, allow_pixels, decode, from_array
from service.images.fit import fit
from service.pipeline import Source
from service.segmented import Segmented
from service.settings import Settings
from service.workshop import LARGE_PIXELS

Item = TypeVar("Item")
Made = TypeVar("Made")


class Outcome(Generic[Item, Made]):
    """What became of one picture: what was made of it, or why not."""

    def __init__(self, item: Item, future: Future[Made]) -> None:
        self.item = item
        self._future = future

    @property
    def error(self) -> BaseException | None:
        """Waits until it is known."""
        return self._future.exception()

    @property
    def made(self) -> Made:
        """
        Raises:
            Exception: the `error`.
        """
        return self._future.result()


class Bulk:
    """Pictures in, whatever is made of them out; a context manager.

    A thread walks each picture down the whole line, and there are as many of them as keep the
    decoders and the model's batches busy. No more pictures than twice that number are in memory,
    and of large ones no more than `max_pixels_at_once` allows.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """
        Args:
            engine: is waited for, and closed at the end; nothing else may use it.
            settings: the limits of pictures, and how many threads decode them.

        Raises:
            StartError: the model does not run.
        """
        self.engine = engine
        self._settings = settings
        allow_pixels(settings.max_pixels)
        engine.wait_ready()
        self.check()
        self.workers = settings.image_threads + 2 * engine.capacity
        at_once = max(1, settings.max_pixels_at_once // settings.max_pixels)
        self._room = threading.BoundedSemaphore(at_once)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="pictures")

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """One on the model of the settings.

        Raises:
            StartError: it cannot be loaded, or does not run.
        """
        model = load_model(settings, settings.model)
        # The threads bound what waits.
        engine = Engine(model, buckets_of(settings, model.card), limit=sys.maxsize)
        engine.start()
        return cls(engine, settings)

    def run(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Source],
        make: Callable[[Item, Segmented], Made],
    ) -> Iterator[Outcome[Item, Made]]:
        """The outcome for each item, in their order.

        Args:
            items: what is to be segmented; taken one by one as there is room.
            load: the picture of an item; runs in a thread.
            make: what is wanted of it; runs in a thread.

        Raises:
            StartError: the model no longer runs.
        """
        window: deque[Outcome[Item, Made]] = deque()
        for item in items:
            future = self._pool.submit(self._walk, item, load, make)
            window.append(Outcome(item, future))
            if len(window) == 2 * self.workers:
                yield self._next(window)
        while window:
            yield self._next(window)

    def check(self) -> None:
        """
        Raises:
            StartError: the model does not run, or no longer does.
        """
        if not self.engine.alive:
            raise StartError(
                f"the model {self.engine.card.name} does not run: {self.engine.trouble}"
            )

    def close(self) -> None:
        """Give up what waits, finish what is at work."""
        self._pool.shutdown(cancel_futures=True)
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _next(self, window: deque[Outcome[Item, Made]]) -> Outcome[Item, Made]:
        outcome = window.popleft()
        if outcome.error:
            self.check()
        return outcome

    def _walk(
        self,
        item: Item,
        load: Callable[[Item], Source],
        make: Callable[[Item, Segmented], Made],
    ) -> Made:
        source = load(item)
        try:
            return make(item, self._segment(source, LARGE_PIXELS))
        except LargePicture:
            with self._room:
                return make(item, self._segment(source, self._settings.max_pixels))

    def _segment(self, source: Source, unasked: int) -> Segmented:
        """The mask of a picture.

        Raises:
            LargePicture: more pixels than `unasked`, none of which is decoded yet.
            RequestError: the picture cannot be decoded, or the model failed on it.
        """
        engine = self.engine
        picture = self._read(source, max(bucket.long_side for bucket in engine.buckets), unasked)
        fitted = fit(picture, engine.buckets, engine.card.pad_value)
        answer = engine.submit(fitted.tensor, math.inf).result()
        photo = picture.image if picture.whole else None
        return Segmented(fitted, answer.mask, photo, partial(self._read, source))

    def _read(
        self, source: Source, enough: int | None = None, unasked: int | None = None
    ) -> Picture:
        settings = self._settings
        if isinstance(source, bytes):
            return decode(source, settings.max_pixels, enough, settings.formats, unasked)
        return from_array(source, settings.max_pixels)
