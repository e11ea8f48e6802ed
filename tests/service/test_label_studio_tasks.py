"""The tasks of one request of Label Studio, more than are begun at once."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import cast

import pytest
from PIL import Image

from service.errors import RequestError
from service.http.label_studio.fetch import Pictures
from service.http.label_studio.predict import PredictRequest, Task, predict
from service.pipeline import Pipeline
from service.settings import Settings
from service.visit import Visit
from tests.service import pictures
from tests.service.test_pipeline import small_pipeline

PICTURE = base64.b64encode(pictures.encoded(Image.new("RGB", (40, 30)), "PNG")).decode()
TASK = Task(data={"image": f"data:image/png;base64,{PICTURE}"})
CONFIG = """<View><Image name="photo" value="$image"/><BrushLabels name="brush" toName="photo">
<Label value="car"/></BrushLabels></View>"""
MANY = 60
"""Tasks."""


class Closing(Pictures):
    """Shuts the service while the first pictures are read."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(Settings.model_validate({}))
        self._lifecycle = pipeline.house._lifecycle

    async def read(self, *arguments: object) -> bytes:
        self._lifecycle.stage = "shut"
        return await super().read(*arguments)  # type: ignore[arg-type]


async def results(
    pipeline: Pipeline, read: Pictures, visit: Visit, seconds: float | None
) -> list[object]:
    asked = PredictRequest(tasks=[TASK] * MANY, label_config=CONFIG)
    told = json.loads(await predict(pipeline, asked, read, visit, seconds))
    return cast("list[object]", told["results"])


def test_a_request_that_was_let_in_is_finished_after_the_service_has_closed() -> None:
    async def run(pipeline: Pipeline) -> list[object]:
        with pipeline.visit() as visit:
            assert 2 * pipeline.busy < MANY
            return await results(pipeline, Closing(pipeline), visit, visit.timeout)

    with small_pipeline() as pipeline:
        assert len(asyncio.run(run(pipeline))) == MANY


def test_a_request_does_not_fill_the_line_before_its_own_tasks() -> None:
    async def run(pipeline: Pipeline) -> list[object]:
        with pipeline.visit() as visit:
            return await results(
                pipeline, Pictures(Settings.model_validate({})), visit, visit.timeout
            )

    with small_pipeline(queue_limit=2) as pipeline:
        assert len(asyncio.run(run(pipeline))) == MANY


@pytest.mark.parametrize("own", [None, 30.0])
def test_only_a_request_that_names_no_time_gives_each_picture_its_own(own: float | None) -> None:
    async def run(pipeline: Pipeline) -> list[object]:
        with pipeline.visit() as visit:
            visit.deadline -= visit.timeout  # it is over
            return await results(pipeline, Pictures(Settings.model_validate({})), visit, own)

    with small_pipeline() as pipeline:
        if own:
            assert len(asyncio.run(run(pipeline))) == MANY
        else:
            with pytest.raises(RequestError) as refused:
                asyncio.run(run(pipeline))
            assert refused.value.reason in ("deadline", "no_time")


def test_a_slow_model_is_not_given_more_tasks_at_once_than_it_answers_in_their_time() -> None:
    async def run(pipeline: Pipeline) -> list[object]:
        with pipeline.visit() as visit:
            rate = pipeline.line._rate
            rate.begin()
            rate._since -= 3 * pipeline.engine.capacity  # it took three seconds
            rate.end(done=True)
            assert 3 * 2 * pipeline.busy > visit.timeout - 1
            return await results(pipeline, Pictures(Settings.model_validate({})), visit, 30.0)

    with small_pipeline() as pipeline:
        assert len(asyncio.run(run(pipeline))) == MANY
