"""One call for inference: read, its pictures walk down the line, their outputs leave together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from isal import isal_zlib
from starlette.datastructures import Headers

from service.ahead import in_order
from service.errors import TooManyPixels, UndecodableImage, UnsupportedImage
from service.http.serve import walk
from service.http.upload import read_body
from service.http.v2.body import split, unpack
from service.http.v2.describe import outputs_of
from service.http.v2.inputs import read_pictures
from service.http.v2.messages import CONFIDENCE, InferRequest, parse
from service.http.v2.outputs import Made, Maker, choose_outputs, refuse_too_much, write
from service.pipeline import Pipeline
from service.preferences import parse_preferences
from service.source import Source
from service.visit import Visit

HEADER_LENGTH = "Inference-Header-Content-Length"
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

    async def work(body: bytes, visit: Visit) -> Response:
        return await answer(request.headers, pipeline, body, visit)

    response, timing = await walk(request, pipeline, timeout, work, read_body)
    response.headers.update(timing)
    return response


async def answer(headers: Headers, pipeline: Pipeline, body: bytes, visit: Visit) -> Response:
    """What is answered to a body."""
    card, house, work = pipeline.engine.card, pipeline.house, pipeline.workshop.work
    encoding = headers.get("content-encoding", "")
    data = await work(visit, "decode", lambda: unpack(body, encoding, pipeline.max_bytes))
    text, binary = split(data, headers.get(HEADER_LENGTH))
    # Beside what was sent lie what it is unpacked to and its JSON without the pictures' numbers.
    house.hold(visit, (0 if data is body else len(data)) + len(text))
    max_batch = pipeline.several.pictures

    def read() -> tuple[InferRequest, list[Source], dict[str, bool]]:
        asked, numbers = parse(text)
        outputs = choose_outputs(asked, [tensor.name for tensor in outputs_of(pipeline.engine)])
        pictures = read_pictures(asked, numbers, binary, max_batch, pipeline.max_pixels)
        sizes = []
        for number, picture in enumerate(pictures):
            with numbered(number, pictures):
                sizes.append(pipeline.size(picture))
        refuse_too_much(outputs, sizes, pipeline.max_pixels, pipeline.max_bytes)
        return asked, pictures, outputs

    asked, pictures, outputs = await work(visit, "decode", read)
    if asked.timeout:
        visit.deadline = min(visit.deadline, time.monotonic() + asked.timeout)
    maker = Maker(outputs, card.palette)
    made = await segment_all(pipeline, pictures, visit, maker)
    head = {"model_name": card.name, "model_version": str(pipeline.engine.version)}
    if asked.id is not None:
        head["id"] = asked.id
    accepted = choose_encoding(headers.get("accept-encoding", ""))
    return await work(
        visit, "encode", lambda: respond(head, outputs, made, pipeline.max_bytes, accepted)
    )


async def segment_all(
    pipeline: Pipeline, pictures: Sequence[Source], visit: Visit, maker: Maker
) -> list[Made]:
    """The outputs of each picture, in order; one failure gives all of them up."""
    sure = CONFIDENCE in maker.outputs
    if len(pictures) == 1:
        return [await pipeline.answer(pictures[0], visit, maker.make, sure)]
    visit.pictures = len(pictures)
    with pipeline.house.queued(visit, visit.pictures) as pieces:

        async def one(number: int, picture: Source) -> Made:
            with numbered(number, pictures), pieces.one(), pipeline.house.part(visit) as part:
                return await pipeline.answer_queued(picture, part, maker.make, sure)

        jobs = (one(*each) for each in enumerate(pictures))
        async with aclosing(in_order(jobs, pipeline.busy)) as made:
            return [outputs async for outputs in made]


@contextmanager
def numbered(number: int, pictures: Sequence[Source]) -> Iterator[None]:
    """Of several pictures, say which one is none."""
    try:
        yield
    except (UnsupportedImage, UndecodableImage, TooManyPixels) as error:
        if len(pictures) > 1:
            error.args = (f"picture {number + 1} of {len(pictures)}: {error}",)
        raise


def respond(
    head: dict[str, Any],
    outputs: dict[str, bool],
    made: Sequence[Made],
    max_json: int,
    encoding: str | None,
) -> Response:
    """The answer as it is sent."""
    body, header_length = write(head, outputs, made, max_json)
    headers = {"Vary": "Accept-Encoding"}
    if header_length is not None:
        headers[HEADER_LENGTH] = str(header_length)
    if encoding:
        body = isal_zlib.compress(body, 1, wbits=ENCODINGS[encoding])
        headers["Content-Encoding"] = encoding
    kind = "application/json" if header_length is None else "application/octet-stream"
    return Response(body, media_type=kind, headers=headers)


def choose_encoding(accepted: str) -> str | None:
    """The encoding that an `Accept-Encoding` header likes best of those there are."""
    liked = parse_preferences(accepted)
    best = max(ENCODINGS, key=lambda name: liked.get(name, 0.0))
    return best if liked.get(best, 0.0) > 0 else None
