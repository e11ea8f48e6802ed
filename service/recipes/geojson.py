"""Segments as GeoJSON (RFC 7946), for maps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from service.http.schemas import Point, Region, Segment, Segments
from service.images.geotransform import Geotransform

WGS84 = 4326
"""What coordinates are in where GeoJSON does not say it."""


def feature_collection(
    described: Segments, transform: Geotransform, epsg: int | None = None
) -> dict[str, Any]:
    """A feature for each class, with a MultiPolygon of its regions.

    Args:
        described: with polygons.
        transform: from the picture's pixels to the map's coordinates.
        epsg: code of their reference system, if it is known. It is written as GeoJSON of 2008
            has it, which RFC 7946 left out and map programs read.
    """
    system: dict[str, Any] = {}
    if epsg not in (None, WGS84):
        name = f"urn:ogc:def:crs:EPSG::{epsg}"
        system = {"crs": {"type": "name", "properties": {"name": name}}}
    return {
        "type": "FeatureCollection",
        **system,
        "features": [_feature(segment, transform) for segment in described.segments],
    }


def _feature(segment: Segment, transform: Geotransform) -> dict[str, Any]:
    regions = [_rings(region, transform) for region in segment.polygons or ()]
    return {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": regions},
        "properties": segment.model_dump(mode="json", exclude={"polygons"}, exclude_none=True),
    }


def _rings(region: Region, transform: Geotransform) -> list[list[Point]]:
    """The outline counter-clockwise on the map, holes clockwise."""
    placed = [[transform.place(*p) for p in ring] for ring in (region.exterior, *region.holes)]
    return [
        ring if (_area(ring) > 0) == (index == 0) else ring[::-1]
        for index, ring in enumerate(placed)
    ]


def _area(ring: list[Point]) -> float:
    """Twice what the closed ring encloses, negative if it runs clockwise."""
    left, low = ring[0]  # coordinates of maps are large, and what is between them is not
    return sum(
        (x - left) * (below - low) - (right - left) * (y - low)
        for (x, y), (right, below) in pairwise(ring)
    )
