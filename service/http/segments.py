"""The call that says what is where, as JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from service.http.lookup import find_pipeline
from service.http.masks import PROBLEMS, Timeout
from service.http.schemas import Segments
from service.http.serve import respond
from service.http.upload import OPENAPI_BODY
from service.recipes.segments import GEOJSON, SegmentsQuery

router = APIRouter(prefix="/v1", tags=["segmentation"], responses=PROBLEMS)


@router.post(
    "/segments",
    summary="What is where, as JSON",
    openapi_extra=OPENAPI_BODY,
    response_model=Segments,
    responses={200: {"content": {GEOJSON: {}}}},
)
async def segments(
    request: Request, query: Annotated[SegmentsQuery, Query()], timeout: Timeout = None
) -> Response:
    """For each class present: pixels, fraction, bounding box and, if asked for, its outline."""
    query.refuse_unused()
    pipeline = find_pipeline(request, query.model, query.version)
    return await respond(request, pipeline, timeout, query.recipe(pipeline.engine))
