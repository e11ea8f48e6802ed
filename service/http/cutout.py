"""The call that leaves of a photo only what is of interest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from service.http.lookup import find_pipeline
from service.http.masks import BINARY, PROBLEMS, Timeout
from service.http.serve import respond
from service.http.upload import OPENAPI_BODY
from service.images.encode import OVERLAY_TYPES
from service.recipes.cutout import CutoutQuery

router = APIRouter(prefix="/v1", tags=["segmentation"], responses=PROBLEMS)


@router.post(
    "/cutout",
    summary="The photo with chosen classes only",
    openapi_extra=OPENAPI_BODY,
    response_class=Response,
    responses={
        200: {
            "content": dict.fromkeys(OVERLAY_TYPES, BINARY),
            "description": "PNG or WebP by Accept; JPEG, PNG or WebP if nothing is transparent",
        }
    },
)
async def cutout(
    request: Request,
    query: Annotated[CutoutQuery, Query()],
    accept: Annotated[str, Header()] = "*/*",
    timeout: Timeout = None,
) -> Response:
    """The chosen classes as they are on the photo, all else transparent, of a colour or blurred."""
    pipeline = find_pipeline(request, query.model, query.version)
    return await respond(request, pipeline, timeout, query.recipe(pipeline.engine, accept))
