"""Large pictures through the engine, window by window."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

from PIL import Image

from service.ahead import in_order
from service.budget import Budget
from service.engine.segmenter import Segmenter
from service.engine.waiting import Answer
from service.errors import InvalidParameter
from service.images.decode import LargePicture, Picture
from service.settings import Settings
from service.tiling.blend import Blend, Layer
from service.tiling.plan import Plan, Slot, Tiling, make_plan
from service.visit import Visit
from service.workshop import LARGE_PIXELS, Workshop

Read = Callable[[int | None, int | None], Picture]
"""Decodes the picture; takes `enough` and `unasked` of `service.images.decode.decode`."""


class Cutter:
    """Finds the masks of large pictures on one engine.

    All of them together have only so many windows in the engine as keep it busy, so that other
    pictures come in between and its queue never fills with them.
    """

    def __init__(self, engine: Segmenter, workshop: Workshop, settings: Settings) -> None:
        self._engine = engine
        self._workshop = workshop
        self._settings = settings
        self._places = Budget(lambda: min(2 * engine.capacity, settings.queue_limit))
        """Windows in the engine: those that are computed, and as many that wait for it."""

    @asynccontextmanager
    async def opened(
        self, read: Read, visit: Visit, tiling: Tiling
    ) -> AsyncIterator[tuple[Picture, Plan]]:
        """Have room for a picture, the picture itself and a plan of its windows.

        Args:
            read: decodes the picture.
            visit: the request.
            tiling: how it is to be cut.

        Raises:
            InvalidParameter: it is too large for that.
            RequestError: whatever is wrong with the picture.
        """
        work, max_pixels = self._workshop.work, self._settings.max_pixels
        try:
            ready = await work(visit, "decode", partial(read, None, 0))
            size = ready.height, ready.width
        except LargePicture as large:
            size = large.size
        height, width = scaled_size(size, tiling, max_pixels)
        room = max(size[0] * size[1], height * width, LARGE_PIXELS)
        enough = max(height, width) if tiling.scale < 1 else None
        async with self._workshop.long_room.shared(room):
            picture = await work(visit, "decode", lambda: scaled(read(enough, None), tiling))
            visit.picture = picture.width, picture.height
            yield picture, self._plan(picture, tiling)

    def _plan(self, picture: Picture, tiling: Tiling) -> Plan:
        buckets, limit = self._engine.buckets, self._settings.max_tiles
        plan = make_plan(buckets, picture.image.height, picture.image.width, tiling.overlap)
        if len(plan) > limit:
            raise InvalidParameter(
                f"tile: {picture.width} x {picture.height} pixels at tile={tiling.scale:g} are "
                f"{len(plan)} windows of {plan.bucket}, and the limit is {limit}: ask for "
                f"tile={self._possible(picture, tiling, len(plan)):g}"
            )
        return plan

    def _possible(self, picture: Picture, tiling: Tiling, windows: int) -> float:
        """A scale at which there are not too many windows."""
        limit, scale = self._settings.max_tiles, tiling.scale
        while windows > limit:
            scale *= 0.95 * math.sqrt(limit / windows)
            scale = float(f"{scale:.2g}")
            size = tiling._replace(scale=scale).size(picture.height, picture.width)
            windows = len(make_plan(self._engine.buckets, *size, tiling.overlap))
        return scale

    async def segment(self, image: Image.Image, plan: Plan, visit: Visit) -> Layer:
        """The mask of a picture, from its windows.

        Args:
            image: the picture as it is to be cut.
            plan: how.
            visit: the request.

        Raises:
            RequestError: there is no time for it, or the model fails.
        """
        visit.bucket, visit.windows = plan.bucket, len(plan)
        blend, row = Blend(plan, sure=self._engine.has_confidence), list[Layer]()
        windows = (self._compute(image, plan, slot, visit) for slot in plan.slots())
        with visit.line.cut(visit.time_left, len(plan) - 1) as pieces:
            async with aclosing(in_order(windows, self._places.amount)) as answers:
                waiting_since = time.monotonic()
                async for answer in answers:
                    _count(answer, time.monotonic() - waiting_since, visit)
                    pieces.end(done=True)
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
