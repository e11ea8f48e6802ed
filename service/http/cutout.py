"""The call that leaves of a photo only what is of interest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from pydantic import Field, field_validator

from service.http.lookup import find_pipeline
from service.http.masks import BINARY, PROBLEMS, CleanQuery, Timeout, choose_type
from service.http.serve import serve
from service.http.upload import OPENAPI_BODY
from service.images.cutout import cut_out, parse_background
from service.images.encode import OVERLAY_TYPES, encode_photo
from service.segmented import Segmented

TRANSPARENT_TYPES = ("image/png", "image/webp")

router = APIRouter(prefix="/v1", tags=["segmentation"], responses=PROBLEMS)


class CutoutQuery(CleanQuery):
    classes: str = Field(
        description="names or ids of the classes to keep, separated by commas",
    )
    background: str = Field(
        "transparent",
        description="what else there is to see: `transparent`, `blur` or a colour like `#20a0ff`",
    )
    feather: float = Field(0, ge=0, le=100, description="how soft the edge is, in pixels")

    @field_validator("background")
    @classmethod
    def _is_background(cls, text: str) -> str:
        parse_background(text)
        return text


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
    card, cleaning = pipeline.engine.card, query.cleaning(pipeline.engine)
    background = parse_background(query.background)
    offered = TRANSPARENT_TYPES if background == "transparent" else OVERLAY_TYPES
    media_type = choose_type(accept, offered)

    def cut(found: Segmented) -> bytes:
        wanted = cleaning.clean(found, card).mask() != card.ignored_id
        return encode_photo(cut_out(found.photo(), wanted, background, query.feather), media_type)

    data, headers = await serve(request, pipeline, timeout, cut, query.confidence is not None)
    return Response(data, media_type=media_type, headers={**headers, "Vary": "Accept"})
