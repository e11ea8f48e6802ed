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

from PIL import Image

from service.engine.engine import Engine
from service.engine.load import buckets_of, load_model
from service.errors import StartError
from service.images.decode import LargePicture, Picture, allow_pixels
from service.images.fit import Fitted, fit
from service.segmented import Segmented
from service.settings import Settings
from service.source import Source, file_of, read, size_of
from service.tiling.blend import Blend, Layer
from service.tiling.cutter import scaled, scaled_size
from service.tiling.plan import Plan, Slot, Tiling, make_plan
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
        confidence: bool = False,
        tiling: Tiling | None = None,
    ) -> Iterator[Outcome[Item, Made]]:
        """The outcome for each item, in their order.

        Args:
            items: what is to be segmented; taken one by one as there is room.
            load: the picture of an item; runs in a thread.
            make: what is wanted of it; runs in a thread.
            confidence: whether what `make` is given should tell how sure the model is.
            tiling: how pictures are cut into windows; they are scaled to one if None.

        Raises:
            StartError: the model no longer runs.
        """

        def walk(item: Item) -> Made:
            source = load(item)
            find = partial(self._segment, source, confidence, tiling)
            try:
                return make(item, find(LARGE_PIXELS))
            except LargePicture:
                with self._room:
                    return make(item, find(self._settings.max_pixels))

        window: deque[Outcome[Item, Made]] = deque()
        for item in items:
            future = self._pool.submit(walk, item)
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

    def _segment(
        self, source: Source, confidence: bool, tiling: Tiling | None, unasked: int
    ) -> Segmented:
        """The mask of a picture.

        Raises:
            LargePicture: more pixels than `unasked`, as it is or as it is cut; none of them is
                decoded yet.
            RequestError: the picture cannot be decoded, or the model failed on it.
        """
        engine, again = self.engine, partial(read, source, self._settings)
        if tiling:
            picture = scaled(again(self._enough(source, tiling, unasked), unasked), tiling)
            height, width, _ = picture.pixels.shape
            plan = make_plan(engine.buckets, height, width, tiling.overlap)
            if len(plan) > 1:
                fitted, layer = self._cut(picture, plan)
                return Segmented(
                    fitted, layer.ids, _photo(picture), again, layer.sure, file_of(source)
                )
        picture = again(max(bucket.long_side for bucket in engine.buckets), unasked)
        fitted = fit(picture, engine.buckets, engine.card.pad_value)
        answer = engine.submit(fitted.tensor, math.inf, confidence).result()
        return Segmented(
            fitted, answer.mask, _photo(picture), again, answer.confidence, file_of(source)
        )

    def _enough(self, source: Source, tiling: Tiling, unasked: int) -> int | None:
        """The long side that a picture should be decoded at to be cut; None is its own.

        Raises:
            LargePicture: it is cut at more pixels than `unasked`.
            RequestError: it cannot be decoded, or is too large for that.
        """
        size = size_of(source, self._settings)
        height, width = scaled_size(size, tiling, self._settings.max_pixels)
        if height * width > unasked:
            raise LargePicture(width, height)
        return max(height, width) if tiling.scale < 1 else None

    def _cut(self, picture: Picture, plan: Plan) -> tuple[Fitted, Layer]:
        """A picture by its windows, a row of them at a time."""
        engine, pad_value = self.engine, self.engine.card.pad_value
        sure = engine.has_confidence
        blend = Blend(plan, sure=sure)
        for top in plan.tops:
            windows = (plan.cut(picture.image, Slot(top, left), pad_value) for left in plan.lefts)
            row = [engine.submit(window, math.inf, sure) for window in windows]
            answers = [future.result() for future in row]
            blend.add_row([Layer(answer.mask, answer.confidence) for answer in answers])
        size = picture.height, picture.width
        return Fitted(picture.pixels, (plan.height, plan.width), size), blend.layer


def _photo(picture: Picture) -> Image.Image | None:
    return picture.image if picture.whole else None
