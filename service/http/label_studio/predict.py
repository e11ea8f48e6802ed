"""Predictions for tasks: each picture walks down the line by itself."""

from __future__ import annotations

import json
import logging
import secrets
from contextlib import aclosing
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, FailFast, Field, ValidationError

from service.ahead import in_order
from service.errors import (
    InvalidParameter,
    MalformedRequest,
    RequestError,
    TooManyBytes,
    TooManyPictures,
    TooManyPixels,
    UndecodableImage,
    UnsupportedImage,
)
from service.http.label_studio.config import Target, read_target
from service.http.label_studio.fetch import Pictures
from service.images.brush import brush_run_lengths
from service.pipeline import Pipeline
from service.segmented import Segmented
from service.visit import Visit

log = logging.getLogger(__name__)

MAX_TASKS = 1000
MAX_MARKS = 200_000
"""Brackets, braces and quotes in the JSON of a request: objects and texts, each of which takes
time in which nobody else is served."""
MAX_COMMAS = 2_000_000
"""Most are between the numbers of strokes that somebody has painted already."""
OF_A_PICTURE = (
    InvalidParameter,
    MalformedRequest,
    TooManyBytes,
    TooManyPixels,
    UndecodableImage,
    UnsupportedImage,
)
"""What may be wrong with one picture and says nothing of the others."""


class Task(BaseModel):
    id: int | str | None = None
    data: dict[str, Any]


class PredictRequest(BaseModel):
    tasks: Annotated[list[Task], FailFast(), Field(min_length=1)]
    label_config: str


def parse(body: bytes) -> PredictRequest:
    """What Label Studio asks; other members, as annotations so far, are not read.

    Raises:
        InvalidParameter: it is not such a request.
        TooManyPictures: it has more tasks than the limit, or so much else that to read it would
            keep the others waiting.
    """
    if sum(map(body.count, (b"[", b"{", b'"'))) > MAX_MARKS or body.count(b",") > MAX_COMMAS:
        raise _too_many("the request's JSON has too many objects, texts or numbers")
    try:
        asked = PredictRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80] or "the request's JSON"
        raise InvalidParameter(f"{where}: {first['msg']}") from error
    if len(asked.tasks) > MAX_TASKS:
        raise _too_many(f"tasks: there are {len(asked.tasks)}")
    return asked


def _too_many(what: str) -> TooManyPictures:
    return TooManyPictures(f"{what}: send fewer tasks at a time, {MAX_TASKS} at most")


def version_of(pipeline: Pipeline) -> str:
    """What predictions of this very file are told from others by."""
    engine = pipeline.engine
    return f"{engine.card.name}:{engine.digest}"


async def predict(
    pipeline: Pipeline,
    asked: PredictRequest,
    pictures: Pictures,
    visit: Visit,
    seconds: float | None = None,
) -> bytes:
    """The answer to a request, as JSON: a prediction for each task, in order.

    A task whose picture is no use gets an empty one, unless that is so for all.

    Args:
        pipeline: the model's.
        asked: the request.
        pictures: reads those of the tasks.
        visit: the request's.
        seconds: that each picture has of its own; what is left of the request's if None.

    Raises:
        RequestError: as for a single picture, if no task has a prediction or there is no
            capacity.
    """
    target = read_target(asked.label_config, pipeline.engine.card.labels)

    async def one(task: Task) -> bytes | RequestError:
        try:
            with pipeline.house.part(visit, seconds) as part:
                return await _predict_one(pipeline, task, target, pictures, part)
        except OF_A_PICTURE as error:
            log.warning("task %.40r of Label Studio has no prediction: %s", task.id, error)
            return error

    jobs = (one(task) for task in asked.tasks)
    # As many as keep the model busy while others are fetched, and no more than may wait for it.
    at_once = min(2 * pipeline.busy, pipeline.line.room(visit.timeout))
    async with aclosing(in_order(jobs, at_once)) as results:
        found = [result async for result in results]
    failures = [one for one in found if isinstance(one, RequestError)]
    if len(failures) == len(found):
        raise failures[0]
    version = json.dumps(version_of(pipeline))
    empty = f'{{"result": [], "score": 0.0, "model_version": {version}}}'.encode()
    written = b", ".join(one if isinstance(one, bytes) else empty for one in found)
    return b'{"results": [%b], "model_version": %b}' % (written, version.encode())


async def _predict_one(
    pipeline: Pipeline, task: Task, target: Target, pictures: Pictures, visit: Visit
) -> bytes:
    if target.key not in task.data:
        raise InvalidParameter(f"the task has no {target.key!r} in its data")
    sure = pipeline.engine.has_confidence

    def hold(size: int) -> None:
        pipeline.house.hold(visit, size)

    picture = await pictures.read(task.data[target.key], hold)

    def write(found: Segmented) -> bytes:
        mask = found.mask()
        present = [index for index in np.unique(mask).tolist() if index in target.labels]
        regions = [_region(mask == index, target, target.labels[index]) for index in present]
        prediction: dict[str, Any] = {"result": regions, "model_version": version_of(pipeline)}
        if sure:
            prediction["score"] = _score(found.confidence)
            for index, region in zip(present, regions, strict=True):
                region["score"] = _score(found.confidence[found.model_mask == index])
        return json.dumps(prediction).encode()

    return await pipeline.answer(picture, visit, write, sure)


def _score(confidence: NDArray[np.uint8]) -> float:
    """The mean of it, from 0 to 1; 0 of a class too thin for the model's own size."""
    return round(float(confidence.mean()) / 255, 4) if confidence.size else 0.0


def _region(binary: NDArray[np.bool_], target: Target, label: str) -> dict[str, Any]:
    """The pixels [H, W] of a class as a stroke of the brush."""
    height, width = binary.shape
    return {
        "id": secrets.token_hex(5),
        "from_name": target.from_name,
        "to_name": target.to_name,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {
            "format": "rle",
            "rle": list(brush_run_lengths(binary)),
            "brushlabels": [label],
        },
    }
