"""Where a GeoTIFF lies, against files that GDAL wrote and against hostile ones."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from service.errors import TooManyPixels
from service.images.decode import decode
from service.images.geotiff import read_epsg, read_geotransform
from tests.service import pictures

# Written by GDAL 3.10 (rasterio 1.4.4) from the transforms and codes below: 8 x 6 pixels, Deflate.
UTM = base64.b64decode(
    "SUkqAAgAAAAQAAABAwABAAAACAAAAAEBAwABAAAABgAAAAIBAwADAAAAzgAAAAMBAwABAAAACAAAAAYBAwABAAAAAgAA"
    "ABEBBAABAAAAgAEAABUBAwABAAAAAwAAABYBAwABAAAABgAAABcBBAABAAAADgAAABwBAwABAAAAAQAAAD0BAwABAAAA"
    "AQAAAFMBAwADAAAA1AAAAA6DDAADAAAA2gAAAIKEDAAGAAAA8gAAAK+HAwAgAAAAIgEAALGHAgAeAAAAYgEAAAAAAAAI"
    "AAgACAABAAEAAQCamZmZmZnJP5qZmZmZmck/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAET4hQQAA"
    "ABDsolZBAAAAAAAAAAABAAEAAAAHAAAEAAABAAEAAQQAAAEAAQACBLGHFgAAAAEIsYcHABYABggAAAEAjiMADAAAAQDo"
    "ZAQMAAABACkjRVRSUzg5IC8gVVRNIHpvbmUgMzJOfEVUUlM4OXwAeJzTqDihMZgQAAFtQ4E="
)
TURNED = base64.b64decode(
    "SUkqAAgAAAAPAAABAwABAAAACAAAAAEBAwABAAAABgAAAAIBAwADAAAAwgAAAAMBAwABAAAACAAAAAYBAwABAAAAAgAA"
    "ABEBBAABAAAArAEAABUBAwABAAAAAwAAABYBAwABAAAABgAAABcBBAABAAAADgAAABwBAwABAAAAAQAAAD0BAwABAAAA"
    "AQAAAFMBAwADAAAAyAAAANiFDAAQAAAAzgAAAK+HAwAgAAAATgEAALGHAgAeAAAAjgEAAAAAAAAIAAgACAABAAEAAQAz"
    "MzMzMzPTP5qZmZmZmbk/AAAAAAAAAAAAAAAAED4hQZqZmZmZmbk/MzMzMzMz078AAAAAAAAAAAAAAADsolZBAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADwPwEAAQAAAAcAAAQA"
    "AAEAAQABBAAAAQABAAIEsYcWAAAAAQixhwcAFgAGCAAAAQCOIwAMAAABAOhkBAwAAAEAKSNFVFJTODkgLyBVVE0gem9u"
    "ZSAzMk58RVRSUzg5fAB4nNOoOKExmBAAAW1DgQ=="
)
POINT = base64.b64decode(
    "SUkqAAgAAAARAAABAwABAAAACAAAAAEBAwABAAAABgAAAAIBAwADAAAA2gAAAAMBAwABAAAACAAAAAYBAwABAAAAAgAA"
    "ABEBBAABAAAAhgEAABUBAwABAAAAAwAAABYBAwABAAAABgAAABcBBAABAAAADgAAABwBAwABAAAAAQAAAD0BAwABAAAA"
    "AQAAAFMBAwADAAAA4AAAAA6DDAADAAAA5gAAAIKEDAAGAAAA/gAAAK+HAwAgAAAALgEAALCHDAACAAAAbgEAALGHAgAI"
    "AAAAfgEAAAAAAAAIAAgACAABAAEAAQD8qfHSTWJQP/yp8dJNYlA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AACUGARWDs0jQA4tsp3vv0pAAAAAAAAAAAABAAEAAAAHAAAEAAABAAIAAQQAAAEAAgAACAAAAQDmEAEIsYcHAAAABggA"
    "AAEAjiMJCLCHAQABAAsIsIcBAAAAiG10lh2kckAAAABAplRYQVdHUyA4NHwAeJzTqDihMZgQAAFtQ4E="
)
PLACES = {
    "pixel scale and tiepoint": (UTM, (565000.5, 0.2, 0.0, 5934000.25, 0.0, -0.2), 25832),
    "matrix": (TURNED, (565000.0, 0.3, 0.1, 5934000.0, 0.1, -0.3), 25832),
    "centres of pixels": (POINT, (9.9, 0.001, 0.0, 53.5, 0.0, -0.001), 4326),
}


@pytest.mark.parametrize("kind", PLACES)
def test_what_gdal_wrote_is_read_as_gdal_reads_it(kind: str) -> None:
    data, transform, epsg = PLACES[kind]
    assert read_geotransform(data) == pytest.approx(transform, rel=1e-12)
    assert read_epsg(data) == epsg
    picture = decode(data, 100, formats=("tiff",))
    assert picture.image.size == (8, 6)
    assert picture.image.getpixel((3, 3)) == (40, 120, 200)


def geotiff(tags: dict[int, Any], kind: int = 12) -> bytes:
    """A TIFF with tags of a type: 12 is double, 2 text; those of whole numbers are short."""
    directory = ImageFileDirectory_v2()
    for tag, value in tags.items():
        whole = tag == 274 or (tag == 34735 and isinstance(value[0], int))
        directory.tagtype[tag] = 3 if whole else kind
        directory[tag] = value
    return pictures.encoded(pictures.photo(8, 6), "TIFF", tiffinfo=directory)


SCALE, TIEPOINT = (2.0, 2.0, 0.0), (1.0, 2.0, 0.0, 100.0, 200.0, 0.0)


def test_a_tiepoint_may_be_any_pixel() -> None:
    data = geotiff({33550: SCALE, 33922: TIEPOINT})
    assert read_geotransform(data) == (98.0, 2.0, 0.0, 204.0, 0.0, -2.0)
    assert read_epsg(data) is None


@pytest.mark.parametrize(
    "data",
    [
        pictures.encoded(pictures.photo(8, 6), "PNG"),
        b"",
        b"II*\0",
        geotiff({}),
        geotiff({33550: SCALE}),
        geotiff({33922: TIEPOINT * 4}),
        geotiff({33550: (0.0, 2.0, 0.0), 33922: TIEPOINT}),
        geotiff({33550: (math.nan, 2.0, 0.0), 33922: TIEPOINT}),
        geotiff({33550: (math.inf, 2.0, 0.0), 33922: TIEPOINT}),
        geotiff({33550: (1e300, 1e300, 0.0), 33922: TIEPOINT}),
        geotiff({33550: (1e308, 0.1, 0.0), 33922: TIEPOINT}),
        geotiff({33550: SCALE, 33922: TIEPOINT[:5]}),
        geotiff({33550: SCALE, 33922: TIEPOINT, 274: 6}),
        geotiff({34264: (1.0,) * 16}),
        geotiff({33550: "two", 33922: "places"}, kind=2),
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_what_cannot_be_used_is_none(data: bytes) -> None:
    assert read_geotransform(data) is None
    assert read_epsg(data) is None


@pytest.mark.parametrize(
    "keys",
    [
        (1, 1, 0),
        (1, 1, 0, 9, 3072, 0, 1),
        (1, 1, 0, 1, 3072, 0, 1, 32767),
        (1.0, 1.0, 0.0, 1.0, 3072.0, 0.0, 1.0, math.inf),
        (1.0, 1.0, 0.0, 1.0, math.nan, 0.0, 1.0, 4326.0),
    ],
)
def test_a_code_that_is_none_is_left_out(keys: tuple[float, ...]) -> None:
    data = geotiff({33550: SCALE, 33922: TIEPOINT, 34735: keys})
    assert read_geotransform(data) is not None
    assert read_epsg(data) is None


def test_a_directory_that_is_costly_to_read_is_refused() -> None:
    offset = struct.unpack_from("<I", UTM, 4)[0]
    place = UTM.index(struct.pack("<HHI", 33922, 12, 6), offset)
    data = UTM[: place + 4] + struct.pack("<I", 2**31) + UTM[place + 8 :]
    with pytest.raises(TooManyPixels, match="values in one tag"):
        read_geotransform(data)


@given(
    st.sampled_from([UTM, TURNED, POINT]), st.integers(0, 440), st.binary(min_size=1, max_size=9)
)
def test_changed_bytes_give_a_place_or_none(data: bytes, at: int, change: bytes) -> None:
    changed = data[:at] + change + data[at + len(change) :]
    try:
        transform = read_geotransform(changed)
    except TooManyPixels:
        return
    assert transform is None or all(map(math.isfinite, transform))
    assert read_epsg(changed) in (None, *range(1024, 32767))
