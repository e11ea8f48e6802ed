"""Fitting, restoring, drawing and measuring masks, against results done by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from service.bucket import Bucket, choose_bucket, parse_bucket
from service.images import shapes
from service.images.decode import Picture
from service.images.encode import blend, encode_photo
from service.images.fit import fit
from service.images.png import palette_png
from tests.service import pictures

PALETTE = ((10, 20, 30), (200, 100, 50), (0, 255, 0))


def picture(width: int, height: int) -> Picture:
    return Picture(pictures.photo(width, height), width, height)


BUCKETS = tuple(map(parse_bucket, ("513x513", "513x385", "385x513", "513x289", "289x513")))


@pytest.mark.parametrize(
    ("size", "scaled", "tensor"),
    [
        ((480, 360), (385, 513), (385, 513)),
        ((513, 385), (385, 513), (385, 513)),
        ((1280, 720), (289, 513), (289, 513)),
        ((720, 1280), (513, 289), (513, 289)),
        ((1200, 800), (342, 513), (385, 513)),
        ((700, 700), (513, 513), (513, 513)),
        ((1, 1), (513, 513), (513, 513)),
        ((5000, 20), (2, 513), (289, 513)),
        ((3, 9000), (513, 1), (513, 289)),
    ],
)
def test_pictures_are_fitted_to_the_bucket_that_they_fill_best(
    size: tuple[int, int], scaled: tuple[int, int], tensor: tuple[int, int]
) -> None:
    source = picture(*size)
    fitted = fit(source, BUCKETS, 128)
    assert fitted.scaled == scaled
    assert fitted.tensor.shape == (*tensor, 3)
    height, width = scaled
    assert (fitted.tensor[height:] == 128).all()
    assert (fitted.tensor[:, width:] == 128).all()
    if size == (width, height):
        assert (fitted.tensor[:height, :width] == source.pixels).all()


@pytest.mark.parametrize("text", ["", "513", "513x", "x385", "513*385", "-1x5", "513x3850000"])
def test_what_is_no_bucket_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
        parse_bucket(text)


def test_no_bucket_wastes_more_than_another_would() -> None:
    rng = np.random.default_rng(0)
    for width, height in rng.integers(1, 3000, (200, 2)).tolist():
        shares = {}
        for bucket in BUCKETS:
            scaled = bucket.fit(height, width)
            assert scaled[0] <= bucket.height and scaled[1] <= bucket.width
            assert scaled[0] == bucket.height or scaled[1] == bucket.width
            shares[bucket] = scaled[0] * scaled[1] / bucket.pixels
        assert shares[choose_bucket(BUCKETS, height, width)] > 0.98 * max(shares.values())


def test_of_buckets_of_one_shape_the_largest_is_chosen() -> None:
    buckets = tuple(map(parse_bucket, ("257x193", "513x385", "129x97")))
    for size in ((480, 360), (64, 48), (1000, 800)):
        assert str(choose_bucket(buckets, size[1], size[0])) == "513x385"


def test_a_single_bucket_takes_everything() -> None:
    assert fit(picture(1280, 720), (Bucket(65, 65),), 128).scaled == (37, 65)


@pytest.mark.parametrize("size", [(480, 360), (1000, 700), (1, 1), (5000, 20), (37, 900)])
def test_masks_come_back_at_the_picture_s_size_and_place(size: tuple[int, int]) -> None:
    fitted = fit(picture(*size), BUCKETS, 128)
    height, width = fitted.scaled
    mask = np.full(fitted.tensor.shape[:2], 9, np.uint8)
    mask[:height, :width] = 0
    mask[: -(-height // 2), : -(-width // 2)] = 1
    restored = fitted.restore(mask)
    assert restored.shape == (size[1], size[0])
    assert 9 not in restored
    # The marked quarter ends where it did, within the width of one of the model's pixels.
    corner = np.argwhere(restored == 1).max(0) + 1
    cell = max(size[0] / width, size[1] / height) + 1
    assert abs(corner[0] - size[1] / 2) <= cell
    assert abs(corner[1] - size[0] / 2) <= cell


@pytest.mark.parametrize("size", [(50, 70), (1, 1), (1, 9), (9, 1), (300, 500)])
def test_mask_png_holds_ids_and_palette(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).integers(0, 3, size).astype(np.uint8)
    data = palette_png(mask, PALETTE)
    assert data[24] == 8, "bits per pixel"
    image = Image.open(io.BytesIO(data))
    assert image.mode == "P"
    assert (np.asarray(image) == mask).all()
    assert (np.asarray(image.convert("RGB")) == np.array(PALETTE, np.uint8)[mask]).all()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("classes", [None, {1}, {0, 2}, set()])
def test_overlay_is_the_blend(alpha: float, classes: set[int] | None) -> None:
    photo = pictures.photo(70, 50)
    mask = np.random.default_rng(0).integers(0, 3, (50, 70)).astype(np.uint8)
    pixels, colours = np.asarray(photo, float), np.array(PALETTE, float)[mask]
    expected = pixels * (1 - alpha) + colours * alpha
    if classes is not None:
        drawn = np.isin(mask, list(classes))[..., None]
        expected = np.where(drawn, expected, pixels)
    result = np.asarray(blend(photo, mask, PALETTE, alpha, classes), float)
    assert np.abs(result - expected).max() <= 1


@pytest.mark.parametrize(
    ("media_type", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/webp", "WEBP")]
)
def test_overlay_formats(media_type: str, kind: str) -> None:
    image = Image.open(io.BytesIO(encode_photo(pictures.photo(70, 50), media_type)))
    assert (image.format, image.size) == (kind, (70, 50))


def test_areas_and_boxes_by_hand() -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 2:7] = 2
    mask[5, 0] = 2
    mask[4, 4] = 1
    assert shapes.areas(mask) == [
        shapes.Area(0, 48 - 12, (0, 0, 8, 6)),
        shapes.Area(1, 1, (4, 4, 1, 1)),
        shapes.Area(2, 11, (0, 1, 7, 5)),
    ]


# pycocotools is not up to numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_are_read_by_the_coco_tools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    binary = rng.random((37, 53)) < (0.5, 0.02, 0.98, 1.0)[seed]
    rle = {"size": [37, 53], "counts": shapes.run_lengths(binary)}
    decoded = coco.decode(coco.frPyObjects(rle, 37, 53))
    assert (decoded == binary).all()


def draw(found: list[shapes.Polygon], size: tuple[int, int], zoom: int) -> np.ndarray:
    """Fill polygons on a finer grid, to compare areas."""
    canvas = Image.new("1", (size[1] * zoom, size[0] * zoom))
    pen = ImageDraw.Draw(canvas)
    for polygon in found:
        pen.polygon([(x * zoom, y * zoom) for x, y in polygon.exterior], fill=1)
        for hole in polygon.holes:
            pen.polygon([(x * zoom, y * zoom) for x, y in hole], fill=0)
    return np.asarray(canvas)


def test_polygons_cover_what_the_mask_covers() -> None:
    binary = np.zeros((40, 60), bool)
    binary[5:30, 10:40] = True
    binary[12:20, 18:30] = False
    binary[32:, 50:] = True
    found = shapes.polygons(binary, (80, 180), tolerance=0)
    assert [len(polygon.holes) for polygon in found] == [1, 0]
    for polygon in found:
        for ring in (polygon.exterior, *polygon.holes):
            assert ring[0] == ring[-1]
            assert all(0 <= x <= 180 and 0 <= y <= 80 for x, y in ring)
    drawn = draw(found, (80, 180), 4)
    truth = np.asarray(Image.fromarray(binary).resize((720, 320), Image.Resampling.NEAREST))
    assert (drawn != truth).mean() < 0.01


def test_a_region_at_the_border_reaches_it() -> None:
    (polygon,) = shapes.polygons(np.ones((10, 20), bool), (10, 20))
    xs, ys = zip(*polygon.exterior, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (0, 20, 0, 10)


def test_no_region_gives_no_polygon() -> None:
    assert shapes.polygons(np.zeros((10, 20), bool), (10, 20)) == []
