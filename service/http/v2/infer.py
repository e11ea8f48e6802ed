"""One call for inference: read, its pictures walk down the line, their outputs leave together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from isal import isal_zlib

from service.errors import Unavailable
from service.http.preferences import parse_preferences
from service.http.record import record_of
from service.http.serve import while_connected
from service.http.upload import read_body
from service.http.v2.body import split, unpack
from service.http.v2.describe import OUTPUTS
from service.http.v2.inputs import Source, read_pictures
from service.http.v2.messages import parse
from service.http.v2.outputs import Made, Maker, choose_outputs, write
from service.pipeline import Pipeline
from service.visit import Visit

HEADER_LENGTH = "Inference-Header-Content-Length"
OBJECT = 32
"""Bytes that an element of an array in JSON takes in memory at most, with its place in a list."""
ENCODINGS = {"gzip": 31, "deflate": 15}
"""The encodings of answers, by the window bits that make zlib write them."""


async def infer(request: Request, pipeline: Pipeline, timeout: float | None) -> Response:
    """Answer one request.

    Args:
        request: its body has not been touched.
        pipeline: the model's.
        timeout: seconds that the request gives itself by its header.

    Raises:
        RequestError: whatever is wrong with it, the load or the deadline.
    """
    with pipeline.house.visit(timeout) as visit:
        record_of(request).visit = visit
        try:
            body = await read_in_time(request, pipeline, visit)
            return await while_connected(request, answer(request, pipeline, body, visit))
        except asyncio.CancelledError as error:
            # The server gives up on running requests when its time to stop is over.
            raise Unavailable(
                "the service is shutting down", "shutting_down", retry_after=1
            ) from error


async def read_in_time(request: Request, pipeline: Pipeline, visit: Visit) -> bytes:
    def hold(size: int) -> None:
        pipeline.house.hold(visit, size)

    with visit.stages.time("read"):
        async with pipeline.house.uploading(visit):
            return await read_body(request, pipeline.max_bytes, hold)


async def answer(request: Request, pipeline: Pipeline, body: bytes, visit: Visit) -> Response:
    """What is answered to a body."""
    headers, card = request.headers, pipeline.engine.card
    encoding = headers.get("content-encoding", "")
    data = await asyncio.to_thread(unpack, body, encoding, pipeline.max_bytes)
    if data is not body:
        pipeline.house.hold(visit, len(data))
    text, binary = split(data, headers.get(HEADER_LENGTH))
    # Its objects take several times the memory of a text.
    pipeline.house.hold(visit, OBJECT * text.count(b","))
    asked = await asyncio.to_thread(parse, text)
    outputs = choose_outputs(asked, [tensor.name for tensor in OUTPUTS])
    pictures = await asyncio.to_thread(read_pictures, asked, binary, pipeline.max_pixels)
    maker = Maker(outputs, card.palette, pipeline.max_pixels)
    seconds = min(visit.time_left, asked.timeout or visit.time_left)
    made = await segment_all(pipeline, pictures, visit, seconds, maker)
    head = {"model_name": card.name, "model_version": pipeline.engine.version}
    if asked.id is not None:
        head["id"] = asked.id
    accepted = choose_encoding(headers.get("accept-encoding", ""))
    return await asyncio.to_thread(
        respond, head, outputs, made, pipeline.max_bytes, accepted, visit
    )


async def segment_all(
    pipeline: Pipeline, pictures: Sequence[Source], visit: Visit, seconds: float, maker: Maker
) -> list[Made]:
    """The outputs of each picture, in order; one failure gives all of them up.

    Every picture but the first, which takes the place of its request, is let in by itself: the
    bounds of the house count pictures.
    """

    async def further(picture: Source) -> Made:
        with pipeline.house.visit(seconds) as own:
            return await pipeline.answer(picture, own, maker.make)

    visit.deadline = min(visit.deadline, time.monotonic() + seconds)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(pipeline.answer(pictures[0], visit, maker.make))]
            tasks += [group.create_task(further(picture)) for picture in pictures[1:]]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def respond(
    head: dict[str, Any],
    outputs: dict[str, bool],
    made: Sequence[Made],
    max_json: int,
    encoding: str | None,
    visit: Visit,
) -> Response:
    """The answer as it is sent."""
    with visit.stages.time("encode"):
        body, header_length = write(head, outputs, made, max_json)
        headers = {"Vary": "Accept-Encoding"}
        if header_length is not None:
            headers[HEADER_LENGTH] = str(header_length)
        if encoding:
            body = isal_zlib.compress(body, 1, wbits=ENCODINGS[encoding])
            headers["Content-Encoding"] = encoding
    headers["Server-Timing"] = visit.stages.server_timing
    kind = "application/json" if header_length is None else "application/octet-stream"
    return Response(body, media_type=kind, headers=headers)


def choose_encoding(accepted: str) -> str | None:
    """The encoding that an `Accept-Encoding` header likes best of those there are."""
    liked = parse_preferences(accepted)
    best = max(ENCODINGS, key=lambda name: liked.get(name, 0.0))
    return best if liked.get(best, 0.0) > 0 else None
