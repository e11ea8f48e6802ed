"""Large pictures through the engine, window by window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial

from PIL import Image

from service.ahead import in_order
from service.budget import Budget
from service.engine.segmenter import Segmenter
from service.engine.waiting import Answer
from service.errors import InvalidParameter
from service.images.decode import Picture
from service.settings import Settings
from service.source import Source, read
from service.tiling.admission import Admission, Cut
from service.tiling.blend import Blend, Layer
from service.tiling.pace import Pace
from service.tiling.plan import Plan, Slot, Tiling, make_plan
from service.visit import Visit
from service.workshop import LARGE_PIXELS, Workshop


class Cutter:
    """Finds the masks of large pictures on one engine.

    All of them together have only so many windows in the engine as keep it busy, so that other
    pictures come in between and its queue never fills with them.
    """

    def __init__(
        self, engine: Segmenter, workshop: Workshop, settings: Settings, pace: Pace
    ) -> None:
        self._engine = engine
        self._pace = pace
        self._admission = Admission(engine, settings, pace)
        self._workshop = workshop
        self._settings = settings
        self._places = Budget(lambda: min(2 * engine.capacity, settings.queue_limit))
        """Windows in the engine: those that are computed, and as many that wait for it."""

    @asynccontextmanager
    async def opened(
        self, source: Source, size: tuple[int, int], visit: Visit, tiling: Tiling
    ) -> AsyncIterator[tuple[Picture, Cut] | None]:
        """Have room for a picture, the picture itself and where its windows lie.

        None where its header shows already that one is enough. If it matters for that whether
        the picture lies sideways, it is decoded, and may be one window all the same.

        Args:
            source: the picture.
            size: see `size_of`.
            visit: the request.
            tiling: how it is to be cut.

        Raises:
            InvalidParameter: it is too large for that.
            TooManyWindows: it would be too many, or too many for its time.
            RequestError: whatever is wrong with the picture, or there is no time for it.
        """
        work, settings = self._workshop.work, self._settings
        height, width = scaled_size(size, tiling, settings.max_pixels)
        # It may lie sideways, which is not known before it is decoded.
        cuts = (self._cut(size, tiling), self._cut(size[::-1], tiling))
        if all(len(cut.plan) == 1 for cut in cuts):
            yield None
            return
        self._admission.check(min(cuts, key=lambda cut: len(cut.plan)), visit)
        room = max(size[0] * size[1], height * width, LARGE_PIXELS)
        enough = max(height, width) if tiling.scale < 1 else None
        async with self._workshop.long_room.shared(room):
            picture = await work(
                visit, "decode", lambda: scaled(read(source, settings, enough), tiling)
            )
            visit.picture = picture.width, picture.height
            cut = self._cut((picture.height, picture.width), tiling)
            self._admission.check(cut, visit)
            yield picture, cut

    def _cut(self, size: tuple[int, int], tiling: Tiling) -> Cut:
        plan = make_plan(self._engine.buckets, *tiling.size(*size), tiling.overlap)
        return Cut(size, tiling, plan)

    async def segment(self, image: Image.Image, cut: Cut, visit: Visit) -> Layer:
        """The mask of a picture, from its windows.

        Args:
            image: the picture as it is to be cut.
            cut: how.
            visit: the request.

        Raises:
            TooManyWindows: as it goes, they turn out to take longer than the request may.
            RequestError: there is no time for it, or the model fails.
        """
        plan = cut.plan
        visit.bucket, visit.windows = plan.bucket, len(plan)
        blend, row = Blend(plan, sure=self._engine.has_confidence), list[Layer]()
        windows = (self._compute(image, plan, slot, visit) for slot in plan.slots())
        with visit.line.cut(visit.time_left, len(plan) - 1) as pieces:
            async with aclosing(in_order(windows, self._places.amount)) as answers:
                waiting_since = time.monotonic()
                left = len(plan) - self._places.amount
                async for answer in answers:
                    _count(answer, time.monotonic() - waiting_since, visit)
                    pieces.end(done=True)
                    self._pace.add(plan.bucket, answer)
                    self._admission.check_time(cut, left := left - 1, visit)
                    row.append(Layer(answer.mask, answer.confidence))
                    if len(row) == len(plan.lefts):
                        await self._workshop.work(visit, "encode", partial(blend.add_row, row))
                        row = []
                    waiting_since = time.monotonic()
        return blend.layer

    async def _compute(self, image: Image.Image, plan: Plan, slot: Slot, visit: Visit) -> Answer:
        async with self._places.shared(1):
            window = plan.cut(image, slot, self._engine.card.pad_value)
            # Whoever is surer of what two windows see differently is the likelier to be right.
            sure = self._engine.has_confidence
            return await asyncio.wrap_future(self._engine.submit(window, visit.deadline, sure))


def scaled_size(size: tuple[int, int], tiling: Tiling, max_pixels: int) -> tuple[int, int]:
    """Height and width at which a picture of that size is cut.

    Raises:
        InvalidParameter: they are more than `max_pixels`.
    """
    height, width = tiling.size(*size)
    if height * width > max_pixels:
        raise InvalidParameter(
            f"tile: at {tiling.scale:g} times its size the picture has {height * width} "
            f"pixels; the limit is {max_pixels}"
        )
    return height, width


def scaled(picture: Picture, tiling: Tiling) -> Picture:
    """A picture at the size at which it is to be cut."""
    height, width = tiling.size(picture.height, picture.width)
    if picture.image.size == (width, height):
        return picture
    image = picture.image.resize((width, height), Image.Resampling.BILINEAR)
    return Picture(image, picture.width, picture.height)


def _count(answer: Answer, waited: float, visit: Visit) -> None:
    """Count the time that a window took; what is not its own computing was waiting for others."""
    computed = min(waited, answer.infer_seconds)
    visit.stages.add("queue", waited - computed, ago=computed)
    visit.stages.add("infer", computed)
    visit.batch = answer.batch
