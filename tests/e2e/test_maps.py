"""Maps: a GeoTIFF tells itself where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from service.settings import SAMPLE_PICTURE
from tests.e2e.conftest import FAST, serving
from tests.e2e.test_bad_requests import assert_problem
from tests.service import pictures

EAST, NORTH, METRES = 565_000.0, 5_934_000.0, 0.5
PLACE = f"{EAST},{METRES},0,{NORTH},0,{-METRES}"
CALL = "/v1/segments?geometry=geojson"


def street() -> Image.Image:
    with Image.open(SAMPLE_PICTURE) as image:
        return image.convert("RGB")


def placed(image: Image.Image) -> bytes:
    """A GeoTIFF."""
    tags = ImageFileDirectory_v2()
    for tag, value in (
        (33550, (METRES, METRES, 0.0)),
        (33922, (0.0, 0.0, 0.0, EAST, NORTH, 0.0)),
        (34735, (1, 1, 0, 1, 3072, 0, 1, 25832)),
    ):
        tags.tagtype[tag] = 3 if tag == 34735 else 12
        tags[tag] = value
    return pictures.encoded(image, "TIFF", tiffinfo=tags, compression="tiff_adobe_deflate")


@pytest.fixture(scope="module")
def caller() -> Iterator[httpx.Client]:
    with (
        serving(*FAST, "--formats", "png,tiff") as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def features(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/geo+json"
    return list(response.json()["features"])


@pytest.mark.parametrize("tile", ["", "&tile=0.5"])
def test_a_geotiff_needs_no_geotransform(caller: httpx.Client, tile: str) -> None:
    found = features(caller.post(CALL + tile, content=placed(street())))
    plain = pictures.encoded(street(), "PNG")
    assert found == features(caller.post(f"{CALL}{tile}&geotransform={PLACE}", content=plain))
    points = [
        point
        for feature in found
        for region in feature["geometry"]["coordinates"]
        for ring in region
        for point in ring
    ]
    width, height = street().size
    assert {min(x for x, _ in points), max(x for x, _ in points)} == {EAST, EAST + width * METRES}
    assert {min(y for _, y in points), max(y for _, y in points)} == {
        NORTH - height * METRES,
        NORTH,
    }


def test_the_answer_names_the_reference_system_of_the_file(caller: httpx.Client) -> None:
    told = caller.post(CALL, content=placed(street())).json()
    assert told["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::25832"
    given = caller.post(f"{CALL}&geotransform={PLACE}", content=placed(street())).json()
    assert "crs" not in given


def test_what_the_request_says_goes_before_what_the_file_says(caller: httpx.Client) -> None:
    data = placed(street())
    assert features(caller.post(f"{CALL}&geotransform=0,1,0,0,0,-1", content=data)) != features(
        caller.post(CALL, content=data)
    )


def test_a_batch_of_maps_has_each_at_its_place(caller: httpx.Client) -> None:
    files = [
        ("file", ("a.tif", placed(street()))),
        ("file", ("b.png", pictures.encoded(street(), "PNG"))),
    ]
    accept = {"Accept": "multipart/mixed"}
    answer = caller.post("/v1/batch/segments?geometry=geojson", files=files, headers=accept)
    assert b"Status: 200" in answer.content
    assert b"Status: 422" in answer.content
    assert b"a.geojson" in answer.content


def test_a_picture_without_a_place_says_what_to_do(caller: httpx.Client) -> None:
    for data in (pictures.encoded(street(), "PNG"), pictures.encoded(street(), "TIFF")):
        assert_problem(caller.post(CALL, content=data), 422, "send a GeoTIFF, or add geotransform=")
