"""The options of the API as flags: the same words, the same files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.client import Client
from service.predict.journal import NAME
from service.settings import SAMPLE_PICTURE
from tests.e2e.conftest import FAST, serving
from tests.predict.films import moving, read_film, write_film
from tests.predict.runs import predict
from tests.service import pictures

TRANSFORM = "1000,2,0,500,0,-2"
OPTIONS: list[dict[str, Any]] = [
    {"classes": "road,1", "min_area": 300},
    {"confidence": 0.6},
    {"tile": 0.5, "overlap": 0.3},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options)))
def test_files_are_the_answers_of_the_server(tmp_path: Path, options: dict[str, Any]) -> None:
    chosen = {"classes": "road,sky", **options}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    own = ("--format=grey", "--alpha=0.3", "--background=blur", f"--geotransform={TRANSFORM}")
    kinds = "mask,overlay,cutout,segments,geojson,coco"
    ended = predict(SAMPLE_PICTURE, tmp_path, "--write", kinds, *flags, *own, "--geometry=polygons")
    assert ended.returncode == 0, ended.stderr
    with serving(*FAST) as running, Client(running.url) as client:
        mask = client.mask(SAMPLE_PICTURE, format="grey", **chosen)
        assert (tmp_path / "masks/street.png").read_bytes() == mask.data
        overlay = client.overlay(SAMPLE_PICTURE, alpha=0.3, **chosen)
        assert (tmp_path / "overlays/street.jpg").read_bytes() == overlay
        cutout = client.cutout(SAMPLE_PICTURE, background="blur", **chosen)
        assert (tmp_path / "cutouts/street.jpg").read_bytes() == cutout
        told = client.segments(SAMPLE_PICTURE, geometry="polygons", **chosen)
        written = json.loads((tmp_path / "segments/street.json").read_text())
        assert written == told.model_dump(mode="json", exclude_none=True)
        placed = client.geojson(SAMPLE_PICTURE, geotransform=TRANSFORM, **chosen)
        assert json.loads((tmp_path / "geojson/street.geojson").read_text()) == placed
    annotations = json.loads((tmp_path / "coco.json").read_text())["annotations"]
    assert {a["category_id"]: a["area"] for a in annotations} == {
        segment.id: segment.pixels for segment in told.segments
    }


def test_files_of_other_formats_have_their_suffix(tmp_path: Path) -> None:
    ended = predict(
        SAMPLE_PICTURE, tmp_path, "--write", "mask,cutout", "--format=npy", "--classes=road"
    )
    assert ended.returncode == 0, ended.stderr
    ids = np.load(tmp_path / "masks/street.npy")
    cutout = Image.open(tmp_path / "cutouts/street.png")
    assert cutout.mode == "RGBA"
    assert ((np.asarray(cutout)[..., 3] > 0) == (ids != 255)).all()


def test_geojson_needs_a_place_and_takes_that_of_a_geotiff(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    photo = pictures.photo(90, 60)
    tags = {33550: (2.0, 2.0, 0.0), 33922: (0.0, 0.0, 0.0, 1000.0, 500.0, 0.0)}
    tags |= {34735: (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1)}
    photo.save(photos / "map.tif", tiffinfo=_tiff_tags(tags))
    photo.save(photos / "photo.png")
    ended = predict(photos, tmp_path / "out", "--write", "geojson")
    assert ended.returncode == 1
    assert f"failed: {photos}/photo.png: geometry=geojson needs to know where" in ended.stderr
    (made,) = (tmp_path / "out/geojson").iterdir()
    assert made.name == "map.geojson"
    (x, y), *_ = json.loads(made.read_text())["features"][0]["geometry"]["coordinates"][0][0]
    assert 1000 <= x <= 1180
    assert 380 <= y <= 500


def _tiff_tags(values: dict[int, tuple[float, ...]]) -> Any:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    directory = ImageFileDirectory_v2()
    for tag, value in values.items():
        directory.tagtype[tag] = 3 if tag == 34735 else 12
        directory[tag] = value
    return directory


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--write=mask", "--alpha=0.5"), "--alpha has no meaning for what is written: mask"),
        (("--write=coco", "--geometry=rle"), "--geometry has no meaning for what is written"),
        (("--write=cutout",), "--write cutout needs to know what to keep: add --classes"),
        (("--write=mask", "--format=jpeg"), "setting format = 'jpeg': Input should be 'palette'"),
        (("--write=mask", "--min-area=-1"), "setting min_area = '-1'"),
        (("--write=mask", "--format=binary"), "format=binary needs to know what is white"),
    ],
)
def test_an_option_that_cannot_be_met_is_told(
    tmp_path: Path, flags: tuple[str, ...], says: str
) -> None:
    ended = predict(SAMPLE_PICTURE, tmp_path / "out", *flags)
    assert ended.returncode == 1
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_films_heed_them_too(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    write_film(film, [moving(index) for index in range(4)])
    flags = ("--classes=road,sky", "--alpha=1")
    folders = [tmp_path / name for name in ("kept", "drawn")]
    kept = predict(film, folders[0], "--write=mask,overlay", *flags)
    drawn = predict(film, folders[1], "--write=overlay,cutout", *flags)
    assert (kept.returncode, drawn.returncode) == (0, 0)
    assert len(list((folders[1] / "cutouts").glob("*.png"))) == 4
    first, second = (read_film(folder / "overlay.mp4")[2] for folder in folders)
    assert (np.array(first) == np.array(second)).all()
    # Without its film the first one draws it again, from the masks that it kept.
    (folders[0] / "overlay.mp4").unlink()
    again = predict(film, folders[0], "--write=mask,overlay", *flags)
    assert again.stdout.endswith(", 4 of them before\n")
    assert (np.array(read_film(folders[0] / "overlay.mp4")[2]) == np.array(first)).all()
    # The second one has none to draw from.
    shutil.copy(folders[1] / NAME, tmp_path)
    over = predict(film, folders[1], "--write=overlay,cutout", *flags)
    assert "before" not in over.stdout
