"""The calls that answer with a whole picture, and what all calls take."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from service.cleaning import Cleaning, choose_classes, palette_with_ignored
from service.engine.engine import Engine
from service.errors import InvalidParameter
from service.http.lookup import find_pipeline
from service.http.preferences import parse_preferences
from service.http.problems import described
from service.http.recipe import Recipe
from service.http.serve import respond
from service.http.upload import OPENAPI_BODY
from service.images.encode import OVERLAY_TYPES, blend, encode_photo
from service.images.mask_formats import MASK_FORMATS, FormatName
from service.segmented import Segmented
from service.tiling.plan import DEFAULT_OVERLAP, MAX_OVERLAP, MAX_SCALE, Tiling

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
    (408, "the upload took too long"),
    (413, "too many bytes or pixels"),
    (415, "not an accepted image type"),
    (422, "undecodable image or invalid parameter"),
    (500, "the service or the model failed"),
    (503, "overloaded or shutting down; see Retry-After"),
    (504, "the deadline passed"),
)
VARY = {"Vary": "Accept"}
BINARY = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(prefix="/v1", tags=["segmentation"], responses=PROBLEMS)


class CallQuery(BaseModel):
    """What every call takes."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="name of a loaded model")
    version: int | None = Field(None, ge=1, description="version of it; the newest if absent")
    tile: float | None = Field(
        None,
        gt=0,
        le=MAX_SCALE,
        description="cut the picture into windows at so many times its size (1 is its own), "
        "rather than scale it to one",
    )
    overlap: float = Field(
        DEFAULT_OVERLAP,
        ge=0,
        le=MAX_OVERLAP,
        description="share of a window, at least, that it has in common with its neighbour",
    )

    @property
    def tiling(self) -> Tiling | None:
        return Tiling(self.tile, self.overlap) if self.tile else None


class CleanQuery(CallQuery):
    """What every call takes that answers with a mask or with what is made of one."""

    classes: str | None = Field(
        None,
        description="names or ids of classes, separated by commas: all others become the model's "
        "ignored id",
    )
    min_area: int = Field(
        0,
        ge=0,
        description="pixels of the picture: smaller connected regions are given to what "
        "surrounds them",
    )
    confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="probability of its class that a pixel needs: less sure ones become the "
        "model's ignored id",
    )

    def cleaning(self, engine: Engine) -> Cleaning:
        """What is asked of the mask of a model.

        Raises:
            InvalidParameter: the model has no such class, or no confidence to tell.
        """
        if self.confidence is not None:
            engine.require_confidence()
        chosen = None if self.classes is None else choose_classes(self.classes, engine.card)
        return Cleaning(chosen, self.min_area, self.confidence)


class MaskQuery(CleanQuery):
    format: FormatName = Field(
        "palette",
        description="class ids as a PNG, with the model's colours or in grey; a PNG that is white "
        "where any of `classes` is and else black; or NumPy's own format",
    )
    size: Literal["picture", "model"] = Field(
        "picture", description="as large as the picture, or as the model saw it"
    )

    def recipe(self, engine: Engine) -> Recipe:
        """How a mask is made.

        Raises:
            InvalidParameter: this model has no such mask.
        """
        card, cleaning = engine.card, self.cleaning(engine)
        if self.format == "binary" and self.classes is None:
            raise InvalidParameter(
                "format=binary needs to know what is white: add classes=, with names"
            )
        palette = card.palette if cleaning == Cleaning() else palette_with_ignored(card)
        kind = MASK_FORMATS[self.format]

        def write(found: Segmented) -> bytes:
            cleaned = cleaning.clean(found, card)
            ids = cleaned.mask() if self.size == "picture" else cleaned.model_mask
            return kind.write(ids, palette, card.ignored_id)

        saved = f'attachment; filename="{kind.file_name}"'
        headers = {"Content-Disposition": saved} if kind.file_name else {}
        return Recipe(write, kind.media_type, self.confidence is not None, self.tiling, headers)


class OverlayQuery(CleanQuery):
    alpha: float = Field(0.5, ge=0, le=1, description="0 is the photo, 1 the mask")

    def recipe(self, engine: Engine, accept: str) -> Recipe:
        """How an overlay is made, in the format that an `Accept` header likes best.

        Raises:
            InvalidParameter: the model has no such class, or no confidence to tell.
        """
        card, cleaning = engine.card, self.cleaning(engine)
        media_type = choose_type(accept)
        classes = set(range(len(card.labels))) - {card.ignored_id}
        drawn = None if cleaning == Cleaning() else classes
        palette = palette_with_ignored(card)

        def draw(found: Segmented) -> bytes:
            ids = cleaning.clean(found, card).mask()
            blended = blend(found.photo(), ids, palette, self.alpha, drawn)
            return encode_photo(blended, media_type)

        return Recipe(draw, media_type, self.confidence is not None, self.tiling, VARY)


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


def choose_type(accept: str, offered: Collection[str] = OVERLAY_TYPES) -> str:
    """The media type that an `Accept` header likes best; the first where it leaves the choice."""
    preferences = parse_preferences(accept)

    def liking(media_type: str) -> float:
        wildcards = (media_type, "image/*", "*/*")
        return next((preferences[kind] for kind in wildcards if kind in preferences), 0.0)

    return max(offered, key=liking)
