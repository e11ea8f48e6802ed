"""The three calls that turn a photo into a mask, an overlay or JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from service.contract import ModelCard
from service.errors import InvalidParameter
from service.http.lookup import find_pipeline
from service.http.problems import described
from service.http.schemas import Box, Region, RunLengths, Segment, Segments, Size
from service.http.serve import serve
from service.http.upload import OPENAPI_BODY
from service.images import shapes
from service.images.encode import OVERLAY_TYPES, blend, encode_photo
from service.images.png import palette_png
from service.segmented import Segmented
from service.tiling.plan import DEFAULT_OVERLAP, MAX_OVERLAP, MAX_SCALE, Tiling

Geometry = Literal["none", "rle", "polygons"]
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


class OverlayQuery(CallQuery):
    alpha: float = Field(0.5, ge=0, le=1, description="0 is the photo, 1 the mask")
    classes: str | None = Field(
        None, description="names or ids to draw, separated by commas; all if absent"
    )


class SegmentsQuery(CallQuery):
    geometry: Geometry = Field(
        "none", description="outline of each class: COCO run lengths or polygons"
    )


@router.post(
    "/mask",
    summary="Class ids as a palette PNG",
    openapi_extra=OPENAPI_BODY,
    response_class=Response,
    responses={200: {"content": {"image/png": BINARY}, "description": "pixel = class id"}},
)
async def mask(
    request: Request, query: Annotated[CallQuery, Query()], timeout: Timeout = None
) -> Response:
    """A palette PNG as large as the picture: each pixel is its class id."""
    pipeline = find_pipeline(request, query.model, query.version)
    palette = pipeline.engine.card.palette
    data, timing = await serve(
        request, pipeline, timeout, lambda found: palette_png(found.mask(), palette), query.tiling
    )
    return Response(data, media_type="image/png", headers=timing)


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
    """The photo with each pixel's class colour blended over it."""
    pipeline = find_pipeline(request, query.model, query.version)
    card = pipeline.engine.card
    chosen = None if query.classes is None else choose_classes(query.classes, card)
    media_type = choose_type(accept)

    def draw(found: Segmented) -> bytes:
        image = blend(found.photo(), found.mask(), card.palette, query.alpha, chosen)
        return encode_photo(image, media_type)

    data, timing = await serve(request, pipeline, timeout, draw, query.tiling)
    return Response(data, media_type=media_type, headers={**timing, "Vary": "Accept"})


@router.post(
    "/segments",
    summary="What is where, as JSON",
    openapi_extra=OPENAPI_BODY,
    response_model=Segments,
)
async def segments(
    request: Request, query: Annotated[SegmentsQuery, Query()], timeout: Timeout = None
) -> Response:
    """For each class present: pixels, fraction, bounding box and, if asked for, its outline."""
    pipeline = find_pipeline(request, query.model, query.version)
    card = pipeline.engine.card

    def write(found: Segmented) -> bytes:
        return describe(found, card, query.geometry).model_dump_json(exclude_none=True).encode()

    data, timing = await serve(request, pipeline, timeout, write, query.tiling)
    return Response(data, media_type="application/json", headers=timing)


def choose_classes(text: str, card: ModelCard) -> set[int]:
    """Ids for names or ids separated by commas.

    Raises:
        InvalidParameter: names what is not a class of the model.
    """
    ids = {str(index): index for index in range(len(card.labels))}
    ids |= {name.casefold(): index for index, name in enumerate(card.labels)}
    words = [word for part in text.split(",") if (word := part.strip().casefold())]
    for word in words:
        if word not in ids:
            raise InvalidParameter(
                f"classes: {word[:40]!r} is not a class of {card.name}; it has "
                + ", ".join(f"{index} {name}" for index, name in enumerate(card.labels))
            )
    return {ids[word] for word in words}


def choose_type(accept: str) -> str:
    """The media type that an `Accept` header likes best; JPEG where it leaves the choice."""
    preferences: dict[str, float] = {}
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.lower().split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            preferences[kind] = float(quality)
        except ValueError:
            continue

    def liking(media_type: str) -> float:
        wildcards = (media_type, "image/*", "*/*")
        return next((preferences[kind] for kind in wildcards if kind in preferences), 0.0)

    return max(OVERLAY_TYPES, key=liking)


def describe(found: Segmented, card: ModelCard, geometry: Geometry) -> Segments:
    """The JSON answer for a segmented picture."""
    mask, coarse = found.mask(), found.model_mask
    height, width = found.size

    def segment(area: shapes.Area) -> Segment:
        rle = regions = None
        if geometry == "rle":
            rle = RunLengths(size=(height, width), counts=shapes.run_lengths(mask == area.id))
        elif geometry == "polygons":
            outlines = shapes.polygons(coarse == area.id, (height, width))
            regions = [Region(exterior=o.exterior, holes=o.holes) for o in outlines]
        x, y, box_width, box_height = area.box
        return Segment(
            id=area.id,
            name=card.labels[area.id],
            colour=card.palette[area.id],
            pixels=area.pixels,
            fraction=area.pixels / mask.size,
            box=Box(x=x, y=y, width=box_width, height=box_height),
            rle=rle,
            polygons=regions,
        )

    return Segments(
        image=Size(width=width, height=height),
        model=card.name,
        segments=[segment(area) for area in shapes.areas(mask)],
    )
