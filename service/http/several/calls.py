"""The calls with several pictures: those with one, under another path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from service.errors import Unavailable
from service.http.lookup import find_pipeline
from service.http.masks import BINARY, PROBLEMS, Timeout
from service.http.record import record_of
from service.http.serve import read_in_time
from service.http.several.answering import SeveralResponse
from service.http.several.upload import OPENAPI_BODY, read_pictures
from service.http.several.writers import MultipartWriter, Writer, ZipWriter
from service.pipeline import Pipeline
from service.recipes.cutout import CutoutQuery
from service.recipes.mask import MaskQuery
from service.recipes.media_types import about_pictures, choose_type
from service.recipes.overlay import OverlayQuery
from service.recipes.recipe import Recipe
from service.recipes.segments import SegmentsQuery

WRITERS: dict[str, Callable[[], Writer]] = {
    "application/zip": ZipWriter,
    "multipart/mixed": MultipartWriter,
}
CALL: dict[str, Any] = {
    "openapi_extra": OPENAPI_BODY,
    "response_class": Response,
    "responses": {
        200: {
            "content": dict.fromkeys(WRITERS, BINARY),
            "description": "an answer or a problem for each picture, in their order, and "
            "manifest.json, which lists them; a ZIP, or multipart/mixed by Accept",
        }
    },
}
Accept = Annotated[str, Header()]

router = APIRouter(prefix="/v1/batch", tags=["several pictures"], responses=PROBLEMS)


@router.post("/mask", summary="The class of each pixel of several pictures", **CALL)
async def masks(
    request: Request,
    query: Annotated[MaskQuery, Query()],
    accept: Accept = "*/*",
    timeout: Timeout = None,
) -> Response:
    """`/v1/mask` for each picture."""
    pipeline = find_pipeline(request, query.model, query.version)
    return await respond(request, pipeline, timeout, accept, query.recipe(pipeline.engine))


@router.post("/overlay", summary="Several photos with their masks blended over them", **CALL)
async def overlays(
    request: Request,
    query: Annotated[OverlayQuery, Query()],
    accept: Accept = "*/*",
    timeout: Timeout = None,
) -> Response:
    """`/v1/overlay` for each picture: JPEG, or PNG or WebP if `Accept` names that too."""
    pipeline = find_pipeline(request, query.model, query.version)
    recipe = query.recipe(pipeline.engine, about_pictures(accept))
    return await respond(request, pipeline, timeout, accept, recipe)


@router.post("/segments", summary="What is where in several pictures, as JSON", **CALL)
async def segments(
    request: Request,
    query: Annotated[SegmentsQuery, Query()],
    accept: Accept = "*/*",
    timeout: Timeout = None,
) -> Response:
    """`/v1/segments` for each picture."""
    query.refuse_unused()
    pipeline = find_pipeline(request, query.model, query.version)
    return await respond(request, pipeline, timeout, accept, query.recipe(pipeline.engine))


@router.post("/cutout", summary="Several photos with chosen classes only", **CALL)
async def cutouts(
    request: Request,
    query: Annotated[CutoutQuery, Query()],
    accept: Accept = "*/*",
    timeout: Timeout = None,
) -> Response:
    """`/v1/cutout` for each picture: PNG, or WebP if `Accept` names that too."""
    pipeline = find_pipeline(request, query.model, query.version)
    recipe = query.recipe(pipeline.engine, about_pictures(accept))
    return await respond(request, pipeline, timeout, accept, recipe)


async def respond(
    request: Request, pipeline: Pipeline, timeout: float | None, accept: str, recipe: Recipe
) -> Response:
    """The answer to a request with several pictures, once all of them are there and let in."""
    writer = WRITERS[choose_type(accept, WRITERS)]()
    with ExitStack() as held:
        visit = held.enter_context(pipeline.visit(timeout))
        record_of(request).visit = visit
        try:
            pictures = await read_in_time(
                request,
                pipeline,
                visit,
                lambda request, _, hold: read_pictures(request, pipeline.several, hold),
            )
        except asyncio.CancelledError as error:
            raise Unavailable(
                "the service is shutting down", "shutting_down", retry_after=1
            ) from error
        visit.pictures = len(pictures.names)
        pieces = held.enter_context(pipeline.house.queued(visit, visit.pictures))
        return SeveralResponse(
            request, pipeline, recipe, pictures, writer, visit, pieces, held.pop_all()
        )
