"""Polygons, COCO's run lengths and GeoJSON, against the masks that they tell of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from scipy import ndimage

from service.engine.session import Session
from service.http.schemas import Box, Region, Segment, Segments, Size
from service.images import shapes
from service.images.geotransform import Geotransform, parse_geotransform
from service.recipes.geojson import feature_collection
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE

Binary = NDArray[np.bool_]
ZOOM = 4


@pytest.fixture(scope="module")
def street() -> NDArray[np.uint8]:
    """The built-in model's mask of the sample picture."""
    with Image.open(SAMPLE_PICTURE) as sample:
        image = np.asarray(sample.convert("RGB").resize((257, 193)))
    return Session(BUILT_IN_MODEL, "cpu").run(image[None])[0]


def filled(found: list[shapes.Polygon], size: tuple[int, int]) -> Binary:
    """Which pixel centres of a picture of `size` (H, W) lie inside of the polygons."""
    inside = np.zeros(size, bool)
    for polygon in found:  # one may lie in a hole of another
        canvas = Image.new("1", (size[1] * ZOOM, size[0] * ZOOM))
        pen = ImageDraw.Draw(canvas)
        for ring, fill in ((polygon.exterior, 1), *((hole, 0) for hole in polygon.holes)):
            pen.polygon([(x * ZOOM - 0.5, y * ZOOM - 0.5) for x, y in ring], fill=fill)
        inside |= np.asarray(canvas)[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM]
    return inside


def enlarged(binary: Binary, size: tuple[int, int]) -> Binary:
    return np.asarray(Image.fromarray(binary).resize(size[::-1], Image.Resampling.NEAREST))


@pytest.mark.parametrize("size", [(193, 257), (576, 768), (800, 400)])
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 4.0, 15.0])
def test_polygons_give_the_mask_back_within_the_tolerance(
    street: NDArray[np.uint8], size: tuple[int, int], tolerance: float
) -> None:
    """Every pixel agrees that is farther from an edge than that and half a pixel of the model's."""
    cell = max(size[0] / street.shape[0], size[1] / street.shape[1])
    # Half a pixel of the drawing's own, and half of one of the picture's.
    reach = tolerance + cell / 2 + 0.5 + 0.5 / ZOOM
    compared = 0
    for class_id in np.unique(street):
        truth = enlarged(street == class_id, size)
        found = filled(shapes.polygons(street == class_id, size, tolerance), size)
        # The picture's border is an edge of what reaches it.
        inner = ndimage.distance_transform_edt(np.pad(truth, 1))[1:-1, 1:-1]
        far = np.where(truth, inner, ndimage.distance_transform_edt(~truth)) > reach
        assert np.array_equal(found[far], truth[far])
        compared += int(far.sum())
    assert compared > size[0] * size[1]


@pytest.mark.parametrize("kind", ["street", "noise", "one pixel", "ring", "all"])
@pytest.mark.parametrize("size", [(193, 257), (1100, 1300), (1, 1), (9, 700)])
def test_polygons_are_valid_and_keep_regions_and_holes(
    street: NDArray[np.uint8], kind: str, size: tuple[int, int]
) -> None:
    binary = np.zeros((40, 60), bool)
    if kind == "street":
        binary = street == 1
    elif kind == "noise":
        binary = np.random.default_rng(0).random((40, 60)) < 0.5
    elif kind == "one pixel":
        binary[10, 20] = True
    elif kind == "ring":
        binary[5:30, 5:50] = True
        binary[10:20, 10:40] = False
        binary[14, 20] = True
    else:
        binary[:] = True
    exact = shapes.polygons(binary, size, 0)
    for tolerance in (0.5, 3.0, 50.0):
        simple = shapes.polygons(binary, size, tolerance)
        assert [len(p.holes) for p in simple] == [len(p.holes) for p in exact]
        for polygon in simple:
            assert shapely.Polygon(polygon.exterior, polygon.holes).is_valid
            for ring in (polygon.exterior, *polygon.holes):
                assert ring[0] == ring[-1]
                assert all(0 <= x <= size[1] and 0 <= y <= size[0] for x, y in ring)
    if kind == "ring":
        assert [len(p.holes) for p in exact] == [1, 0]


