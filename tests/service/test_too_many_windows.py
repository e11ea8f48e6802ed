"""Large pictures that are refused rather than computed for nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.bucket import Bucket
from service.engine.waiting import Answer
from service.errors import DeadlinePassed, TooManyWindows, Unavailable
from service.pipeline import Pipeline
from service.tiling import cutter
from service.tiling.pace import ENOUGH, FORGOTTEN_AFTER, REMEMBERED, Pace
from service.tiling.plan import Tiling
from tests.service import pictures
from tests.service.models import SMALL, WIDE, held_engine
from tests.service.test_pipeline import session, small_pipeline

PICTURE = pictures.encoded(Image.new("RGB", (130, 130)), "PNG")
"""25 windows of `SMALL` at tile=1."""
WHOLE = Tiling(1.0)
PLANE = np.zeros(SMALL, np.uint8)
LONG = Bucket(33, 97)
LIMIT = 30.0


def took(seconds: float, batch: int = 1) -> Answer:
    """A window that was computed in so many."""
    return Answer(PLANE, None, 0.0, seconds, batch)


@contextmanager
def measured(seconds: float, times: int = ENOUGH, **settings: object) -> Iterator[Pipeline]:
    """A pipeline that has seen windows take so many seconds."""
    with small_pipeline(request_timeout=LIMIT, **settings) as pipeline:
        for _ in range(times):
            pipeline._pace.add(SMALL, took(seconds))
        yield pipeline


async def ask(
    pipeline: Pipeline,
    timeout: float | None = None,
    data: bytes = PICTURE,
    tiling: Tiling = WHOLE,
) -> tuple[int, ...]:
    with pipeline.visit(timeout) as visit:
        return await pipeline.answer(data, visit, lambda found: found.mask().shape, False, tiling)


def refused(pipeline: Pipeline, **options: Any) -> str:
    """What is said to whom no time can help; nothing may have been computed."""
    with pytest.raises(TooManyWindows) as refusal:
        asyncio.run(ask(pipeline, **options))
    assert session(pipeline).ran == []
    return str(refusal.value)


def test_what_cannot_be_in_time_is_told_so_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cutter, "scaled", lambda *_: pytest.fail("it was decoded"))
    with measured(0.0, max_tiles=24) as pipeline:
        assert "25 windows of 33x33, and the limit is 24: ask for tile=" in refused(pipeline)
    with measured(4.0) as pipeline:
        told = refused(pipeline)
    assert told.startswith(
        "tile: 130 x 130 pixels at tile=1 are 25 windows of 33x33, which take about 100.0 s here, "
        "and the request has 30 s: ask for tile="
    )
    assert told.endswith("or have the service's --request-timeout raised, which is 30")


def test_a_request_that_gave_itself_too_little_time_is_told_what_it_may_have() -> None:
    with measured(0.8) as pipeline:
        told = refused(pipeline, timeout=5.0)
        assert "take about 20.0 s here, and the request has 5 s" in told
        assert told.endswith("or give it more time with X-Request-Timeout, up to 30")
        assert asyncio.run(ask(pipeline, timeout=LIMIT)) == (130, 130)


def test_the_tile_that_it_says_would_do_does() -> None:
    with measured(3.0) as pipeline:
        found = re.search(r"ask for tile=([\d.]+),", refused(pipeline))
        assert found
        assert asyncio.run(ask(pipeline, tiling=Tiling(float(found[1])))) == (130, 130)
        assert 1 < len(session(pipeline).ran) <= 4  # of 25, in half of 30 s


@pytest.mark.parametrize(
    ("seconds", "times"),
    [(2.0, ENOUGH), (100.0, ENOUGH - 1), (1e-3, REMEMBERED)],
    ids=["within the margin", "hardly measured", "fast"],
)
def test_what_may_be_in_time_is_computed(seconds: float, times: int) -> None:
    with measured(seconds, times) as pipeline:
        assert asyncio.run(ask(pipeline)) == (130, 130)
        assert len(session(pipeline).ran) == 25


def test_the_more_is_known_the_less_is_tried_in_vain() -> None:
    with measured(2.0, REMEMBERED) as pipeline:
        assert "take about 50.0 s here" in refused(pipeline)


def test_one_fast_run_outweighs_all_slow_ones() -> None:
    with measured(100.0, REMEMBERED) as pipeline:
        pipeline._pace.add(SMALL, took(0.01))
        assert asyncio.run(ask(pipeline)) == (130, 130)


def test_a_picture_that_lies_sideways_is_told_its_upright_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = pictures.encoded(Image.new("RGB", (400, 40)), "JPEG", exif=exif)
    with measured(1.0) as pipeline:
        monkeypatch.setattr(pipeline.engine, "buckets", (LONG,))
        for _ in range(ENOUGH):
            pipeline._pace.add(LONG, took(1.0))
        # Lying it would be 12 windows, for which there may be time.
        assert "40 x 400 pixels at tile=1 are 16" in refused(pipeline, data=wide, timeout=7.0)


def test_the_slowness_is_noticed_while_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Pace.add

    def slow(pace: Pace, bucket: Bucket, answer: Answer) -> None:
        add(pace, bucket, replace(answer, infer_seconds=4.0))

    monkeypatch.setattr(Pace, "add", slow)
    with small_pipeline(request_timeout=LIMIT) as pipeline:
        with pytest.raises(TooManyWindows, match=r"take about 100\.0 s here"):
            asyncio.run(ask(pipeline))
        assert ENOUGH <= len(session(pipeline).ran) < 20
        assert pipeline.line.inside == 0
        assert pipeline.line.expected_wait == 0


@pytest.mark.parametrize("several", [False, True])
def test_what_others_delay_may_come_again(several: bool) -> None:
    async def scene(pipeline: Pipeline) -> None:
        with pipeline.visit() as visit, ExitStack() as parts:
            visit.deadline -= LIMIT - 5  # it has waited for so long
            one = parts.enter_context(pipeline.house.part(visit)) if several else visit
            await pipeline.answer(PICTURE, one, lambda found: found, False, WHOLE)

    with measured(1.0) as pipeline:
        with pytest.raises(Unavailable, match=r"25 windows .* has .* s left") as refusal:
            asyncio.run(scene(pipeline))
        assert refusal.value.reason == "no_time"
        assert session(pipeline).ran == []


def test_others_in_the_line_are_reckoned_with_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cutter, "scaled", lambda *_: pytest.fail("it was decoded"))
    with (
        small_pipeline() as pipeline,
        pipeline.line.queued(LIMIT),
        pytest.raises(Unavailable, match="2 requests are being answered"),
    ):
        # 26 at the first guess of half a second.
        asyncio.run(ask(pipeline, timeout=10.0))


def test_windows_whose_deadline_passes_are_not_computed() -> None:
    with small_pipeline() as pipeline:
        model = session(pipeline)
        model.gate.clear()
        with pytest.raises(DeadlinePassed):
            asyncio.run(ask(pipeline, timeout=0.3))
        model.gate.set()
        assert asyncio.run(ask(pipeline, tiling=Tiling(0.1))) == (130, 130)
        # The one that was being computed, and that of the small picture.
        assert len(model.ran) <= 2


def test_only_full_batches_of_late_tell_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    with held_engine(max_batch=4) as (engine, _):
        pace = Pace(engine)
        for _ in range(4 * REMEMBERED):
            pace.add(SMALL, took(1.0, batch=3))
        for seconds in range(1, ENOUGH + 1):
            assert pace.seconds(SMALL) is None
            for _ in range(4):
                pace.add(SMALL, took(float(seconds), batch=4))
        assert pace.seconds(SMALL) == (0.125, (ENOUGH + 1) / 8)
        assert pace.seconds(WIDE) is None
        monkeypatch.setattr("service.tiling.pace.FORGOTTEN_AFTER", -FORGOTTEN_AFTER)
        assert pace.seconds(SMALL) is None
