"""The allow-list of formats as a setting of a real server."""

from __future__ import annotations

import io
import subprocess

import httpx
import pytest
from PIL import Image

from tests.e2e.conftest import FAST, SERVE, serving
from tests.service import pictures

PHOTO = pictures.photo(80, 60)
TIFF = pictures.encoded(PHOTO, "TIFF", compression="tiff_lzw")


def test_what_is_accepted_is_a_setting() -> None:
    with (
        serving(*FAST, "--formats", "png,tiff") as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        for picture in (TIFF, pictures.encoded(PHOTO, "PNG")):
            mask = client.post("/v1/mask", content=picture)
            assert Image.open(io.BytesIO(mask.content)).size == (80, 60)
        overlay = client.post("/v1/overlay", files={"file": TIFF})
        assert Image.open(io.BytesIO(overlay.content)).size == (80, 60)
        refused = client.post("/v1/mask", content=pictures.encoded(PHOTO, "JPEG"))
        assert refused.status_code == 415
        assert refused.json()["detail"] == "JPEG is not an accepted format: send PNG or TIFF"
        document = client.get("/openapi.json").json()
    body = document["paths"]["/v1/mask"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "image/png", "image/tiff"}
    assert "PNG or TIFF, of which the first frame" in document["info"]["description"]


@pytest.mark.xdist_group("server")
def test_by_default_it_is_what_the_description_says(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for call in ("/v1/mask", "/v1/overlay", "/v1/segments"):
        body = paths[call]["post"]["requestBody"]["content"]
        kinds = {kind.removeprefix("image/") for kind in body if kind.startswith("image/")}
        assert kinds == {"jpeg", "png", "webp", "gif", "bmp"}
        for kind in kinds:
            picture = pictures.encoded(PHOTO, kind.upper())
            assert client.post(call, content=picture).status_code == 200
    assert client.post("/v1/mask", content=TIFF).status_code == 415


@pytest.mark.parametrize("formats", ["jpeg,heic", "eps", "", "jpeg png", "JPEG2000"])
def test_other_formats_are_refused_at_start(formats: str) -> None:
    done = subprocess.run(
        [SERVE, "--port", "0", "--formats", formats], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "formats" in done.stderr
    assert len(done.stderr.splitlines()) == 1