def test_a_higher_tolerance_needs_fewer_points(street: NDArray[np.uint8]) -> None:
    counts = [
        sum(len(p.exterior) for p in shapes.polygons(street == 1, (576, 768), tolerance))
        for tolerance in (0.0, shapes.TOLERANCE, 3.0, 10.0)
    ]
    assert counts[0] > counts[1] > counts[2] > counts[3] > 3


# pycocotools is not up to numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("share", [0.0, 0.003, 0.5, 0.99, 1.0])
def test_compressed_run_lengths_are_those_of_the_coco_tools(share: float) -> None:
    binary = np.random.default_rng(0).random((370, 530)) < share
    text = shapes.compressed_counts(shapes.run_lengths(binary))
    assert text == coco.encode(np.asfortranarray(binary.astype(np.uint8)))["counts"].decode()
    assert (coco.decode({"size": [370, 530], "counts": text}) == binary).all()


def described(rings: list[list[tuple[float, float]]]) -> Segments:
    return Segments(
        image=Size(width=100, height=50),
        model="test",
        segments=[
            Segment(
                id=3,
                name="Road",
                colour=(1, 2, 3),
                pixels=40,
                fraction=0.25,
                box=Box(x=0, y=0, width=1, height=1),
                polygons=[Region(exterior=rings[0], holes=rings[1:])],
            )
        ],
    )


TRANSFORMS = [
    "500000,0.5,0,4650000,0,-0.5",
    "10,0.00001,0,50,0,-0.00001",
    "0,2,0,0,0,2",
    "3,0.6,0.8,7,0.8,-0.6",
    "-71.5,0,0.001,42,0.001,0",
]


@pytest.mark.parametrize("text", TRANSFORMS)
@pytest.mark.parametrize("turned", [False, True])
def test_geojson_has_the_map_s_coordinates_and_the_right_winding(text: str, turned: bool) -> None:
    rings: list[list[tuple[float, float]]] = [
        [(0, 0), (100, 0), (100, 50.25), (0, 50), (0, 0)],
        [(10, 10), (20, 10), (20, 20), (10, 10)],
    ]
    given = [ring[::-1] for ring in rings] if turned else rings
    transform = parse_geotransform(text)
    collection = feature_collection(described(given), transform)
    assert collection["type"] == "FeatureCollection"
    (feature,) = collection["features"]
    assert feature["properties"]["name"] == "Road"
    assert feature["properties"]["fraction"] == 0.25
    assert "polygons" not in feature["properties"]
    (polygon,) = feature["geometry"]["coordinates"]
    assert [shapely.LinearRing(ring).is_ccw for ring in polygon] == [True, False]
    a, b, c, d, e, f = map(float, text.split(","))
    pixel = max(map(abs, (b, c, e, f)))
    for placed, ring in zip(polygon, rings, strict=True):
        expected = {(a + x * b + y * c, d + x * e + y * f) for x, y in ring}
        distances = [min(np.hypot(x - u, y - v) for u, v in expected) for x, y in placed]
        assert max(distances) <= 0.01 * pixel
        assert len(placed) == len(ring)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "six numbers"),
        ("1,2,3,4,5", "six numbers"),
        ("1,2,3,4,5,6,7", "six numbers"),
        ("1,2,3,4,5,x", "six numbers"),
        ("0,1,2,0,2,4", "no area"),
        ("0,0,0,0,0,0", "no area"),
        ("0,nan,0,0,0,1", "no area"),
        ("inf,1,0,0,0,1", "no area"),
        ("0,1e308,0,0,0,0.1", "places that no map has"),
        ("1e300,1,0,0,0,1", "places that no map has"),
    ],
)
def test_what_is_no_geotransform_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_geotransform(text)


def test_a_geotransform_places_the_corner_of_the_first_pixel() -> None:
    assert Geotransform(100, 2, 0, 300, 0, -2).place(0, 0) == (100, 300)
    assert Geotransform(100, 2, 0, 300, 0, -2).place(3, 5) == (106, 290)
    places = itertools.starmap(parse_geotransform(TRANSFORMS[1]).place, [(0, 0), (0.01, 0)])
    assert len(set(places)) == 2, "a hundredth of a pixel can be told apart"
