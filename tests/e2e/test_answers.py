"""Answers that fit the use: each parameter against the plain mask of the same picture."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import ExifTags, Image
from pycocotools import mask as coco

from service.images.regions import regions
from tests.e2e.conftest import FAST, serving
from tests.service import pictures
from tests.service.models import without_confidence

pytestmark = pytest.mark.xdist_group("server")
VOID = 255


@pytest.fixture(scope="module")
def labels(client: httpx.Client) -> list[str]:
    (model,) = client.get("/v1/models").json()["models"]
    assert model["confidence"] is True
    assert model["ignored_id"] == VOID
    return list(model["labels"])


@pytest.fixture(scope="module")
def plain(client: httpx.Client, sample: bytes) -> NDArray[np.uint8]:
    return fetch(client, sample, "/v1/mask")


def opened(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def fetch(client: httpx.Client, picture: bytes, path: str) -> NDArray[np.uint8]:
    return np.asarray(opened(client.post(path, content=picture)))


def refused(response: httpx.Response) -> str:
    assert response.status_code == 422
    assert response.json()["reason"] == "invalid_parameter"
    return str(response.json()["detail"])


def test_grey_masks_are_class_ids(
    client: httpx.Client, sample: bytes, plain: NDArray[np.uint8]
) -> None:
    image = opened(client.post("/v1/mask?format=grey", content=sample))
    assert (image.format, image.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(image), plain)


def test_binary_masks_are_white_where_any_class_is(
    client: httpx.Client, sample: bytes, plain: NDArray[np.uint8], labels: list[str]
) -> None:
    image = opened(client.post("/v1/mask?format=binary&classes=Road,Pavement", content=sample))
    assert (image.format, image.mode) == ("PNG", "L")
    wanted = np.isin(plain, [labels.index("Road"), labels.index("Pavement")])
    assert 0 < wanted.mean() < 1
    assert np.array_equal(np.asarray(image), np.where(wanted, 255, 0))
    assert "add classes=" in refused(client.post("/v1/mask?format=binary", content=sample))


def test_numpy_reads_its_own_file(
    client: httpx.Client, sample: bytes, plain: NDArray[np.uint8]
) -> None:
    response = client.post("/v1/mask?format=npy", content=sample)
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == 'attachment; filename="mask.npy"'
    assert "server-timing" in response.headers
    array = np.load(io.BytesIO(response.content))
    assert array.dtype == np.uint8
    assert np.array_equal(array, plain)


def test_other_classes_become_the_ignored_id_which_has_a_colour(
    client: httpx.Client, sample: bytes, plain: NDArray[np.uint8], labels: list[str]
) -> None:
    image = opened(client.post("/v1/mask?classes=car,building", content=sample))
    kept = np.isin(plain, [labels.index("Car"), labels.index("Building")])
    ids = np.asarray(image)
    assert np.array_equal(ids, np.where(kept, plain, VOID))
    assert image.mode == "P"
    assert (np.asarray(image.convert("RGB"))[~kept] == (224, 224, 192)).all()


def test_a_mask_of_the_model_s_size_is_what_the_picture_s_is_made_of(
    client: httpx.Client, sample: bytes, plain: NDArray[np.uint8]
) -> None:
    small = opened(client.post("/v1/mask?size=model", content=sample))
    assert small.size == (513, 385)
    resized = small.resize(plain.shape[::-1], Image.Resampling.NEAREST)
    assert np.array_equal(np.asarray(resized), plain)
    wide = pictures.encoded(pictures.photo(900, 300), "PNG")
    assert fetch(client, wide, "/v1/mask?size=model").shape == (171, 513), "without padding"


def test_no_region_is_smaller_than_asked_for(client: httpx.Client, sample: bytes) -> None:
    whole = fetch(client, sample, "/v1/mask?size=model")
    cleaned = fetch(client, sample, "/v1/mask?size=model&min_area=1000")
    least = 1000 * whole.size / (768 * 576)
    assert np.bincount(regions(whole).ravel()).min() < least / 10
    assert np.bincount(regions(cleaned).ravel()).min() >= least
    assert 0 < (whole != cleaned).mean() < 0.1
    assert np.isin(cleaned, np.unique(whole)).all()


def test_less_sure_pixels_become_the_ignored_id(
    client: httpx.Client, sample: bytes, plain: NDArray[np.uint8]
) -> None:
    masks = [fetch(client, sample, f"/v1/mask?confidence={c}") for c in (0, 0.5, 0.9, 1)]
    assert np.array_equal(masks[0], plain)
    for one, other in itertools.pairwise(masks):
        assert ((one == VOID) <= (other == VOID)).all()
    shares = [(mask == VOID).mean() for mask in masks]
    assert shares[0] == 0 < shares[1] < shares[2] < shares[3] < 1
    for mask in masks:
        assert np.array_equal(mask[mask != VOID], plain[mask != VOID])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("query", ["classes=road,pavement,car", "min_area=800", "confidence=0.8"])
def test_every_call_cleans_alike(client: httpx.Client, sample: bytes, query: str) -> None:
    mask = fetch(client, sample, f"/v1/mask?{query}")
    photo = np.asarray(Image.open(io.BytesIO(sample)).convert("RGB"))
    png = {"accept": "image/png"}
    overlay = client.post(f"/v1/overlay?alpha=1&{query}", content=sample, headers=png)
    palette = np.array(opened(client.post("/v1/mask", content=sample)).getpalette())
    colours = np.pad(palette.reshape(-1, 3), ((0, 256 - len(palette) // 3), (0, 0)))
    drawn = np.where(mask[..., None] == VOID, photo, colours[mask])
    assert np.array_equal(np.asarray(opened(overlay)), drawn)

    segments = client.post(f"/v1/segments?geometry=coco&{query}", content=sample).json()
    assert [s["id"] for s in segments["segments"]] == [i for i in np.unique(mask) if i != VOID]
    for segment in segments["segments"]:
        assert np.array_equal(coco.decode(segment["coco"]), mask == segment["id"])
        assert segment["pixels"] == (mask == segment["id"]).sum()

    cut_query = query if "classes" in query else f"{query}&classes=3,4,8"
    cut = client.post(f"/v1/cutout?{cut_query}", content=sample)
    alpha = np.asarray(opened(cut))[..., 3]
    assert np.array_equal(alpha == 255, np.isin(mask, (3, 4, 8)))


def test_segments_tell_their_confidence_if_it_matters(client: httpx.Client, sample: bytes) -> None:
    silent = client.post("/v1/segments", content=sample).json()["segments"]
    assert all("confidence" not in segment for segment in silent)
    told = client.post("/v1/segments?confidence=0", content=sample).json()["segments"]
    assert [s["pixels"] for s in told] == [s["pixels"] for s in silent]
    assert all(1 / 11 < segment["confidence"] <= 1 for segment in told)
    sure = client.post("/v1/segments?confidence=0.8", content=sample).json()["segments"]
    before = {segment["id"]: segment["confidence"] for segment in told}
    assert sure
    assert all(segment["confidence"] >= max(0.79, before[segment["id"]]) for segment in sure)
    assert sum(segment["fraction"] for segment in sure) < 1


def test_polygons_are_simplified_within_the_tolerance(client: httpx.Client, sample: bytes) -> None:
    def points(query: str) -> int:
        answer = client.post(f"/v1/segments?geometry=polygons{query}", content=sample).json()
        regions = [r for segment in answer["segments"] for r in segment["polygons"]]
        shapes = [shapely.Polygon(r["exterior"], r["holes"]) for r in regions]
        assert all(shape.is_valid for shape in shapes)
        return sum(len(shape.exterior.coords) for shape in shapes)

    assert points("&tolerance=0") > points("") > points("&tolerance=8") > 50
    assert points("&tolerance=1") == points("")


def test_geojson_lies_on_the_map(client: httpx.Client, sample: bytes) -> None:
    query = "geometry=geojson&geotransform=13.4,0.0001,0,52.5,0,-0.0001&confidence=0.3"
    response = client.post(f"/v1/segments?{query}", content=sample)
    assert response.headers["content-type"] == "application/geo+json"
    collection = response.json()
    plain = client.post("/v1/segments?confidence=0.3", content=sample).json()["segments"]
    assert [f["properties"] for f in collection["features"]] == plain
    for feature in collection["features"]:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        left, low, right, high = shape.bounds
        assert 13.4 <= left < right <= 13.4 + 0.0768
        assert 52.5 - 0.0576 <= low < high <= 52.5
        for polygon in shape.geoms:
            assert polygon.is_valid
            assert polygon.exterior.is_ccw
            assert not any(hole.is_ccw for hole in polygon.interiors)
        box = feature["properties"]["box"]
        assert abs(left - (13.4 + box["x"] * 0.0001)) < 0.0003
        assert abs(high - (52.5 - box["y"] * 0.0001)) < 0.0003


@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        ("*/*", "", "PNG"),
        ("image/webp", "", "WEBP"),
        ("image/jpeg, image/*;q=0.1", "", "PNG"),
        ("*/*", "&background=blur", "JPEG"),
        ("image/webp", "&background=%2320a0ff", "WEBP"),
        ("image/png", "&background=20a0ff&feather=2", "PNG"),
    ],
)
def test_cut_outs_come_as_accepted(
    client: httpx.Client, sample: bytes, accept: str, query: str, kind: str
) -> None:
    response = client.post(
        f"/v1/cutout?classes=car{query}", content=sample, headers={"accept": accept}
    )
    image = opened(response)
    assert (image.format, image.size) == (kind, (768, 576))
    assert response.headers["content-type"] == f"image/{kind.lower()}"
    assert response.headers["vary"] == "Accept"
    assert (image.mode == "RGBA") == (not query)


@pytest.mark.parametrize(
    ("path", "accept", "offered"),
    [
        ("overlay", "image/gif", "image/jpeg, image/png, image/webp"),
        ("overlay", "text/html, application/json;q=0.9", "image/jpeg, image/png, image/webp"),
        ("overlay", "*/*;q=0", "image/jpeg, image/png, image/webp"),
        ("cutout?classes=car", "image/jpeg", "image/png, image/webp"),
        ("batch/mask", "image/png", "application/zip, multipart/mixed"),
        ("batch/overlay", "application/zip, image/gif", "image/jpeg, image/png, image/webp"),
    ],
)
def test_what_is_not_there_is_not_given_as_something_else(
    client: httpx.Client, sample: bytes, path: str, accept: str, offered: str
) -> None:
    response = client.post(
        f"/v1/{path}", files={"file": sample}, headers={"accept": accept}, timeout=60
    )
    assert response.status_code == 406
    assert response.json()["reason"] == "not_acceptable"
    assert response.json()["detail"].endswith(f"there is {offered}")


def test_a_cut_out_keeps_the_photo_and_nothing_else_of_the_file(
    client: httpx.Client, sample: bytes
) -> None:
    photo = Image.open(io.BytesIO(sample)).convert("RGB").resize((1600, 1300))
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "nobody's business"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 30.0, 1.0)
    for kind, background in (("PNG", "blur"), ("WEBP", "transparent")):
        picture = pictures.encoded(photo, kind, exif=exif, lossless=True)
        assert b"nobody's business" in picture
        for accept in ("image/png", "image/webp", "image/jpeg, */*;q=0.5"):
            response = client.post(
                f"/v1/cutout?classes=car,road&background={background}",
                content=picture,
                headers={"accept": accept},
            )
            image = opened(response)
            assert image.size == photo.size
            assert not image.getexif()
            assert b"nobody's business" not in response.content
        pixels = np.asarray(opened(client.post("/v1/cutout?classes=car,road", content=picture)))
        seen = pixels[..., 3] == 255
        assert 0.01 < seen.mean() < 0.9
        assert np.array_equal(pixels[seen][:, :3], np.asarray(photo)[seen])
        assert (pixels[~seen] == 0).all()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "/v1/cutout",
            "classes: must be given, as in /v1/cutout?classes=Sky; camvid-mobilenetv2 has Sky, "
            "Building, Pole, Road, Pavement, Tree and more",
        ),
        ("/v1/cutout?model=none", "classes: must be given"),
        ("/v1/cutout?classes=dog", "'dog' is not a class of"),
        ("/v1/cutout?classes=car&background=pink", "'pink' is none of transparent, blur and"),
        ("/v1/mask?confidence=1.5", "confidence: "),
        ("/v1/mask?confidence=nan", "confidence: "),
        ("/v1/mask?min_area=-1", "min_area: "),
        (f"/v1/mask?min_area={10**400}", "min_area: "),
        ("/v1/mask?format=gif", "format: "),
        ("/v1/segments?geometry=geojson", "add geotransform="),
        ("/v1/segments?geometry=geojson&geotransform=1,2,3", "'1,2,3' is not six numbers"),
        ("/v1/segments?tolerance=inf", "tolerance: "),
        (
            "/v1/segments?geometry=rle&tolerance=2",
            "tolerance has no meaning with geometry=rle: add geometry=polygons or geometry=geojson",
        ),
        ("/v1/batch/segments?tolerance=2", "tolerance has no meaning with geometry=none"),
        (
            "/v1/segments?geometry=polygons&geotransform=0,1,0,0,0,1",
            "geotransform has no meaning with geometry=polygons: add geometry=geojson, or leave it",
        ),
        (
            "/v1/segments?feather=2",
            "feather: there is no such parameter; there are model, version, tile, ",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_with_a_sentence(
    client: httpx.Client, sample: bytes, path: str, words: str
) -> None:
    assert words in refused(client.post(path, content=sample))


def test_a_model_without_confidence_says_what_to_do(tmp_path: Path, sample: bytes) -> None:
    path = without_confidence(tmp_path / "plain.onnx")
    with (
        serving("--model", str(path), *FAST) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        (model,) = client.get("/v1/models").json()["models"]
        assert model["confidence"] is False
        detail = refused(client.post("/v1/mask?confidence=0.5", content=sample))
        assert "deeplab confidence" in detail
        assert fetch(client, sample, "/v1/mask?min_area=50").shape == (576, 768)
