"""What is where, as JSON."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from service.contract import ModelCard
from service.engine.segmenter import Segmenter
from service.errors import InvalidParameter
from service.http.schemas import (
    Box,
    CompressedRunLengths,
    Region,
    RunLengths,
    Segment,
    Segments,
    Size,
)
from service.images import shapes
from service.images.geotiff import read_epsg, read_geotransform
from service.images.geotransform import Geotransform, parse_geotransform
from service.recipes.geojson import feature_collection
from service.recipes.queries import CleanQuery
from service.recipes.recipe import Recipe
from service.segmented import Segmented

Geometry = Literal["none", "rle", "coco", "polygons"]
GEOJSON = "application/geo+json"
USED_BY = {"tolerance": ("polygons", "geojson"), "geotransform": ("geojson",)}
"""The geometries for which a parameter has a meaning."""


class SegmentsQuery(CleanQuery):
    geometry: Literal["none", "rle", "coco", "polygons", "geojson"] = Field(
        "none",
        description="outline of each class: COCO run lengths as a list or as COCO's text, "
        "polygons, or all of the answer as GeoJSON",
    )
    tolerance: float = Field(
        shapes.TOLERANCE,
        ge=0,
        allow_inf_nan=False,
        description="pixels of the picture by which polygons may be simplified",
    )
    geotransform: str | None = Field(
        None, description="six numbers in GDAL's order, separated by commas, for geometry=geojson"
    )

    @field_validator("geotransform")
    @classmethod
    def _is_geotransform(cls, text: str | None) -> str | None:
        if text is not None:
            parse_geotransform(text)
        return text

    def refuse_unused(self) -> None:
        """Refuse what this geometry makes nothing of, rather than answer as if it were not there.

        Raises:
            InvalidParameter: names it.
        """
        for name, users in USED_BY.items():
            if name in self.model_fields_set and self.geometry not in users:
                wanted = " or ".join(f"geometry={user}" for user in users)
                raise InvalidParameter(
                    f"{name} has no meaning with geometry={self.geometry}: add {wanted}, or leave "
                    "it"
                )

    def recipe(self, engine: Segmenter) -> Recipe:
        """How the JSON is made.

        Raises:
            InvalidParameter: the model has no such class, or no confidence to tell.
        """
        card, cleaning = engine.card, self.cleaning(engine)
        scores, mapped = self.confidence is not None, self.geometry == "geojson"

        def write(found: Segmented) -> bytes:
            geometry: Geometry = "polygons" if self.geometry == "geojson" else self.geometry
            place = self.place(found.file) if mapped else None
            told = describe(cleaning.clean(found, card), card, geometry, self.tolerance, scores)
            if place:
                return json.dumps(feature_collection(told, *place)).encode()
            return told.model_dump_json(exclude_none=True).encode()

        media_type = GEOJSON if mapped else "application/json"
        check = (lambda file, _: self.place(file)) if mapped else None
        return Recipe(write, media_type, scores, self.tiling, check=check)

    def place(self, file: bytes) -> tuple[Geotransform, int | None]:
        """From the picture's pixels to the map, and the EPSG code of that if it is known.

        As the request says, else as the file does.

        Raises:
            InvalidParameter: neither does.
        """
        if self.geotransform is not None:
            return parse_geotransform(self.geotransform), None
        if transform := read_geotransform(file):
            return transform, read_epsg(file)
        raise InvalidParameter(
            "geometry=geojson needs to know where the picture lies on the map: send a GeoTIFF, or "
            "add geotransform= with six numbers in GDAL's order"
        )


def describe(
    found: Segmented,
    card: ModelCard,
    geometry: Geometry,
    tolerance: float = shapes.TOLERANCE,
    scores: bool = False,
) -> Segments:
    """The JSON answer for a segmented picture; the ignored id is no segment.

    Args:
        found: the picture.
        card: the model's.
        geometry: how outlines are told.
        tolerance: pixels of the picture by which polygons may be simplified.
        scores: whether to tell the mean confidence of each class.
    """
    mask, coarse = found.mask(), found.model_mask
    height, width = found.size

    def segment(area: shapes.Area) -> Segment:
        rle = coco = regions = None
        if geometry == "rle":
            counts = shapes.run_lengths(mask == area.id)
            rle = RunLengths(size=(height, width), counts=counts)
        elif geometry == "coco":
            text = shapes.compressed_counts(shapes.run_lengths(mask == area.id))
            coco = CompressedRunLengths(size=(height, width), counts=text)
        elif geometry == "polygons":
            outlines = shapes.polygons(coarse == area.id, (height, width), tolerance)
            regions = [Region(exterior=o.exterior, holes=o.holes) for o in outlines]
        x, y, box_width, box_height = area.box
        return Segment(
            id=area.id,
            name=card.labels[area.id],
            colour=card.palette[area.id],
            pixels=area.pixels,
            fraction=area.pixels / mask.size,
            confidence=mean_confidence(found, area.id) if scores else None,
            box=Box(x=x, y=y, width=box_width, height=box_height),
            rle=rle,
            coco=coco,
            polygons=regions,
        )

    return Segments(
        image=Size(width=width, height=height),
        model=card.name,
        segments=[segment(area) for area in shapes.areas(mask) if area.id != card.ignored_id],
    )


def mean_confidence(found: Segmented, class_id: int) -> float:
    """The mean probability of a class where it was chosen."""
    return round(
        float(found.confidence[found.model_mask == class_id].mean(dtype=np.float64)) / 255, 4
    )
