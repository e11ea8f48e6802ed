"""Where on the map a GeoTIFF lies, by the tags of its first page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from service.errors import RequestError
from service.images.formats import FORMATS, claimed
from service.images.geotransform import Geotransform
from service.images.reader import Reader
from service.images.tiff import check_directory

PIXEL_SCALE, TIEPOINT, MATRIX, KEYS = 33550, 33922, 34264, 34735
RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1025, 2048, 3072
"""Keys in the directory of GeoTIFF's keys."""
POINT = 2
"""The raster type whose coordinates are those of pixel centres."""
EPSG = range(1024, 32767)
"""Codes of the EPSG register; what is above is the user's own."""


def read_geotransform(data: bytes) -> Geotransform | None:
    """From columns and rows of a picture to the coordinates that its file gives.

    Args:
        data: the file's bytes; of any format.

    Returns:
        None where it is no GeoTIFF, is not upright by its EXIF orientation, or says nothing that
        can be used: only control points, no area, numbers that are none.
    """
    tags = _tags(data)
    upright = tags.get(ExifTags.Base.Orientation, 1) == 1
    transform = _by_matrix(tags) or _by_tiepoint(tags)
    if not upright or transform is None:
        return None
    if _keys(tags).get(RASTER_TYPE) == POINT:
        transform = _from_corner(transform)
    return transform if transform.usable else None


def read_epsg(data: bytes) -> int | None:
    """The EPSG code of the coordinates that a GeoTIFF gives, where it names one.

    Args:
        data: the file's bytes; of any format.
    """
    keys = _keys(_tags(data))
    return next((keys[key] for key in (PROJECTED, GEOGRAPHIC) if keys.get(key) in EPSG), None)


def _tags(data: bytes) -> Mapping[int, Any]:
    """The tags of a TIFF; none of another file or one that is broken."""
    if claimed(data) != "tiff":
        return {}
    try:
        check_directory(data)
        with Image.open(Reader(data), formats=(FORMATS["tiff"].pillow,)) as image:
            assert isinstance(image, TiffImageFile)
            wanted = (ExifTags.Base.Orientation, PIXEL_SCALE, TIEPOINT, MATRIX, KEYS)
            return {tag: image.tag_v2[tag] for tag in wanted if tag in image.tag_v2}
    except (MemoryError, RequestError):
        raise
    except Exception:  # what Pillow raises on hostile bytes is not a closed list
        return {}


def _by_matrix(tags: Mapping[int, Any]) -> Geotransform | None:
    matrix = _numbers(tags, MATRIX, 16)
    if matrix is None:
        return None
    return Geotransform(matrix[3], matrix[0], matrix[1], matrix[7], matrix[4], matrix[5])


def _by_tiepoint(tags: Mapping[int, Any]) -> Geotransform | None:
    """By the size of a pixel and the first point whose place is given."""
    scale, tiepoint = _numbers(tags, PIXEL_SCALE, 2), _numbers(tags, TIEPOINT, 6)
    if scale is None or tiepoint is None:
        return None
    (width, height, *_), (column, row, _, x, y, *_) = scale, tiepoint
    return Geotransform(x - column * width, width, 0.0, y + row * height, 0.0, -height)


def _from_corner(centre: Geotransform) -> Geotransform:
    """The same place told from the corner of the first pixel instead of its centre."""
    x0, a, b, y0, d, e = centre
    return Geotransform(x0 - (a + b) / 2, a, b, y0 - (d + e) / 2, d, e)


def _keys(tags: Mapping[int, Any]) -> dict[int, int]:
    """Those of GeoTIFF's keys whose values stand in the directory itself."""
    directory = _numbers(tags, KEYS, 4) or ()
    found = {}
    for begin in range(4, len(directory) - 3, 4):
        entry = directory[begin : begin + 4]
        if not all(map(math.isfinite, entry)):
            continue
        key, elsewhere, count, value = map(int, entry)
        if not elsewhere and count == 1:
            found[key] = value
    return found


def _numbers(tags: Mapping[int, Any], tag: int, least: int) -> Sequence[float] | None:
    """The values of a tag that should hold so many numbers."""
    values = tags.get(tag)
    if not isinstance(values, tuple) or len(values) < least:
        return None
    try:
        return tuple(map(float, values))
    except (TypeError, ValueError, ArithmeticError):
        return None
