"""One request with a picture: admitted, read, segmented, answered, unless its client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from service.errors import Unavailable
from service.http.record import record_of
from service.http.upload import read_upload
from service.pipeline import Pipeline
from service.recipes.recipe import Recipe
from service.visit import Visit

T = TypeVar("T")

Read = Callable[[Request, int, Callable[[int], None]], Coroutine[Any, Any, bytes]]
"""Reads a body: see `read_upload`."""


async def respond(
    request: Request, pipeline: Pipeline, timeout: float | None, recipe: Recipe
) -> Response:
    """The answer to a request with one picture.

    Args:
        request: its body has not been touched.
        pipeline: the model's.
        timeout: seconds that the request gives itself.
        recipe: how the answer is made.
    """

    async def work(upload: bytes, visit: Visit) -> bytes:
        return await pipeline.answer(
            upload, visit, recipe.make, recipe.confidence, recipe.tiling, recipe.check
        )

    data, timing = await walk(request, pipeline, timeout, work, read_upload)
    return Response(data, media_type=recipe.media_type, headers={**timing, **recipe.headers})


async def walk(
    request: Request,
    pipeline: Pipeline,
    timeout: float | None,
    work: Callable[[bytes, Visit], Coroutine[Any, Any, T]],
    read: Read,
) -> tuple[T, dict[str, str]]:
    """Admit a request, read its body and do some work on that, unless its client leaves.

    Args:
        request: its body has not been touched.
        pipeline: the model's.
        timeout: seconds that the request gives itself.
        work: makes what is answered.
        read: reads the body.

    Returns:
        What `work` made, and the headers that tell how long each stage took.
    """
    with pipeline.visit(timeout) as visit:
        record_of(request).visit = visit
        try:
            data = await read_in_time(request, pipeline, visit, read)
            made = await while_connected(request, work(data, visit))
        except asyncio.CancelledError as error:
            # The server gives up on running requests when its time to stop is over.
            raise Unavailable(
                "the service is shutting down", "shutting_down", retry_after=1
            ) from error
        return made, {"Server-Timing": visit.stages.server_timing}


async def read_in_time(
    request: Request,
    pipeline: Pipeline,
    visit: Visit,
    read: Callable[[Request, int, Callable[[int], None]], Coroutine[Any, Any, T]],
) -> T:
    """The upload, unless its sender takes longer than an upload or the whole request may."""

    def hold(size: int) -> None:
        pipeline.house.hold(visit, size)

    with visit.stages.time("read"):
        async with pipeline.house.uploading(visit):
            return await read(request, pipeline.max_bytes, hold)


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is given up if the client hangs up.

    Raises:
        ClientDisconnect: it did.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(hang_up(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        # What it still raises once it has been given up is of interest to nobody.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        task.cancel()
        gone.cancel()


async def hang_up(request: Request) -> None:
    """Wait until the client has closed the connection; its upload must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
