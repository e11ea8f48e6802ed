"""The typed client against a real server."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.client import Client, Mask, Picture, ProblemError
from service.client.options import (
    CutoutOptions,
    GeojsonOptions,
    MaskOptions,
    Options,
    OverlayOptions,
    SegmentsOptions,
)
from service.recipes.cutout import CutoutQuery
from service.recipes.mask import MaskQuery
from service.recipes.overlay import OverlayQuery
from service.recipes.queries import CleanQuery
from service.recipes.segments import SegmentsQuery
from service.settings import SAMPLE_PICTURE
from tests.client.conftest import Connect
from tests.e2e.conftest import FAST, PATIENCE, Server, serving
from tests.e2e.test_operation import read_metrics
from tests.service import pictures

PHOTO = pictures.photo(160, 120)
PNG = pictures.encoded(PHOTO, "PNG")
KEY = "a-key-for-the-tests"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"{KEY}\n")
    with serving(*FAST, "--api-keys", str(keys)) as running:
        yield running


@pytest.fixture
def client(server: Server, connect: Connect) -> Iterator[Client]:
    with connect(server.url, key=KEY) as connected:
        yield connected


def test_a_mask_has_the_ids_and_colours_of_its_png(client: Client, server: Server) -> None:
    mask = client.mask(PNG)
    plain = server.post("/v1/mask", content=PNG, headers={"X-API-Key": KEY})
    assert mask.data == plain.content
    assert (mask.ids == np.asarray(Image.open(io.BytesIO(plain.content)))).all()
    assert mask.ids.dtype == np.uint8
    assert mask.ids.shape == (120, 160)
    (model,) = client.models()
    assert mask.palette == model.palette


def test_every_kind_of_picture_gives_the_same_mask(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    kinds: list[Picture] = [path, str(path), io.BytesIO(PNG), PHOTO, np.asarray(PHOTO)]
    expected = client.mask(PNG).data
    assert [client.mask(kind).data == expected for kind in kinds] == [True] * len(kinds)
    grey = np.asarray(PHOTO.convert("L"))
    assert client.mask(grey).data == client.mask(PHOTO.convert("L")).data
    assert client.mask(PHOTO.convert("CMYK")).ids.shape == (120, 160)


@pytest.mark.parametrize(
    "nonsense",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8), 7, None],
)
def test_what_is_no_picture_is_refused_before_it_is_sent(
    connect: Connect, nonsense: Picture
) -> None:
    with connect("http://127.0.0.1:9") as client, pytest.raises(TypeError, match="a picture"):
        client.mask(nonsense)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_masks_of_every_format_and_size(client: Client) -> None:
    ids = client.mask(SAMPLE_PICTURE).ids
    grey = client.mask(SAMPLE_PICTURE, format="grey")
    array = client.mask(SAMPLE_PICTURE, format="npy")
    assert (grey.ids == ids).all()
    assert (array.ids == ids).all()
    assert array.palette == ()
    assert not array.ids.flags.writeable
    road = client.mask(SAMPLE_PICTURE, format="binary", classes=["road", 1]).ids
    (model,) = client.models()
    chosen = [model.labels.index("Road"), 1]
    assert (road == np.where(np.isin(ids, chosen), 255, 0)).all()
    assert client.mask(SAMPLE_PICTURE, size="model").ids.shape < ids.shape
    kept = client.mask(SAMPLE_PICTURE, min_area=2000, confidence=0.5, classes="road").ids
    assert set(np.unique(kept)) == {model.labels.index("Road"), model.ignored_id}
    assert (client.mask(SAMPLE_PICTURE, tile=0.5, overlap=0.3).ids != ids).any()


def test_overlays_heed_their_options(client: Client) -> None:
    plain = opened(client.overlay(PNG))
    assert (plain.format, plain.size) == ("JPEG", (160, 120))
    kept = opened(client.overlay(PNG, alpha=0, media_type="image/png"))
    assert (np.asarray(kept) == np.asarray(PHOTO)).all()
    full = opened(client.overlay(PNG, alpha=1, media_type="image/png"))
    mask = client.mask(PNG)
    assert (np.asarray(full) == np.array(mask.palette)[mask.ids]).all()


def test_cutouts_heed_their_options(client: Client) -> None:
    (model,) = client.models()
    ids = client.mask(PNG).ids
    name = model.labels[ids[0, 0]]
    cut = opened(client.cutout(PNG, classes=name))
    assert (cut.format, cut.mode) == ("PNG", "RGBA")
    assert ((np.asarray(cut)[..., 3] == 255) == (ids == ids[0, 0])).all()
    red = opened(client.cutout(PNG, classes=name, background="#ff0000", media_type="image/png"))
    assert (np.asarray(red)[ids != ids[0, 0]] == (255, 0, 0)).all()


def test_geojson_is_placed_on_the_map(client: Client) -> None:
    found = client.geojson(PNG, geotransform=[1000.0, 2, 0, 500, 0, -2])
    assert found["type"] == "FeatureCollection"
    names = {feature["properties"]["name"] for feature in found["features"]}
    assert names == {segment.name for segment in client.segments(PNG).segments}
    (x, y), *_ = found["features"][0]["geometry"]["coordinates"][0][0]
    assert 1000 <= x <= 1320
    assert 260 <= y <= 500


def test_several_pictures_are_answered_in_their_order_each_for_itself(client: Client) -> None:
    other = pictures.photo(60, 90, 1)
    good, bad, third = client.mask_all([PHOTO, b"no picture", other], format="grey")
    assert isinstance(good, Mask)
    assert isinstance(third, Mask)
    assert good.data == client.mask(PHOTO, format="grey").data
    assert third.data == client.mask(other, format="grey").data
    assert isinstance(bad, ProblemError)
    assert (bad.status, bad.reason) == (415, "unsupported_format")
    assert "not a picture" in bad.detail
    assert client.overlay_all([PHOTO], media_type="image/webp") == [
        client.overlay(PHOTO, media_type="image/webp")
    ]
    assert client.segments_all([PHOTO, other]) == [client.segments(PHOTO), client.segments(other)]
    assert client.cutout_all([PHOTO], classes=[1]) == [client.cutout(PHOTO, classes=[1])]


@pytest.mark.parametrize(
    ("options", "query", "fixed"),
    [
        (MaskOptions, MaskQuery, set()),
        (OverlayOptions, OverlayQuery, set()),
        (CutoutOptions, CutoutQuery, set()),
        (SegmentsOptions, SegmentsQuery, {"geotransform"}),
        (GeojsonOptions, SegmentsQuery, {"geometry"}),
    ],
)
def test_options_are_the_parameters_of_the_api(
    options: type[Any], query: type[CleanQuery], fixed: set[str]
) -> None:
    own = set(options.__annotations__) | set(Options.__annotations__)
    assert own - {"timeout", "media_type"} == set(query.model_fields) - fixed


@pytest.mark.parametrize("call", ["mask", "overlay", "cutout", "segments", "geojson", "mask_all"])
def test_an_option_that_there_is_not_is_refused_before_anything_is_sent(
    client: Client, call: str
) -> None:
    with pytest.raises(TypeError, match=r"^there is no option 'clases'; did you mean 'classes'\?$"):
        getattr(client, call)(["no picture"], clases="car")
    with pytest.raises(TypeError, match=r"there is no option 'xyz'; there are .*classes, "):
        getattr(client, call)(["no picture"], xyz=1)


def test_segments_are_typed(client: Client) -> None:
    found = client.segments(PNG, geometry="rle")
    ids = client.mask(PNG).ids
    assert (found.image.width, found.image.height) == (160, 120)
    assert {segment.id: segment.pixels for segment in found.segments} == dict(
        zip(*(values.tolist() for values in np.unique(ids, return_counts=True)), strict=True)
    )
    for segment in found.segments:
        assert segment.rle
        assert isinstance(segment.rle.counts, list)
        assert sum(segment.rle.counts) == ids.size


def test_models_and_readiness(client: Client) -> None:
    (model,) = client.models()
    assert client.model(model.name) == model
    assert len(model.labels) == len(model.palette) == 11
    assert client.segments(PNG, model=model.name).model == model.name
    assert client.ready()


@pytest.mark.parametrize(
    ("picture", "options", "status", "reason", "says"),
    [
        (b"no picture", {}, 415, "unsupported_format", "not a picture"),
        (PNG[:200], {}, 422, "broken_picture", "broken"),
        (b"", {}, 400, "no_picture", "no picture"),
        (PNG, {"model": "a/b"}, 404, "unknown_model", "a/b"),
        (PNG, {"min_area": -1}, 422, "invalid_parameter", "min_area"),
    ],
)
def test_a_refusal_says_why_and_is_not_repeated(
    client: Client,
    server: Server,
    picture: bytes,
    options: dict[str, str],
    status: int,
    reason: str,
    says: str,
) -> None:
    def refused() -> float:
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as plain:
            return read_metrics(plain).get(
                ("deeplab_requests_total", reason, "/v1/mask", str(status)), 0
            )

    before = refused()
    with pytest.raises(ProblemError, match=says) as caught:
        client.mask(picture, **options)  # type: ignore[arg-type]
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert says in caught.value.detail
    assert caught.value.request_id
    assert caught.value.retry_after is None
    assert refused() == before + 1


def test_a_model_with_a_strange_name_is_asked_for_by_that_name(client: Client) -> None:
    with pytest.raises(ProblemError, match="'what is/this\\?'"):
        client.mask(PNG, model="what is/this?")


def test_arrays_will_do_for_lists(client: Client) -> None:
    numbers = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]
    expected = client.geojson(PNG, geotransform=numbers)
    assert client.geojson(PNG, geotransform=np.array(numbers)) == expected
    assert client.mask(PNG, classes=np.array([1, 3])).data == client.mask(PNG, classes=[1, 3]).data


@pytest.mark.parametrize("key", [None, "another"])
def test_without_the_key_there_is_no_answer(
    server: Server, connect: Connect, key: str | None
) -> None:
    with connect(server.url, key=key) as client:
        with pytest.raises(ProblemError) as caught:
            client.models()
        assert (caught.value.status, caught.value.reason) == (401, "unauthorised")
        assert client.ready(), "that needs no key"


def test_the_client_loads_neither_engine_nor_framework() -> None:
    code = "import sys, service.client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert {"httpx", "service.client.asks"} <= set(loaded)
    assert not {"onnxruntime", "fastapi", "starlette", "uvicorn"} & set(loaded)
