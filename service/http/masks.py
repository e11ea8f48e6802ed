"""The calls that answer with a whole picture."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from service.http.lookup import find_pipeline
from service.http.problems import described
from service.http.serve import respond
from service.http.upload import OPENAPI_BODY
from service.images.encode import OVERLAY_TYPES
from service.images.mask_formats import MASK_FORMATS
from service.recipes.mask import MaskQuery
from service.recipes.overlay import OverlayQuery

Timeout = Annotated[
    float | None,
    Header(
        alias="X-Request-Timeout",
        gt=0,
        allow_inf_nan=False,
        description="seconds in which the answer is of use, at most the service's own limit",
    ),
]

PROBLEMS = described(
    (400, "no picture in the request"),
    (404, "unknown model"),
    (406, "no answer of a kind that Accept names"),
    (408, "the upload took too long"),
    (413, "too many bytes, pixels or windows"),
    (415, "not an accepted image type"),
    (422, "undecodable image or invalid parameter"),
    (500, "the service or the model failed"),
    (503, "overloaded or shutting down; see Retry-After"),
    (504, "the deadline passed"),
)
BINARY = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(prefix="/v1", tags=["segmentation"], responses=PROBLEMS)


@router.post(
    "/mask",
    summary="The class of each pixel",
    openapi_extra=OPENAPI_BODY,
    response_class=Response,
    responses={
        200: {
            "content": {kind.media_type: BINARY for kind in MASK_FORMATS.values()},
            "description": "pixel = class id",
        }
    },
)
async def mask(
    request: Request, query: Annotated[MaskQuery, Query()], timeout: Timeout = None
) -> Response:
    """A palette PNG as large as the picture, or what else is asked for: pixel = class id."""
    pipeline = find_pipeline(request, query.model, query.version)
    return await respond(request, pipeline, timeout, query.recipe(pipeline.engine))


@router.post(
    "/overlay",
    summary="The photo with the mask blended over it",
    openapi_extra=OPENAPI_BODY,
    response_class=Response,
    responses={
        200: {
            "content": dict.fromkeys(OVERLAY_TYPES, BINARY),
            "description": "JPEG, or PNG or WebP by Accept",
        }
    },
)
async def overlay(
    request: Request,
    query: Annotated[OverlayQuery, Query()],
    accept: Annotated[str, Header()] = "*/*",
    timeout: Timeout = None,
) -> Response:
    """The photo with each pixel's class colour blended over it, except for the ignored id."""
    pipeline = find_pipeline(request, query.model, query.version)
    return await respond(request, pipeline, timeout, query.recipe(pipeline.engine, accept))
